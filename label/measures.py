"""A measured figure with its interval, and the bootstrap that gives the interval.

Verdicts on one prompt are not independent of one another, so whole prompts are drawn, never single
verdicts. The draws are seeded: the same figures come out of the same rows every time.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from store.errors import MissingExtra

Rows = NDArray[np.intp]
"""Row numbers, repeated where a prompt was drawn more than once."""
Statistic = Callable[[Rows], float]
"""A figure computed from some of the rows; NaN where it is not defined on them."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a report."""

    measure: str
    of: str
    """What it was measured on: a pair of policies, `micro` (all rows alike), `macro` (mean of the pairs) …"""
    value: float | None
    """None where the rows do not define it."""
    low: float | None
    high: float | None
    n: int
    """How many rows it rests on."""

    def as_json(self) -> dict[str, object]:
        """The figure as an object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Resampling:
    """How intervals are drawn."""

    resamples: int = 1000
    seed: int = 0
    level: float = 0.95
    """The interval's nominal coverage."""


def check_statistics() -> None:
    """Raises MissingExtra if the libraries of the extra `agree` are not installed."""
    for library in ("evalica", "scipy", "statsmodels"):
        if find_spec(library) is None:
            raise MissingExtra.of(library, "agree")


def measured(
    name: str,
    of: str,
    statistic: Statistic,
    clusters: Sequence[str],
    resampling: Resampling,
) -> Measure:
    """The figure on all rows, with a percentile interval from whole CLUSTERS (one name a row) drawn anew."""
    rows = np.arange(len(clusters))
    if not len(rows):
        return Measure(name, of, None, None, None, 0)
    draws = np.array([statistic(drawn) for drawn in _drawn_rows(clusters, resampling)])
    low, high = _interval(draws, resampling)
    return Measure(name, of, _known(statistic(rows)), low, high, len(rows))


def measured_together(
    names: Sequence[str],
    of: str,
    statistic: Callable[[Rows], NDArray[np.float64]],
    clusters: Sequence[str],
    resampling: Resampling,
) -> list[Measure]:
    """Several figures that one computation gives, named NAMES, each with its interval."""
    rows = np.arange(len(clusters))
    if not len(rows):
        return [Measure(name, of, None, None, None, 0) for name in names]
    values = statistic(rows)
    draws = np.stack([statistic(drawn) for drawn in _drawn_rows(clusters, resampling)])
    return [
        Measure(name, of, _known(float(value)), *_interval(column, resampling), len(rows))
        for name, value, column in zip(names, values, draws.T, strict=True)
    ]


def _interval(draws: NDArray[np.float64], resampling: Resampling) -> tuple[float | None, float | None]:
    """The percentiles of the draws on which the figure is defined."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return None, None
    tail = (1 - resampling.level) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _drawn_rows(clusters: Sequence[str], resampling: Resampling) -> Iterator[Rows]:
    """For every draw of clusters with replacement, the rows in it."""
    numbers = np.unique(np.asarray(clusters), return_inverse=True)[1]
    order = np.argsort(numbers, kind="stable")
    sizes = np.bincount(numbers)
    starts = np.cumsum(sizes) - sizes
    random = np.random.default_rng(resampling.seed)
    for _ in range(resampling.resamples):
        drawn = random.integers(len(sizes), size=len(sizes))
        ends = np.cumsum(sizes[drawn])
        shift = np.repeat(starts[drawn] - ends + sizes[drawn], sizes[drawn])
        yield order[np.arange(ends[-1]) + shift]


def mean_of(values: Sequence[float] | NDArray[np.float64]) -> Statistic:
    """The mean of VALUES (one a row), leaving out NaN."""
    column = np.asarray(values, dtype=np.float64)
    is_known = ~np.isnan(column)
    filled = np.where(is_known, column, 0.0)
    is_whole = bool(is_known.all())

    def mean(rows: Rows) -> float:
        n = len(rows) if is_whole else int(is_known[rows].sum())
        return float(filled[rows].sum()) / n if n else float("nan")

    return mean


def macro_of(statistic: Statistic, groups: Sequence[str]) -> Statistic:
    """The plain mean of STATISTIC over GROUPS (one name a row), however large each is."""
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    n_groups = int(numbers.max()) + 1 if len(numbers) else 0

    def macro(rows: Rows) -> float:
        parts = [rows[numbers[rows] == number] for number in range(n_groups)]
        values = [statistic(part) for part in parts if len(part)]
        known = [value for value in values if not np.isnan(value)]
        return float(np.mean(known)) if known else float("nan")

    return macro


def pearson(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson's r; NaN for fewer than three points or where one side does not vary."""
    from scipy.stats import pearsonr

    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(pearsonr(first, second).statistic)


def quietly(compute: Callable[[], float]) -> float:
    """COMPUTE's result, NaN instead of a warning where a library divides by zero."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return float(compute())
