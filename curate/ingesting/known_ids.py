"""Which ids have been met before, without asking the store about each of them.

`KnownIds` answers for the store: a Bloom filter, filled once a run and kept up with what others write,
says of nearly every id that it is new; only the rest is looked up. `Occurrences` answers for one file.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    from store.db import Reading

MIN_IDS = 1 << 20
BITS_PER_ID = 16
"""Twice this at most: the number of words is a power of two. One id in ten thousand is doubted in vain."""
BITS_PER_WORD = 4
"""Set in each of the two words an id falls into."""
PATTERN_BITS = 12
"""How many bits of an id choose which ones."""
BATCH_IDS = 100_000

Halves = NDArray[np.uint64]
"""Shape (n, 2): the two halves of each id."""


def halves_of(ids: Sequence[bytes]) -> Halves:
    """16-byte ids as pairs of numbers."""
    return np.frombuffer(b"".join(ids), dtype=np.uint64).reshape(-1, 2)


def uuid_array(ids: Sequence[bytes]) -> pa.Array:
    """16-byte ids as Arrow UUIDs, which DuckDB takes without parsing text."""
    data = pa.py_buffer(b"".join(ids))
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(ids), [None, data])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


class Bloom:
    """A set of ids that may say yes in vain, never no. Ids are hashes already and are not hashed again."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        n_words = 1 << math.ceil(math.log2(capacity * BITS_PER_ID / 64))
        self._words = np.zeros(n_words, dtype=np.uint64)

    def add(self, ids: Halves) -> None:
        """Remember IDS."""
        for place, bits in self._places(ids):
            np.bitwise_or.at(self._words, place, bits)
        self.count += len(ids)

    def may_hold(self, ids: Halves) -> NDArray[np.bool_]:
        """For each id, False if it was never added."""
        found = np.ones(len(ids), dtype=np.bool_)
        for place, bits in self._places(ids):
            found &= (self._words[place] & bits) == bits
        return found

    def _places(self, ids: Halves) -> list[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
        return [self._place(ids[:, 0]), self._place(ids[:, 1])]

    def _place(self, half: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """The word a half falls into by its low bits, and the bits of it that the high ones choose."""
        patterns = bit_patterns()
        return half & np.uint64(len(self._words) - 1), patterns[half >> np.uint64(64 - PATTERN_BITS)]


@cache
def bit_patterns() -> NDArray[np.uint64]:
    """Words with BITS_PER_WORD bits set at random, the same in every process."""
    draw = np.random.default_rng(0)
    places = np.argsort(draw.random((1 << PATTERN_BITS, 64)), axis=1)[:, :BITS_PER_WORD]
    patterns: NDArray[np.uint64] = np.bitwise_or.reduce(np.uint64(1) << places.astype(np.uint64), axis=1)
    return patterns


class KnownIds:
    """The ids in one column of the store, as of the last refresh, with those this run added."""

    def __init__(self, table: str, column: str) -> None:
        self._table = table
        self._column = column
        self._version = 0
        self._bloom = Bloom(MIN_IDS)

    def refresh(self, reading: "Reading", version: int) -> bool:
        """Take in what was written up to VERSION; whether anything was."""
        before = self._bloom.count
        if version != self._version:
            self._load(reading, since=self._version)
            self._version = version
        has_more = self._bloom.count != before
        if self._bloom.count > self._bloom.capacity:
            self._bloom = Bloom(2 * self._bloom.count)
            self._load(reading, since=0)
        return has_more

    def _load(self, reading: "Reading", since: int) -> None:
        con = reading.con
        con.execute("SET arrow_lossless_conversion = true")  # UUIDs as 16 bytes instead of text
        found = con.sql(
            f"SELECT {self._column} AS id FROM {self._table} WHERE version > $since", params={"since": since}
        )
        for batch in found.to_arrow_reader(BATCH_IDS):
            self._bloom.add(_halves_of_arrow(batch.column(0)))

    def added(self, ids: Sequence[bytes], version: int) -> None:
        """Remember IDS, which this run wrote in a turn that began with a refresh and ended at VERSION."""
        self._version = version
        if ids:
            self._bloom.add(halves_of(ids))

    def doubtful(self, ids: Sequence[bytes]) -> NDArray[np.bool_]:
        """For each id, False if the store certainly does not hold it."""
        return self._bloom.may_hold(halves_of(ids))

    def stored_among(self, reading: "Reading", ids: Sequence[bytes]) -> set[bytes]:
        """Those of IDS that the store holds."""
        if not ids:
            return set()
        reading.con.register("asked_ids", pa.table({"id": uuid_array(ids)}))
        try:
            rows = reading.rows(
                f"SELECT {self._column} FROM {self._table} WHERE {self._column} IN (SELECT id FROM asked_ids)"
            )
        finally:
            reading.con.unregister("asked_ids")
        return {row[0].bytes for row in rows}


def _halves_of_arrow(ids: pa.Array) -> Halves:
    storage = ids.storage
    data = storage.buffers()[1]
    halves = np.frombuffer(data, dtype=np.uint64, count=2 * len(storage), offset=16 * storage.offset)
    return halves.reshape(-1, 2)


class Prefixes:
    """The first half of every id met, 8 bytes each, in sorted runs that double in size."""

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def holds(self, prefixes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """For each prefix, whether it was added."""
        found = np.zeros(len(prefixes), dtype=np.bool_)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, prefixes), len(run) - 1)
            found |= run[places] == prefixes
        return found

    def add(self, prefixes: NDArray[np.uint64]) -> None:
        """Remember PREFIXES."""
        if len(prefixes):
            self._runs.append(np.sort(prefixes))
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]))


class Occurrences:
    """How often identical records have come up in one file so far.

    A pure function of the file, so that reading it again after a crash gives the same numbers.
    """

    def __init__(self) -> None:
        self._met = Prefixes()
        self._repeats: Counter[bytes] = Counter()

    def number(self, ids: Sequence[bytes]) -> list[int]:
        """For each record, given its id as a first occurrence: how many identical ones came before it."""
        if not ids:
            return []
        prefixes = halves_of(ids)[:, 0]
        was_met = self._met.holds(prefixes).tolist()
        first: set[bytes] = set()
        numbers: list[int] = []
        for id_, met in zip(ids, was_met, strict=True):
            if met or id_ in first:
                self._repeats[id_] += 1
                numbers.append(self._repeats[id_])
            else:
                first.add(id_)
                numbers.append(0)
        self._met.add(prefixes)
        return numbers
