"""Columns of ids as pairs of 64-bit numbers, which NumPy sorts, compares and mixes quickly.

The numbers are the bytes of the id as they come, so that nothing is copied; their order is not the order of
the ids as text, but as fixed.

An id is a hash already (of the text and its place), so the order of ids says nothing about the order in
which responses were drawn or stored: ties are broken by it, and chances drawn from it.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from store.ids import uuid_text

Ids = NDArray[np.uint64]
"""Shape (n, 2): the first and the second half of each id."""
Places = NDArray[np.intp]
"""Positions in a column."""

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)


def ids_of(column: "pa.ChunkedArray | pa.Array") -> Ids:
    """A column of UUIDs, read with `arrow_lossless_conversion`, as numbers."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    data = storage.buffers()[1]
    if len(array) == 0 or data is None:
        return np.empty((0, 2), dtype=np.uint64)
    numbers = np.frombuffer(data, dtype="<u8", count=2 * len(array), offset=16 * storage.offset)
    return numbers.reshape(-1, 2)


def ids_of_texts(texts: Sequence[str]) -> Ids:
    """UUIDs given as text, as numbers."""
    raw = b"".join(bytes.fromhex(text.replace("-", "")) for text in texts)
    return np.frombuffer(raw, dtype="<u8").reshape(-1, 2)


def uuid_texts(ids: Ids) -> list[str]:
    """The ids as UUID text."""
    raw = np.ascontiguousarray(ids, dtype="<u8").tobytes()
    return [uuid_text(raw[first : first + 16]) for first in range(0, len(raw), 16)]


def uuid_column(ids: Ids) -> pa.Array:
    """The ids as a column of UUIDs that DuckDB takes as it is."""
    raw = np.ascontiguousarray(ids, dtype="<u8")
    storage = pa.Array.from_buffers(pa.binary(16), len(ids), [None, pa.py_buffer(raw)])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def chances(ids: Ids, seed: int) -> Ids:
    """A number drawn for each id: always the same for one id and seed (splitmix64)."""
    start = np.uint64(seed * int(GOLDEN) % 2**64)
    return _mixed(_mixed(ids[..., 0] + start) ^ ids[..., 1])


def _mixed(numbers: Ids) -> Ids:
    mixed = numbers + GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * MIX_1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * MIX_2
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)


def pair_chances(first: Ids, second: Ids, seed: int) -> Ids:
    """The same for pairs of ids."""
    return _mixed(chances(first, seed) ^ (chances(second, seed + 1) * GOLDEN))


def sorted_places(ids: Ids) -> Places:
    """The positions of the ids, smallest first."""
    return np.lexsort((ids[:, 1], ids[:, 0]))


def are_among(ids: Ids, few: Ids) -> NDArray[np.bool_]:
    """For each id whether it is one of FEW."""
    if len(few) == 0 or len(ids) == 0:
        return np.zeros(len(ids), dtype=np.bool_)
    known = few[sorted_places(few)]
    found = np.minimum(np.searchsorted(known[:, 0], ids[:, 0]), len(known) - 1)
    suspects = np.flatnonzero(known[found, 0] == ids[:, 0])
    wanted = {(int(high), int(low)) for high, low in known}
    are = np.zeros(len(ids), dtype=np.bool_)
    for place in suspects:
        are[place] = (int(ids[place, 0]), int(ids[place, 1])) in wanted
    return are
