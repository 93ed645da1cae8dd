"""What a store holds and what is going on in it, in lines; only newer versions are read."""

import json
import threading
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from label.runs import RunLine, list_runs
from store.named_sql import named_sql
from tui.answers.list_index import ListIndex
from tui.listing import Column, FewLines, Line, listing_of

if TYPE_CHECKING:
    from store.db import Store

COLUMNS = (Column("what", 12), Column("which", 24), Column("number", 11, is_number=True), Column("", 0))
RUNS_SHOWN = 8
TABLES = (
    "sources",
    "messages",
    "conversations",
    "ratings",
    "comparisons",
    "samples",
    "rewards",
    "decisions",
    "rejects",
)


class StoreHome:
    """The first page: counts, runs, selections, exports, who judged how much."""

    def __init__(self, store: "Store", index: ListIndex) -> None:
        self._store = store
        self._index = index
        self._lock = threading.Lock()
        self._rows: Counter[str] = Counter()
        self._counted_to = -1

    def home(self) -> FewLines:
        """Everything, a line each."""
        lines = [*self._runs(), *self._counts(), *self._classes(), *self._named()]
        return listing_of(lines, COLUMNS, f"version {self._counted_to}")

    def _runs(self) -> list[Line]:
        runs = list_runs(self._store, RUNS_SHOWN)
        runs.sort(key=lambda run: run.state != "running")
        running = [run.run_id for run in runs if run.state == "running"]
        live = self._live(running) if running else {}
        return [_run_line(run, *live.get(run.run_id, (run.counts, run.cost_usd))) for run in runs]

    def _live(self, run_ids: list[str]) -> dict[str, tuple[dict[str, object], float | None]]:
        """What runs that go on have written and spent so far."""
        written: dict[str, Counter[str]] = {one: Counter() for one in run_ids}
        ids = {"ids": run_ids}
        with self._store.read() as reading:
            for run_id, rows in reading.rows(
                "SELECT run_id, rows_by_table FROM versions WHERE run_id IN (SELECT unnest($ids::VARCHAR[]))",
                ids,
            ):
                written[run_id].update(json.loads(rows))
            spent = dict(
                reading.rows(
                    "SELECT run_id, sum(cost_usd) FROM completions"
                    " WHERE run_id IN (SELECT unnest($ids::VARCHAR[])) GROUP BY run_id",
                    ids,
                )
            )
        return {
            one: ({table: n for table, n in rows.items() if table != "runs"}, spent.get(one))
            for one, rows in written.items()
        }

    def _counts(self) -> list[Line]:
        """Rows by table, summed from what each version wrote."""
        with self._lock, self._store.read() as reading:
            for (written,) in reading.rows(
                "SELECT rows_by_table FROM versions WHERE version > $after AND version <= $newest",
                {"after": self._counted_to, "newest": reading.version},
            ):
                self._rows.update(json.loads(written))
            self._counted_to = reading.version
        places = {"samples": "p", "comparisons": "a", "decisions": "d", "rejects": "r", "conversations": "c"}
        return [
            Line(f"{places.get(table, '')}:{table}", ("rows", table, f"{self._rows[table]:,}", ""))
            for table in TABLES
            if self._rows[table]
        ]

    def _classes(self) -> list[Line]:
        return [
            Line(f"c:class {name}", ("class", name, f"{count:,}", "conversations"))
            for name, count in self._index.by_class()
        ]

    def _named(self) -> list[Line]:
        with self._store.read() as reading:
            rows = reading.rows(named_sql("tui", "home"))
        return [
            Line(f"{place}:{what} {which}", (what, which, f"{count:,}", note or ""))
            for place, what, which, count, note in rows
        ]


def _run_line(run: RunLine, counts: Mapping[str, object], cost_usd: float | None) -> Line:
    mark = {"running": "▶", "finished": "✓"}.get(run.state, "✗")
    said = " ".join(f"{name} {count:,}" for name, count in counts.items() if isinstance(count, int) and count)
    cost = "" if cost_usd is None else f"${cost_usd:.2f}"
    when = f"{run.started_at:%m-%d %H:%M}"
    return Line(f":run {run.run_id}", (f"{mark} {run.state}", run.command, cost, f"{when} {said}"))
