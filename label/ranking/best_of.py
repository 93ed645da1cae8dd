"""Best-of-n: what the best of n draws is worth, exactly, and how far it goes from the policy.

The expectation is over every choice of n of a prompt's N draws, not over the first n as they were drawn.
Of N draws in the order of their scores, the r-th is the best of n with probability C(N - r, n - 1) / C(N, n).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from label.ranking.order import Piece, Scores

SIZES = (1, 2, 4, 8, 16, 32, 64)  # Xwin-LM, figures 3 and 4: n = 2 … 64
TWO_SIDED_95 = 1.959963984540054


def chances_of_best(count: int, n: int) -> Scores:
    """For each of COUNT draws, best first, the probability to be the best of N drawn among them.

    Raises ValueError if N is not between 1 and COUNT.
    """
    if not 1 <= n <= count:
        raise ValueError(f"the best of {n} among {count} draws is not defined")
    steps = np.arange(count - 1, dtype=np.float64)
    ratios = (count - 1 - steps - (n - 1)) / (count - 1 - steps)
    return n / count * np.concatenate([[1.0], np.cumprod(np.maximum(ratios, 0.0))])


def kl_bound(n: int) -> float:
    """The most that best-of-n goes from the policy, in nats: log n - (n - 1) / n."""
    return math.log(n) - (n - 1) / n


@dataclass(frozen=True, slots=True)
class Point:
    """One figure of a curve: a mean over prompts."""

    x: int
    """n of best-of-n, or a rank."""
    value: float | None
    low: float | None
    """Of the 95 % interval from the spread over prompts; None with fewer than two."""
    high: float | None
    prompts: int

    def as_json(self) -> dict[str, object]:
        """The figure by name."""
        return asdict(self)


def point_of(x: int, total: float, squares: float, count: int) -> Point:
    """The mean over COUNT prompts whose values have this sum and sum of squares."""
    if not count:
        return Point(x, None, None, None, 0)
    mean = total / count
    if count < 2:
        return Point(x, mean, None, None, count)
    variance = max(0.0, squares - count * mean * mean) / (count - 1)
    half = TWO_SIDED_95 * math.sqrt(variance / count)
    return Point(x, mean, mean - half, mean + half, count)


@dataclass(slots=True)
class Sums:
    """Sums over prompts, for each x."""

    totals: dict[int, list[float]]

    def add(self, x: int, values: Scores) -> None:
        """Take in one value of each of some prompts."""
        known = self.totals.setdefault(x, [0.0, 0.0, 0])
        known[0] += float(values.sum())
        known[1] += float((values * values).sum())
        known[2] += len(values)

    def points(self) -> list[Point]:
        """The means, x ascending."""
        return [
            point_of(x, total, squares, int(count))
            for x, (total, squares, count) in sorted(self.totals.items())
        ]


def best_of_curve(pieces: Iterable[Piece], sizes: Sequence[int] = SIZES) -> list[Point]:
    """The expected score of the best of n draws, over prompts with at least n of them.

    PIECES are ranked without an epsilon: the best is the highest score.
    """
    sums = Sums({})
    for piece in pieces:
        for n in set(sizes):
            if n <= piece.size:
                sums.add(n, piece.scores @ chances_of_best(piece.size, n))
    return sums.points()


def rank_curve(pieces: Iterable[Piece]) -> list[Point]:
    """The mean score of each rank (Xwin-LM, figure 5), over prompts with that many responses."""
    sums = Sums({})
    for piece in pieces:
        for place in range(piece.size):
            sums.add(place + 1, piece.scores[:, place])
    return sums.points()


def closest_rank(curve: Sequence[Point], value: float) -> Point:
    """The rank whose mean score is closest to VALUE, of equals the better one (Xwin-LM, section 6)."""
    known = [point for point in curve if point.value is not None]
    return min(known, key=lambda point: (abs((point.value or 0.0) - value), point.x))


def win_rate_curve(
    pieces: Iterable[tuple[Piece, Scores]], sizes: Sequence[int] = SIZES
) -> Mapping[int, tuple[float | None, float]]:
    """n → (win rate of the best of n, the share of such bests that were judged), over prompts with a judged response.

    With each piece come the judged scores of its responses (1 won, 0.5 tied, 0 lost), NaN where nobody
    judged. Those count as far as they can be the best.
    """
    won: dict[int, float] = {}
    judged: dict[int, float] = {}
    seen: dict[int, float] = {}
    for piece, given in pieces:
        scores = given[(~np.isnan(given)).any(axis=1)]
        is_judged = ~np.isnan(scores)
        for n in set(sizes):
            if n > piece.size:
                continue
            chances = chances_of_best(piece.size, n)
            won[n] = won.get(n, 0.0) + float((np.where(is_judged, scores, 0.0) @ chances).sum())
            judged[n] = judged.get(n, 0.0) + float((is_judged @ chances).sum())
            seen[n] = seen.get(n, 0.0) + len(scores)
    return {
        n: (won[n] / judged[n] if judged[n] else None, judged[n] / seen[n]) for n in sorted(seen) if seen[n]
    }
