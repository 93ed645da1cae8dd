"""Reading a judge's reply about two responses: the one verdict it gives, or an error, never a guess.

A verdict is the last thing in a reply: a JSON object with a member `verdict`, in a code fence or not,
or a line `Verdict: [[label]]`. What a JSON string quotes is no verdict.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from label.chat import well_formed
from label.comparing.label_probability import preference_of
from label.comparing.scales import Scale
from label.engine.calls import Completion
from label.judging.parse import is_refusal
from store.errors import BadReply

VERDICT_PARSER = "verdict/1"
"""Raised when the same reply could be read differently; stored with every comparison."""

VERDICT = "verdict"
ANALYSIS = "analysis"

LINE = re.compile(r"^[ \t]*\**Verdict:[ \t]*\[\[([^\[\]\n]*)\]\]\**[ \t]*$", re.M)
OPENING = re.compile(r"^[ \t]*\{", re.M)
FENCE = "```"
LARGEST_REPLY = 1_000_000
"""Characters; a longer reply is not searched for a verdict."""

CompareState = Literal["win", "tie", "unparsed", "refused", "blocked", "error"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge said about two responses in the order they were shown, or why it said nothing."""

    state: CompareState
    native_label: str | None
    signed_margin: float | None
    explanation: str | None


@dataclass(frozen=True, slots=True)
class Statement:
    """A verdict as it stands in a reply."""

    start: int
    end: int
    label: str
    explanation: str


def opinion_of(completion: Completion, scale: Scale) -> Opinion:
    """Read a completion."""
    if completion.state != "done":
        state: CompareState = "error" if completion.state == "failed" else completion.state
        return Opinion(state, None, None, completion.error)
    reply = completion.reply or ""
    try:
        return _probable(completion, scale) if scale.is_probability else _stated_opinion(reply, scale)
    except BadReply as error:
        if is_refusal(reply):
            return Opinion("refused", None, None, reply.strip())
        return Opinion("unparsed", None, None, str(error))


def _stated_opinion(reply: str, scale: Scale) -> Opinion:
    label, explanation = parse_verdict(reply, scale.names)
    margin = scale.margin_of(label)
    return Opinion("win" if margin else "tie", label, margin, explanation)


def _probable(completion: Completion, scale: Scale) -> Opinion:
    """The likelier label, with how much likelier it is as the margin: 2 P(A) - 1."""
    found = preference_of(completion.first_token, scale.names)
    margin = 2 * found.first - 1
    words = f"P({scale.names[0]}) = {found.first:.6f}; {found.outside:.6f} on other tokens"
    return Opinion("win" if margin else "tie", scale.names[margin < 0], margin, words)


def parse_verdict(reply: str, labels: Sequence[str]) -> tuple[str, str]:
    """The one verdict the reply gives, one of LABELS, and the explanation before it.

    Raises BadReply if there is none at the end, more than one, or one that is no label.
    """
    statements = list(_statements(reply))
    if not statements or not _is_end(reply[statements[-1].end :]):
        raise BadReply("the reply does not end with a verdict")
    given = {statement.label for statement in statements}
    if len(given) > 1:
        raise BadReply(f"the reply gives {len(given)} different verdicts: {', '.join(sorted(given))}")
    last = statements[-1]
    if last.label not in labels:
        raise BadReply(f"the reply's verdict {last.label[:100]!r} is none of: {', '.join(labels)}")
    return last.label, last.explanation


def _is_end(rest: str) -> bool:
    return rest.strip() in ("", FENCE)


def _statements(reply: str) -> Iterator[Statement]:
    """Every verdict stated, in order; lines inside a JSON object are part of it."""
    if len(reply) > LARGEST_REPLY:
        raise BadReply(f"the reply has {len(reply):,} characters")
    end = 0
    for found in sorted([*OPENING.finditer(reply), *LINE.finditer(reply)], key=re.Match.start):
        if found.start() < end:
            continue
        if found.re is LINE:
            end = found.end()
            yield Statement(found.start(), end, found[1].strip(), reply[: found.start()].strip())
            continue
        members, stop = _object_at(reply, found.end() - 1)
        if members is not None:
            end = stop
            yield from _stated(members, found.start(), end)


Members = list[tuple[str, object]]


def _object_at(reply: str, start: int) -> tuple[Members | None, int]:
    """The members of the JSON object that begins at START, and where it ends."""
    try:
        value, end = _DECODER.raw_decode(reply, start)
    except (ValueError, RecursionError):  # no JSON, a number of thousands of digits, thousands of brackets
        return None, start
    return value, end


_DECODER = json.JSONDecoder(object_pairs_hook=list, strict=False)
"""Objects become lists of members, so that a verdict given twice is seen; text may hold bare newlines."""


def _stated(members: Members, start: int, end: int) -> Iterator[Statement]:
    """The verdicts among the members of one object; one that is no text is no label either."""
    said = [value for name, value in members if name == ANALYSIS and isinstance(value, str)]
    explanation = well_formed("\n".join(text.strip() for text in said))
    for name, value in members:
        if name == VERDICT:
            text = well_formed(value.strip()) if isinstance(value, str) else f"({type(value).__name__})"
            yield Statement(start, end, text, explanation)
