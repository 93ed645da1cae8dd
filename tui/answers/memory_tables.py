"""Tables in the memory of this process, packed: a third of the space, and filtered faster for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import duckdb

SETTINGS: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "1GB", "threads": 2}


class MemoryTables:
    """A database in memory, made when it is first asked; safe to use from several threads."""

    def __init__(self, create: str) -> None:
        """CREATE makes its tables."""
        self._create = create
        self._making = threading.Lock()
        self._con: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own."""
        with self._made().cursor() as con:
            con.execute("USE packed")
            yield con

    def _made(self) -> duckdb.DuckDBPyConnection:
        with self._making:
            if self._con is None:
                con = duckdb.connect(":memory:", config=SETTINGS)
                con.execute("SET enable_progress_bar = false")
                con.execute("ATTACH ':memory:' AS packed (COMPRESS)")
                con.execute("USE packed")
                con.execute(self._create)
                self._con = con
            return self._con

    def pack(self) -> None:
        """Pack what was written; while somebody else writes, the next time does it."""
        with suppress(duckdb.TransactionException):
            self._made().execute("CHECKPOINT")

    def rows(self, sql: str, params: Any = None) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self.cursor() as con:
            return con.execute(sql, params).fetchall()

    def by_id(self, sql: str, ids: list[str]) -> dict[str, dict[str, Any]]:
        """The rows of a query that takes ids and gives a column `id`, each by column name."""
        with self.cursor() as con:
            result = con.execute(sql, [ids])
            names = [column[0] for column in result.description]
            return {str(row[0]): dict(zip(names, row, strict=True)) for row in result.fetchall()}

    def close(self) -> None:
        """Give the memory back."""
        with self._making:
            if self._con is not None:
                self._con.close()
                self._con = None
