"""Runs of words as 64-bit hashes, many texts at a time: what near duplicates and contamination are found by.

A word is a run of letters, digits and bytes beyond ASCII; capital letters of ASCII are taken as small ones,
and a character of Chinese or Japanese (anything whose UTF-8 begins with E3 to E9) is a word of its own. All
of it is arithmetic on the bytes of the texts as they lie in memory: no text becomes a Python object.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

HASH_VERSION = 1
"""Grows when the same text gives other hashes; stored sketches of another version are not compared."""

CHUNK_BYTES = 1 << 16
"""Bytes hashed at a time: its 64-bit values stay in the processor's cache."""

BYTE_FACTOR = 0x9E3779B97F4A7C15
WORD_FACTOR = 0xD1342543DE82EF95
MIX_FACTOR = 0xFF51AFD7ED558CCD
MASK = (1 << 64) - 1
FIRST_OWN_WORD, LAST_OWN_WORD = 0xE3, 0xE9


@dataclass(frozen=True)
class Words:
    """The words of some texts, one after the other."""

    hashes: Hashes
    starts: Places
    """Where each begins, in bytes of the buffer."""
    ends: Places
    bounds: Places
    """Text i has the words from `bounds[i]` to `bounds[i + 1]`."""


@dataclass(frozen=True)
class Grams:
    """The runs of words of some texts, one after the other, repeats included."""

    hashes: Hashes
    bounds: Places
    """Text i has the grams from `bounds[i]` to `bounds[i + 1]`."""
    first_words: Places
    """The word each begins at."""
    size: int

    def of(self, text: int) -> Hashes:
        """The set of grams of one text, sorted."""
        ordered = np.sort(self.hashes[self.bounds[text] : self.bounds[text + 1]])
        is_new = np.ones(len(ordered), dtype=np.bool_)
        is_new[1:] = ordered[1:] != ordered[:-1]  # np.unique hashes first, which takes far longer
        return ordered[is_new]


@cache
def _tables() -> tuple[bytes, Hashes, Hashes]:
    """What each byte counts as in a word, 0 between words; powers of the factor, and their inverses."""
    counts_as = bytearray(256)
    for low, high in ((48, 58), (97, 123), (128, 256)):
        counts_as[low:high] = range(low, high)
    counts_as[65:91] = counts_as[97:123]
    powers = np.full(CHUNK_BYTES, BYTE_FACTOR, dtype=np.uint64)
    inverses = np.full(CHUNK_BYTES, pow(BYTE_FACTOR, -1, 1 << 64), dtype=np.uint64)
    powers[0] = inverses[0] = 1
    return bytes(counts_as), np.multiply.accumulate(powers), np.multiply.accumulate(inverses)


def mixed(hashes: Hashes) -> Hashes:
    """HASHES with every bit depending on every other, in place."""
    hashes ^= hashes >> np.uint64(32)
    hashes *= np.uint64(MIX_FACTOR)
    hashes ^= hashes >> np.uint64(29)
    hashes *= np.uint64(WORD_FACTOR)
    hashes ^= hashes >> np.uint64(32)
    return hashes


def text_buffer(texts: "pa.Array") -> "tuple[NDArray[np.uint8], Places]":
    """The bytes of a string array, and where each text begins, with the end of the last."""
    import pyarrow as pa

    large = texts.cast(pa.large_string())
    if isinstance(large, pa.ChunkedArray):
        large = large.combine_chunks()
    _, offsets, data = large.buffers()
    places = np.frombuffer(offsets, dtype=np.int64, count=len(large) + 1, offset=8 * large.offset)
    return np.frombuffer(data or b"", dtype=np.uint8), places


def words_of(data: NDArray[np.uint8], cuts: Places, bounds: Places) -> Words:
    """The words of texts that lie in DATA.

    No word reaches over one of CUTS, ascending places in DATA from the first to the last byte that counts;
    text i is what lies between cuts `bounds[i]` and `bounds[i + 1]`.
    """
    low, high = (int(cuts[0]), int(cuts[-1])) if len(cuts) else (0, 0)
    counts_as, powers, inverses = _tables()
    plain = np.frombuffer(data[low:high].tobytes().translate(counts_as), dtype=np.uint8)
    starts, ends = _word_places(plain, cuts - low)
    hashes = np.empty(len(starts), dtype=np.uint64)
    first = 0
    while first < len(starts):
        begin = int(starts[first])
        last = int(np.searchsorted(ends, begin + CHUNK_BYTES, side="right"))
        end = int(ends[last - 1])
        products = plain[begin:end] * powers[: end - begin]
        local = starts[first:last] - begin
        hashes[first:last] = np.add.reduceat(products, local) * inverses[local]
        first = last
    words = np.searchsorted(starts, cuts[bounds] - low)
    return Words(hashes, starts + low, ends + low, words)


def _word_places(plain: NDArray[np.uint8], cuts: Places) -> tuple[Places, Places]:
    """Where words begin and end; none is longer than a chunk."""
    inner = cuts[(cuts > 0) & (cuts < len(plain))]
    inside = plain != 0
    begins = inside.copy()
    begins[1:] &= ~inside[:-1]
    own = (plain >= FIRST_OWN_WORD) & (plain <= LAST_OWN_WORD)
    if own.any():
        begins |= own
        begins[3:] |= own[:-3] & inside[3:]
    begins[inner] |= inside[inner]
    starts = np.flatnonzero(begins)
    finishes = inside.copy()
    finishes[:-1] &= ~inside[1:] | begins[1:]
    ends = np.flatnonzero(finishes) + 1
    long = np.flatnonzero(ends - starts > CHUNK_BYTES)
    if len(long):
        extra = np.concatenate([np.arange(starts[i] + CHUNK_BYTES, ends[i], CHUNK_BYTES) for i in long])
        starts = np.sort(np.concatenate([starts, extra]))
        ends = np.sort(np.concatenate([ends, extra]))
    return starts, ends


def grams_of(words: Words, size: int) -> Grams:
    """Every run of SIZE words of each text; a text of fewer words has one gram, all of them."""
    counts = np.diff(words.bounds)
    n_grams = np.where(counts >= size, counts - size + 1, np.minimum(counts, 1))
    bounds = np.concatenate([[0], np.cumsum(n_grams)])
    shift = words.bounds[:-1] - bounds[:-1]
    firsts = np.arange(bounds[-1]) + np.repeat(shift, n_grams)
    hashes = np.zeros(len(firsts), dtype=np.uint64)
    runs = _runs(words.hashes, size)
    is_long = np.repeat(counts >= size, n_grams)
    hashes[is_long] = runs[firsts[is_long]]
    for length in range(1, size):
        short = np.flatnonzero(counts == length)
        if len(short):
            hashes[bounds[short]] = _runs(words.hashes, length)[words.bounds[short]] + np.uint64(length)
    return Grams(mixed(hashes), bounds, firsts, size)


def _runs(words: Hashes, size: int) -> Hashes:
    """The hash of each run of SIZE neighbouring words."""
    n = max(len(words) - size + 1, 0)
    hashes = np.zeros(n, dtype=np.uint64)
    for i in range(size):
        hashes *= np.uint64(WORD_FACTOR)
        hashes += words[i : i + n]
    return hashes


def jaccard(one: Hashes, other: Hashes) -> float:
    """How much of two sorted sets is common: the size of the intersection over that of the union."""
    if not len(one) or not len(other):
        return 0.0
    places = np.searchsorted(one, other)
    places[places == len(one)] = 0
    common = int(np.count_nonzero(one[places] == other))
    return common / (len(one) + len(other) - common)
