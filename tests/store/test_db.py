"""One turn is one transaction and one version; the past does not change."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from store.db import Store
from store.errors import RequestError, UnknownName
from store.snapshots import take_snapshot

Row = Callable[[int], dict[str, object]]


def marks(store: Store) -> int:
    with store.read() as reading:
        return int(reading.rows("SELECT count(*) FROM marks")[0][0])


def test_a_store_that_does_not_exist_is_an_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="curate ingest"), Store(tmp_path / "none.duckdb").read():
        pass


def test_a_file_that_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 1000)
    with pytest.raises(RequestError, match="not a store"), Store(path).write():
        pass
    assert path.read_text().startswith("not a database")


def test_every_write_makes_the_next_version_and_counts_its_rows(store: Store, mark_row: Row) -> None:
    for number in range(3):
        with store.write() as writing:
            writing.append("marks", [mark_row(number), mark_row(number + 10)])
    with store.read() as reading:
        assert reading.version == 3
        assert reading.rows("SELECT version, rows_by_table FROM versions ORDER BY version") == [
            (1, '{"marks": 2}'),
            (2, '{"marks": 2}'),
            (3, '{"marks": 2}'),
        ]


def test_a_turn_that_appends_nothing_makes_no_version(store: Store) -> None:
    with store.write() as writing:
        writing.append("marks", [])
    with store.read() as reading:
        assert reading.version == 0


def test_an_error_inside_a_turn_leaves_nothing_behind(store: Store, mark_row: Row) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as writing:
        writing.append("marks", [mark_row(1)])
        _ = 1 / 0
    assert marks(store) == 0


def test_an_interrupt_that_comes_when_the_commit_is_through_stays_an_interrupt(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), store.write() as writing:
        writing.con.execute("COMMIT")
        raise KeyboardInterrupt
    assert marks(store) == 0


def test_seq_counts_on_through_several_appends_of_one_version(store: Store, mark_row: Row) -> None:
    with store.write() as writing:
        writing.append("marks", [mark_row(1), mark_row(2)])
        writing.append("marks", pa.Table.from_pylist([mark_row(3)]))
        writing.append_from(
            "marks",
            "SELECT * EXCLUDE (version, seq) FROM marks WHERE target_id::VARCHAR LIKE '%3' ORDER BY ALL",
        )
    with store.read() as reading:
        assert reading.rows("SELECT seq FROM marks ORDER BY seq") == [(0,), (1,), (2,), (3,)]


def test_a_column_the_table_does_not_have_is_a_bug_and_says_so(store: Store, mark_row: Row) -> None:
    with pytest.raises(ValueError, match="no column colour"), store.write() as writing:
        writing.append("marks", [{**mark_row(1), "colour": "red"}])


def test_a_snapshot_shows_the_same_rows_for_ever(store: Store, mark_row: Row) -> None:
    with store.write() as writing:
        writing.append("marks", [mark_row(1)])
    take_snapshot(store, "first")
    with store.write() as writing:
        writing.append("marks", [mark_row(2)])
    assert marks(store) == 2
    assert marks(Store(store.path, at="first")) == 1
    assert marks(Store(store.path, at="v0")) == 0


def test_a_snapshot_that_does_not_exist_gets_the_nearest_name(store: Store) -> None:
    with store.write() as writing:
        writing.append("source_classes", [{"name": "x", "patterns": []}])
    take_snapshot(store, "before-clean")
    with (
        pytest.raises(UnknownName, match="did you mean 'before-clean'"),
        Store(store.path, at="before-claen").read(),
    ):
        pass
    with pytest.raises(RequestError, match="the newest is 2"), Store(store.path, at="v99").read():
        pass


def test_nobody_writes_into_the_past(store: Store) -> None:
    with pytest.raises(RequestError, match="past"), Store(store.path, at="v0").write():
        pass


def test_sql_typed_by_a_user_reaches_no_file(store: Store, tmp_path: Path) -> None:
    with store.read() as reading:
        reading.lock_down()
        with pytest.raises(duckdb.PermissionException):
            reading.rows(f"COPY (SELECT 1) TO '{tmp_path / 'leak.csv'}'")
        with pytest.raises(duckdb.Error):
            reading.rows("SET enable_external_access = true")
        with pytest.raises(duckdb.Error):
            reading.rows("INSERT INTO main.marks SELECT * FROM main.marks")
        assert reading.rows("SELECT count(*) FROM messages") == [(0,)]


def test_other_programs_see_the_views_without_our_settings(store: Store, mark_row: Row) -> None:
    with store.write() as writing:
        writing.append("marks", [mark_row(1)])
    con = duckdb.connect(str(store.path), read_only=True)
    assert con.execute("SELECT count(*) FROM as_of.marks").fetchall() == [(1,)]
    con.close()


def test_a_path_with_a_quote_is_only_a_path(tmp_path: Path) -> None:
    store = Store(tmp_path / "it's.duckdb")
    with store.write():
        pass
    assert marks(store) == 0


def test_what_a_turn_set_or_made_for_itself_is_gone_in_the_next(store: Store, mark_row: Row) -> None:
    with store.write() as writing:
        writing.append("marks", [mark_row(1)])
    for _ in range(2):
        with Store(store.path, at="v0").read() as past:
            past.con.execute("CREATE TEMP TABLE kept AS SELECT 1")
            past.con.execute("SET arrow_lossless_conversion = true")
            past.con.register("mine", pa.table({"x": [1]}))
            assert past.rows("SELECT count(*) FROM marks") == [(0,)]
        with store.read() as reading:
            assert reading.rows("SELECT count(*) FROM marks") == [(1,)]
            with pytest.raises(duckdb.CatalogException):
                reading.rows("SELECT * FROM kept")
    with store.read() as reading:
        reading.lock_down()
    with store.write() as writing:
        writing.append("marks", [mark_row(2)])
    assert marks(store) == 2


def test_threads_of_one_process_take_turns(store: Store, mark_row: Row) -> None:
    def work(start: int) -> None:
        for number in range(start, start + 10):
            with store.write() as writing:
                writing.append("marks", [mark_row(number)])
            marks(store)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, (0, 100, 200, 300)))
    assert marks(store) == 40


def test_a_response_set_says_who_gave_each_response(store: Store) -> None:
    prompt, written, drawn, both = (f"00000000-0000-0000-0000-00000000000{n}" for n in range(1, 5))
    message = {"role": "assistant", "parent_id": prompt, "depth": 1}
    question = {"message_id": prompt, "role": "user", "content": "?", "depth": 0}
    conversation = {
        "line": 1,
        "byte_offset": 0,
        "reader": "r",
        "external_id": "",
        "model": "",
        "occurrence": 0,
    }
    draw = {"prompt_id": prompt, "policy": "sft", "sampling": "{}", "finish_reason": "stop"}
    with store.write() as writing:
        writing.append(
            "messages",
            [question, *({**message, "message_id": one, "content": one} for one in (written, drawn, both))],
        )
        writing.append(
            "conversations",
            [
                {
                    **conversation,
                    "conversation_id": one,
                    "leaf_id": one,
                    "message_ids": [prompt, one],
                    "source_id": prompt,
                    "record_numbers": [1],
                }
                for one in (written, both)
            ],
        )
        writing.append(
            "samples",
            [{**draw, "response_id": one, "sample_index": n} for n, one in enumerate((drawn, both, both))],
        )
    with store.read() as reading:
        rows = reading.rows(
            "SELECT CAST(response_id AS VARCHAR), n_draws, source FROM response_sets ORDER BY 1"
        )
    assert rows == [(written, 0, "conversation"), (drawn, 1, "sft"), (both, 2, "conversation, sft")]
