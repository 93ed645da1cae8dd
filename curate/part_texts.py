"""The texts of many conversations, or of one side of them, as bytes in memory, a piece at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pyarrow as pa

from curate.ingesting.known_ids import uuid_array
from curate.shingles import text_buffer
from store.named_sql import named_sql
from store.rows import ROLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curate.shingles import Places
    from store.db import Store

Part = Literal["prompts", "answers", "conversations"]
PARTS: tuple[Part, ...] = get_args(Part)
ROLES_OF: dict[Part, tuple[str, ...]] = {
    "prompts": ("user",),
    "answers": ("assistant",),
    "conversations": ROLES,
}

PIECE_CONVERSATIONS = 50_000
"""Conversations whose paths are looked up in one turn."""
PIECE_TURNS = 20_000
"""Messages whose texts are read in one turn: some 20 MB."""
SLICE_BYTES = 1 << 20
"""Text handled at a time, so that what is made of it stays in the processor's cache."""


@dataclass(frozen=True)
class TextPiece:
    """The texts of some conversations, one after the other."""

    numbers: "Places"
    """Which conversations, as the asker numbered them; one without such a text is there with an empty one."""
    data: "NDArray[np.uint8]"
    cuts: "Places"
    """Where each message begins in DATA, with the end of the last."""
    bounds: "Places"
    """Conversation i has the messages from `bounds[i]` to `bounds[i + 1]`."""
    positions: "Places"
    """Which turn of its conversation each message is, from 1."""

    def message(self, i: int) -> str:
        """The text of message i of the piece."""
        return self.data[self.cuts[i] : self.cuts[i + 1]].tobytes().decode()

    def text(self, i: int) -> str:
        """The messages of conversation i, an empty line between them."""
        cuts = self.cuts[self.bounds[i] : self.bounds[i + 1] + 1]
        parts = [self.data[a:b].tobytes().decode() for a, b in pairwise(cuts)]
        return "\n\n".join(parts)


def read_texts(store: "Store", ids: "Sequence[bytes]", numbers: "Places", part: Part) -> Iterator[TextPiece]:
    """PART of the conversations IDS[n] for each n of NUMBERS, in their order, in slices of about a megabyte."""
    for start in range(0, len(numbers), PIECE_CONVERSATIONS):
        asked = numbers[start : start + PIECE_CONVERSATIONS]
        owners, rows, positions = _paths(store, [ids[n] for n in asked], part)
        ends = np.searchsorted(owners, np.arange(len(asked)), side="right")
        first = 0
        while first < len(asked):
            done = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, done + PIECE_TURNS, side="right")))
            bounds = (np.concatenate([[done], ends[first:last]]) - done).astype(np.int64)
            some = slice(done, int(ends[last - 1]))
            data, cuts = _read(store, rows[some])
            yield from _slices(TextPiece(asked[first:last], data, cuts, bounds, positions[some]))
            first = last


def _paths(store: "Store", ids: Sequence[bytes], part: Part) -> "tuple[Places, Places, Places]":
    """(place in IDS, row in the store, position) of each message, in order."""
    piece = pa.table({"id": uuid_array(ids), "number": pa.array(range(len(ids)), pa.int64())})
    with store.read() as reading:
        reading.con.register("piece", piece)
        found = reading.arrow(named_sql("curate", "part_paths"), {"roles": list(ROLES_OF[part])})
        reading.con.unregister("piece")
    number, row, position = (found.column(name).to_numpy() for name in ("number", "row", "position"))
    return number, row, position


def _read(store: "Store", rows: "Places") -> "tuple[NDArray[np.uint8], Places]":
    if not len(rows):
        return np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=np.int64)
    with store.read() as reading:
        reading.con.register("piece", pa.table({"row": np.unique(rows)}))
        span = {"low": int(rows.min()), "high": int(rows.max())}
        found = reading.arrow(named_sql("curate", "part_texts"), span)
        reading.con.unregister("piece")
    held = found.column("row").to_numpy()
    order = np.argsort(held)
    places = order[np.searchsorted(held[order], rows)]
    texts = found.column("content").cast(pa.large_string()).combine_chunks().take(pa.array(places))
    return text_buffer(texts)


def _slices(piece: TextPiece) -> Iterator[TextPiece]:
    ends = piece.cuts[piece.bounds[1:]]
    first = 0
    while first < len(piece.numbers):
        done = int(piece.cuts[piece.bounds[first]])
        last = max(first + 1, int(np.searchsorted(ends, done + SLICE_BYTES, side="right")))
        low, high = int(piece.bounds[first]), int(piece.bounds[last])
        yield TextPiece(
            piece.numbers[first:last],
            piece.data,
            piece.cuts[low : high + 1],
            piece.bounds[first : last + 1] - low,
            piece.positions[low:high],
        )
        first = last
