"""A list of a million conversations that renders only the lines it shows."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events as textual_events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.events import PageWanted, RowChosen
from tui.review_data import ListRow
from tui.text import fit, one_line

VERDICTS = {"keep": "✓ keep", "drop": "✗ drop", None: "· open"}
ROWS_AHEAD = 30
ROWS_KEPT = 5_000


class ConversationList(ScrollView, can_focus=True):
    """Rows by position; it asks for those it lacks with PageWanted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move_page(-1)", show=False),
        Binding("pagedown", "move_page(1)", show=False),
        Binding("home", "move_to_start", show=False),
        Binding("end", "move_to_end", show=False),
        Binding("enter", "choose", "Open"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"list--cursor", "list--drop", "list--keep"}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.ids: Sequence[str] = ()
        self.cursor = 0
        self._rows: dict[int, ListRow] = {}

    def show_ids(self, ids: Sequence[str], cursor: int) -> None:
        """Show a new selection; rows of the old one are forgotten."""
        self.ids = ids
        self._rows.clear()
        self.virtual_size = Size(0, len(ids))
        self.cursor = max(0, min(cursor, len(ids) - 1))
        self._follow_cursor()
        self.ask_for_rows()
        self.refresh()

    def extend_ids(self, ids: Sequence[str]) -> None:
        """Show a selection that begins with the one shown: the rows stay, those on screen are read again."""
        self.ids = ids
        self.virtual_size = Size(0, len(ids))
        self.ask_for_rows(again=True)

    def fill(self, first: int, rows: Sequence[ListRow]) -> None:
        """Rows that were asked for."""
        if len(self._rows) > ROWS_KEPT:
            self._rows.clear()
        by_id = {row.conversation_id: row for row in rows}
        for position in range(first, min(first + len(rows), len(self.ids))):
            if (row := by_id.get(self.ids[position])) is not None:
                self._rows[position] = row
        self.refresh()

    def ask_for_rows(self, *, again: bool = False) -> None:
        """Ask for the rows on screen that are missing, or for all of them AGAIN."""
        first, last = self._window()
        wanted = range(first, last) if again else [p for p in range(first, last) if p not in self._rows]
        if wanted:
            self.post_message(
                PageWanted(max(0, wanted[0] - ROWS_AHEAD), min(len(self.ids), wanted[-1] + 1 + ROWS_AHEAD))
            )

    def _window(self) -> tuple[int, int]:
        top = int(self.scroll_offset.y)
        return top, min(len(self.ids), top + max(1, self.size.height))

    @property
    def current_row(self) -> ListRow | None:
        """The row under the cursor, if its text has arrived."""
        return self._rows.get(self.cursor)

    @property
    def current_id(self) -> str | None:
        """The conversation under the cursor."""
        return self.ids[self.cursor] if self.cursor < len(self.ids) else None

    def render_line(self, y: int) -> Strip:
        """One line of the window."""
        position = int(self.scroll_offset.y) + y
        width = self.size.width
        style = self.rich_style
        if position >= len(self.ids):
            return Strip.blank(width, style)
        row = self._rows.get(position)
        text = row_text(row, width - 2) if row else fit("…", width - 2)
        if position == self.cursor:
            style = self.get_component_rich_style("list--cursor")
        elif row and row.verdict:
            style = self.get_component_rich_style(f"list--{row.verdict}")
        mark = "▶ " if position == self.cursor else "  "
        return Strip([Segment(mark + text, style)]).adjust_cell_length(width, style)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling may show rows that are missing."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.ask_for_rows()

    def on_resize(self, _event: textual_events.Resize) -> None:
        """A taller window shows more rows."""
        self._follow_cursor()
        self.ask_for_rows()

    def on_click(self, event: textual_events.Click) -> None:
        """Choose the row under the mouse; a second click opens it."""
        position = int(self.scroll_offset.y) + event.y
        if position >= len(self.ids):
            return
        if position == self.cursor and event.chain > 1:
            self.action_choose()
        self._move_to(position)

    def action_move(self, rows: int) -> None:
        """Move the cursor by some rows."""
        self._move_to(self.cursor + rows)

    def action_move_page(self, pages: int) -> None:
        """Move the cursor by some windows."""
        self._move_to(self.cursor + pages * max(1, self.size.height - 1))

    def action_move_to_start(self) -> None:
        """Move the cursor to the first row."""
        self._move_to(0)

    def action_move_to_end(self) -> None:
        """Move the cursor to the last row."""
        self._move_to(len(self.ids) - 1)

    def action_choose(self) -> None:
        """Open the row under the cursor."""
        if self.ids:
            self.post_message(RowChosen(self.cursor))

    def _move_to(self, position: int) -> None:
        self.cursor = max(0, min(position, len(self.ids) - 1))
        self._follow_cursor()
        self.refresh()

    def _follow_cursor(self) -> None:
        top, height = int(self.scroll_offset.y), max(1, self.size.height)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)


def column_widths(width: int) -> tuple[int, int]:
    """Cells for the class and for the source."""
    return (14, 24) if width >= 118 else (8, 12)


def heading(width: int) -> str:
    """The names of the columns."""
    class_width, source_width = column_widths(width)
    names = (
        fit("class", class_width),
        fit("source", source_width),
        "turns",
        "rating  ",
        "verdict",
        "first user turn",
    )
    return fit("  " + " ".join(names), width)


def row_text(row: ListRow, width: int) -> str:
    """One conversation in WIDTH cells."""
    class_width, source_width = column_widths(width + 2)
    parts = (
        fit(one_line(row.source_class), class_width),
        fit(one_line(row.source), source_width),
        f"{row.n_turns:>5}",
        fit(rating_text(row), 8),
        fit(VERDICTS.get(row.verdict, "? other"), 7),
        one_line(row.first_text),
    )
    return fit(" ".join(parts), width)


def rating_text(row: ListRow) -> str:
    """The mean rating; with how many turns of how many it covers if not all."""
    if row.rating is None or not row.n_rated:
        return "–"
    mean = f"{row.rating:.1f}"
    return mean if row.n_rated >= row.n_answers else f"{mean} {row.n_rated}/{row.n_answers}"
