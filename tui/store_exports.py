"""Exports with their rows as a trainer sees them: what is trained on, with which weight, and faults."""

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.errors import PreferablyError, TryLater, UnknownName
from tui.listing import Column, FewLines, Line, listing_of, number
from tui.response_set import Text, TextsView

if TYPE_CHECKING:
    from store.db import Store
    from train.faults import Rules, Sight

EXPORT_COLUMNS = (
    Column("recipe", 14),
    Column("layout", 12),
    Column("rows", 9, is_number=True),
    Column("made", 16),
    Column("path", 0),
)
ROW_COLUMNS = (
    Column("row", 7, is_number=True),
    Column("class", 12),
    Column("tokens", 7, is_number=True),
    Column("trained", 7, is_number=True),
    Column("weight", 8, is_number=True),
    Column("faults and text", 0),
)
SHOWN = 500
"""Rows of an export that are looked at."""


@dataclass
class Opened:
    """The rows of an export that were looked at last."""

    sights: "dict[str, Sight]" = field(default_factory=dict)
    tokenizer: Any = None


class StoreExports:
    """The exports that a store knows of; their files are read where they lie."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._opened = Opened()

    def exports(self) -> FewLines:
        """Every export, the newest first."""
        with self._store.read() as reading:
            rows = reading.rows(
                "SELECT CAST(export_id AS VARCHAR), recipe, layout, row_count, created_at, path FROM exports"
                " ORDER BY version DESC, path"
            )
        lines = [
            Line(one, (recipe, layout, f"{n:,}", f"{made:%Y-%m-%d %H:%M}", path))
            for one, recipe, layout, n, made, path in rows
        ]
        return listing_of(lines, EXPORT_COLUMNS, f"{len(lines):,}")

    def _path(self, export_id: str) -> Path:
        with self._store.read() as reading:
            rows = reading.rows("SELECT path FROM exports WHERE export_id = CAST(? AS UUID)", [export_id])
        if not rows:
            raise UnknownName(f"no export {export_id}")
        return Path(rows[0][0])

    def rows(self, export_id: str) -> FewLines:
        """The first rows of an export as the trainer sees them, or why they cannot be read."""
        path = self._path(export_id)
        try:
            return self._look(path)
        except TryLater:
            raise
        except PreferablyError as error:
            return _said(str(error), path)

    def _look(self, path: Path) -> FewLines:
        from train.check import CheckSettings, rules_for, sights
        from train.file_rows import FilePair, open_export

        export = open_export(path)
        rules = rules_for(export, CheckSettings())
        rows = list(islice(export.rows(), SHOWN))
        flat = [side for row in rows for side in (row.sides if isinstance(row, FilePair) else (row,))]
        seen = list(sights(iter(flat), rules))
        self._opened = Opened(
            {str(place): sight for place, sight in enumerate(seen)}, rules.chat and rules.chat.tokenizer
        )
        lines = [_row(place, sight, rules) for place, sight in self._opened.sights.items()]
        total = (export.manifest or {}).get("rows")
        some = (
            f"the first {len(rows):,} of {total:,} rows"
            if total and total > len(rows)
            else f"{len(rows):,} rows"
        )
        without = "" if rules.chat else " · no tokenizer: texts only"
        return listing_of(lines, ROW_COLUMNS, f"{path.name} · {some}{without}")

    def row(self, key: str) -> TextsView:
        """One row of the export looked at last, as `train check --show` shows it."""
        from train.show import show

        sight = self._opened.sights.get(key)
        if sight is None:
            raise UnknownName(f"no row {key}")
        words = "\n".join(line for line, _ in show(sight, self._opened.tokenizer))
        return TextsView(f"row {sight.row.number} · ▶ trained on · context", (), (Text("", words),))

    def faults(self, export_id: str) -> FewLines:
        """What `train check` finds in the whole export."""
        from train.check import CheckSettings, check_export

        path = self._path(export_id)
        try:
            report = check_export(path, CheckSettings())
        except TryLater:
            raise
        except PreferablyError as error:
            return _said(str(error), path)
        lines = [
            Line(name, (f"{count:,}", f"{report.first_rows.get(name, 0):,}", name), "drop")
            for name, count in report.faults.most_common()
        ]
        lines += [Line(f"note {place}", ("", "", words)) for place, words in enumerate(report.warnings())]
        columns = (Column("rows", 9, is_number=True), Column("first", 9, is_number=True), Column("fault", 0))
        words = "no faults" if report.is_ok else f"{len(report.faults):,} faults"
        return listing_of(lines, columns, f"{path.name} · {report.rows:,} rows · {words}")


def _said(words: str, path: Path) -> FewLines:
    lines = [Line(str(place), (line,), "drop") for place, line in enumerate(words.splitlines())]
    return listing_of(lines, (Column("✗ cannot be read", 0),), path.name)


def _row(place: str, sight: "Sight", rules: "Rules") -> Line:
    from train.faults import row_faults

    tokens, faults = sight.tokens, sorted(row_faults(sight, rules))
    turns = sight.row.turns or ()
    text = " | ".join(content for _, content in turns)[:400]
    return Line(
        place,
        (
            f"{sight.row.number:,}",
            sight.row.source_class,
            f"{len(tokens.input_ids):,}" if tokens else "–",
            f"{tokens.n_trained:,}" if tokens else "–",
            number(sum(tokens.loss_weights) if tokens else None, ".2f"),
            f"✗ {', '.join(faults)} · {text}" if faults else text,
        ),
        "drop" if faults else "",
    )
