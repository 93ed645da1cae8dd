"""What a judge's ratings depend on besides the answers, as far as one pass over the store can tell.

Printed at the end of `label judge`; `label bias` measures the same labels with intervals.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from label.trust.families import family_of
from label.trust.flagged import REPEATED_PROMPTS, Met, read_canaries
from label.trust.injection import ANY
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading


@dataclass(frozen=True, slots=True)
class RatingHabits:
    """The habits of one labeler on some scales; an answer's rating is the mean over its draws and aspects."""

    n: int
    """Answers with a rating."""
    commonest: float | None
    """The number given most often."""
    n_commonest: int
    length_r: float | None
    """Pearson's r of the rating with the logarithm of the length; None where one of them is all alike."""
    n_repeated: int
    """Answers whose text answers REPEATED_PROMPTS prompts or more."""
    mean_repeated: float | None
    n_speaking: int
    """Answers that speak to a judge."""
    mean_speaking: float | None
    mean: float | None
    own_family: float | None
    """The mean rating of answers by models of the judge's own family; None if there are none."""
    other_families: float | None
    canaries: Met | None
    """All canaries it ever met."""

    def as_json(self) -> dict[str, object]:
        """The habits as an object."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The habits in five lines."""
        share = self.n_commonest / self.n if self.n else 0.0
        met = self.canaries
        return [
            f"scale: {share:.1%} of {self.n:,} ratings are {_number(self.commonest)}, the mean is {_number(self.mean)}",
            f"length: r of rating and log length {_number(self.length_r)}",
            f"family: own answers get {_number(self.own_family)} on average, others {_number(self.other_families)}",
            f"texts: {self.n_repeated:,} answer {REPEATED_PROMPTS} prompts or more{_mean(self.mean_repeated)},"
            f" {self.n_speaking:,} speak to a judge{_mean(self.mean_speaking)}",
            f"canaries: {'none met' if met is None else f'passed {met.passed} of {met.asked} so far'}",
        ]


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def _mean(value: float | None) -> str:
    return "" if value is None else f" (mean {value:.2f})"


def read_habits(reading: "Reading", labeler: str, templates: Sequence[str]) -> RatingHabits:
    """The habits of LABELER in everything it rated by TEMPLATES."""
    params = {"labeler": labeler, "templates": list(templates)}
    (facts,) = reading.dicts(
        named_sql("label", "rating_habits"), {**params, "any": ANY, "many": REPEATED_PROMPTS}
    )
    authors = reading.rows(named_sql("label", "ratings_by_author"), params)
    family = family_of(labeler)
    own = [(n, mean) for author, n, mean in authors if family is not None and family_of(author) == family]
    others = [(n, mean) for author, n, mean in authors if family is None or family_of(author) != family]
    return RatingHabits(
        **facts,
        own_family=_weighted(own),
        other_families=_weighted(others),
        canaries=read_canaries(reading).get(labeler),
    )


def _weighted(groups: Sequence[tuple[int, float]]) -> float | None:
    total = sum(n for n, _ in groups)
    return sum(n * mean for n, mean in groups) / total if total else None
