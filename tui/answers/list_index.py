"""The columns people filter by, of every conversation, held in memory.

One row takes some 40 bytes. A filter is a query on this table and takes no turn at the store; what is
new in the store is taken in by pieces of at most about a second, so that nobody waits long for us.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from store.named_sql import named_sql
from tui.answers.memory_tables import MemoryTables
from tui.query import Filter
from tui.review_data import News

if TYPE_CHECKING:
    import pyarrow as pa

    from store.db import Reading, Store

PIECE = 250_000
"""Conversations whose columns are read in one turn: a quarter of a second."""
FIRST_PIECE = 20_000
"""Conversations read before anything is shown."""
TURN_S = 0.25
"""A turn longer than this takes no further piece."""
RATED_PIECE = 50_000
"""Conversations whose ratings are read in one turn: about a second."""
PACKED_AFTER = 10_000
"""Rows changed at once after which the table is packed."""

LISTED = """
CREATE TABLE listed (
    position INTEGER, id UUID, class VARCHAR, source VARCHAR, turns INTEGER, verdict VARCHAR,
    version BIGINT, n_rated INTEGER DEFAULT 0, n_answers INTEGER DEFAULT 0, rating DOUBLE,
    is_superseded BOOLEAN DEFAULT FALSE
)
"""
FROM_BLOB = "CAST(id AS UUID)"


class IdList(Sequence[str]):
    """Ids by position, as UUID text made when asked for."""

    def __init__(self, ids: "np.ndarray[Any, Any]", positions: "np.ndarray[Any, Any]") -> None:
        self._ids = ids
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "list[str]": ...
    def __getitem__(self, index: "int | slice") -> "str | list[str]":
        if isinstance(index, slice):
            return [self._text(position) for position in self._positions[index]]
        return self._text(self._positions[index])

    def __iter__(self) -> Iterator[str]:
        return map(self._text, self._positions)

    def table(self) -> "pa.Table":
        """The ids as a column `id` of bytes."""
        return id_table(np.ascontiguousarray(self._ids[self._positions]).tobytes())

    def _text(self, position: int) -> str:
        return str(uuid.UUID(bytes=self._ids[position].tobytes()))


@dataclass
class Progress:
    """How far the table follows the store; all are version numbers."""

    listed_to: int = 0
    """Conversations written up to here are in the table."""
    rated_to: int = 0
    """Conversations written up to here have their ratings."""
    changes_to: int = 0
    """Ratings and decisions written up to here have been looked at."""
    classes: int = 0
    """The version that set the classes in force."""


class ListIndex:
    """The table, and how it follows a store; safe to use from several threads."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._lock = threading.Lock()
        self._table_lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._tables = MemoryTables(LISTED)
        self._ids: np.ndarray[Any, Any] = np.empty((0, 16), dtype=np.uint8)
        self._progress = Progress()
        self.labelling: dict[str, object] = {}
        self.total = 0
        """Conversations in the store when it was last read."""

    def close(self) -> None:
        """Give the table's memory back."""
        with self._table_lock:
            self._tables.close()

    @property
    def n_listed(self) -> int:
        """Conversations in the table, superseded ones among them."""
        return len(self._ids)

    @property
    def is_complete(self) -> bool:
        """Whether everything of the newest version looked at is in the table."""
        at = self._progress
        return 0 < at.changes_to <= at.listed_to and at.rated_to == at.listed_to

    def refresh(self) -> News:
        """Take in what is new, for the length of one short turn."""
        with self._lock, self._store.read() as reading:
            self._follow_classes(reading)
            is_first = self.n_listed == 0
            started = time.monotonic()
            news: News = "none"
            while (step := self._next_step(reading.version)) is not None:
                if news == "some" and (is_first or time.monotonic() - started > TURN_S):
                    return "more"
                step(reading)
                news = "some"
            return news

    def _next_step(self, newest: int) -> "Callable[[Reading], None] | None":
        at = self._progress
        if at.listed_to < newest:
            return self._list_piece
        if at.rated_to < at.listed_to:
            return self._rate_piece
        return self._take_changes if at.changes_to < newest else None

    def _follow_classes(self, reading: "Reading") -> None:
        """Begin anew if classes were set since, which may change every row."""
        classes = int(reading.rows("SELECT coalesce(max(version), 0) FROM source_classes")[0][0])
        if self._progress.listed_to and classes != self._progress.classes:
            self._start()
        self._progress.classes = classes

    def _list_piece(self, reading: "Reading") -> None:
        at = self._progress
        if at.changes_to == 0:
            at.changes_to = reading.version
        last, left = _piece(reading, at.listed_to, PIECE if at.listed_to else FIRST_PIECE)
        found = reading.arrow(
            named_sql("tui", "conversation_piece"), {"first": at.listed_to + 1, "last": last}
        )
        self._append(found)
        self.total = len(self._ids) + left
        at.listed_to = last

    def _append(self, found: "pa.Table") -> None:
        if found.num_rows == 0:
            return
        ids = bytes_of(found.column("id"))
        with self._table_lock, self._tables.cursor() as con:
            con.register("found", found)
            con.execute(
                "INSERT INTO listed (position, id, class, source, turns, verdict, version)"
                f" SELECT row_number() OVER () - 1 + ?, {FROM_BLOB}, class, source, turns, verdict, version FROM found",
                [len(self._ids)],
            )
            con.execute(
                "UPDATE listed SET is_superseded = TRUE"
                " WHERE id IN (SELECT CAST(derived_from AS UUID) FROM found WHERE derived_from IS NOT NULL)"
            )
            self._tables.pack()
        self._ids = np.concatenate([self._ids, ids])

    def _rate_piece(self, reading: "Reading") -> None:
        at = self._progress
        self._choose_labelling(reading)
        if not self.labelling:
            at.rated_to = at.listed_to
            return
        last, _ = _piece(reading, at.rated_to, RATED_PIECE)
        span = {"first": at.rated_to + 1, "last": min(last, at.listed_to)}
        self._set_ratings(reading.arrow(named_sql("tui", "rating_piece"), {**span, **self.labelling}))
        at.rated_to = span["last"]

    def _choose_labelling(self, reading: "Reading") -> None:
        if not self.labelling:
            rows = reading.dicts(named_sql("tui", "labelling"))
            self.labelling = rows[0] if rows else {}

    def _take_changes(self, reading: "Reading") -> None:
        at = self._progress
        after = {"after": at.changes_to}
        newer = "SELECT count(*) FROM ratings WHERE version > $after"
        if reading.rows(newer, after)[0][0]:
            self._choose_labelling(reading)
            self._set_ratings(reading.arrow(named_sql("tui", "rating_changes"), {**after, **self.labelling}))
        self._set_verdicts(reading.arrow(named_sql("tui", "verdict_changes"), after))
        at.changes_to = reading.version

    def _set_ratings(self, found: "pa.Table") -> None:
        self._update(
            found,
            "n_rated = found.n_rated, n_answers = found.n_answers, rating = found.rating",
        )

    def _set_verdicts(self, found: "pa.Table") -> None:
        self._update(found, "verdict = found.verdict")

    def _update(self, found: "pa.Table", assignments: str) -> None:
        if found.num_rows == 0:
            return
        with self._table_lock, self._tables.cursor() as con:
            con.register("found", found)
            con.execute(
                f"UPDATE listed SET {assignments} FROM found WHERE listed.id = CAST(found.id AS UUID)"
            )
        if found.num_rows > PACKED_AFTER:
            self._tables.pack()

    def set_verdict(self, conversation_id: str, verdict: str | None) -> None:
        """Show a decision at once, before the store holds it."""
        with self._table_lock, self._tables.cursor() as con:
            con.execute("UPDATE listed SET verdict = ? WHERE id = ?::UUID", [verdict, conversation_id])

    def by_class(self) -> list[tuple[str, int]]:
        """How many conversations each class has, of what has been taken in."""
        return [
            (str(name), int(n))
            for name, n in self._tables.rows(
                "SELECT class, count(*) FROM listed WHERE NOT is_superseded AND coalesce(verdict, 'keep') <> 'drop'"
                " GROUP BY class ORDER BY count(*) DESC, class"
            )
        ]

    def select(self, wanted: Filter, among: "pa.Table | None" = None) -> IdList:
        """The ids a filter keeps, oldest first; of AMONG (a column `id` of bytes) if it is given."""
        inside = " AND id IN (SELECT CAST(id AS UUID) FROM among)" if among is not None else ""
        sql = f"SELECT position FROM listed WHERE NOT is_superseded AND ({wanted.where}){inside} ORDER BY position"
        ids = self._ids
        with self._tables.cursor() as con:
            if among is not None:
                con.register("among", among)
            found = con.execute(sql, list(wanted.values)).fetchnumpy()["position"]
        return IdList(ids, found)

    def columns(self, ids: Sequence[str]) -> "Mapping[str, dict[str, Any]]":
        """The table's columns of some conversations, by id."""
        return self._tables.by_id(
            "SELECT CAST(id AS VARCHAR) AS id, class, source, turns, verdict, version, n_rated, n_answers, rating"
            " FROM listed WHERE id IN (SELECT unnest(?::UUID[]))",
            list(ids),
        )


def _piece(reading: "Reading", after: int, size: int) -> tuple[int, int]:
    """The version that ends a piece of about SIZE conversations, and how many conversations follow it."""
    counts = reading.rows(
        "SELECT version, count(*) FROM conversations WHERE version > ? GROUP BY version ORDER BY version",
        [after],
    )
    taken = 0
    for version, count in counts:
        if taken and taken + count > size:
            return int(version) - 1, sum(n for _, n in counts) - taken
        taken += count
    return reading.version, 0


def id_table(ids: bytes) -> "pa.Table":
    """A column `id` of ids that stand one after the other; `pa.array` would load pandas, 40 MB, to look at them."""
    import pyarrow as pa

    offsets = np.arange(0, len(ids) + 1, 16, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(ids)]
    return pa.table({"id": pa.Array.from_buffers(pa.binary(), len(ids) // 16, buffers)})


def bytes_of(column: "pa.ChunkedArray") -> "np.ndarray[Any, Any]":
    """A column of 16-byte values as an array of (rows, 16)."""
    joined = column.combine_chunks()
    start = joined.offset
    offsets = np.frombuffer(joined.buffers()[1], dtype=np.int32)
    first = int(offsets[start])
    data = np.frombuffer(joined.buffers()[2], dtype=np.uint8)
    return data[first : first + 16 * len(joined)].reshape(-1, 16)
