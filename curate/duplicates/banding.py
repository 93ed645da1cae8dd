"""Pairs of texts that share a band of their sketches.

Texts made from one template share bands in thousands. All pairs of them would be too many: in a crowded band each text
is paired with the earliest only, and how much was left out is counted. Few duplicates are lost by it, for they also
share bands in which the template has no part.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Pairs = NDArray[np.int64]
"""Shape (n, 2)."""
Keys = NDArray[np.uint64]

FULL_BUCKET = 256
"""Texts under one band that are all paired with each other."""
BUCKET_LEADERS = 64
"""In a larger bucket each is paired with so many of the earliest, so that the work stays linear."""
PAIRS_AT_ONCE = 500_000


@dataclass
class Crowds:
    """What was left out in crowded bands."""

    texts: set[int] = field(default_factory=set)
    """Those that share a band with more than FULL_BUCKET others."""
    left_out: int = 0
    """Pairs under one band that were not proposed there; one that shares several bands counts in each of them."""


def sharing(bands: Keys, band: int, crowds: Crowds) -> Iterator[Pairs]:
    """Pairs of rows of BANDS with the same value in column BAND, the smaller first, so many at a time."""
    order, starts, sizes = _buckets(bands[:, band])
    for size in np.unique(sizes[sizes > 1]).tolist():
        mine = starts[sizes == size]
        if size <= FULL_BUCKET:
            yield from _all_within(order, mine, size)
            continue
        for start in mine.tolist():
            members = order[start : start + size]
            crowds.texts.update(members.tolist())
            yield from _to_leaders(members)
            crowds.left_out += (size - BUCKET_LEADERS) * (size - BUCKET_LEADERS - 1) // 2


def _buckets(keys: Keys) -> tuple[Pairs, Pairs, Pairs]:
    """Places ordered by key, and where each run of equal keys begins and how long it is."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return order, starts, np.diff(np.append(starts, len(ordered)))


def _all_within(order: Pairs, starts: Pairs, size: int) -> Iterator[Pairs]:
    """All pairs of each bucket of one SIZE."""
    partners = np.column_stack(np.triu_indices(size, 1))
    step = max(1, PAIRS_AT_ONCE // len(partners))
    for i in range(0, len(starts), step):
        yield order[(starts[i : i + step, None, None] + partners[None]).reshape(-1, 2)]


def _to_leaders(members: Pairs) -> Iterator[Pairs]:
    """Each of MEMBERS, which are in order, with the earliest of them."""
    step = max(1, PAIRS_AT_ONCE // BUCKET_LEADERS)
    for i in range(0, len(members), step):
        others = np.arange(i, min(i + step, len(members)))
        leaders = np.arange(min(BUCKET_LEADERS, len(members)))
        pairs = np.column_stack([np.tile(leaders, len(others)), np.repeat(others, len(leaders))])
        yield members[pairs[pairs[:, 0] < pairs[:, 1]]]
