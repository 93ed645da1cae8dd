"""Conversations of another shape than question, answer, question, answer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Turns:
    """Too few or too many rounds, an answer before any question, a speaker twice in a row."""

    rule_version: ClassVar[int] = 1

    min_rounds: int = 1
    """Answers at least."""
    max_rounds: int = 0
    """Answers at most; 0 for any number."""
    starts_with_user: bool = True
    """Whether the first turn, a system turn aside, must be the user's."""
    alternates: bool = True
    """Whether user and assistant must take turns; calls of tools and their results may stand between."""
    ends_with_answer: bool = False
    """Whether a last question without an answer is a reason."""

    def notice(self, texts: "pl.DataFrame") -> None:
        """Texts do not matter."""

    def drops(self, turns: "pl.DataFrame") -> "pl.DataFrame":
        """The first reason that holds."""
        import polars as pl

        talk = turns.filter(pl.col("role") != "system").sort("conversation", "position")
        role, place = pl.col("role"), pl.col("conversation")
        twice = (role == role.shift(1)) & (place == place.shift(1)) & role.is_in(["user", "assistant"])
        shapes = (
            talk.with_columns(twice.alias("twice"))
            .group_by("conversation", maintain_order=True)
            .agg(
                (role == "assistant").sum().alias("rounds"),
                role.first().alias("first"),
                role.last().alias("last"),
                pl.col("position").filter(pl.col("twice")).first().alias("twice_at"),
                role.filter(pl.col("twice")).first().alias("twice_role"),
                pl.col("position").first().alias("first_at"),
                pl.col("position").last().alias("last_at"),
            )
        )
        return self._reasons(shapes, turns)

    def _reasons(self, shapes: "pl.DataFrame", turns: "pl.DataFrame") -> "pl.DataFrame":
        import polars as pl

        everyone = (
            turns.select("conversation")
            .unique(maintain_order=True)
            .join(shapes, on="conversation", how="left", maintain_order="left")
        )
        rounds = pl.col("rounds").fill_null(0)
        too_many = rounds > self.max_rounds if self.max_rounds else pl.lit(value=False)
        begins = (pl.col("first") != "user") if self.starts_with_user else pl.lit(value=False)
        twice = pl.col("twice_at").is_not_null() if self.alternates else pl.lit(value=False)
        open_end = (pl.col("last") == "user") if self.ends_with_answer else pl.lit(value=False)
        label = (
            pl.when(rounds < self.min_rounds)
            .then(pl.lit("too few rounds"))
            .when(too_many)
            .then(pl.lit("too many rounds"))
            .when(begins)
            .then(pl.lit("does not begin with the user"))
            .when(twice)
            .then(pl.concat_str(pl.lit("the "), pl.col("twice_role"), pl.lit(" twice in a row")))
            .when(open_end)
            .then(pl.lit("ends without an answer"))
        )
        place = pl.when(begins).then(pl.col("first_at")).when(twice).then(pl.col("twice_at")).when(open_end)
        return (
            everyone.with_columns(
                label=label,
                position=place.then(pl.col("last_at")),
                score=rounds.cast(pl.Float64),
                found=pl.lit(None, pl.String),
                start=pl.lit(None, pl.Int64),
            )
            .filter(pl.col("label").is_not_null())
            .select("conversation", "label", "position", "score", "found", "start")
        )
