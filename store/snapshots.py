"""Snapshots (named versions), the log of versions, and what changed between two of them."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from store.db import Store
from store.errors import RequestError
from store.journal import is_held
from store.runs import utc_now


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A name for a version."""

    name: str
    at_version: int
    note: str
    open_runs: tuple[str, ...]
    """Runs that were still writing when it was taken."""


@dataclass(frozen=True, slots=True)
class Version:
    """One committed write."""

    version: int
    run_id: str | None
    command: str | None
    committed_at: datetime
    rows_by_table: Mapping[str, int]
    snapshots: tuple[str, ...]
    """Snapshots that name it."""


def take_snapshot(store: Store, name: str, note: str = "") -> Snapshot:
    """Name what is committed now.

    Raises RequestError if the name is taken or could be mistaken for a version.
    """
    if not name or name.removeprefix("v").isdigit():
        raise RequestError(f"{name!r} cannot name a snapshot; choose a name that is not a number")
    with store.write() as writing:
        taken = writing.rows("SELECT at_version FROM snapshots WHERE name = ?", [name])
        if taken:
            raise RequestError(
                f"snapshot {name!r} exists already, at version {taken[0][0]}; choose another name"
            )
        running = [row[0] for row in writing.rows("SELECT run_id FROM current_runs WHERE state = 'running'")]
        snapshot = Snapshot(
            name,
            writing.version - 1,
            note,
            tuple(run_id for run_id in running if is_held(store.path, run_id)),
        )
        row = {
            "name": name,
            "at_version": snapshot.at_version,
            "note": note,
            "open_runs": list(snapshot.open_runs),
        }
        writing.append("snapshots", [{**row, "created_at": utc_now().isoformat()}])
    return snapshot


def versions(store: Store, limit: int | None = None) -> list[Version]:
    """The newest LIMIT versions, newest first."""
    with store.read() as reading:
        rows = reading.dicts(
            """
            SELECT
                versions.version,
                versions.run_id,
                current_runs.command,
                versions.committed_at,
                versions.rows_by_table,
                (SELECT list(name ORDER BY name) FROM snapshots WHERE at_version = versions.version) AS snapshots
            FROM versions
            LEFT JOIN current_runs
                ON versions.run_id = current_runs.run_id
            ORDER BY versions.version DESC
            LIMIT ?
            """,
            [limit if limit is not None else 2**62],
        )
    return [
        Version(
            **{
                **row,
                "rows_by_table": json.loads(row["rows_by_table"]),
                "snapshots": tuple(row["snapshots"] or ()),
            }
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Difference:
    """What one version has and an earlier one has not."""

    earlier: int
    later: int
    rows_by_table: Mapping[str, int]
    conversations_by_source: Mapping[str, int]
    classes: tuple[str, ...]
    """Source classes whose meaning was set in between."""
    verdicts: Mapping[str, int]
    """`drop: reason` → decisions in between."""


def difference(store: Store, first: str, second: str) -> Difference:
    """What was added between two snapshots or versions, in either order."""
    bounds = []
    for name in (first, second):
        with Store(store.path, at=name, wait_s=store.wait_s).read() as reading:
            bounds.append(reading.version)
    earlier, later = sorted(bounds)
    with store.at_version(later).read() as reading:
        counts: Counter[str] = Counter()
        for (rows,) in reading.rows("SELECT rows_by_table FROM versions WHERE version > ?", [earlier]):
            counts.update(json.loads(rows))
        by_source = reading.rows(
            "SELECT source, count(*) FROM all_conversations WHERE version > ? GROUP BY source ORDER BY source",
            [earlier],
        )
        classes = reading.rows(
            "SELECT DISTINCT name FROM source_classes WHERE version > ? ORDER BY name", [earlier]
        )
        verdicts = reading.rows(
            "SELECT verdict || ': ' || reason, count(*) FROM decisions WHERE version > ? GROUP BY ALL ORDER BY ALL",
            [earlier],
        )
    return Difference(
        earlier,
        later,
        dict(sorted(counts.items())),
        dict(by_source),
        tuple(row[0] for row in classes),
        dict(verdicts),
    )
