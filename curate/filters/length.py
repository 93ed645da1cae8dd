"""Conversations that are too short or too long."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from curate.filtering.noticing import noticed_frame

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Length:
    """Too few or too many characters, or tokens of a tokenizer, in all answers or in the whole conversation."""

    rule_version: ClassVar[int] = 1

    min_answer_chars: int = 1
    """All answers together at least."""
    max_answer_chars: int = 0
    """The longest answer at most; 0 for any length."""
    max_chars: int = 0
    """The whole conversation at most; 0 for any length."""
    tokenizer: str = ""
    """A folder with a tokenizer; needed for the two below."""
    min_tokens: int = 0
    """The whole conversation at least, without a template."""
    max_tokens: int = 0
    """The whole conversation at most, without a template; 0 for any length."""

    def notice(self, texts: "pl.DataFrame") -> "pl.DataFrame | None":
        """How many tokens each message has, if tokens are asked for."""
        if not self.tokenizer:
            return None
        from store.chat_format import count_tokens, load_tokenizer

        counts = count_tokens(load_tokenizer(Path(self.tokenizer)), texts.get_column("content").to_list())
        rows = texts.get_column("row").to_list()
        return noticed_frame(
            (row, ("tokens", float(count), None, None)) for row, count in zip(rows, counts, strict=True)
        )

    def drops(self, turns: "pl.DataFrame") -> "pl.DataFrame":
        """The first bound that is passed."""
        import polars as pl

        answers = pl.col("n_chars").filter(pl.col("role") == "assistant")
        tokens = pl.col("score").sum() if self.tokenizer else pl.lit(0)
        sums = turns.group_by("conversation", maintain_order=True).agg(
            answers.sum().alias("answer_chars"),
            answers.max().fill_null(0).alias("longest"),
            pl.col("n_chars").sum().alias("chars"),
            tokens.alias("tokens"),
        )
        bounds = (
            ("answers too short", "answer_chars", self.min_answer_chars, 0),
            ("an answer too long", "longest", 0, self.max_answer_chars),
            ("too long", "chars", 0, self.max_chars),
            ("too few tokens", "tokens", self.min_tokens, 0),
            ("too many tokens", "tokens", 0, self.max_tokens),
        )
        label, score = pl.lit(None, pl.String), pl.lit(None, pl.Float64)
        for words, column, least, most in reversed(bounds):
            size = pl.col(column)
            passed = (size < least) if least else (size > most) if most else pl.lit(value=False)
            label = pl.when(passed).then(pl.lit(words)).otherwise(label)
            score = pl.when(passed).then(size.cast(pl.Float64)).otherwise(score)
        return sums.select(
            "conversation",
            label.alias("label"),
            pl.lit(None, pl.Int64).alias("position"),
            score.alias("score"),
            pl.lit(None, pl.String).alias("found"),
            pl.lit(None, pl.Int64).alias("start"),
        ).filter(pl.col("label").is_not_null())
