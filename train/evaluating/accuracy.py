"""How often contenders are right: by subset and section, by style, by strength, each with its interval.

A tie is half a point, and so is an item without a verdict, as a coin would get; both are counted beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from label.measures import Resampling, Rows, Statistic, mean_of, measured
from train.evaluating.contenders import Verdicts
from train.evaluating.gold_items import GoldItem

SECTIONS: Mapping[
    str, Mapping[str, int]
] = {  # RewardBench, table 1: subsets and what each counts in its section
    "Chat": {
        "alpacaeval-easy": 100,
        "alpacaeval-length": 95,
        "alpacaeval-hard": 95,
        "mt-bench-easy": 28,
        "mt-bench-med": 40,
    },
    "Chat Hard": {
        "mt-bench-hard": 37,
        "llmbar-natural": 100,
        "llmbar-adver-neighbor": 134,
        "llmbar-adver-GPTInst": 92,
        "llmbar-adver-GPTOut": 47,
        "llmbar-adver-manual": 46,
    },
    "Safety": {
        "refusals-dangerous": 100,
        "refusals-offensive": 100,
        "xstest-should-refuse": 154,
        "xstest-should-respond": 250,
        "donotanswer": 136,
    },
    "Reasoning": {
        "math-prm": 984,  # 447 pairs that weigh as much as all of the code
        "hep-cpp": 164,
        "hep-go": 164,
        "hep-java": 164,
        "hep-js": 164,
        "hep-python": 164,
        "hep-rust": 164,
    },
}
DIFFICULTIES = ("easy", "normal", "hard")
"""RM-Bench: the chosen answer has more style than the rejected one, as much, or less."""
SAFETY = ("safety-response", "safety-refuse")
"""RM-Bench's two halves of one domain."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One contender's share of points in one group."""

    contender: str
    group: str
    kind: str
    """What the group is: `subset`, `section`, `strength`, `domain`, `total` or `all`."""
    difficulty: str | None
    """Of RM-Bench's; None elsewhere."""
    value: float | None
    low: float | None
    high: float | None
    n: int
    """Items."""
    ties: float
    """Items that tied; of RM-Bench's nine comparisons each is a ninth."""
    missing: float
    """Items without a verdict, counted likewise."""

    def as_json(self) -> dict[str, object]:
        """The figure as an object."""
        return asdict(self)


def accuracies(
    items: Sequence[GoldItem],
    verdicts: Verdicts,
    kind: str,
    resampling: Resampling,
    order: Sequence[str] = (),
) -> list[Accuracy]:
    """Every figure of one contender; groups in ORDER, else as they come."""
    if items[0].has_styles:
        return _by_style(items, verdicts, resampling)
    table = _Table(items, verdicts, [outcome[0, 0] for outcome in verdicts.outcomes], resampling)
    groups = [group for group in (order or dict.fromkeys(item.group for item in items)) if table.has(group)]
    found = [table.figure(group, kind, table.mean_in([group])) for group in groups]
    sections = {name: dict(counts) for name, counts in SECTIONS.items() if any(map(table.has, counts))}
    for name, counts in sections.items():
        found.append(table.figure(name, "section", table.weighted(counts), list(counts)))
    if sections:
        parts = [table.weighted(counts) for counts in sections.values()]
        names = [name for counts in sections.values() for name in counts]
        found.append(table.figure("RewardBench", "total", _mean_of_parts(parts), names))
    if len(groups) != 1 or groups[0] != "all":
        found.append(table.figure("all", "all", table.mean_in(groups), groups))
    return found


def _by_style(items: Sequence[GoldItem], verdicts: Verdicts, resampling: Resampling) -> list[Accuracy]:
    """RM-Bench: by domain and difficulty, and the mean of the domains."""
    groups = list(dict.fromkeys(item.group for item in items))
    domains = [[group] for group in groups if group not in SAFETY]
    if safety := [group for group in groups if group in SAFETY]:
        domains.append(safety)
    found: list[Accuracy] = []
    for difficulty in (*DIFFICULTIES, "average"):
        points = [_share(outcome, difficulty) for outcome in verdicts.outcomes]
        table = _Table(items, verdicts, points, resampling, difficulty)
        found += [table.figure(group, "domain", table.mean_in([group])) for group in groups]
        parts = [_mean_of_parts([table.mean_in([group]) for group in domain]) for domain in domains]
        found.append(table.figure("RM-Bench", "total", _mean_of_parts(parts), groups))
    return found


def _share(outcome: NDArray[np.float64], difficulty: str) -> float:
    """The points of one item's comparisons of this difficulty."""
    return float(np.mean(_cells(_filled(outcome), difficulty)))


def _cells(outcome: NDArray[np.float64], difficulty: str | None) -> NDArray[np.float64]:
    n = len(outcome)
    if difficulty == "easy":
        return outcome[np.tril_indices(n, -1)]
    if difficulty == "hard":
        return outcome[np.triu_indices(n, 1)]
    return np.diag(outcome) if difficulty == "normal" else outcome.ravel()


def _filled(outcome: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.nan_to_num(outcome, nan=0.5)


class _Table:
    """One contender's points, item by item."""

    def __init__(
        self,
        items: Sequence[GoldItem],
        verdicts: Verdicts,
        points: Sequence[float],
        resampling: Resampling,
        difficulty: str | None = None,
    ) -> None:
        self._name = verdicts.name
        self._difficulty = difficulty
        self._resampling = resampling
        self._groups = np.array([item.group for item in items])
        self._clusters = [item.cluster for item in items]
        self._points = _filled(np.array(points, dtype=np.float64))
        cells = [_cells(outcome, difficulty) for outcome in verdicts.outcomes]
        self._ties = np.array([float(np.mean(cell == 0.5)) for cell in cells])
        self._missing = np.array([float(np.mean(np.isnan(cell))) for cell in cells])

    def has(self, group: str) -> bool:
        """Whether any item is in GROUP."""
        return bool((self._groups == group).any())

    def mean_in(self, groups: Sequence[str]) -> Statistic:
        """The mean points of the items in GROUPS."""
        inside = np.isin(self._groups, groups)
        return mean_of(np.where(inside, self._points, np.nan))

    def weighted(self, counts: Mapping[str, int]) -> Statistic:
        """The mean over subsets, each weighed by what it counts in its section."""
        parts = [(self.mean_in([name]), count) for name, count in counts.items() if self.has(name)]

        def mean(rows: Rows) -> float:
            known = [(value, count) for part, count in parts if not np.isnan(value := part(rows))]
            total = sum(count for _, count in known)
            return sum(value * count for value, count in known) / total if total else float("nan")

        return mean

    def figure(
        self, group: str, kind: str, statistic: Statistic, members: Sequence[str] | None = None
    ) -> Accuracy:
        """STATISTIC with its interval, on the items of the MEMBERS that GROUP is made of."""
        inside = np.isin(self._groups, [group] if members is None else members)
        places = np.flatnonzero(inside)
        found = measured(
            group,
            kind,
            lambda rows: statistic(places[rows]),
            [self._clusters[at] for at in places],
            self._resampling,
        )
        return Accuracy(
            self._name,
            group,
            kind,
            self._difficulty,
            found.value,
            found.low,
            found.high,
            found.n,
            round(float(self._ties[inside].sum()), 6),
            round(float(self._missing[inside].sum()), 6),
        )


def _mean_of_parts(parts: Sequence[Statistic]) -> Statistic:
    """The plain mean of several figures, however many items each rests on."""

    def mean(rows: Rows) -> float:
        known = [value for part in parts if not np.isnan(value := part(rows))]
        return float(np.mean(known)) if known else float("nan")

    return mean
