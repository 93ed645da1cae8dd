"""A list of a million rows that renders only the lines it shows."""

from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from rich.segment import Segment
from textual import events as textual_events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.events import PageWanted, RowChosen, RowReached
from tui.text import fit

ROWS_AHEAD = 30
ROWS_KEPT = 5_000

Row = TypeVar("Row")


class PagedList(ScrollView, Generic[Row], can_focus=True):
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
        self.starred: frozenset[str] = frozenset()
        """The ids of rows that get a star."""
        self._rows: dict[int, Row] = {}

    def key_of(self, row: Row) -> str:
        """The id under which a row is listed."""
        raise NotImplementedError

    def text_of(self, row: Row, width: int) -> str:
        """The row in WIDTH cells, cleaned."""
        raise NotImplementedError

    def kind_of(self, row: Row) -> str:
        """`keep`, `drop`, or nothing: how the row is coloured, besides what its text says."""
        raise NotImplementedError

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

    def grow_ids(self, ids: Sequence[str]) -> None:
        """Show a selection that begins with the one shown: only what is new is read."""
        self.ids = ids
        self.virtual_size = Size(0, len(ids))
        self.ask_for_rows()

    def fill(self, first: int, rows: Sequence[Row]) -> None:
        """Rows that were asked for."""
        if len(self._rows) > ROWS_KEPT:
            self._rows.clear()
        by_id = {self.key_of(row): row for row in rows}
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
    def current_row(self) -> Row | None:
        """The row under the cursor, if its text has arrived."""
        return self._rows.get(self.cursor)

    @property
    def current_id(self) -> str | None:
        """The conversation under the cursor."""
        return self.ids[self.cursor] if self.cursor < len(self.ids) else None

    def render_line(self, y: int) -> Strip:
        """One line of the window."""
        position = int(self.scroll_offset.y) + y
        width = self.scrollable_content_region.width
        style = self.rich_style
        if position >= len(self.ids):
            return Strip.blank(width, style)
        row = self._rows.get(position)
        text = self.text_of(row, width - 2) if row is not None else fit("…", width - 2)
        if position == self.cursor:
            style = self.get_component_rich_style("list--cursor")
        elif row is not None and (kind := self.kind_of(row)):
            style = self.get_component_rich_style(f"list--{kind}")
        star = "★" if self.starred and self.ids[position] in self.starred else " "
        mark = f"{'▶' if position == self.cursor else ' '}{star}"
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
        self.move_to(position)

    def action_move(self, rows: int) -> None:
        """Move the cursor by some rows."""
        self.move_to(self.cursor + rows)

    def action_move_page(self, pages: int) -> None:
        """Move the cursor by some windows."""
        self.move_to(self.cursor + pages * max(1, self.size.height - 1))

    def action_move_to_start(self) -> None:
        """Move the cursor to the first row."""
        self.move_to(0)

    def action_move_to_end(self) -> None:
        """Move the cursor to the last row."""
        self.move_to(len(self.ids) - 1)

    def action_choose(self) -> None:
        """Open the row under the cursor."""
        if self.ids:
            self.post_message(RowChosen(self.cursor))

    def move_to(self, position: int) -> None:
        """Put the cursor on a row and show it."""
        self.cursor = max(0, min(position, len(self.ids) - 1))
        self._follow_cursor()
        self.refresh()
        self.post_message(RowReached(self.cursor))

    def _follow_cursor(self) -> None:
        top, height = int(self.scroll_offset.y), max(1, self.size.height)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)
