"""Waiting for the store: bounded, fair to writers, and with a name on who is in the way."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from store.errors import StoreBusy
from store.turns import holders, side_folder, turn

HOLD = """
import sys, time
from pathlib import Path
from store.turns import turn
sys.argv = ["label", "judge", "--model", "gpt-4"]
with turn(Path({path!r}), {mode!r}, 10):
    print("held", flush=True)
    time.sleep(60)
"""


def holding(path: Path, mode: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(path=str(path), mode=mode)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_the_wait_is_bounded_and_its_error_names_process_and_command(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    process = holding(path, "write")
    started = time.monotonic()
    with pytest.raises(StoreBusy) as caught, turn(path, "read", 0.3):
        pass
    assert 0.25 < time.monotonic() - started < 5
    assert f"process {process.pid} (label judge --model gpt-4)" in str(caught.value)
    assert caught.value.exit_code == 3
    end(process)


def test_a_reader_in_the_way_of_a_writer_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    process = holding(path, "read")
    with pytest.raises(StoreBusy, match=f"process {process.pid} .* to read"), turn(path, "write", 0.2):
        pass
    with turn(path, "read", 5):
        pass
    end(process)


def test_a_killed_holder_lets_the_next_one_in_and_leaves_no_note(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    end(holding(path, "write"))
    with turn(path, "write", 5):
        assert [holder.mode for holder in holders(path)] == ["write"]
    assert list((side_folder(path) / "holders").iterdir()) == []


def test_giving_up_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    with turn(path, "write", 5), pytest.raises(StoreBusy), turn(path, "write", 0.1):
        pass
    for _ in range(3):
        with turn(path, "write", 5):
            pass


def test_busy_readers_do_not_keep_a_writer_out(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    stop = threading.Event()

    def read_all_the_time() -> None:
        while not stop.is_set():
            with turn(path, "read", 30):
                time.sleep(0.02)  # what a read turn takes

    readers = [threading.Thread(target=read_all_the_time) for _ in range(4)]
    for reader in readers:
        reader.start()
    waits = []
    for _ in range(10):
        started = time.monotonic()
        with turn(path, "write", 30):
            waits.append(time.monotonic() - started)
    stop.set()
    for reader in readers:
        reader.join()
    assert max(waits) < 5
