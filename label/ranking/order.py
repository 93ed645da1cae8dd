"""Responses in the order of their scores, prompt by prompt.

Two scores closer than epsilon are a tie, and so is a chain of such neighbours. Members of a tie stand in
the order of their ids, which are hashes: nothing here depends on where a response stood.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from label.id_columns import Ids, Places, sorted_places

Scores = NDArray[np.float64]
Ties = NDArray[np.int32]

TIE = 1e-4
"""What a score may change with the batch it was computed in; closer scores are a tie."""

PIECE_CELLS = 2**17
"""Responses handled at once: a megabyte a column, which the memory of the last piece serves again."""


@dataclass(frozen=True, slots=True)
class Sets:
    """Scored responses, in any order, and where those of each prompt are."""

    prompts: Ids
    """Sorted; one for each set."""
    starts: Places
    """Where each set begins, in the order of `order`."""
    sizes: Places
    order: Places | None
    """Positions of the responses, set after set; None where they stand so already."""
    responses: Ids
    scores: Scores


@dataclass(frozen=True, slots=True)
class Piece:
    """Some sets of one size in the order of their scores, a row a set, the best in the first column."""

    sets: Places
    """Which sets."""
    rows: Places
    """Positions of the responses."""
    scores: Scores
    ties: Ties
    """How many of the set are better than everything the response is tied with: equal for a tie."""

    @property
    def size(self) -> int:
        """How many responses each set has."""
        return int(self.rows.shape[1])


def sets_of(prompts: Ids, responses: Ids, scores: Scores) -> Sets:
    """Group rows by prompt; rows of a prompt that stand together, as they are stored, need no sorting."""
    order = None
    first = _first_of_runs(prompts)
    heads = prompts[first]
    by_id = sorted_places(heads)
    if not _are_distinct(heads[by_id]):
        order = np.argsort(prompts[:, 0], kind="stable")
        first = _first_of_runs(prompts[order])
        heads = prompts[order[first]]
        by_id = sorted_places(heads)
        if not _are_distinct(heads[by_id]):  # two prompts share one half of their ids
            order = sorted_places(prompts)
            first = _first_of_runs(prompts[order])
            heads = prompts[order[first]]
            by_id = sorted_places(heads)
    sizes = np.diff(np.append(first, len(prompts)))
    return Sets(heads[by_id], first[by_id], sizes[by_id], order, responses, scores)


def _first_of_runs(ids: Ids) -> Places:
    if len(ids) == 0:
        return np.empty(0, dtype=np.intp)
    is_new = np.empty(len(ids), dtype=np.bool_)
    is_new[0] = True
    np.not_equal(ids[1:, 0], ids[:-1, 0], out=is_new[1:])
    is_new[1:] |= ids[1:, 1] != ids[:-1, 1]
    return np.flatnonzero(is_new)


def _are_distinct(ordered: Ids) -> bool:
    return not bool(np.all(ordered[1:] == ordered[:-1], axis=1).any())


def repeated(sets: Sets) -> Ids:
    """The responses that stand more than once under one prompt."""
    found = []
    for _, rows in _pieces(sets):
        halves = np.sort(sets.responses[rows, 0], axis=1)
        for row in np.flatnonzero((halves[:, 1:] == halves[:, :-1]).any(axis=1)):
            distinct, counts = np.unique(sets.responses[rows[row]], axis=0, return_counts=True)
            found.append(distinct[counts > 1])
    return np.concatenate(found) if found else np.empty((0, 2), dtype=np.uint64)


def _pieces(sets: Sets) -> Iterator[tuple[Places, Places]]:
    """(sets of one size, positions of their responses, a row a set), small enough to stay in the cache."""
    for size in np.unique(sets.sizes):
        chosen = np.flatnonzero(sets.sizes == size)
        steps = np.arange(size)
        n_sets = max(1, PIECE_CELLS // int(size))
        for first in range(0, len(chosen), n_sets):
            piece = chosen[first : first + n_sets]
            rows = sets.starts[piece][:, None] + steps
            yield piece, rows if sets.order is None else sets.order[rows]


def ranked(sets: Sets, epsilon: float = TIE) -> Iterator[Piece]:
    """Every set in the order of its scores, sets of one size together."""
    for piece, rows in _pieces(sets):
        yield _rank_rows(sets, piece, rows, epsilon)


def _rank_rows(sets: Sets, piece: Places, rows: Places, epsilon: float) -> Piece:
    scores = sets.scores[rows]
    by_score = np.argsort(-scores, axis=1)
    scores = np.take_along_axis(scores, by_score, axis=1).astype(np.float64)
    rows = np.take_along_axis(rows, by_score, axis=1)
    gaps = scores[:, :-1] - scores[:, 1:]
    joins = gaps < epsilon if epsilon > 0 else gaps == 0
    ties = np.broadcast_to(np.arange(rows.shape[1], dtype=np.int32), rows.shape)
    with_ties = np.flatnonzero(joins.any(axis=1))
    if len(with_ties):
        ties = ties.copy()
        rows[with_ties], ties[with_ties] = _by_id(sets, rows[with_ties], joins[with_ties])
        scores[with_ties] = sets.scores[rows[with_ties]]
    return Piece(piece, rows, scores, ties)


def _by_id(sets: Sets, rows: Places, joins: NDArray[np.bool_]) -> tuple[Places, Ties]:
    """Sets with the members of each tie in the order of their ids, and where each tie begins."""
    starts_tie = np.ones(rows.shape, dtype=np.bool_)
    starts_tie[:, 1:] = ~joins
    places = np.arange(rows.shape[1], dtype=np.int32)
    ties = np.maximum.accumulate(np.where(starts_tie, places, np.int32(0)), axis=1)
    is_tied = ~starts_tie
    is_tied[:, :-1] |= joins
    numbers = (ties + np.arange(len(rows))[:, None] * rows.shape[1])[is_tied]
    members = rows[is_tied]
    ids = sets.responses[members]
    rows[is_tied] = members[np.lexsort((ids[:, 1], ids[:, 0], numbers))]
    return rows, ties
