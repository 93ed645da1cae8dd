"""A result is safe when `append` returns, and reaches the store exactly once."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from store.db import Store
from store.errors import StoreDamaged
from store.journal import Journal, is_held, journal_folder
from store.runs import run_of

Row = Callable[[int], dict[str, object]]

WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from store.db import Store
from store.runs import run_of
row = {{"target_kind": "message", "mark": "flag", "annotator": "ann", "created_at": "2026-01-01T00:00:00"}}
with run_of(Store(Path({path!r})), "label judge", {{}}) as run:
    number = 0
    while True:
        ids = [f"00000000-0000-0000-0000-{{n:012d}}" for n in range(number, number + 7)]
        run.journal.append("marks", [{{**row, "target_id": i}} for i in ids])
        number += 7
        print(number, flush=True)
"""


def stored(store: Store) -> tuple[int, int]:
    with store.read() as reading:
        total, distinct = reading.rows("SELECT count(*), count(DISTINCT target_id) FROM marks")[0]
    return int(total), int(distinct)


def test_rows_of_a_run_arrive_once_and_its_journal_goes_away(store: Store, mark_row: Row) -> None:
    with run_of(store, "label judge", {}) as run:
        for number in range(50):
            run.journal.append("marks", [mark_row(number)])
            if number % 10 == 0:
                run.drain()
        assert is_held(store.path, run.run_id)
    assert stored(store) == (50, 50)
    assert list(journal_folder(store.path).iterdir()) == []


def test_a_commit_that_raises_and_is_durable_all_the_same_counts_once(store: Store, mark_row: Row) -> None:
    journal = Journal(store.path, "r")
    journal.append("marks", [mark_row(1), mark_row(2)])
    with store.write() as writing:
        journal.drain_into(writing)
    # `settle` was never called: to the journal it looks as if the commit had failed
    journal.append("marks", [mark_row(3)])
    with store.write() as writing:
        journal.drain_into(writing)
    assert stored(store) == (3, 3)
    journal.close()


def test_a_drain_that_fails_is_tried_again_in_full(store: Store, mark_row: Row) -> None:
    journal = Journal(store.path, "r")
    journal.append("marks", [mark_row(1)])
    with pytest.raises(ZeroDivisionError), store.write() as writing:
        journal.drain_into(writing)
        _ = 1 / 0
    assert stored(store) == (0, 0)
    with store.write() as writing:
        journal.drain_into(writing)
    assert stored(store) == (1, 1)
    journal.close()


def test_many_threads_append_without_mixing_lines(store: Store, mark_row: Row) -> None:
    with run_of(store, "label judge", {}) as run:

        def work(start: int) -> None:
            for number in range(start, start + 100):
                run.journal.append("marks", [mark_row(number)])

        threads = [threading.Thread(target=work, args=(1000 * i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert stored(store) == (800, 800)


def test_the_next_writer_takes_in_what_a_killed_process_left(store: Store) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE_AND_WAIT.format(path=str(store.path))], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    said += process.stdout.read().splitlines()
    process.communicate()
    durable = int(said[-1])
    with store.write():
        pass
    total, distinct = stored(store)
    assert total == distinct >= durable
    with store.read() as reading:
        assert reading.rows("SELECT state FROM current_runs") == [("lost",)]
    assert list(journal_folder(store.path).iterdir()) == []
    with store.write():
        pass
    assert stored(store) == (total, distinct)


def test_a_line_cut_off_by_a_crash_is_left_out(store: Store, mark_row: Row) -> None:
    journal = Journal(store.path, "r")
    journal.append("marks", [mark_row(1)])
    with journal.path.open("ab") as file:
        file.write(b'["marks",{"target_kind":"mess')
    os.close(journal._descriptor)
    with store.write():
        pass
    assert stored(store) == (1, 1)
    assert not journal.path.exists()


def test_a_damaged_line_is_named_and_nothing_is_thrown_away(store: Store, mark_row: Row) -> None:
    journal = Journal(store.path, "r")
    journal.append("marks", [mark_row(1)])
    with journal.path.open("ab") as file:
        file.write(b"\x00\x00\x00\n")
    os.close(journal._descriptor)
    with pytest.raises(StoreDamaged, match=r"r\.jsonl"), store.write():
        pass
    assert journal.path.exists()


def test_a_run_that_fails_or_is_interrupted_says_so(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), run_of(store, "label judge", {"seed": 1}):
        _ = 1 / 0
    with pytest.raises(KeyboardInterrupt), run_of(store, "label judge", {}):
        raise KeyboardInterrupt
    with run_of(store, "label judge", {}) as run:
        run.finish({"done": 3}, cost_usd=0.5)
    with store.read() as reading:
        rows = reading.rows("SELECT state, counts, cost_usd FROM current_runs ORDER BY run_id")
    assert sorted(row[0] for row in rows) == ["failed", "finished", "interrupted"]
    assert ("finished", '{"done": 3}', 0.5) in rows


def test_a_journal_name_cannot_be_taken_twice(store: Store, tmp_path: Path) -> None:
    journal = Journal(store.path, "r")
    assert is_held(store.path, "r")
    assert not is_held(store.path, "other")
    journal.close()
    assert not is_held(store.path, "r")
