"""The store as a directory of Parquet that DuckDB and `datasets` open."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from curate.cli import cli
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.reporting import export_store as export_module
from curate.reporting.export_store import export_store
from store.console import run_command
from store.db import Store
from store.errors import RequestError
from store.snapshots import take_snapshot


@pytest.fixture
def store(tmp_path: Path) -> Store:
    records = [
        {"id": f"r{n}", "model": "gpt-4", "conversations": [{"from": "human", "value": f"q{n}"}]}
        for n in range(3)
    ]
    path = tmp_path / "talks.json"
    path.write_text(json.dumps(records))
    store = Store(tmp_path / "s.duckdb", wait_s=20)
    ingest_files(store, "sharegpt", [path], IngestSettings())
    return store


def test_duckdb_reads_every_table_as_the_manifest_counts_it(store: Store, tmp_path: Path) -> None:
    done = export_store(store, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["at_version"] == done.at_version
    for one in manifest["tables"].values():
        rows = duckdb.sql(f"SELECT count(*) FROM '{tmp_path / 'out' / one['file']}'").fetchall()
        assert rows == [(one["rows"],)]
    assert manifest["tables"]["messages"]["rows"] == 3
    with store.read() as reading:
        ids = reading.rows("SELECT CAST(message_id AS VARCHAR), content FROM messages ORDER BY ALL")
    held = duckdb.sql(f"SELECT message_id, content FROM '{tmp_path}/out/messages/*.parquet' ORDER BY ALL")
    assert held.fetchall() == ids
    path = duckdb.sql(f"SELECT message_ids FROM '{tmp_path}/out/current_conversations/*.parquet' LIMIT 1")
    assert path.fetchall()[0][0][0] in {id_ for id_, _ in ids}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_datasets_opens_a_table_by_name(store: Store, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    export_store(store, tmp_path / "out")
    opened: Any = datasets.load_dataset(
        str(tmp_path / "out"), "messages", split="train", cache_dir=str(tmp_path / "cache")
    )
    assert sorted(opened["content"]) == ["q0", "q1", "q2"]
    assert set(opened["role"]) == {"user"}


def test_a_snapshot_is_exported_as_it_was_and_the_same_state_gives_the_same_manifest(
    store: Store, tmp_path: Path
) -> None:
    take_snapshot(store, "before")
    more = tmp_path / "more.json"
    more.write_text(json.dumps([{"id": "x", "conversations": [{"from": "human", "value": "new"}]}]))
    ingest_files(store, "sharegpt", [more], IngestSettings())
    past = Store(store.path, at="before")
    first, second = (export_store(past, tmp_path / name).manifest() for name in ("a", "b"))
    assert first == second
    rows = {one.name: one.rows for one in export_store(store, tmp_path / "now").tables}
    assert rows["messages"] == 4
    assert first["tables"]["messages"]["rows"] == 3  # type: ignore[index]


def test_a_directory_that_is_there_is_left_alone_and_a_killed_export_leaves_none(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(RequestError, match="is there already"):
        export_store(store, tmp_path / "there")

    def dies(_done: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(export_module, "_readme", dies)
    with pytest.raises(KeyboardInterrupt):
        export_store(store, tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_the_command_says_what_it_wrote(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export-store", str(tmp_path / "out"), "--store", str(store.path)]
    assert run_command(cli, [*words, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["tables"]["current_conversations"] | {"sha256": "", "bytes": 0, "columns": {}} == {
        "is_view": True,
        "rows": 3,
        "file": "current_conversations/part-0.parquet",
        "sha256": "",
        "bytes": 0,
        "columns": {},
    }
    assert run_command(cli, words) == 2
    assert "name a new directory" in capsys.readouterr().err
