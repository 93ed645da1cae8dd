"""Exports with their rows as a trainer sees them: what is trained on, with which weight, and faults.

Rows are read where they lie, a page at a time. The tokenizer is loaded after the first page is on screen;
until then a row shows its text only.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from store.errors import PreferablyError, TryLater, UnknownName
from tui.listing import Column, FewLines, Line, Listing, ManyLines, listing_of, number
from tui.response_set import Text, TextsView

if TYPE_CHECKING:
    from store.db import Store
    from train.checking.faults import Rules, Sight
    from train.checking.row_windows import RowWindows

EXPORT_COLUMNS = (
    Column("recipe", 14),
    Column("layout", 12),
    Column("rows", 9, is_number=True),
    Column("made", 16),
    Column("path", 0),
)
ROW_COLUMNS = (
    Column("row", 7, is_number=True),
    Column("class", 8),
    Column("side", 8),
    Column("tokens", 6, is_number=True),
    Column("trained", 7, is_number=True),
    Column("weight", 7, is_number=True),
    Column("faults and text", 0),
)
SIDES = ("chosen", "rejected")
LABELS = {True: "✓ good", False: "✗ bad", None: ""}


class SideKeys(Sequence[str]):
    """Keys of every row, or of both sides of every pair: `12:0`, made when asked for."""

    def __init__(self, rows: int, sides: int) -> None:
        self._rows = rows
        self._sides = sides

    def __len__(self) -> int:
        return self._rows * self._sides

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._key(place) for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._key(index % len(self))

    def _key(self, place: int) -> str:
        row, side = divmod(place, self._sides)
        return f"{row}:{side}"


@dataclass(frozen=True, slots=True)
class Seen:
    """A row as the trainer sees it."""

    sights: "tuple[Sight, ...]"
    """One, or of a pair the better side and the worse."""
    pair_faults: frozenset[str]


@dataclass
class Opened:
    """The export that was looked at last."""

    path: Path
    windows: "RowWindows"
    rules: "Rules"
    """Without a tokenizer until `ready`."""
    is_ready: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def seen(self, first: int, last: int) -> "list[Seen]":
        """Rows as the trainer sees them."""
        from train.checking.check import sights_of
        from train.checking.file_rows import FilePair
        from train.checking.pair_faults import pair_faults

        with self.lock:
            rows = self.windows.rows(first, last)
            sides = [row.sides if isinstance(row, FilePair) else (row,) for row in rows]
            sights = iter(list(sights_of([side for row in sides for side in row], self.rules)))
        return [
            Seen(
                tuple(next(sights) for _ in side),
                frozenset(pair_faults(row)) if isinstance(row, FilePair) else frozenset(),
            )
            for row, side in zip(rows, sides, strict=True)
        ]


class StoreExports:
    """The exports that a store knows of; their files are read where they lie."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._opened: Opened | None = None

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

    def rows(self, export_id: str) -> Listing:
        """The rows of an export as the trainer sees them, or why they cannot be read."""
        path = self._path(export_id)
        try:
            return self._look(path)
        except TryLater:
            raise
        except PreferablyError as error:
            return _said(str(error), path)

    def _look(self, path: Path) -> ManyLines:
        from train.checking.faults import Rules
        from train.checking.file_rows import FilePair, open_export
        from train.checking.promise import promise_of
        from train.checking.row_windows import RowWindows

        export = open_export(path)
        windows = RowWindows(export)
        own = (export.manifest or {}).get("settings") or {}
        rules = Rules(None, own.get("max_length"), promise_of(export.manifest))
        self._opened = Opened(path, windows, rules)
        n_sides = 2 if any(isinstance(row, FilePair) for row in windows.rows(0, 1)) else 1
        words = f"{path.name} · {len(windows):,} {'pairs' if n_sides == 2 else 'rows'}"
        return ManyLines(SideKeys(len(windows), n_sides), ROW_COLUMNS, words, self._lines)

    def ready(self) -> str:
        """Load what tokens take, so that the next page shows them; returns what there is to say."""
        from train.checking.check import CheckSettings, rules_for
        from train.checking.file_rows import open_export

        opened = self._opened
        if opened is None or opened.is_ready:
            return ""
        try:
            rules = rules_for(open_export(opened.path), CheckSettings())
        except TryLater:
            raise
        except PreferablyError as error:
            return f"texts only: {error}"
        with opened.lock:
            opened.rules, opened.is_ready = rules, True
        return "" if rules.chat else "no tokenizer is at hand: texts only, unless the rows hold tokens"

    def _lines(self, keys: Sequence[str]) -> list[Line]:
        opened = self._opened
        if opened is None or not keys:
            return []
        places = [_place(key) for key in keys]
        first, last = places[0][0], places[-1][0] + 1
        try:
            seen = opened.seen(first, last)
        except TryLater:
            raise
        except PreferablyError as error:
            return [Line(key, ("✗", "", "", "", "", "", str(error)), "drop") for key in keys]
        return [
            _row(key, seen[row - first], side, opened.rules)
            for key, (row, side) in zip(keys, places, strict=True)
        ]

    def row(self, key: str) -> TextsView:
        """One row of the export looked at last, as `train check --show` shows it."""
        from train.checking.show import show

        self.ready()
        opened = self._opened
        if opened is None:
            raise UnknownName(f"no row {key}")
        row, side = _place(key)
        sights = opened.seen(row, row + 1)[0].sights
        chat = opened.rules.chat
        texts = tuple(
            Text(
                SIDES[place] if len(sights) == 2 else "",
                "\n".join(line for line, _ in show(sight, chat.tokenizer if chat else None)),
            )
            for place, sight in enumerate(sights)
        )
        return TextsView(
            f"row {row} · ▶ trained on · context", (), texts if len(sights) == 2 else texts[side:]
        )

    def faults(self, export_id: str) -> FewLines:
        """What `train check` finds in the whole export."""
        from train.checking.check import CheckSettings, check_export

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


def _place(key: str) -> tuple[int, int]:
    row, _, side = key.partition(":")
    return int(row), int(side)


def _said(words: str, path: Path) -> FewLines:
    lines = [Line(str(place), (line,), "drop") for place, line in enumerate(words.splitlines())]
    return listing_of(lines, (Column("✗ cannot be read", 0),), path.name)


def _row(key: str, seen: Seen, side: int, rules: "Rules") -> Line:
    from train.checking.faults import row_faults

    sight, is_pair = seen.sights[side], len(seen.sights) == 2
    tokens, faults = sight.tokens, sorted(row_faults(sight, rules) | seen.pair_faults)
    turns: Any = sight.row.turns or ()
    text = " | ".join(content for _, content in turns)[:400]
    return Line(
        key,
        (
            f"{sight.row.number:,}",
            sight.row.source_class,
            SIDES[side] if is_pair else LABELS[sight.row.label],
            f"{len(tokens.input_ids):,}" if tokens else "–",
            f"{tokens.n_trained:,}" if tokens else "–",
            number(sum(tokens.loss_weights) if tokens else None, ".2f"),
            f"✗ {', '.join(faults)} · {text}" if faults else text,
        ),
        "drop" if faults else "",
    )
