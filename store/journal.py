"""Results that are safe before they are in the store.

A labeler appends each result as one JSON line to its run's journal; when `append` returns, the line
is on disk. About once a second the lines are drained into the store in one batch. How far a journal
was drained is a row of the same commit (`journal_drains`), so every line arrives exactly once even
if a commit raises and is durable all the same. While its process lives it holds a lock on its
journal; whoever takes a write turn after a crash drains and removes the journals nobody holds.
"""

import fcntl
import os
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from store.errors import StoreDamaged
from store.turns import side_folder

DRAIN_BYTES = 32 * 1024 * 1024
"""Most bytes of a journal taken into memory at once."""

KEY_OF = {"messages": "message_id"}
"""Tables whose rows are the same thing wherever they have the same id: such a row is taken in once."""

Row = Mapping[str, object]


class Sink(Protocol):
    """Where drained rows go: an open write turn of the store."""

    def append(self, table: str, rows: Sequence[Row]) -> int:
        """Add rows to a table; returns how many."""

    def append_new(self, table: str, key: str, rows: Sequence[Row]) -> int:
        """Add the rows whose KEY the table does not hold yet; returns how many."""

    def rows(self, sql: str, params: Sequence[object]) -> list[tuple[Any, ...]]:
        """All rows of a query."""


_decode = msgspec.json.Decoder(tuple[str, dict[str, object]]).decode
_encode = msgspec.json.Encoder().encode


class Journal:
    """The journal of one live run; safe to use from several threads."""

    def __init__(self, store_path: Path, run_id: str) -> None:
        """Create the file. It takes its name only once it is locked, so nobody mistakes it for an orphan."""
        self.path = journal_folder(store_path) / f"{run_id}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unborn = self.path.with_name(f".{run_id}.new")
        self._descriptor = os.open(unborn, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_EXCL, 0o666)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unborn.rename(self.path)
        _sync_folder(self.path.parent)
        self._write_lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._written = 0
        self._synced = 0
        self._drained = 0

    @property
    def pending_bytes(self) -> int:
        """Bytes that are safe on disk and not yet in the store."""
        return self._synced - self._drained

    def append(self, table: str, rows: Sequence[Row]) -> None:
        """Make ROWS of TABLE durable; calls that overlap share one fsync."""
        data = b"".join(_encode((table, row)) + b"\n" for row in rows)
        with self._write_lock:
            _write_all(self._descriptor, data)
            self._written += len(data)
            mine = self._written
        with self._sync_lock:
            if self._synced >= mine:
                return
            reached = self._written
            os.fsync(self._descriptor)
            self._synced = reached

    def drain_into(self, writing: Sink) -> int:
        """Move what is durable into an open write turn; returns how many rows. Call `settle` after the commit."""
        return sum(drain(self.path, self._synced, writing))

    def settle(self, drained_to: int) -> None:
        """Note that the store holds every line up to a byte."""
        self._drained = drained_to

    def close(self) -> None:
        """Let the journal go; the file is removed if the store holds all of it."""
        if self._drained == self._written:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def journal_folder(store_path: Path) -> Path:
    """Where the journals of a store are."""
    return side_folder(store_path) / "journal"


def is_held(store_path: Path, run_id: str) -> bool:
    """Whether a live process still writes the journal of RUN_ID."""
    descriptor = _orphan(journal_folder(store_path) / f"{run_id}.jsonl")
    if descriptor is None:
        return (journal_folder(store_path) / f"{run_id}.jsonl").exists()
    os.close(descriptor)
    return False


def orphans(store_path: Path) -> Iterator[tuple[Path, int]]:
    """Journals nobody holds, each with a descriptor that locks it until closed."""
    folder = journal_folder(store_path)
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*.jsonl")):
        descriptor = _orphan(path)
        if descriptor is not None:
            yield path, descriptor


def _orphan(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def drain(path: Path, end: int, writing: Sink) -> Iterator[int]:
    """Append the lines of a journal from where the last drain stopped up to byte END; yields rows per piece.

    A line without its newline was never reported as safe and is left out.
    """
    start = drained_to(path.stem, writing)
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            block = file.read(min(DRAIN_BYTES, end - start))
            cut = block.rfind(b"\n") + 1
            if cut == 0:
                block += file.readline()
                cut = len(block) if block.endswith(b"\n") else 0
            if cut == 0:
                break
            yield _append_lines(path, start, block[:cut], writing)
            start += cut
            file.seek(start)
    writing.append("journal_drains", [{"journal": path.stem, "drained_to": start}])


def drained_to(name: str, writing: Sink) -> int:
    """The byte up to which the store holds a journal."""
    rows = writing.rows("SELECT coalesce(max(drained_to), 0) FROM journal_drains WHERE journal = ?", [name])
    return int(rows[0][0])


def _append_lines(path: Path, start: int, block: bytes, writing: Sink) -> int:
    tables: dict[str, list[Row]] = defaultdict(list)
    for line in block.splitlines():
        try:
            table, row = _decode(line)
        except msgspec.DecodeError as error:
            raise StoreDamaged(
                f"journal {path} has a line that is not a result after byte {start}: {error};"
                " move the file aside and tell us"
            ) from error
        tables[table].append(row)
    return sum(_append(table, rows, writing) for table, rows in tables.items())


def _append(table: str, rows: list[Row], writing: Sink) -> int:
    key = KEY_OF.get(table)
    return writing.append(table, rows) if key is None else writing.append_new(table, key, rows)
