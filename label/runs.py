"""The runs of a store, with those whose process has gone told apart."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Store


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run as `label runs` shows it."""

    run_id: str
    command: str
    state: str
    """`running`, `finished`, `failed`, `interrupted`, or `lost` when its process has gone without a word."""
    started_at: datetime
    ended_at: datetime | None
    counts: dict[str, object]
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None

    def as_json(self) -> dict[str, object]:
        """The run as an object."""
        return asdict(self)


def list_runs(store: "Store", limit: int) -> list[RunLine]:
    """The newest LIMIT runs, newest first."""
    from store.journal import is_held

    with store.read() as reading:
        rows = reading.dicts(named_sql("label", "runs"), {"limit": limit})
    for row in rows:
        row["counts"] = json.loads(row["counts"] or "{}")
        if row["state"] == "running" and not is_held(store.path, row["run_id"]):
            row["state"] = "lost"
    return [RunLine(**row) for row in rows]
