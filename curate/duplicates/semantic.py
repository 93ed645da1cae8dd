"""Duplicates in meaning: the cosine of an encoder's vectors, each pair's computed."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from curate.duplicates.sketching import Likes
from curate.encoder import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curate.duplicates.sketching import Sketches
    from curate.part_texts import TextPiece
    from curate.shingles import Places
    from store.db import Store
    from store.runs import Run

BLOCK_ROWS = 2_048
"""Vectors multiplied with as many others at a time: 16 MB of cosines."""


@dataclass(frozen=True)
class Semantic:
    """Texts are duplicates from a cosine of their vectors, kept in half precision, on."""

    name: ClassVar[str] = "semantic"
    folder: Path
    """Of the encoder."""
    threshold: float = 0.95

    @property
    def key(self) -> str:
        """The method with all that bears on its sketches."""
        return f"semantic/1 {self._encoder.digest}"

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.folder)

    def sketch(self, piece: "TextPiece") -> "dict[str, pa.Array]":
        """The vector of each conversation."""
        vectors = self._encoder.encode([piece.text(i) for i in range(len(piece.numbers))])
        digests = [vector.tobytes() for vector in vectors.astype(np.float16)]
        return {"digest": pa.array(digests, pa.binary())}

    def pairs(self, store: "Store", sketches: "Sketches", firsts: "Places", run: "Run | None") -> Likes:
        """All pairs, a block at a time."""
        del store, run
        if len(firsts) < 2:
            return Likes(np.zeros((0, 2), dtype=np.int64), np.zeros(0))
        vectors = np.ascontiguousarray(sketches.rows_of(firsts, "digest")).view(np.float16)
        found: list[NDArray[np.int64]] = []
        scores: list[NDArray[np.float32]] = []
        for i in range(0, len(vectors), BLOCK_ROWS):
            some = unit(vectors[i : i + BLOCK_ROWS])
            for j in range(i, len(vectors), BLOCK_ROWS):
                cosines = some @ unit(vectors[j : j + BLOCK_ROWS]).T
                if i == j:
                    cosines = np.triu(cosines, 1)
                a, b = np.nonzero(cosines >= self.threshold)
                found.append(np.column_stack([firsts[i + a], firsts[j + b]]))
                scores.append(cosines[a, b])
        return Likes(np.concatenate(found), np.minimum(np.concatenate(scores), 1.0).astype(np.float64))


def unit(vectors: "NDArray[np.float16]") -> "NDArray[np.float32]":
    """Vectors in single precision, of length one again."""
    whole = vectors.astype(np.float32)
    whole /= np.maximum(np.linalg.norm(whole, axis=1, keepdims=True), 1e-12)
    return whole
