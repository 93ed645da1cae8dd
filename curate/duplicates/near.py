"""Near duplicates: found by min-hash sketches, and each one verified by the Jaccard index of the texts themselves.

A text is the set of its runs of five words. A min-hash of 128 values, in 25 bands of five, brings together
two texts with a Jaccard index of .7 in 99 cases of 100, of .8 in 99,995 of 100,000 (Broder 1997; Leskovec et
al., Mining of Massive Datasets, chapter 3). One byte of each value says roughly how like two texts are, and
spares reading those that are far from the threshold.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from curate.duplicates.banding import Crowds, sharing
from curate.duplicates.sketching import Likes
from curate.ingesting.known_ids import uuid_array
from curate.part_texts import TextPiece, read_texts
from curate.shingles import HASH_VERSION, WORD_FACTOR, Hashes, grams_of, jaccard, mixed, words_of
from store.errors import MissingExtra
from store.named_sql import named_sql

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curate.duplicates.sketching import Sketches
    from curate.shingles import Places
    from store.db import Store
    from store.runs import Run

N_HASHES = 128
N_BANDS = 25
BAND_ROWS = 5
SEED = 42
MARGIN = 0.13
"""How far a sketch's guess may lie under the threshold for the pair to be looked at: three standard deviations
and more (the square root of J (1 - J) / 128)."""
VERIFY_BYTES = 64 << 20
"""Text whose sets of runs are held while pairs are compared; eight times as much in memory."""
MIN_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Near:
    """Texts are duplicates from a Jaccard index of their runs of words on."""

    name: ClassVar[str] = "near"
    threshold: float = 0.8
    words: int = 5
    """Of a run."""

    @property
    def key(self) -> str:
        """The method with all that bears on its sketches."""
        version = _rensa().ALGORITHM_VERSION
        return f"near/{HASH_VERSION}.{version} {self.words} words {N_HASHES} hashes"

    def sketch(self, piece: TextPiece) -> "dict[str, pa.Array]":
        """Bands and a byte of each value."""
        grams = grams_of(words_of(piece.data, piece.cuts, piece.bounds), self.words)
        values = min_hashes(grams.hashes, grams.bounds)
        bands = pa.array(band_hashes(values).ravel(), pa.uint64())
        ends = pa.array(np.arange(0, len(bands) + 1, N_BANDS), pa.int32())
        low = values.astype(np.uint8).tobytes()
        digests = [low[i : i + N_HASHES] for i in range(0, len(low), N_HASHES)]
        return {
            "n_shingles": pa.array(np.diff(grams.bounds), pa.int64()),
            "bands": pa.ListArray.from_arrays(ends, bands),
            "digest": pa.array(digests, pa.binary()),
        }

    def pairs(self, store: "Store", sketches: "Sketches", firsts: "Places", run: "Run | None") -> Likes:
        """Candidates by bands, less those compared before, compared in full."""
        candidates, crowds = self.candidates(sketches, firsts)
        scores = np.full(len(candidates), np.nan)
        known = _known_scores(store, self.key)
        hashes = sketches.text_hashes
        for i, (a, b) in enumerate(candidates.tolist()):
            scores[i] = known.get(_pair_key(hashes[a].tobytes(), hashes[b].tobytes()), np.nan)
        new = np.flatnonzero(np.isnan(scores))
        for piece in _pieces(candidates[new], sketches.n_bytes):
            some = new[piece]
            scores[some] = self._compare(store, sketches, candidates[some])
            if run is not None:
                _keep_scores(store, run, self.key, sketches, pairs=candidates[some], scores=scores[some])
        reached = scores >= self.threshold
        return Likes(candidates[reached], scores[reached], len(crowds.texts), crowds.left_out)

    def candidates(self, sketches: "Sketches", firsts: "Places") -> "tuple[NDArray[np.int64], Crowds]":
        """Pairs of FIRSTS that share a band and are not far from the threshold, each once."""
        counts = np.asarray(sketches.table.column("n_shingles").to_numpy(), dtype=np.int64)
        asked = firsts[counts[firsts] > 0]
        crowds = Crowds()
        if len(asked) < 2:
            return np.zeros((0, 2), dtype=np.int64), crowds
        bands = sketches.rows_of(asked, "bands").astype(np.uint64, copy=False)
        digests = sketches.rows_of(asked, "digest")
        found: set[int] = set()
        for band in range(N_BANDS):
            for pairs in sharing(bands, band, crowds):
                near = _near_enough(digests, pairs, self.threshold)
                found.update((near[:, 0] * len(asked) + near[:, 1]).tolist())
        keys = np.array(sorted(found), dtype=np.int64)
        return np.column_stack([asked[keys // len(asked)], asked[keys % len(asked)]]), crowds

    def _compare(
        self, store: "Store", sketches: "Sketches", pairs: "NDArray[np.int64]"
    ) -> "NDArray[np.float64]":
        sets: dict[int, Hashes] = {}
        for piece in read_texts(store, sketches.ids, np.unique(pairs), sketches.part):
            grams = grams_of(words_of(piece.data, piece.cuts, piece.bounds), self.words)
            sets.update({int(number): grams.of(i) for i, number in enumerate(piece.numbers)})
        return np.array([jaccard(sets[a], sets[b]) for a, b in pairs.tolist()])


def _rensa() -> Any:
    try:
        from rensa import RMinHash
    except ImportError as error:
        raise MissingExtra.of("rensa", "dedup") from error
    return RMinHash


def min_hashes(hashes: Hashes, bounds: "Places") -> "NDArray[np.uint32]":
    """The least values of each text's hashes under 128 orders; texts begin and end at BOUNDS."""
    matrix = _rensa().digest_matrix_from_flat_token_hashes(hashes, bounds.astype(np.uint64), N_HASHES, SEED)
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(len(bounds) - 1, N_HASHES)


def band_hashes(values: "NDArray[np.uint32]") -> Hashes:
    """One hash for each band of values; no two bands of different place are equal by rule."""
    parts = values[:, : N_BANDS * BAND_ROWS].astype(np.uint64).reshape(len(values), N_BANDS, BAND_ROWS)
    bands = np.broadcast_to(np.arange(1, N_BANDS + 1, dtype=np.uint64), parts.shape[:2]).copy()
    for row in range(BAND_ROWS):
        bands *= np.uint64(WORD_FACTOR)
        bands += parts[:, :, row]
    return mixed(bands)


def _near_enough(
    digests: "NDArray[np.generic]", pairs: "NDArray[np.int64]", threshold: float
) -> "NDArray[np.int64]":
    """Those whose sketches come near the threshold."""
    kept = []
    for i in range(0, len(pairs), 50_000):
        some = pairs[i : i + 50_000]
        alike = (digests[some[:, 0]] == digests[some[:, 1]]).mean(axis=1)
        kept.append(some[alike >= threshold - MARGIN])
    return np.concatenate(kept) if kept else pairs[:0]


def _pieces(pairs: "NDArray[np.int64]", n_bytes: "Places") -> "Iterator[Places]":
    """Places of PAIRS in pieces whose texts fit in memory, texts that are compared with each other together."""
    if not len(pairs):
        return
    order = np.lexsort((pairs[:, 1], pairs[:, 0], _components(pairs)))
    held: set[int] = set()
    size = begin = 0
    for i, place in enumerate(order.tolist()):
        added = set(pairs[place].tolist()) - held
        size += sum(int(n_bytes[number]) for number in added)
        if held and size > VERIFY_BYTES:
            yield order[begin:i]
            begin, added = i, set(pairs[place].tolist())
            size = sum(int(n_bytes[number]) for number in added)
            held = set()
        held |= added
    yield order[begin:]


def _components(pairs: "NDArray[np.int64]") -> "Places":
    """For each pair the smallest number that a chain of pairs leads to."""
    above: dict[int, int] = {}

    def top(number: int) -> int:
        while (higher := above.get(number, number)) != number:
            above[number] = above.get(higher, higher)
            number = higher
        return number

    for a, b in pairs.tolist():
        one, other = sorted((top(a), top(b)))
        above[other] = one
    return np.array([top(a) for a in pairs[:, 0].tolist()], dtype=np.int64)


def _pair_key(one: bytes, other: bytes) -> bytes:
    return min(one, other) + max(one, other)


def _known_scores(store: "Store", key: str) -> dict[bytes, float]:
    with store.read() as reading:
        found = reading.arrow(named_sql("curate", "compared_texts"), {"method": key})
    return dict(zip(found.column("pair").to_pylist(), found.column("score").to_pylist(), strict=True))


def _keep_scores(
    store: "Store",
    run: "Run",
    key: str,
    sketches: "Sketches",
    *,
    pairs: "NDArray[np.int64]",
    scores: "NDArray[np.float64]",
) -> None:
    hashes = sketches.text_hashes
    keys = [_pair_key(hashes[a].tobytes(), hashes[b].tobytes()) for a, b in pairs.tolist()]
    rows = pa.table(
        {
            "method": pa.array([key] * len(keys)),
            "text_hash_a": uuid_array([pair[:16] for pair in keys]),
            "text_hash_b": uuid_array([pair[16:] for pair in keys]),
            "score": pa.array(scores),
        }
    )
    with store.write(run.run_id) as writing:
        writing.con.register("made", rows)
        writing.append_from("compared_texts", named_sql("curate", "new_compared_texts"))
        writing.con.unregister("made")
