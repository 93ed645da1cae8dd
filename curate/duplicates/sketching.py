"""What is kept of each conversation to find its duplicates by, made once and stored."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from curate.ingesting.known_ids import uuid_array
from curate.part_texts import Part, TextPiece, read_texts
from store.named_sql import named_sql

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curate.shingles import Places
    from store.db import Store
    from store.runs import Run

PIECE_ROWS = 20_480
"""Sketches written in one turn."""
WHITE_SPACE = b" \t\n\r\v\f"


@dataclass(frozen=True)
class Likes:
    """Pairs that are duplicates, and what a method knows to have passed over."""

    pairs: "NDArray[np.int64]"
    """Shape (n, 2)."""
    scores: "NDArray[np.float64]"
    n_crowded: int = 0
    """Texts that stood with too many others to be compared with each of them."""
    n_left_out: int = 0
    """Pairs of such texts that were not compared for that reason, at most."""


class Method(Protocol):
    """A way to tell that two texts are duplicates."""

    @property
    def name(self) -> str:
        """`exact`, `near`, `semantic`."""
        ...

    @property
    def threshold(self) -> float:
        """The score from which on they are."""
        ...

    @property
    def key(self) -> str:
        """The method with all that bears on its sketches."""
        ...

    def sketch(self, piece: TextPiece) -> "dict[str, pa.Array]":
        """Columns of `sketches` for each conversation of PIECE."""
        ...

    def pairs(self, store: "Store", sketches: "Sketches", firsts: "Places", run: "Run | None") -> Likes:
        """Pairs of FIRSTS, sketches of different texts, that reach the threshold, and their scores."""
        ...


@dataclass(frozen=True)
class Sketches:
    """The sketches of one part by one method, in the order of the conversations asked for."""

    part: Part
    ids: Sequence[bytes]
    table: pa.Table
    """`text_hash`, `n_bytes`, `n_shingles`, `bands`, `digest`."""

    @cached_property
    def text_hashes(self) -> "NDArray[np.void]":
        """16 bytes each."""
        return np.array(self.table.column("text_hash").to_pylist(), dtype="S16").view("V16")

    @cached_property
    def n_bytes(self) -> "Places":
        """How long each text is."""
        return np.asarray(self.table.column("n_bytes").to_numpy(), dtype=np.int64)

    @cached_property
    def groups(self) -> "Places":
        """Equal numbers for equal texts; -1 for one that is empty."""
        _, groups = np.unique(self.text_hashes, return_inverse=True)
        return np.where(self.n_bytes > 0, groups, -1)

    def rows_of(self, numbers: "Places", column: str) -> "NDArray[np.generic]":
        """A column of equally long lists or bytes as a matrix, for some of the conversations."""
        held = self.table.column(column).take(pa.array(numbers)).combine_chunks()
        if pa.types.is_list(held.type):
            return np.asarray(held.flatten().to_numpy()).reshape(len(numbers), -1)
        joined = b"".join(held.to_pylist())
        return np.frombuffer(joined, dtype=np.uint8).reshape(len(numbers), -1)


def sketch_all(
    store: "Store",
    run: "Run | None",
    ids: Sequence[bytes],
    part: Part,
    method: Method,
    *,
    tell: Callable[[float], None],
) -> Sketches:
    """The sketches of conversations IDS: those the store has, and the others made now; kept if there is a RUN."""
    with store.read() as reading:
        known = reading.arrow(named_sql("curate", "known_sketches"), {"part": part, "method": method.key})
    place_of = {id_: i for i, id_ in enumerate(known.column("id").to_pylist())}
    missing = np.array([n for n, id_ in enumerate(ids) if id_ not in place_of], dtype=np.int64)
    made: list[pa.Table] = []
    waiting: list[pa.Table] = []
    for piece in read_texts(store, ids, missing, part):
        waiting.append(_sketch(piece, ids, method))
        tell(len(piece.numbers))
        if sum(table.num_rows for table in waiting) >= PIECE_ROWS:
            made.append(_keep(store, run, waiting, part, method))
            waiting = []
    if waiting:
        made.append(_keep(store, run, waiting, part, method))
    for table in made:
        place_of |= {id_: len(place_of) + i for i, id_ in enumerate(table.column("id").to_pylist())}
    whole = pa.concat_tables([known.cast(SCHEMA), *made])
    return Sketches(part, ids, whole.take(pa.array([place_of[id_] for id_ in ids], pa.int64())))


SCHEMA = pa.schema(
    {
        "id": pa.binary(),
        "text_hash": pa.binary(),
        "n_bytes": pa.int64(),
        "n_shingles": pa.int64(),
        "bands": pa.list_(pa.uint64()),
        "digest": pa.binary(),
    }
)


def _sketch(piece: TextPiece, ids: Sequence[bytes], method: Method) -> pa.Table:
    n = len(piece.numbers)
    columns = {
        "id": pa.array([ids[number] for number in piece.numbers], pa.binary()),
        "text_hash": pa.array([_text_hash(piece, i) for i in range(n)], pa.binary()),
        "n_bytes": pa.array(np.diff(piece.cuts[piece.bounds]), pa.int64()),
        **method.sketch(piece),
    }
    missing = {name: pa.nulls(n, SCHEMA.field(name).type) for name in SCHEMA.names if name not in columns}
    return pa.table({**columns, **missing}).select(SCHEMA.names).cast(SCHEMA)


def _text_hash(piece: TextPiece, i: int) -> bytes:
    """A hash of the messages of one conversation, and of how many they are, without their white space."""
    first, last = int(piece.bounds[i]), int(piece.bounds[i + 1])
    text = piece.data[piece.cuts[first] : piece.cuts[last]].tobytes().translate(None, WHITE_SPACE)
    salt = (last - first).to_bytes(8, "little")
    return hashlib.blake2b(text, digest_size=16, person=b"pref.text", salt=salt).digest()


def _keep(
    store: "Store", run: "Run | None", tables: Sequence[pa.Table], part: Part, method: Method
) -> pa.Table:
    """The tables as one, written as one version if there is a RUN."""
    table = pa.concat_tables(tables)
    if run is not None:
        rows = pa.table(
            {
                "conversation_id": uuid_array(table.column("id").to_pylist()),
                "part": pa.array([part] * table.num_rows),
                "method": pa.array([method.key] * table.num_rows),
                "text_hash": uuid_array(table.column("text_hash").to_pylist()),
                **{name: table.column(name) for name in ("n_bytes", "n_shingles", "bands", "digest")},
            }
        )
        with store.write(run.run_id) as writing:
            writing.con.register("made", rows)
            writing.append_from("sketches", named_sql("curate", "new_sketches"))
            writing.con.unregister("made")
    return table
