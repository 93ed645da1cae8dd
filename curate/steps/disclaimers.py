"""Answers that begin with what the model is before they answer: the first sentence goes, the answer stays."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.cleaning import Turn

if TYPE_CHECKING:
    import polars as pl

DISCLAIMER = re.compile(
    r"\A\s*(?:I'm sorry, but |I apologize, but |Sorry, but )?"
    r"as an? (?:AI|artificial intelligence)(?:[ -](?:text-based|based|powered))?(?: language)?(?: model| assistant)?"
    r"(?: (?:developed|created|trained) by \w+)?, (?:I|it)\b[^.!?\n]{0,300}[.!?](?=\s)\s*",
    re.IGNORECASE,
)
TURN_WORD = re.compile(
    r"\A(?:However|But|Nevertheless|Nonetheless|That said|That being said),?\s+", re.IGNORECASE
)

SHORTEST_REST = 40
"""Characters of answer that must be left: an answer that only says what the model is not is a refusal, which
is a filter's business."""


def strip_disclaimer(text: str) -> str:
    """TEXT from its second sentence on, if the first only says that a model speaks."""
    found = DISCLAIMER.match(text)
    if found is None:
        return text
    rest = TURN_WORD.sub("", text[found.end() :], count=1)
    return rest[:1].upper() + rest[1:] if len(rest) >= SHORTEST_REST else text


@dataclass(frozen=True, slots=True)
class DisclaimerStep:
    """The step `disclaimers`."""

    step_version: int = 1

    def may_change(self) -> "pl.Expr":
        """Answers whose beginning says AI."""
        import polars as pl

        start = pl.col("content").str.slice(0, 80)
        return (pl.col("role") == "assistant") & start.str.contains(r"(?i)\bas an? (?:AI|artificial)")

    def clean(self, turn: Turn) -> str:
        """The answer without its disclaimer."""
        return strip_disclaimer(turn.content)


DISCLAIMERS = DisclaimerStep()
