"""Texts whose bytes went wrong on their way: decoded twice, control characters, characters in pieces."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from unicodedata import is_normalized, normalize

from curate.cleaning import Turn
from curate.filtering.mojibake import FENCE, MOJIBAKE_MARKS
from store.errors import MissingExtra

if TYPE_CHECKING:
    import polars as pl

CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f]")
"""Control characters of both blocks, but for tab, line feed and the return that is dealt with below."""

LEADS = re.compile("[" + "".join(sorted({mark[0] for mark in MOJIBAKE_MARKS})) + "]")
"""How a mark of double decoding begins."""

ANY_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""A character that either of the two patterns looks for."""

ENDINGS = re.compile(r"\r\n?|\x85|\u2028|\u2029")
"""Line ends that are not a line feed."""


def repair(text: str) -> str:
    """TEXT decoded as it was meant, in composed form (NFC), without control characters.

    Code between fences keeps its bytes but for line ends and control characters: it may be about them.
    Raises MissingExtra without ftfy if something was decoded twice.
    """
    if not text.isascii():
        parts = text.split(FENCE)
        for i in range(0, len(parts), 2):
            parts[i] = _repair_prose(parts[i])
        text = FENCE.join(parts).removeprefix("\ufeff")
    return CONTROLS.sub("", ENDINGS.sub("\n", text)) if ANY_CONTROL.search(text) else text


def _repair_prose(text: str) -> str:
    if LEADS.search(text) and any(mark in text for mark in MOJIBAKE_MARKS):
        text = "\n".join(_fix_encoding()(line) for line in text.split("\n"))
    return text if is_normalized("NFC", text) else normalize("NFC", text)


@cache
def _fix_encoding() -> Callable[[str], str]:
    try:
        from ftfy import fix_encoding
    except ImportError as error:
        raise MissingExtra.of("ftfy", "clean") from error
    return fix_encoding


@dataclass(frozen=True, slots=True)
class UnicodeStep:
    """The step `unicode`."""

    step_version: int = 1

    def may_change(self) -> "pl.Expr":
        """Anything with a mark of double decoding, a control character, or combining characters."""
        import polars as pl

        text = pl.col("content")
        return text.str.contains_any(
            [*MOJIBAKE_MARKS, "\r", "\ufeff", "\u2028", "\u2029"]
        ) | text.str.contains(
            r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}\p{M}\x{1100}-\x{11ff}\x{2126}\x{212a}\x{212b}\x{f900}-\x{faff}]"
        )

    def clean(self, turn: Turn) -> str:
        """The text repaired."""
        return repair(turn.content)


UNICODE = UnicodeStep()
