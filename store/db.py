"""Opening the store, waiting for a turn, and the one way rows get in.

`Store` is a handle that opens nothing. `with store.read()` and `with store.write()` each take one
turn: lock, open, one transaction, close (about 15 ms). Reading sees the state `--at` names; writing
makes one new version or, on any error, nothing at all.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from store import engines
from store.errors import NeedsMemory, RequestError, StoreDamaged, UnknownName
from store.journal import drain, orphans
from store.migrate import is_current, migrate
from store.turns import side_folder, turn

if TYPE_CHECKING:
    from store.journal import Row

WAIT_S = 60.0
"""How long a command waits for its turn unless told otherwise."""

STORAGE = "STORAGE_VERSION 'v1.5.0', ROW_GROUP_SIZE 20480"
"""Readable by DuckDB 1.5 and 2.0, with zstd text; the row group is the size of a piece of a large write.
Every ATTACH names both: one without them would merge row groups at the next checkpoint."""

FEW_ROWS = 8
"""Rows that are written one by one. Columns of Arrow are faster for more, but to make the first one pyarrow loads
pandas: a third of a second and 40 MB."""

Params = Sequence[object] | Mapping[str, object] | None


class Reading:
    """An open turn: queries against the state of the store at `version`."""

    def __init__(self, engine: engines.Engine, version: int) -> None:
        self._engine = engine
        self.con = engine.turn
        self.version = version

    def rows(self, sql: str, params: Params = None) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.con.execute(sql, params).fetchall()

    def dicts(self, sql: str, params: Params = None) -> list[dict[str, Any]]:
        """All rows of a query, each by column name."""
        result = self.con.execute(sql, params)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def arrow(self, sql: str, params: Params = None) -> pa.Table:
        """The result of a query as one Arrow table."""
        return self.con.sql(sql, params=params).to_arrow_table()

    def batches(self, sql: str, params: Params = None, rows: int = 10_000) -> Iterator[pa.RecordBatch]:
        """The result of a query, streamed in batches of about ROWS rows."""
        reader: pa.RecordBatchReader = self.con.sql(sql, params=params).to_arrow_reader(rows)
        yield from reader

    def lock_down(self) -> None:
        """Forbid files, network and settings for the rest of the turn, before running SQL typed by a user."""
        self._engine.is_spent = True
        self.con.execute("SET enable_external_access = false")
        self.con.execute("SET lock_configuration = true")


class Writing(Reading):
    """An open write turn: what is appended becomes one version at its end."""

    def __init__(self, engine: engines.Engine, version: int) -> None:
        super().__init__(engine, version)
        self.rows_by_table: dict[str, int] = {}

    def append(self, table: str, rows: "pa.Table | Sequence[Row]") -> int:
        """Add rows without `version` and `seq`, which the store fills in; missing columns become NULL.

        Returns how many. Raises ValueError for a column that TABLE does not have.
        """
        columns = self._columns(table)
        if not isinstance(rows, pa.Table) and len(rows) > FEW_ROWS:
            rows = _as_table(rows, columns)
        if len(rows) == 0:
            return 0
        if isinstance(rows, pa.Table):
            _check_columns(table, rows.column_names, columns)
            self._insert(table, columns, rows)
        else:
            names = _names(rows)
            _check_columns(table, names, columns)
            self._insert_few(table, columns, names, rows)
        return self._count(table, len(rows))

    def append_new(self, table: str, key: str, rows: "Sequence[Row]") -> int:
        """Add those of ROWS whose KEY, an id, TABLE does not hold yet, one of each; returns how many."""
        first = {row[key]: row for row in reversed(rows)}
        held = self.rows(
            f"SELECT CAST({_quoted(key)} AS VARCHAR) FROM main.{table}"
            f" WHERE {_quoted(key)} IN (SELECT unnest(CAST(? AS UUID[])))",
            [list(first)],
        )
        known = {text for (text,) in held}
        return self.append(table, [row for name, row in reversed(first.items()) if name not in known])

    def append_from(self, table: str, select: str, params: Params = None) -> int:
        """Add the rows of a SELECT that names columns as TABLE does; missing columns become NULL."""
        has_seq = "seq" in self._columns(table)
        seq = f", row_number() OVER () + {self._next_seq(table) - 1} AS seq" if has_seq else ""
        sql = (
            f"INSERT INTO main.{table} BY NAME"
            f" SELECT selected.*, {self.version} AS version{seq} FROM ({select}) AS selected"
        )
        added = self.con.execute(sql, params).fetchall()
        return self._count(table, int(added[0][0]))

    def _insert_few(
        self, table: str, columns: dict[str, str], names: "Sequence[str]", rows: "Sequence[Row]"
    ) -> None:
        first = self._next_seq(table)
        numbered = [{**row, "version": self.version, "seq": first + place} for place, row in enumerate(rows)]
        filled = [*names, *(name for name in ("version", "seq") if name in columns)]
        casts = ", ".join(f"CAST(? AS {columns[name]})" for name in filled)
        self.con.executemany(
            f"INSERT INTO main.{table} ({', '.join(map(_quoted, filled))}) VALUES ({casts})",
            [[row.get(name) for name in filled] for row in numbered],
        )

    def _insert(self, table: str, columns: dict[str, str], batch: pa.Table) -> None:
        casts = [f"CAST({_quoted(name)} AS {columns[name]})" for name in batch.column_names]
        names = [_quoted(name) for name in batch.column_names]
        if "seq" in columns:
            start = self._next_seq(table)
            seq = pa.array(range(start, start + batch.num_rows), type=pa.int32())
            batch = batch.append_column("seq", seq)
            casts.append("seq")
            names.append("seq")
        self.con.register("appended_rows", batch)
        try:
            self.con.execute(
                f"INSERT INTO main.{table} ({', '.join(names)}, version)"
                f" SELECT {', '.join(casts)}, {self.version} FROM appended_rows"
            )
        finally:
            self.con.unregister("appended_rows")

    def _next_seq(self, table: str) -> int:
        return self.rows_by_table.get(table, 0)

    def _count(self, table: str, added: int) -> int:
        if added:
            self.rows_by_table[table] = self.rows_by_table.get(table, 0) + added
        return added

    def _columns(self, table: str) -> dict[str, str]:
        rows = self.rows(
            "SELECT column_name, data_type FROM duckdb_columns()"
            " WHERE database_name = current_database() AND schema_name = 'main' AND table_name = ?",
            [table],
        )
        if not rows:
            raise ValueError(f"no table {table}")
        return dict(rows)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _check_columns(table: str, names: "Sequence[str]", columns: Mapping[str, str]) -> None:
    unknown = set(names) - set(columns)
    if unknown:
        raise ValueError(f"table {table} has no column {', '.join(sorted(unknown))}")


def _names(rows: "Sequence[Row]") -> list[str]:
    return sorted({name for row in rows for name in row})


def _as_table(rows: "Sequence[Row]", columns: dict[str, str]) -> pa.Table:
    """Rows as an Arrow table whose types DuckDB can cast to the table's own."""
    names = _names(rows)
    arrays = {
        name: pa.array([row.get(name) for row in rows], type=_arrow_type(columns.get(name, "VARCHAR")))
        for name in names
    }
    return pa.table(arrays)


ARROW_TYPES = {
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "DOUBLE": pa.float64(),
    "FLOAT": pa.float32(),
    "BOOLEAN": pa.bool_(),
}
"""Everything else (UUID, TIMESTAMP, VARCHAR) travels as text and is cast by DuckDB."""


def _arrow_type(column_type: str) -> pa.DataType:
    if column_type.endswith("[]"):
        return pa.list_(_arrow_type(column_type[:-2]))
    return ARROW_TYPES.get(column_type, pa.string())


class Store:
    """A handle on a store file; it opens nothing until a turn is taken."""

    def __init__(self, path: Path, *, at: str | None = None, wait_s: float = WAIT_S) -> None:
        self.path = Path(path)
        self.at = at
        """A snapshot's name or `v12`; None is now."""
        self.wait_s = wait_s

    def at_version(self, version: int) -> "Store":
        """The store as it was at VERSION, whatever is written meanwhile: long work takes many short turns."""
        return Store(self.path, at=f"v{version}", wait_s=self.wait_s)

    @contextmanager
    def read(self) -> Iterator[Reading]:
        """One turn to read.

        Raises RequestError if there is no store, StoreBusy if the wait passed its bound.
        """
        if not self.path.exists():
            raise RequestError(
                f"no store at {self.path}; make one with: curate ingest FORMAT PATH --store {self.path}"
            )
        while True:
            with turn(self.path, "read", self.wait_s), _opened(self.path, is_read_only=True) as engine:
                if is_current(engine.turn):
                    yield Reading(engine, _fix_version(engine.turn, self.at))
                    return
            with Store(self.path, wait_s=self.wait_s).write():
                pass  # a write turn migrates

    @contextmanager
    def write(self, run_id: str | None = None) -> Iterator[Writing]:
        """One turn to write; its rows become one version, or nothing if it raises.

        Raises RequestError on a handle that looks at the past, StoreBusy if the wait passed its bound.
        """
        if self.at is not None:
            raise RequestError("--at looks at the past, which nobody can write; leave it out")
        with turn(self.path, "write", self.wait_s), _opened(self.path, is_read_only=False) as engine:
            if not is_current(engine.turn):
                migrate(engine.turn)
            engine.turn.execute(SEARCH_PATH)
            self._drain_orphans(engine)
            with _version(engine, run_id) as writing:
                yield writing

    def _drain_orphans(self, engine: engines.Engine) -> None:
        """Take in what processes that died left in their journals."""
        for path, descriptor in orphans(self.path):
            try:
                with _version(engine, path.stem) as writing:
                    sum(drain(path, path.stat().st_size, writing))
                    _close_lost_run(path.stem, writing)
                path.unlink()
            finally:
                os.close(descriptor)


SEARCH_PATH = "SET search_path = 'store.as_of,store.main'"


@contextmanager
def _opened(path: Path, *, is_read_only: bool) -> Iterator[engines.Engine]:
    """An engine with the store attached; the store's file is closed at the end of the turn."""
    engine = engines.take(side_folder(path) / "spill")
    mode = "READ_ONLY, " if is_read_only else ""
    try:
        engine.turn.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS store ({mode}{STORAGE})")
    except (duckdb.IOException, duckdb.SerializationException) as error:
        engine.discard()
        reason = str(error).splitlines()[0]
        raise RequestError(f"{path} is not a store that can be opened: {reason}") from error
    try:
        engine.turn.execute("USE store")
        yield engine
    except duckdb.OutOfMemoryException as error:
        engine.discard()
        raise NeedsMemory(
            f"{path} needs more than the {engines.memory()} it may use; set PREFERABLY_MEMORY higher, such as 8GB"
        ) from error
    except BaseException:
        engine.discard()  # one that saw an error is not used again
        raise
    engines.put_back(engine)


def _fix_version(con: duckdb.DuckDBPyConnection, at: str | None) -> int:
    """Make the as-of views show the wanted version; returns its number."""
    newest = int(con.execute("SELECT coalesce(max(version), 0) FROM main.versions").fetchall()[0][0])
    version = newest if at is None else _resolve(con, at, newest)
    con.execute(SEARCH_PATH)
    con.execute(f"SET VARIABLE at_version = {version}")
    return version


def _resolve(con: duckdb.DuckDBPyConnection, at: str, newest: int) -> int:
    rows = con.execute("SELECT name, at_version FROM main.snapshots").fetchall()
    named = dict(rows)
    if at in named:
        return int(named[at])
    if at.removeprefix("v").isdigit():
        version = int(at.removeprefix("v"))
        if version > newest:
            raise RequestError(f"there is no version {version}; the newest is {newest}")
        return version
    raise UnknownName.of("snapshot", at, named)


@contextmanager
def _version(engine: engines.Engine, run_id: str | None) -> Iterator[Writing]:
    con = engine.turn
    con.execute("BEGIN")
    try:
        newest = int(con.execute("SELECT coalesce(max(version), 0) FROM main.versions").fetchall()[0][0])
        writing = Writing(engine, newest + 1)
        yield writing
        if writing.rows_by_table:
            con.execute(
                "INSERT INTO main.versions VALUES (?, ?, current_timestamp AT TIME ZONE 'UTC', ?)",
                [writing.version, run_id, json.dumps(writing.rows_by_table, sort_keys=True)],
            )
        con.execute("COMMIT")
    except duckdb.TransactionException as error:
        raise StoreDamaged(f"the commit did not go through: {error}; repeat the command") from error
    except BaseException:
        with suppress(duckdb.TransactionException):  # an interrupt may come when the commit is through
            con.execute("ROLLBACK")
        raise


def _close_lost_run(run_id: str, writing: Writing) -> None:
    """Note that a run ended without saying so."""
    writing.append_from(
        "runs",
        "SELECT run_id, command, settings, software_version, host, pid, 'lost' AS state, started_at,"
        " current_timestamp AT TIME ZONE 'UTC' AS ended_at, counts, prompt_tokens, completion_tokens, cost_usd"
        " FROM current_runs WHERE run_id = ? AND state = 'running'",
        [run_id],
    )
