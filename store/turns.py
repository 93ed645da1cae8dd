"""Taking turns at one store file, between processes and between threads.

DuckDB lets one process write or several read. Everyone first takes the *gate* lock, then the *main*
lock (shared to read, exclusive to write), then lets the gate go: a writer waiting at the main lock
holds the gate, so that readers arriving later queue behind it instead of starving it. Locks are
advisory (`flock`) on files in the store's side folder and vanish with their process.
"""

import fcntl
import json
import os
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from store.errors import StoreBusy

Mode = Literal["read", "write"]

_serial = count()


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the store at the moment."""

    pid: int
    command: str
    mode: Mode
    since: float
    """Seconds since the epoch."""


def side_folder(path: Path) -> Path:
    """The folder beside the store for locks, journals and spill files."""
    return path.with_name(path.name + ".d")


@contextmanager
def turn(path: Path, mode: Mode, wait_s: float) -> Iterator[None]:
    """Hold the store at PATH for reading or writing.

    Raises StoreBusy, naming the holders, after waiting WAIT_S seconds.
    """
    side = side_folder(path)
    if mode == "read" and not _is_lockable(side):
        yield  # a store on a read-only medium has no writer to wait for
        return
    side.mkdir(parents=True, exist_ok=True)
    main = _enter(path, side, mode, wait_s)
    try:
        with _said_to_hold(side, mode):
            yield
    finally:
        os.close(main)


@contextmanager
def alone(path: Path, what: str, wait_s: float) -> Iterator[None]:
    """Be the only process that does WHAT at the store at PATH; the store itself stays free for others.

    Raises StoreBusy after waiting WAIT_S seconds.
    """
    side = side_folder(path)
    side.mkdir(parents=True, exist_ok=True)
    lock = _locked(side / f"{what}.lock", fcntl.LOCK_EX, time.monotonic() + wait_s)
    if lock is None:
        raise StoreBusy(
            f"another command has been working on the {what} of {path} for {wait_s:g} s;"
            " try again later or raise --wait"
        )
    try:
        yield
    finally:
        os.close(lock)


def _is_lockable(side: Path) -> bool:
    return os.access(side if side.exists() else side.parent, os.W_OK)


def _enter(path: Path, side: Path, mode: Mode, wait_s: float) -> int:
    deadline = time.monotonic() + wait_s
    kind = fcntl.LOCK_EX if mode == "write" else fcntl.LOCK_SH
    gate = main = None
    try:
        gate = _locked(side / "gate.lock", fcntl.LOCK_EX, deadline)
        if gate is not None:
            main = _locked(side / "main.lock", kind, deadline)
    finally:
        if gate is not None:
            os.close(gate)
    if main is None:
        raise StoreBusy(_busy_message(path, side, wait_s))
    return main


def _locked(path: Path, kind: int, deadline: float) -> int | None:
    """A descriptor holding the lock, or None when the deadline passed first."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return _Wait(descriptor, kind).until(deadline)
    return descriptor


class _Wait:
    """A blocking flock in a thread of its own, so that the wait can be given up.

    Polling instead would let busy neighbours slip in between two tries.
    """

    def __init__(self, descriptor: int, kind: int) -> None:
        self._descriptor = descriptor
        self._kind = kind
        self._mutex = threading.Lock()
        self._done = threading.Event()
        self._is_abandoned = False

    def until(self, deadline: float) -> int | None:
        thread = threading.Thread(target=self._block, name="store-lock", daemon=True)
        thread.start()
        try:
            self._done.wait(max(0.0, deadline - time.monotonic()))
        finally:
            with self._mutex:
                is_ours = self._done.is_set()
                self._is_abandoned = not is_ours
        return self._descriptor if is_ours else None

    def _block(self) -> None:
        fcntl.flock(self._descriptor, self._kind)
        with self._mutex:
            if self._is_abandoned:
                os.close(self._descriptor)
            else:
                self._done.set()


@contextmanager
def _said_to_hold(side: Path, mode: Mode) -> Iterator[None]:
    """Leave a note of who holds the store, for the error of those who wait."""
    folder = side / "holders"
    folder.mkdir(exist_ok=True)
    note = folder / f"{os.getpid()}-{next(_serial)}.json"
    note.write_text(
        json.dumps({"pid": os.getpid(), "command": command_line(), "mode": mode, "since": time.time()})
    )
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            note.unlink()


def command_line() -> str:
    """This process's command as a person would type it."""
    name = Path(sys.argv[0]).name if sys.argv and sys.argv[0] not in ("", "-c") else "python"
    return shlex.join([name, *sys.argv[1:]])


def holders(path: Path) -> list[Holder]:
    """Processes that hold the store now; notes left by dead ones are cleared away."""
    found: list[Holder] = []
    for note in (side_folder(path) / "holders").glob("*.json"):
        try:
            holder = Holder(**json.loads(note.read_text()))
        except (OSError, ValueError):
            continue  # being written or removed at this moment
        if _is_running(holder.pid):
            found.append(holder)
        else:
            with suppress(OSError):
                note.unlink()
    return sorted(found, key=lambda holder: holder.since)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _busy_message(path: Path, side: Path, wait_s: float) -> str:
    held = [
        f"process {holder.pid} ({holder.command}) holds it to {holder.mode} since {time.time() - holder.since:.1f} s"
        for holder in holders(path)
    ]
    who = "; ".join(held) or f"the holder left no note in {side / 'holders'}"
    return f"store {path} stayed busy for {wait_s:g} s: {who}; try again later or raise --wait"
