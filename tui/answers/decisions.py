"""What was dropped or kept, by which rule and why, and what was never taken in; read from a store."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from store.ids import to_text
from store.named_sql import named_sql
from tui.listing import Column, FewLines, Line, ManyLines, listing_of

if TYPE_CHECKING:
    from store.db import Store

RULE_COLUMNS = (
    Column("verdict", 7),
    Column("number", 9, is_number=True),
    Column("decided by", 26),
    Column("reason", 0),
)
DECISION_COLUMNS = (Column("about", 13), Column("evidence", 30), Column("text", 0))
REJECT_COLUMNS = (
    Column("source", 16),
    Column("record", 8, is_number=True),
    Column("line", 8, is_number=True),
    Column("reason", 24),
    Column("excerpt", 0),
)
MOST = 100_000
"""Decisions of one rule, or rejects, that are listed."""


class StoreDecisions:
    """Decisions in force and rejects."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    def rules(self) -> FewLines:
        """Who dropped or kept how many, and why."""
        with self._store.read() as reading:
            rows = reading.rows(named_sql("tui", "decision_rules"))
        lines = [
            Line(json.dumps([by, verdict, reason]), (verdict, f"{n:,}", by, reason), verdict)
            for by, verdict, reason, n in rows
        ]
        return listing_of(lines, RULE_COLUMNS, f"{sum(row[3] for row in rows):,} by {len(rows):,} reasons")

    def decisions(self, rule: str) -> ManyLines:
        """What one rule of `rules` decided for one reason; the keys are `kind:id`."""
        by, verdict, reason = json.loads(rule)
        chosen = {"by": by, "verdict": verdict, "reason": reason}
        with self._store.read() as reading:
            keys = [
                row[0] for row in reading.rows(named_sql("tui", "decisions_of"), {**chosen, "most": MOST})
            ]
        some = f"the first {MOST:,}" if len(keys) == MOST else f"{len(keys):,}"
        return ManyLines(keys, DECISION_COLUMNS, f"{verdict} · {by} · {reason} · {some}", self._lines)

    def _lines(self, keys: Sequence[str]) -> list[Line]:
        ids = [key.partition(":")[2] for key in keys]
        with self._store.read() as reading:
            found = {
                f"{kind}:{one}": (verdict, evidence, text)
                for kind, one, verdict, evidence, text in reading.rows(
                    named_sql("tui", "decided"), {"ids": ids}
                )
            }
        return [_decided(key, *found[key]) for key in keys if key in found]

    def rejects(self) -> FewLines:
        """Records that were not taken in, the newest source first."""
        with self._store.read() as reading:
            rows = reading.rows(named_sql("tui", "rejects"), {"most": MOST})
            total = reading.rows("SELECT count(*) FROM rejects")[0][0]
        lines = [
            Line(f"{place}", (source or "?", f"{record:,}", f"{line:,}", reason, excerpt), "drop")
            for place, (source, record, line, reason, excerpt) in enumerate(rows)
        ]
        some = f"the first {MOST:,} of " if total > MOST else ""
        return listing_of(lines, REJECT_COLUMNS, f"{some}{total:,}")


def _decided(key: str, verdict: str, evidence: str | None, text: str | None) -> Line:
    kind, _, one = key.partition(":")
    tag = "c1" if kind == "conversation" else "m1"
    return Line(key, (to_text(tag, one)[:12] + "…", evidence or "–", text or ""), verdict)
