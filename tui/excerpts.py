"""Excerpts of long texts around what was looked for, the words between ⟦ and ⟧."""

import re
from collections.abc import Sequence

from tui.response_set import ONLY_HERE

BEFORE = 24
"""Characters shown before the first word found, so that it is on screen in 80 columns."""


def words_of(typed: str) -> tuple[str, ...]:
    """The words a person typed; those in "quotes" are one."""
    found = (quoted or word for quoted, word in re.findall(r'"([^"]*)"|([^\s"]+)', typed))
    return tuple(dict.fromkeys(word for word in found if word))


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


def highlighted(text: str, words: Sequence[str]) -> str:
    """TEXT with every one of WORDS between marks."""
    if not words:
        return text
    return _pattern(words).sub(lambda found: f"{ONLY_HERE[0]}{found[0]}{ONLY_HERE[1]}", text)


def excerpt(around: str, words: Sequence[str], *, is_cut: bool) -> str:
    """A piece of a text with marks; one that is cut begins with a whole word, if any is before the first mark."""
    found = _pattern(words).search(around)
    if is_cut and found:
        start = around.find(" ", 0, found.start()) + 1
        return "…" + highlighted(around[start:], words)
    return ("…" if is_cut else "") + highlighted(around, words)


def span_marked(text: str, start: int, length: int) -> str:
    """TEXT with the LENGTH characters from START on between marks."""
    end = start + length
    return f"{text[:start]}{ONLY_HERE[0]}{text[start:end]}{ONLY_HERE[1]}{text[end:]}"
