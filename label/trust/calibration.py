"""How right a judge is against people: by the strength of its verdict, and with a bound that is exact.

The certificate is about pairs like those that people judged blind: their items must have been drawn at
random from the judge's, as the queue of `review` draws them. Its bound is Clopper and Pearson's
(Biometrika 26, 1934), one-sided.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from label.comparing.stored_verdicts import Item, Merged, sign
from label.measures import Measure

GoldTies = Literal["error", "leave-out"]

BLIND_TEMPLATES_END = "-blind"
"""People's verdicts on answers whose authors they could not see are made with such a template."""
STRENGTH_EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Merged strength is the absolute mean of the orders' signed margins."""


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """What a user may ask of `label calibrate`."""

    judge: str
    """The labeler that is measured."""
    gold: tuple[str, ...] = ("people",)
    """Whose verdicts count as right."""
    min_strength: float = 0.0
    """Only verdicts of the judge at least this strong, as an export of pairs would ask for."""
    sample: int | None = None
    """Draw so many of the items at random; all if not given."""
    seed: int = 0
    """Of the draw."""
    gold_ties: GoldTies = "error"
    """Whether a tie by people is an error of a judge that took a side, or says nothing."""
    max_error: float | None = None
    """Refuse a certificate whose upper bound is higher."""
    level: float = 0.95
    """How sure the bound is."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict of the judge beside the gold one."""

    prompt_id: str
    strength: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class Certificate:
    """How wrong the judge may be."""

    judge: str
    n: int
    errors: int
    error: float
    upper_bound: float
    """With the level's confidence the judge's error is no higher."""
    level: float
    max_error: float | None
    is_issued: bool
    """Whether the bound keeps below the one that was asked for."""

    def as_json(self) -> dict[str, object]:
        """The certificate as an object."""
        return asdict(self)


def gold_of(labels: Iterable[Merged]) -> dict[Item, int]:
    """The direction most of the blind LABELS have on each item; a tie where no side has more."""
    votes: dict[Item, Counter[int]] = defaultdict(Counter)
    for one in labels:
        if one.direction is not None and is_blind(one):
            votes[one.item][one.direction] += 1
    return {item: _majority(counts) for item, counts in votes.items()}


def is_blind(one: Merged) -> bool:
    """Whether it was given without knowing who wrote the answers; only people can know that."""
    return one.labeler_kind != "person" or one.template.endswith(BLIND_TEMPLATES_END)


def _majority(counts: Counter[int]) -> int:
    return sign(counts[1] - counts[-1]) if max(counts[1], counts[-1]) >= counts[0] else 0


def beside_gold(
    labels: Iterable[Merged], gold: dict[Item, int], settings: CalibrationSettings
) -> list[Judged]:
    """The judge's decided verdicts on gold items, one an item, right or wrong, in a random order.

    A conflict between orders and a tie take no side, so they can be neither.
    """
    by_item = {one.item: one for one in sorted(labels, key=_by_item, reverse=True)}
    found = [
        Judged(item.prompt_id, abs(one.margin or 0.0), one.direction == gold[item])
        for item, one in by_item.items()
        if item in gold
        and one.direction
        and abs(one.margin or 0.0) >= settings.min_strength
        and not (settings.gold_ties == "leave-out" and gold[item] == 0)
    ]
    order = np.random.default_rng(settings.seed).permutation(len(found))
    return [found[place] for place in order][: settings.sample]


def _by_item(one: Merged) -> tuple[str, ...]:
    item = one.item
    return item.prompt_id, item.first.response_id, item.second.response_id, one.template, one.scale


def accuracy_by_strength(judged: Sequence[Judged], level: float) -> list[Measure]:
    """How often the judge is right, overall and by strength, with exact two-sided intervals."""
    found = [_accuracy("all strengths", judged, level)]
    for low, high in pairwise(STRENGTH_EDGES):
        inside = [one for one in judged if low < one.strength <= high]
        found.append(_accuracy(f"strength over {low:g} to {high:g}", inside, level))
    return found


def _accuracy(of: str, judged: Sequence[Judged], level: float) -> Measure:
    from scipy.stats import binomtest

    n, right = len(judged), sum(one.is_right for one in judged)
    if n == 0:
        return Measure("accuracy", of, None, None, None, 0)
    interval = binomtest(right, n).proportion_ci(level, method="exact")
    return Measure("accuracy", of, right / n, float(interval.low), float(interval.high), n)


def certify(judged: Sequence[Judged], settings: CalibrationSettings) -> Certificate:
    """The judge's error on the sample and its upper bound; not issued above the bound asked for."""
    n, errors = len(judged), sum(not one.is_right for one in judged)
    bound = upper_bound(errors, n, settings.level)
    is_issued = settings.max_error is None or bound <= settings.max_error
    return Certificate(
        settings.judge, n, errors, errors / n, bound, settings.level, settings.max_error, is_issued
    )


def upper_bound(errors: int, n: int, level: float) -> float:
    """Clopper and Pearson's one-sided upper bound of a proportion."""
    from scipy.stats import binomtest

    interval = binomtest(errors, n, alternative="less").proportion_ci(level, method="exact")
    return float(interval.high)
