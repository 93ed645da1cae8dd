"""`curate export-store`: the store at one version as a directory of Parquet files that other tools open.

One folder a table and a few derived views; ids as text. Written beside the target, made durable, then renamed: a
directory of that name is there in whole or not at all.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from store import __version__
from store.db import Store
from store.errors import RequestError

if TYPE_CHECKING:
    from store.db import Reading

VIEWS = (
    "current_sources",
    "current_classes",
    "current_conversations",
    "latest_decisions",
    "current_ratings",
    "merged_comparisons",
    "current_rewards",
)
"""Derived views that save a reader the rule that the latest row wins."""

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """One folder of the export."""

    name: str
    is_view: bool
    rows: int
    bytes: int
    sha256: str
    columns: dict[str, str]
    """Name → type, as DuckDB names it."""

    @property
    def file(self) -> str:
        """Its one file, under the directory."""
        return f"{self.name}/part-0.parquet"


@dataclass(frozen=True, slots=True)
class StoreExport:
    """What was written."""

    path: Path
    at_version: int
    tables: tuple[ExportedTable, ...]

    def manifest(self) -> dict[str, object]:
        """What manifest.json says; the same state gives the same text."""
        return {
            "schema_version": 1,
            "at_version": self.at_version,
            "software_version": __version__,
            "tables": {
                one.name: {
                    "is_view": one.is_view,
                    "rows": one.rows,
                    "file": one.file,
                    "bytes": one.bytes,
                    "sha256": one.sha256,
                    "columns": one.columns,
                }
                for one in self.tables
            },
        }


def export_store(store: Store, target: Path, advance: Progress | None = None) -> StoreExport:
    """Write the store at the handle's version to the directory TARGET; takes a reading turn a table.

    Raises RequestError if TARGET is there already.
    """
    if target.exists():
        raise RequestError(f"{target} is there already; name a new directory, or remove it first")
    with store.read() as reading:
        version = reading.version
        names = _tables(reading)
    fixed = store.at_version(version)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.partial-{os.getpid()}")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        tables = []
        for name in (*names, *VIEWS):
            tables.append(_write_table(fixed, name, staged))
            (advance or (lambda _amount: None))(1)
        done = StoreExport(target, version, tuple(tables))
        (staged / "manifest.json").write_text(json.dumps(done.manifest(), indent=1) + "\n", encoding="utf-8")
        (staged / "README.md").write_text(_readme(done), encoding="utf-8")
        _make_durable(staged)
        staged.rename(target)
        _fsync(target.parent)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    return done


def n_tables(store: Store) -> int:
    """How many folders there will be."""
    with store.read() as reading:
        return len(_tables(reading)) + len(VIEWS)


def _tables(reading: "Reading") -> list[str]:
    rows = reading.rows(
        "SELECT DISTINCT table_name FROM duckdb_columns() WHERE database_name = current_database()"
        " AND schema_name = 'main' AND column_name = 'version' AND table_name NOT LIKE 'schema_%' ORDER BY ALL"
    )
    return [name for (name,) in rows]


def _write_table(store: Store, name: str, folder: Path) -> ExportedTable:
    path = folder / name / "part-0.parquet"
    path.parent.mkdir(parents=True)
    with store.read() as reading:
        columns = {row[0]: row[1] for row in reading.rows(f"DESCRIBE as_of.{name}")}
        chosen = ", ".join(_as_open_type(column, kind) for column, kind in columns.items())
        quoted = str(path).replace("'", "''")
        (rows,) = reading.con.execute(
            f"COPY (SELECT {chosen} FROM as_of.{name}) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()[0]
    types = {column: kind.replace("UUID", "VARCHAR") for column, kind in columns.items()}
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return ExportedTable(name, name in VIEWS, int(rows), path.stat().st_size, digest.hexdigest(), types)


def _as_open_type(column: str, kind: str) -> str:
    """A column as every reader of Parquet knows it: ids as text."""
    if "UUID" not in kind:
        return f'"{column}"'
    return f'CAST("{column}" AS {kind.replace("UUID", "VARCHAR")}) AS "{column}"'


def _make_durable(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        _fsync(path)
    _fsync(folder)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _readme(done: StoreExport) -> str:
    """Front matter that `datasets` reads, and a few words for people."""
    configs = "".join(
        f"- config_name: {one.name}\n  data_files: {one.file}\n" for one in done.tables if one.rows
    )
    rows = "".join(
        f"| `{one.name}` | {'view' if one.is_view else 'table'} | {one.rows:,} |\n" for one in done.tables
    )
    return f"""---
configs:
{configs}---

# A store of conversations, at version {done.at_version}

Ids are UUID text: a message's `m1-…` or a conversation's `c1-…` without dashes. Tables are append-only and hold every
row up to that version; the views hold what is in force. `manifest.json` has rows, columns and hashes.

```python
import duckdb, datasets
duckdb.sql("SELECT class, count(*) FROM 'DIR/current_conversations/*.parquet' GROUP BY class")
datasets.load_dataset("DIR", "messages")
```

| folder | is a | rows |
|---|---|---|
{rows}"""
