"""DuckDB instances of this process, kept between turns.

Making an instance takes three times as long as opening a store file in it, so that an instance whose
store was closed properly waits here for the next turn. Each is used by one thread at a time.
"""

import ctypes
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import duckdb

MEMORY = "4GB"
"""What one process may use before it spills to disk; PREFERABLY_MEMORY changes it."""

ARENAS = 2
"""Heaps of a thrifty process: each thread's own would keep 10 MB that nobody uses."""
M_ARENA_MAX = -8  # malloc.h

KEPT = 2
"""Instances that wait at most; more are made when more threads take turns at once."""

_lock = threading.Lock()
_idle: list["Instance"] = []


@dataclass
class Thrift:
    """How a process that stays open for hours keeps small."""

    memory: str
    """What one instance may use before it spills to disk, unless PREFERABLY_MEMORY says otherwise."""
    threads: int
    growth_bytes: int
    """An instance is closed at the end of a turn when the process has grown so much since it was made: an
    instance keeps what it frees."""


_thrift: Thrift | None = None


def be_thrifty(thrift: Thrift | None) -> Thrift | None:
    """Keep this process small from now on, or no longer; returns what held before."""
    global _thrift
    before, _thrift = _thrift, thrift
    _share_heaps(ARENAS if thrift is not None else 0)
    with _lock:
        for instance in _idle:
            instance.con.close()
        _idle.clear()
    return before


def memory() -> str:
    """What an instance made now may use."""
    return os.environ.get("PREFERABLY_MEMORY") or (_thrift.memory if _thrift else MEMORY)


@dataclass
class Instance:
    """A DuckDB instance and the folder it spills to."""

    con: duckdb.DuckDBPyConnection
    spill: Path
    memory: str
    resident_at_first: int
    """Bytes of this process in memory when it was made."""

    def spills_to(self, spill: Path) -> bool:
        """Make it spill to SPILL; whether that is still possible."""
        if self.spill == spill:
            return True
        try:
            self.con.execute("SET temp_directory = '" + str(spill).replace("'", "''") + "'")
        except duckdb.NotImplementedException:  # it has spilled to another folder already
            return False
        self.spill = spill
        return True


@dataclass
class Engine:
    """An instance for one turn."""

    instance: Instance
    turn: duckdb.DuckDBPyConnection
    """The turn's own connection: its temporary tables, variables and settings end with it."""
    is_spent: bool = False
    """Whether settings were changed for good, so that no later turn may have it."""

    def discard(self) -> None:
        """Close everything, the store's file too."""
        self.turn.close()
        self.instance.con.close()


def take(spill: Path) -> Engine:
    """An instance with nothing attached, that spills to the folder SPILL."""
    with _lock:
        instance = _idle.pop() if _idle else None
    if instance is not None and not (instance.memory == memory() and instance.spills_to(spill)):
        instance.con.close()
        instance = None
    if instance is None:
        instance = _new(spill)
    turn = instance.con.cursor()
    turn.execute("SET enable_progress_bar = false")
    return Engine(instance, turn)


def put_back(engine: Engine) -> None:
    """Close the store and keep the instance for a later turn, unless it is spent or has grown."""
    if engine.is_spent:
        engine.discard()
        return
    con = engine.instance.con
    engine.turn.close()
    con.execute("DETACH store")
    con.execute("RESET arrow_lossless_conversion")
    if not _has_grown(engine):
        with _lock:
            if len(_idle) < KEPT:
                _idle.append(engine.instance)
                return
    con.close()
    _give_back()


def _share_heaps(arenas: int) -> None:
    """Have at most so many heaps for all threads, 0 for as many as the allocator likes; only glibc can be asked."""
    if (option := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        option(M_ARENA_MAX, arenas)


def _give_back() -> None:
    """Let the system have what the allocator of this process holds and nobody uses; only glibc can be asked."""
    if _thrift is not None and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def _has_grown(engine: Engine) -> bool:
    return (
        _thrift is not None and _resident_bytes() - engine.instance.resident_at_first > _thrift.growth_bytes
    )


def _resident_bytes() -> int:
    """Memory that this process has now; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _new(spill: Path) -> Instance:
    most = memory()
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": most,
        "temp_directory": str(spill),
    }
    if _thrift is not None:
        config["threads"] = _thrift.threads
    resident = _resident_bytes()
    return Instance(duckdb.connect(":memory:", config=config), spill, most, resident)


def _forget() -> None:
    """A forked child must not touch the instances of its parent."""
    _idle.clear()


os.register_at_fork(after_in_child=_forget)
