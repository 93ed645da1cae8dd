"""Dialogues written as one text, with a mark before each turn."""

import re
from collections.abc import Mapping

from curate.readers.drafts import Messages

HH_MARKS = {"\n\nHuman:": "user", "\n\nAssistant:": "assistant"}
"""Anthropic's HH-RLHF, and Nectar."""


def marked_turns(text: str, marks: Mapping[str, str]) -> Messages:
    """The turns of TEXT, each after one of MARKS (mark → role); none if it does not begin with a mark.

    The one space after a mark belongs to it.
    """
    parts = re.split("(" + "|".join(map(re.escape, marks)) + ")", text)
    if parts[0].strip() or len(parts) < 3:
        return ()
    return tuple(
        (marks[mark], content.removeprefix(" "))
        for mark, content in zip(parts[1::2], parts[2::2], strict=True)
    )


def hh_turns(text: str) -> Messages:
    """The turns of a text in the form of HH-RLHF."""
    opened = text if text.startswith("\n\n") else "\n\n" + text.lstrip("\n")
    return marked_turns(opened, HH_MARKS)
