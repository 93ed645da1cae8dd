"""Small columns of many rows in memory, each row with an id, filtered by SQL without a turn at the store."""

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from tui.answers.list_index import PACKED_AFTER, IdList, bytes_of
from tui.answers.memory_tables import MemoryTables
from tui.query import Filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa


class Sheet:
    """A table of rows by id; safe to use from several threads."""

    def __init__(self, columns: str, order: str) -> None:
        """COLUMNS as in CREATE TABLE, the first of them `id UUID`; ORDER as in ORDER BY."""
        self._order = order
        self._lock = threading.Lock()
        self._tables = MemoryTables(f"CREATE TABLE sheet ({columns})")

    def close(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._tables.close()

    def put(self, found: "pa.Table") -> None:
        """Take rows in (a column `id` of bytes first); those whose id is there replace what was known."""
        if found.num_rows == 0:
            return
        with self._lock, self._tables.cursor() as con:
            con.register("found", found)
            con.execute("DELETE FROM sheet WHERE id IN (SELECT CAST(id AS UUID) FROM found)")
            con.execute("INSERT INTO sheet SELECT * REPLACE (CAST(id AS UUID) AS id) FROM found")
        if found.num_rows > PACKED_AFTER:
            self._tables.pack()

    def forget(self, column: str, found: "pa.Table", where: str) -> None:
        """Forget the rows that meet WHERE and have in COLUMN an id of FOUND (a column `id` of bytes)."""
        if found.num_rows == 0:
            return
        with self._lock, self._tables.cursor() as con:
            con.register("found", found)
            con.execute(
                f"DELETE FROM sheet WHERE ({where}) AND {column} IN (SELECT CAST(id AS UUID) FROM found)"
            )

    def change(self, update: str) -> None:
        """Run an UPDATE of `sheet`."""
        with self._lock, self._tables.cursor() as con:
            con.execute(update)

    def clear(self) -> None:
        """Forget every row."""
        with self._lock, self._tables.cursor() as con:
            con.execute("DELETE FROM sheet")

    def __len__(self) -> int:
        return int(self._tables.rows("SELECT count(*) FROM sheet")[0][0])

    def select(self, wanted: Filter, among: "pa.Table | None" = None) -> IdList:
        """The ids a filter keeps, in order; of AMONG (a column `id` of bytes) if it is given."""
        inside = " AND id IN (SELECT CAST(id AS UUID) FROM among)" if among is not None else ""
        sql = (
            f"SELECT CAST(id AS BLOB) AS id FROM sheet WHERE ({wanted.where}){inside} ORDER BY {self._order}"
        )
        with self._tables.cursor() as con:
            if among is not None:
                con.register("among", among)
            table: pa.Table = con.sql(sql, params=list(wanted.values)).to_arrow_table()
            found = table.column("id")
        ids = bytes_of(found) if len(found) else np.empty((0, 16), dtype=np.uint8)
        return IdList(ids, np.arange(len(ids)))

    def rows(self, ids: "Sequence[str]") -> dict[str, dict[str, Any]]:
        """The columns of some rows by id."""
        return self._tables.by_id(
            "SELECT * REPLACE (CAST(id AS VARCHAR) AS id) FROM sheet WHERE id IN (SELECT unnest(?::UUID[]))",
            list(ids),
        )
