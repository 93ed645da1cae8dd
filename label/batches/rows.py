"""Batches as the store keeps them: their rows, and the files of requests that are not handed over yet."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from store.errors import TryLater
from store.named_sql import named_sql
from store.runs import utc_now
from store.turns import alone, side_folder

if TYPE_CHECKING:
    from store.db import Reading, Store
    from store.runs import Run

BatchState = Literal["intended", "sending", "submitted", "collected", "labelled", "rejected", "abandoned"]
OPEN_STATES: tuple[BatchState, ...] = ("intended", "sending", "submitted")
"""States in which the provider may be working on a batch, or will be."""

Task = Literal["judge", "compare"]
ASKING_COMMANDS = ("label judge", "label compare")


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch with the last value of everything that is known of it."""

    batch_id: str
    provider: str
    base_url: str
    model: str
    task: Task
    settings: str
    """JSON from which the command that made it can be built again."""
    price: str
    """JSON of the price in a batch."""
    n_requests: int
    n_bytes: int
    most_usd: float
    state: BatchState
    sent_at: datetime | None
    """When it was last sent off; nobody may have seen whether it arrived."""
    input_file_id: str | None
    provider_batch_id: str | None
    provider_status: str | None
    provider_counts: str | None
    reason: str | None
    created_at: datetime
    run_id: str | None
    outcomes: dict[str, int]
    """State → requests that came to it."""

    @property
    def is_open(self) -> bool:
        """Whether its requests must not be asked elsewhere."""
        return self.state in OPEN_STATES

    def as_json(self) -> dict[str, object]:
        """The batch as an object."""
        return {
            "batch_id": self.batch_id,
            "state": self.state,
            "provider": self.provider,
            "base_url": self.base_url,
            "model": self.model,
            "task": self.task,
            "requests": self.n_requests,
            "bytes": self.n_bytes,
            "cost_usd_at_most": self.most_usd,
            "provider_batch_id": self.provider_batch_id,
            "provider_status": self.provider_status,
            "provider_counts": json.loads(self.provider_counts or "{}"),
            "outcomes": self.outcomes,
            "reason": self.reason or None,
            "created_at": self.created_at.isoformat(),
            "sent_at": None if self.sent_at is None else self.sent_at.isoformat(),
            "run_id": self.run_id,
        }


def read_batches(store: "Store") -> list[Batch]:
    """Every batch of the store, oldest first."""
    with store.read() as reading:
        return [Batch(**row) for row in reading.dicts(named_sql("label", "batches"))]


def note_batch(run: "Run", batch_id: str, state: BatchState, **changes: object) -> None:
    """Store at once what has changed about a batch; what is left out stays as it was."""
    with run.store.write(run.run_id) as writing:
        writing.append("batches", [state_row(run, batch_id, state, changes)])


def state_row(
    run: "Run", batch_id: str, state: BatchState, changes: Mapping[str, object]
) -> dict[str, object]:
    """A row of `batches`."""
    return {
        "batch_id": batch_id,
        "state": state,
        "noted_at": utc_now().isoformat(),
        "run_id": run.run_id,
        **changes,
    }


def open_keys(reading: "Reading", keys: Sequence[str]) -> frozenset[str]:
    """Those of KEYS that are in an open batch."""
    if not keys:
        return frozenset()
    rows = reading.rows(named_sql("label", "open_batch_keys"), {"keys": list(keys)})
    return frozenset(key for (key,) in rows)


@contextmanager
def batches_alone(store: "Store") -> Iterator[None]:
    """Be the only command that submits or collects batches of the store."""
    with alone(store.path, "batches", store.wait_s):
        yield


def batch_folder(store: "Store") -> Path:
    """Where requests lie that are not handed over yet."""
    return side_folder(store.path) / "batches"


def requests_path(store: "Store", batch_id: str) -> Path:
    """The requests of a batch, one a line, as the provider takes them."""
    return batch_folder(store) / f"{batch_id}.jsonl"


def clear_leftovers(store: "Store", batches: Sequence[Batch]) -> None:
    """Remove files of batches that were never intended, or that are no longer to be sent."""
    waiting = {batch.batch_id for batch in batches if batch.state in ("intended", "sending")}
    folder = batch_folder(store)
    for path in folder.glob("*") if folder.is_dir() else ():
        if path.name.split(".")[0] not in waiting:
            path.unlink(missing_ok=True)


def check_nobody_asks(reading: "Reading", store: "Store", model: str, base_url: str) -> None:
    """Raise TryLater if a command is asking the same model one by one at this moment.

    A command that starts later reads which requests are in batches before it asks.
    """
    from store.journal import is_held

    rows = reading.rows(
        "SELECT run_id, command FROM current_runs WHERE state = 'running' AND list_contains(?, command)"
        " AND settings ->> 'model' = ? AND settings ->> 'base_url' = ?",
        [list(ASKING_COMMANDS), model, base_url],
    )
    for run_id, command in rows:
        if is_held(store.path, run_id):
            raise TryLater(
                f"{command} is asking {model} at this moment (run {run_id});"
                " let it end or interrupt it, then repeat this command"
            )
