"""DuckDB instances of this process, kept between turns.

Making an instance takes three times as long as opening a store file in it, so that an instance whose
store was closed properly waits here for the next turn. Each is used by one thread at a time.
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import duckdb

MEMORY = "4GB"
"""What one process may use before it spills to disk; PREFERABLY_MEMORY changes it."""

KEPT = 2
"""Instances that wait at most; more are made when more threads take turns at once."""

_lock = threading.Lock()
_idle: list[duckdb.DuckDBPyConnection] = []


@dataclass
class Engine:
    """An instance for one turn."""

    instance: duckdb.DuckDBPyConnection
    turn: duckdb.DuckDBPyConnection
    """The turn's own connection: its temporary tables, variables and settings end with it."""
    is_spent: bool = False
    """Whether settings were changed for good, so that no later turn may have it."""

    def discard(self) -> None:
        """Close everything, the store's file too."""
        self.turn.close()
        self.instance.close()


def take(spill: Path) -> Engine:
    """An instance with nothing attached, that spills to the folder SPILL."""
    with _lock:
        instance = _idle.pop() if _idle else None
    if instance is None:
        instance = _new()
    instance.execute("SET temp_directory = '" + str(spill).replace("'", "''") + "'")
    turn = instance.cursor()
    turn.execute("SET enable_progress_bar = false")
    return Engine(instance, turn)


def put_back(engine: Engine) -> None:
    """Close the store and keep the instance for a later turn, unless it is spent."""
    if engine.is_spent:
        engine.discard()
        return
    engine.turn.close()
    engine.instance.execute("DETACH store")
    engine.instance.execute("RESET arrow_lossless_conversion")
    with _lock:
        if len(_idle) < KEPT:
            _idle.append(engine.instance)
            return
    engine.instance.close()


def _new() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": os.environ.get("PREFERABLY_MEMORY", MEMORY),
        },
    )


def _forget() -> None:
    """A forked child must not touch the instances of its parent."""
    _idle.clear()


os.register_at_fork(after_in_child=_forget)
