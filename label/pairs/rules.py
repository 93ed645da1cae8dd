"""Which two responses of a prompt become a pair.

A rule sees responses in the order of the score that is asked for, penalties included, and the better one
by that score is chosen. Nothing is decided by position: ties are never paired, and draws follow ids and a
seed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from label.id_columns import Ids, Places, chances, pair_chances
from label.ranking.order import Piece, Scores, Sets, ranked
from store.errors import BadSettings

Rule = Literal["best-worst", "best-rank-k", "best-random", "all-above-gap", "threshold", "shp", "judged"]
RULES: tuple[Rule, ...] = get_args(Rule)

SHP_RATIO = 2.0  # RLHF Workflow (arXiv 2405.07863): SHP's pairs have a score ratio above 2
SHP_PAIRS = 5  # and a prompt gives at most 5
PAIR_CELLS = 2**21
"""Pairs looked at together."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PairRule:
    """How pairs are chosen."""

    rule: Rule = "best-worst"
    rank: int | None = None
    """The rank that is rejected by `best-rank-k`."""
    min_gap: float = 0.0
    """Scores must lie at least this far apart."""
    chosen_min: float | None = None
    """The least score a chosen response has, by `threshold`."""
    rejected_max: float | None = None
    """A rejected response scores below this, by `threshold`; None takes `chosen_min`."""
    min_ratio: float | None = None
    """Scores must be positive and have a larger ratio, by `shp` and `judged`; None is 2 by `shp`."""
    max_per_prompt: int | None = None
    """The most pairs of a prompt, drawn by hash; None takes all, and 5 by `shp`."""
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.rule == "best-rank-k") != (self.rank is not None):
            raise BadSettings("--rank K says which rank `--rule best-rank-k` rejects: give both or neither")
        if self.rank is not None and self.rank < 2:
            raise BadSettings("--rank is 2 or more: rank 1 is the chosen one")
        if (self.rule == "threshold") != (self.chosen_min is not None):
            raise BadSettings("--chosen-min X goes with `--rule threshold`: give both or neither")
        if self.rejected_max is not None and self.rule != "threshold":
            raise BadSettings("--rejected-max goes with `--rule threshold`")
        if (
            self.rejected_max is not None
            and self.chosen_min is not None
            and self.rejected_max > self.chosen_min
        ):
            raise BadSettings("--rejected-max is above --chosen-min: a response could be both")
        if self.rule == "all-above-gap" and self.min_gap <= 0:
            raise BadSettings("`--rule all-above-gap` needs --min-gap, above 0")
        if self.min_ratio is not None and self.rule not in ("shp", "judged"):
            raise BadSettings("--min-ratio goes with `--rule shp` or `--rule judged`")
        if self.min_gap < 0:
            raise BadSettings("--min-gap is not negative")

    @property
    def most(self) -> int | None:
        """The most pairs of a prompt."""
        if self.max_per_prompt is None and self.rule == "shp":
            return SHP_PAIRS
        return self.max_per_prompt


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs as columns, prompt after prompt."""

    prompts: Ids
    chosen: Ids
    rejected: Ids
    score_chosen: Scores
    """NaN where a pair has no scores."""
    score_rejected: Scores
    rank_chosen: Places
    """From 1; 0 where a response has no rank."""
    rank_rejected: Places
    strength: NDArray[np.object_] | None = None
    """What a judge called the difference, where one judged."""

    def __len__(self) -> int:
        return len(self.prompts)

    def only(self, keep: "Mask | Places") -> "Pairs":
        """Some of the pairs."""
        return Pairs(
            self.prompts[keep],
            self.chosen[keep],
            self.rejected[keep],
            self.score_chosen[keep],
            self.score_rejected[keep],
            self.rank_chosen[keep],
            self.rank_rejected[keep],
            None if self.strength is None else self.strength[keep],
        )

    def in_order(self) -> "Pairs":
        """The same pairs in the one order that their ids give."""
        keys = (self.rejected[:, 0], self.chosen[:, 0], self.prompts[:, 0])
        return self.only(np.lexsort(keys))


@dataclass(slots=True)
class Drops:
    """Why prompts gave no pair, and pairs were not taken."""

    prompts: Counter[str] = field(default_factory=Counter)
    pairs: Counter[str] = field(default_factory=Counter)
    n_prompts: int = 0
    n_pairs: int = 0
    """Seen, dropped or not."""


def pairs_by(rule: PairRule, sets: Sets, epsilon: float, drops: Drops) -> Pairs:
    """The pairs that RULE makes of scored responses; DROPS is told of every prompt and pair left out."""
    make = _MAKERS[rule.rule]
    found = [_no_pairs()]
    for piece in ranked(sets, epsilon):
        drops.n_prompts += len(piece.sets)
        if piece.size < (rule.rank or 2):
            drops.prompts["too_few_responses"] += len(piece.sets)
            continue
        found += [_as_pairs(sets, part, *cells) for part, cells in make(rule, sets, piece, drops)]
    return joined(found).in_order()


def joined(parts: Sequence[Pairs]) -> Pairs:
    """All pairs of several columns of pairs."""
    names = (
        "prompts",
        "chosen",
        "rejected",
        "score_chosen",
        "score_rejected",
        "rank_chosen",
        "rank_rejected",
    )
    return Pairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _no_pairs() -> Pairs:
    ids, scores = np.empty((0, 2), dtype=np.uint64), np.empty(0)
    places = np.empty(0, dtype=np.intp)
    return Pairs(ids, ids, ids, scores, scores, places, places)


Cells = tuple[Places, Places, Places]
"""Rows of a piece, and the columns of the better and the worse response there."""
Made = Iterator[tuple[Piece, Cells]]


def _as_pairs(sets: Sets, piece: Piece, rows: Places, better: Places, worse: Places) -> Pairs:
    return Pairs(
        sets.prompts[piece.sets[rows]],
        sets.responses[piece.rows[rows, better]],
        sets.responses[piece.rows[rows, worse]],
        piece.scores[rows, better],
        piece.scores[rows, worse],
        better + 1,
        worse + 1,
    )


def _keep(cells: Cells, faults: Mask, reason: str, drops: Drops) -> Cells:
    count = int(faults.sum())
    if not count:
        return cells
    drops.pairs[reason] += count
    rows, better, worse = (cell[~faults] for cell in cells)
    return rows, better, worse


def _checked(rule: PairRule, piece: Piece, cells: Cells, drops: Drops) -> Cells:
    """The pairs that are not tied and far enough apart, each with the higher score chosen."""
    drops.n_pairs += len(cells[0])
    rows, better, worse = cells
    is_tied = (piece.ties[rows, better] == piece.ties[rows, worse]) | (
        piece.scores[rows, better] <= piece.scores[rows, worse]
    )
    cells = _keep(cells, is_tied, "tied", drops)
    if rule.min_gap > 0:
        rows, better, worse = cells
        gaps = piece.scores[rows, better] - piece.scores[rows, worse]
        cells = _keep(cells, gaps < rule.min_gap, "below_min_gap", drops)
    return cells


def _against_column(rule: PairRule, sets: Sets, piece: Piece, drops: Drops) -> Made:
    """The best response against the last, or the one at a rank."""
    del sets
    rows = np.arange(len(piece.sets))
    worse = np.full(len(rows), (rule.rank or piece.size) - 1)
    yield piece, _checked(rule, piece, (rows, np.zeros_like(rows), worse), drops)


def _against_random(rule: PairRule, sets: Sets, piece: Piece, drops: Drops) -> Made:
    """The best response against one drawn among those that are not tied with it."""
    drawn = chances(sets.responses[piece.rows], rule.seed)
    is_rival = piece.ties > 0
    rows = np.flatnonzero(is_rival.any(axis=1))
    drops.prompts["all_tied"] += len(piece.sets) - len(rows)
    worse = np.where(is_rival, drawn, np.uint64(2**64 - 1)).argmin(axis=1)[rows]
    yield piece, _checked(rule, piece, (rows, np.zeros_like(rows), worse), drops)


def _every_pair(rule: PairRule, sets: Sets, piece: Piece, drops: Drops) -> Made:
    """Every two responses of a prompt that the rule lets pass, as many as a prompt may give."""
    better, worse = np.triu_indices(piece.size, 1)
    n_rows = max(1, PAIR_CELLS // len(better))
    for first in range(0, len(piece.sets), n_rows):
        rows = np.arange(first, min(len(piece.sets), first + n_rows))
        cells = (np.repeat(rows, len(better)), np.tile(better, len(rows)), np.tile(worse, len(rows)))
        cells = _checked(rule, piece, cells, drops)
        for reason, is_fault in _FAULTS.get(rule.rule, ()):
            rows, above, below = cells
            faults = is_fault(rule, piece.scores[rows, above], piece.scores[rows, below])
            cells = _keep(cells, faults, reason, drops)
        yield piece, _capped(rule, sets, piece, cells, drops)


def _is_not_good(rule: PairRule, better: Scores, worse: Scores) -> Mask:
    del worse
    return better < (rule.chosen_min or 0.0)


def _is_not_bad(rule: PairRule, better: Scores, worse: Scores) -> Mask:
    del better
    bound = rule.chosen_min if rule.rejected_max is None else rule.rejected_max
    return worse >= (bound or 0.0)


def _is_not_positive(rule: PairRule, better: Scores, worse: Scores) -> Mask:
    del rule, better
    return worse <= 0


def _is_too_even(rule: PairRule, better: Scores, worse: Scores) -> Mask:
    return better <= (SHP_RATIO if rule.min_ratio is None else rule.min_ratio) * worse


_FAULTS: dict[Rule, tuple[tuple[str, Callable[[PairRule, Scores, Scores], Mask]], ...]] = {
    "threshold": (("chosen_below_threshold", _is_not_good), ("rejected_above_threshold", _is_not_bad)),
    "shp": (("score_not_positive", _is_not_positive), ("ratio_too_small", _is_too_even)),
}


def _capped(rule: PairRule, sets: Sets, piece: Piece, cells: Cells, drops: Drops) -> Cells:
    """At most so many pairs of a prompt, drawn by hash."""
    if rule.most is None:
        return cells
    rows, better, worse = cells
    drawn = pair_chances(
        sets.responses[piece.rows[rows, better]], sets.responses[piece.rows[rows, worse]], rule.seed
    )
    return _keep(cells, ~first_of_each(rows, drawn, rule.most), "over_max_per_prompt", drops)


def first_of_each(groups: Places, drawn: NDArray[np.uint64], most: int) -> Mask:
    """Which rows are among the MOST with the smallest numbers of their group."""
    order = np.lexsort((drawn, groups))
    ordered = groups[order]
    is_new = np.ones(len(ordered), dtype=np.bool_)
    is_new[1:] = ordered[1:] != ordered[:-1]
    places = np.arange(len(ordered))
    kept = np.empty(len(ordered), dtype=np.bool_)
    kept[order] = places - np.maximum.accumulate(np.where(is_new, places, 0)) < most
    return kept


Maker = Callable[[PairRule, Sets, Piece, Drops], Made]
_MAKERS: dict[Rule, Maker] = {
    "best-worst": _against_column,
    "best-rank-k": _against_column,
    "best-random": _against_random,
    "all-above-gap": _every_pair,
    "threshold": _every_pair,
    "shp": _every_pair,
}
