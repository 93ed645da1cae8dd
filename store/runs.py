"""A run: one execution of a command, from its first row to its last state."""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from store import __version__
from store.db import Store
from store.errors import StoreBusy
from store.journal import Journal
from store.turns import command_line

DRAIN_EVERY_S = 1.0
RESTS_PER_DRAIN = 5
"""A drain that takes long, in a store that is large or slow, is followed by a rest so many times as long."""


@dataclass
class Run:
    """A run in progress."""

    run_id: str
    store: Store
    journal: Journal
    started_at: datetime
    command: str
    settings: str
    outcome: dict[str, object] = field(default_factory=dict)
    _draining: threading.Lock = field(default_factory=threading.Lock)

    def finish(
        self,
        counts: Mapping[str, object],
        *,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Say what the run came to; it is stored with the run's last state."""
        self.outcome = {
            "counts": json.dumps(counts, sort_keys=True),
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "cost_usd": cost_usd,
        }

    def note_progress(self, counts: Mapping[str, object]) -> None:
        """Store what the run came to so far; it stays should nothing be heard of the run again."""
        self.finish(counts)
        _note_state(self, "running")

    def drain(self) -> int:
        """Move what the journal holds into the store now; returns how many rows."""
        with self._draining:
            if self.journal.pending_bytes == 0:
                return 0
            with self.store.write(self.run_id) as writing:
                rows = self.journal.drain_into(writing)
                reached = writing.rows_by_table and writing.rows(
                    "SELECT max(drained_to) FROM main.journal_drains WHERE journal = ?", [self.run_id]
                )
            if reached:
                self.journal.settle(int(reached[0][0]))
            return rows

    def row(self, state: str, ended_at: datetime | None = None) -> dict[str, object]:
        """The row of `runs` that says the run is in STATE."""
        return {
            "run_id": self.run_id,
            "command": self.command,
            "settings": self.settings,
            "software_version": __version__,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "state": state,
            "started_at": self.started_at.isoformat(),
            "ended_at": ended_at.isoformat() if ended_at else None,
            **self.outcome,
        }


def utc_now() -> datetime:
    """Now in UTC, without a zone, as the store keeps times."""
    return datetime.now(UTC).replace(tzinfo=None)


def new_run_id(now: datetime) -> str:
    """A name that sorts by time and never repeats: `20261121T081500-3f9a2c10`."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


@contextmanager
def run_of(store: Store, command: str, settings: Mapping[str, object]) -> Iterator[Run]:
    """A run that is stored when it starts and when it ends, however it ends.

    COMMAND is the words of the command (`label judge`); SETTINGS is stored as JSON and must hold no key
    or secret.
    """
    now = utc_now()
    run_id = new_run_id(now)
    journal = Journal(store.path, run_id)
    run = Run(
        run_id, store, journal, now, command, json.dumps({**settings, "argv": command_line()}, default=str)
    )
    try:
        _note_state(run, "running")
    except BaseException:
        journal.close()
        raise
    stop = threading.Event()
    drainer = threading.Thread(target=_drain_until, args=(run, stop), name="journal-drain", daemon=True)
    drainer.start()
    state = "failed"
    try:
        yield run
        state = "finished"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        stop.set()
        drainer.join()
        run.drain()
        _note_state(run, state, utc_now())
        journal.close()


def _note_state(run: Run, state: str, ended_at: datetime | None = None) -> None:
    with run.store.write(run.run_id) as writing:
        writing.append("runs", [run.row(state, ended_at)])


def _drain_until(run: Run, stop: threading.Event) -> None:
    took_s = 0.0
    while not stop.wait(max(DRAIN_EVERY_S, RESTS_PER_DRAIN * took_s)):
        started = time.monotonic()
        try:
            run.drain()
        except StoreBusy:
            continue  # the rows are safe in the journal; the next second tries again
        took_s = time.monotonic() - started
