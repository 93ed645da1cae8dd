"""The same text but for white space."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from curate.duplicates.sketching import Likes

if TYPE_CHECKING:
    import pyarrow as pa

    from curate.duplicates.sketching import Sketches
    from curate.part_texts import TextPiece
    from curate.shingles import Places
    from store.db import Store
    from store.runs import Run


@dataclass(frozen=True, slots=True)
class Exact:
    """Texts are duplicates if their hashes are equal, which every method sees to; so it finds no others."""

    name: ClassVar[str] = "exact"
    threshold: float = 1.0

    @property
    def key(self) -> str:
        """The method with all that bears on its sketches."""
        return "exact/1"

    def sketch(self, piece: "TextPiece") -> "dict[str, pa.Array]":
        """Nothing beside the hash."""
        del piece
        return {}

    def pairs(self, store: "Store", sketches: "Sketches", firsts: "Places", run: "Run | None") -> Likes:
        """None."""
        del store, sketches, firsts, run
        return Likes(np.zeros((0, 2), dtype=np.int64), np.zeros(0))
