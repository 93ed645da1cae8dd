"""Bringing a store's tables to the shape this version of the code expects.

Migrations are numbered `.sql` files, each applied once, in one transaction with its hash. Views are
not migrations: they are made anew whenever their text or the list of tables has changed.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from store.errors import RequestError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BOOKKEEPING = """
CREATE TABLE IF NOT EXISTS main.schema_migrations (
    number INTEGER NOT NULL, name VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL
);
CREATE TABLE IF NOT EXISTS main.schema_views (sha256 VARCHAR NOT NULL);
CREATE SCHEMA IF NOT EXISTS as_of;
"""

AS_OF_VIEW = """
CREATE OR REPLACE VIEW as_of.{table} AS
SELECT *
FROM main.{table}
WHERE version <= coalesce(getvariable('at_version'), 9223372036854775807)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step."""

    number: int
    name: str
    sql: str
    sha256: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Every step this code knows, in order.

    Raises RuntimeError if a number is missing, which is a fault of the installation.
    """
    folder = files("store") / "migrations"
    steps = [
        _migration(entry.name, entry.read_text()) for entry in folder.iterdir() if entry.name.endswith(".sql")
    ]
    steps.sort(key=lambda step: step.number)
    if [step.number for step in steps] != list(range(1, len(steps) + 1)):
        raise RuntimeError(f"migrations are not numbered 1 … {len(steps)}: {[step.name for step in steps]}")
    return tuple(steps)


def _migration(name: str, sql: str) -> Migration:
    return Migration(int(name.split("_", 1)[0]), name, sql, _sha256(sql))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def views_sql() -> str:
    """The text of every derived view."""
    return (files("store") / "views.sql").read_text()


def is_current(con: "DuckDBPyConnection") -> bool:
    """Whether the attached store needs no migration and has today's views.

    Raises RequestError if the store is newer than the code, or its history differs.
    """
    tables = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database()"
        " AND table_name IN ('schema_migrations', 'schema_views')"
    ).fetchall()
    if tables[0][0] < 2:
        return False
    applied = con.execute(
        "SELECT number, name, sha256 FROM main.schema_migrations ORDER BY number"
    ).fetchall()
    _check_history(applied)
    if len(applied) < len(migrations()):
        return False
    return con.execute("SELECT sha256 FROM main.schema_views").fetchall() == [(_views_hash(),)]


def _check_history(applied: list[tuple[int, str, str]]) -> None:
    known = {step.number: step for step in migrations()}
    for number, name, sha256 in applied:
        if number not in known:
            raise RequestError(
                f"the store was written by a newer version (it has migration {name});"
                " upgrade with: pip install -U preferably"
            )
        if known[number].sha256 != sha256:
            raise RequestError(
                f"migration {name} of this store differs from the installed one;"
                " install the version that made the store"
            )


def _views_hash() -> str:
    return _sha256(views_sql() + AS_OF_VIEW)


def migrate(con: "DuckDBPyConnection") -> None:
    """Apply what is missing, then make the views anew. One transaction a step."""
    con.execute(BOOKKEEPING)
    rows = con.execute("SELECT number, name, sha256 FROM main.schema_migrations ORDER BY number").fetchall()
    _check_history(rows)
    for step in migrations()[len(rows) :]:
        _apply(con, step)
    _make_views(con)


def _apply(con: "DuckDBPyConnection", step: Migration) -> None:
    con.execute("BEGIN")
    con.execute(step.sql)
    con.execute(
        "INSERT INTO main.schema_migrations VALUES (?, ?, ?, current_timestamp AT TIME ZONE 'UTC')",
        [step.number, step.name, step.sha256],
    )
    con.execute("COMMIT")


def _make_views(con: "DuckDBPyConnection") -> None:
    tables = con.execute(
        "SELECT DISTINCT table_name FROM duckdb_columns() WHERE database_name = current_database()"
        " AND schema_name = 'main' AND column_name = 'version' AND table_name NOT LIKE 'schema_%' ORDER BY ALL"
    ).fetchall()
    con.execute("BEGIN")
    con.execute("DROP SCHEMA as_of CASCADE")
    con.execute("CREATE SCHEMA as_of")
    for (table,) in tables:
        con.execute(AS_OF_VIEW.format(table=table))
    con.execute(views_sql())
    con.execute("DELETE FROM main.schema_views")
    con.execute("INSERT INTO main.schema_views VALUES (?)", [_views_hash()])
    con.execute("COMMIT")
