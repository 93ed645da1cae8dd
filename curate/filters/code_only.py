"""Answers that are code and nothing else."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from curate.filtering.noticing import Noticed, look_at, share_of_answers

if TYPE_CHECKING:
    import polars as pl

FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CodeOnly:
    """Conversations whose answers are fenced code without a word of explanation."""

    rule_version: ClassVar[int] = 1

    share: float = 1.0
    """The part of a conversation's answers that must be so."""
    max_prose: int = 40
    """Letters outside of fences that do not count as explanation, in UTF-8: a Chinese sign is three."""

    def notice(self, texts: "pl.DataFrame") -> "pl.DataFrame":
        """Answers with a fence and next to nothing outside of it."""
        import polars as pl

        content = pl.col("content")
        near = content.str.head(self.max_prose + 8).str.contains("```", literal=True)
        return look_at(texts, (pl.col("role") == "assistant") & near, self._judge)

    def _judge(self, text: str) -> Noticed | None:
        prose = FENCED.sub("", text).strip()
        size = len(prose.encode())
        return ("", float(size), None, None) if size <= self.max_prose else None

    def drops(self, turns: "pl.DataFrame") -> "pl.DataFrame":
        """By the share of answers."""
        return share_of_answers(turns, self.share)
