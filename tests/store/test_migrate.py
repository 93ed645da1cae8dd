"""The schema on disk, its history, and stores from other versions."""

from pathlib import Path

import duckdb
import pytest

from store.db import Store
from store.errors import RequestError
from store.migrate import migrations

GOLDEN = Path(__file__).parent / "golden" / "schema.sql"


def schema_of(path: Path) -> str:
    con = duckdb.connect(str(path), read_only=True)
    tables = con.execute(
        "SELECT sql FROM duckdb_tables() WHERE schema_name = 'main' ORDER BY table_name"
    ).fetchall()
    con.close()
    return "\n".join(sql.replace(", ", ",\n    ").replace("(", "(\n    ", 1) for (sql,) in tables) + "\n"


def test_the_schema_is_the_golden_one(store: Store, rewrite_golden: bool) -> None:
    schema = schema_of(store.path)
    if rewrite_golden:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(schema)
    assert schema == GOLDEN.read_text()


def test_a_store_from_a_newer_version_is_refused(store: Store) -> None:
    con = duckdb.connect(str(store.path))
    con.execute("INSERT INTO schema_migrations VALUES (99, '0099_later.sql', 'x', now()::TIMESTAMP)")
    con.close()
    with pytest.raises(RequestError, match=r"newer version .*0099_later"), store.read():
        pass
    with pytest.raises(RequestError, match="newer version"), store.write():
        pass


def test_a_migration_that_was_edited_afterwards_is_refused(store: Store) -> None:
    con = duckdb.connect(str(store.path))
    con.execute("UPDATE schema_migrations SET sha256 = 'edited' WHERE number = 1")
    con.close()
    with pytest.raises(RequestError, match=r"0001_tables\.sql of this store differs"), store.read():
        pass


def test_reading_a_store_with_older_views_makes_them_anew(store: Store) -> None:
    con = duckdb.connect(str(store.path))
    con.execute("UPDATE schema_views SET sha256 = 'older'")
    con.execute("DROP VIEW as_of.current_runs")
    con.close()
    with store.read() as reading:
        assert reading.rows("SELECT * FROM current_runs") == []


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [step.number for step in migrations()] == list(range(1, len(migrations()) + 1))


def test_text_is_kept_as_zstd_in_a_file_duckdb_1_5_can_open(store: Store) -> None:
    con = duckdb.connect(str(store.path))
    con.execute(
        "INSERT INTO messages SELECT uuid(), NULL, 'user', repeat('word ', 200) || i, 0, 1 FROM range(50000) t(i)"
    )
    con.execute("CHECKPOINT")
    kinds = con.execute(
        "SELECT DISTINCT compression FROM pragma_storage_info('messages') WHERE column_name = 'content'"
        " AND segment_type = 'VARCHAR'"
    ).fetchall()
    con.close()
    assert ("ZSTD",) in kinds
