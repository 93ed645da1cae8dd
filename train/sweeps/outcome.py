"""What came of a sweep: its points, the means over seeds with their intervals, the best and the baseline."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from train.sweeps.grid import SEED, Axis, label_of
from train.sweeps.options import Assignment

# Student's t, two-sided 95 %, by degrees of freedom; beyond 30 the normal's.
STUDENT_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
NORMAL = 1.960
CHARACTERS, ROWS = "characters", "rows"
"""What stands beside the measures: the mean length of an answer, and the rows that were trained on."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its 95 % interval, where there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class PointOutcome:
    """What one point came to: its figures, or where it failed; neither if it was not reached."""

    values: tuple[Assignment, ...]
    figures: Mapping[str, Figure]
    """By measure, each with its interval over prompts or pairs."""
    failed_at: str | None = None
    """The step."""
    why: str | None = None
    code: int | None = None
    """The exit code that stands for it."""

    @property
    def label(self) -> str:
        """What people read."""
        return label_of(self.values)

    @property
    def group(self) -> tuple[Assignment, ...]:
        """The values but for the seed."""
        return tuple(one for one in self.values if one[0] != SEED)


@dataclass(frozen=True, slots=True)
class Group:
    """The points that differ by their seed alone."""

    values: tuple[Assignment, ...]
    done: int
    """Points measured."""
    failed: tuple[str, ...]
    """`seed=1: training` for each that failed."""
    figures: Mapping[str, Figure]
    """Over seeds, where there are two or more; else as the point has them."""
    gain: Figure | None
    """Over the baseline in what is compared, paired by seed; None for the baseline and where there is none."""
    is_baseline: bool
    is_best: bool


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """A sweep so far."""

    name: str
    recipe: str
    axes: tuple[Axis, ...]
    measure: str
    """What is compared and plotted."""
    measures: tuple[str, ...]
    baseline: tuple[Assignment, ...]
    points: tuple[PointOutcome, ...]
    notes: tuple[str, ...] = ()
    """What a reader has to know, such as held-out prompts that were trained on."""

    @property
    def failed(self) -> list[PointOutcome]:
        """Points that failed."""
        return [point for point in self.points if point.failed_at is not None]

    @property
    def measured(self) -> list[PointOutcome]:
        """Points that came to their end."""
        return [point for point in self.points if point.figures]

    def groups(self) -> list[Group]:
        """One for each choice of the axes but the seed, in the order of the grid."""
        together: dict[tuple[Assignment, ...], list[PointOutcome]] = {}
        for point in self.points:
            together.setdefault(point.group, []).append(point)
        means = {values: self._mean(points, self.measure) for values, points in together.items()}
        known = {values: mean.value for values, mean in means.items() if mean is not None}
        best = max(known, key=lambda values: known[values]) if len(known) > 1 else None
        compared = together.get(self.baseline, [])
        return [
            Group(
                values=values,
                done=sum(bool(point.figures) for point in points),
                failed=tuple(f"{_seed(point)}{point.failed_at}" for point in points if point.failed_at),
                figures={
                    name: mean
                    for name in (*self.measures, CHARACTERS, ROWS)
                    if (mean := self._mean(points, name)) is not None
                },
                gain=None if values == self.baseline else _gain(points, compared, self.measure),
                is_baseline=values == self.baseline,
                is_best=values == best,
            )
            for values, points in together.items()
        ]

    def as_json(self) -> dict[str, Any]:
        """What a script reads, and what is kept with the run."""
        return {**asdict(self), "groups": [asdict(group) for group in self.groups()]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "SweepOutcome":
        """The same again."""
        return cls(
            name=kept["name"],
            recipe=kept["recipe"],
            axes=tuple(Axis(one["name"], tuple(one["values"])) for one in kept["axes"]),
            measure=kept["measure"],
            measures=tuple(kept["measures"]),
            baseline=_assignments(kept["baseline"]),
            points=tuple(
                PointOutcome(
                    _assignments(one["values"]),
                    {name: Figure(**figure) for name, figure in one["figures"].items()},
                    one["failed_at"],
                    one["why"],
                    one["code"],
                )
                for one in kept["points"]
            ),
            notes=tuple(kept["notes"]),
        )

    @staticmethod
    def _mean(points: Sequence[PointOutcome], name: str) -> Figure | None:
        figures = [point.figures[name] for point in points if name in point.figures]
        if len(figures) < 2:
            return figures[0] if figures else None
        return mean_of([figure.value for figure in figures])


def mean_of(values: Sequence[float]) -> Figure:
    """The mean of two or more values with its 95 % interval by Student's t."""
    degrees = len(values) - 1
    t = STUDENT_T[degrees - 1] if degrees <= len(STUDENT_T) else NORMAL
    mean, half = fmean(values), t * stdev(values) / math.sqrt(len(values))
    return Figure(mean, mean - half, mean + half)


def _gain(points: Sequence[PointOutcome], baseline: Sequence[PointOutcome], measure: str) -> Figure | None:
    """What is gained over the baseline, seed by seed; without seeds in common, of the means."""
    theirs = {_seed(point): point.figures[measure].value for point in baseline if measure in point.figures}
    mine = {_seed(point): point.figures[measure].value for point in points if measure in point.figures}
    if not theirs or not mine:
        return None
    differences = [mine[seed] - theirs[seed] for seed in mine if seed in theirs]
    if len(differences) > 1:
        return mean_of(differences)
    return Figure(differences[0] if differences else fmean(mine.values()) - fmean(theirs.values()))


def _seed(point: PointOutcome) -> str:
    return next((f"{SEED}={value}: " for name, value in point.values if name == SEED), "")


def _assignments(kept: Sequence[Sequence[str]]) -> tuple[Assignment, ...]:
    return tuple((name, value) for name, value in kept)
