"""Choosing conversations or prompts and keeping the choice under a name: what split, mix and unfold have in common."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from store.errors import RequestError, UnknownName
from store.named_sql import named_sql
from store.runs import run_of
from store.selections import (
    TABLE_OF,
    Selection,
    SelectionKind,
    check_name,
    newest_selection,
    selection_named,
    write_selection,
)

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from store.db import Reading, Store

COLUMNS: dict[SelectionKind, str] = {
    "conversations": "CAST(conversation_id AS UUID) AS conversation_id, part",
    "prompts": "CAST(prompt_id AS UUID) AS prompt_id, part",
    "pairs": "CAST(prompt_id AS UUID) AS prompt_id, CAST(chosen_id AS UUID) AS chosen_id,"
    " CAST(rejected_id AS UUID) AS rejected_id, NULL::DOUBLE AS score_chosen, NULL::DOUBLE AS score_rejected,"
    " NULL::DOUBLE AS score_gap, NULL::INTEGER AS rank_chosen, NULL::INTEGER AS rank_rejected,"
    " NULL::VARCHAR AS strength, part",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which current conversations take part."""

    sources: tuple[str, ...] = ()
    """Only these; empty means all."""
    classes: tuple[str, ...] = ()
    """Only these; empty means all."""
    selection: str | None = None
    """Only the conversations of this selection."""
    part: str | None = None
    """Only this part of it."""

    def parameters(self, reading: "Reading") -> dict[str, object]:
        """What the queries are asked with.

        Raises UnknownName for a source, class or selection that does not exist.
        """
        _check(reading, "source", "SELECT DISTINCT name FROM current_sources", self.sources)
        _check(reading, "class", "SELECT DISTINCT class FROM all_conversations", self.classes)
        if self.part is not None and self.selection is None:
            raise RequestError(f"--part {self.part} is a part of a selection; name it with --selection")
        selection = None
        if self.selection is not None:
            selection = selection_named(reading, self.selection, "conversations").selection_id
            parts = (self.part,) if self.part is not None else ()
            known = f"SELECT DISTINCT part FROM selection_conversations WHERE selection_id = '{selection}'"
            _check(reading, "part", known, parts)
        return {
            "sources": list(self.sources) or None,
            "classes": list(self.classes) or None,
            "selection": selection,
            "part": self.part,
        }


def _check(reading: "Reading", kind: str, sql: str, names: Sequence[str]) -> None:
    known = [row[0] for row in reading.rows(sql) if row[0] is not None] if names else []
    for name in names:
        if name not in known:
            raise UnknownName.of(kind, name, known)


@dataclass(slots=True)
class Choice:
    """Rows that were chosen, and what every step took and left: in = kept + dropped."""

    kind: SelectionKind
    rows: "pl.DataFrame"
    at_version: int
    steps: list[dict[str, Any]] = field(default_factory=list)
    asked: dict[str, object] = field(default_factory=dict)
    """What the names that were asked for turned out to be; kept beside the settings."""

    def drop(self, step: str, keep: "pl.Series | pl.Expr", reason: str) -> None:
        """Go on with the rows for which KEEP holds."""
        before = self.rows.height
        self.rows = self.rows.filter(keep)
        dropped = before - self.rows.height
        self.steps.append(
            {
                "step": step,
                "in": before,
                "kept": self.rows.height,
                "dropped": {reason: dropped} if dropped else {},
            }
        )


def read_pool(store: "Store", scope: Scope, seed: int) -> Choice:
    """The conversations a choice is made from, in an order drawn by SEED."""
    import polars as pl

    with store.read() as reading:
        table = reading.arrow(named_sql("curate", "pool"), {**scope.parameters(reading), "seed": seed})
        version = reading.version
    rows = pl.from_arrow(table)
    assert isinstance(rows, pl.DataFrame)
    if not rows.height:
        raise RequestError("there is no conversation to choose from")
    return Choice("conversations", rows, version)


def read_preference_pool(store: "Store", scope: Scope, seed: int) -> Choice:
    """The prompts with labels a choice is made from, once for each source, in an order drawn by SEED."""
    import polars as pl

    with store.read() as reading:
        asked = {**scope.parameters(reading), "seed": seed}
        table = reading.arrow(named_sql("curate", "preference_pool"), asked)
        version = reading.version
    rows = pl.from_arrow(table)
    assert isinstance(rows, pl.DataFrame)
    return Choice("prompts", rows, version)


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a choice is kept."""

    version: int
    """The version that holds it."""
    is_new: bool
    """False where the newest selection of that name held just this already."""


def keep_choice(
    store: "Store", choice: Choice, *, name: str, command: str, settings: Mapping[str, object]
) -> Kept:
    """Store the choice as the selection NAME, unless the newest of that name holds just this."""
    check_name(name)
    table: pa.Table = choice.rows.to_arrow()
    with store.read() as reading:
        newest = newest_selection(reading, name)
        if newest is not None and _holds(reading, newest, choice, table, settings):
            return Kept(newest.version, is_new=False)
    with run_of(store, command, {"name": name, **settings}) as run:
        with store.write(run.run_id) as writing:
            writing.con.register("chosen_rows", table)
            write_selection(
                writing,
                name,
                choice.kind,
                f"SELECT {COLUMNS[choice.kind]} FROM chosen_rows",
                settings=settings,
                steps={"steps": choice.steps},
                run_id=run.run_id,
                at_version=choice.at_version,
            )
            writing.con.unregister("chosen_rows")
            version = writing.version
        run.finish({"rows": choice.rows.height})
    return Kept(version, is_new=True)


def _holds(
    reading: "Reading", newest: Selection, choice: Choice, table: "pa.Table", settings: Mapping[str, object]
) -> bool:
    """Whether the selection was asked for in the same words and has the same rows in the same parts."""
    asked = json.loads(json.dumps(settings, default=str))
    if (newest.kind, newest.settings, newest.row_count) != (choice.kind, asked, table.num_rows):
        return False
    columns = COLUMNS[choice.kind]
    reading.con.register("chosen_rows", table)
    (differing,) = reading.rows(
        f"SELECT count(*) FROM (SELECT {columns} FROM chosen_rows EXCEPT ALL"
        f" SELECT {columns} FROM {TABLE_OF[choice.kind]} WHERE selection_id = CAST(? AS UUID))",
        [newest.selection_id],
    )[0]
    reading.con.unregister("chosen_rows")
    return bool(differing == 0)
