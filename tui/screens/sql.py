"""Asking the store in SQL: one SELECT at a time, read-only."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from tui.listing import Listing
from tui.response_set import Text
from tui.screens.listing import ListingScreen
from tui.screens.reading import ReadingScreen


class SqlScreen(ListingScreen):
    """A line to type a query in, and its answer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("slash", "type", "Type")]
    place = "SQL"
    follows_store = False

    def __init__(self) -> None:
        super().__init__()
        self._query = "SELECT table_name FROM duckdb_tables() ORDER BY table_name"

    def compose_body(self) -> ComposeResult:
        """The query over its answer."""
        with Horizontal(id="filter-line"):
            yield Static("SELECT:", id="filter-word", markup=False)
            yield Input("", placeholder="press / to type; Enter asks; read-only", id="query")
        yield self._heading
        yield self.list

    def open_listing(self) -> Callable[[], Listing]:
        """The query as typed."""
        return partial(self.browse.sql, self._query)

    def action_type(self) -> None:
        """Type a query."""
        self.query_one("#query", Input).focus()

    @on(Input.Submitted, "#query")
    def set_query(self, event: Input.Submitted) -> None:
        """Ask."""
        self._query = event.value
        self.set_title(f"{self.place} · asking …")
        self.list.focus()
        self.ask()

    def chosen(self, key: str) -> None:
        """Read a row whole."""
        line = self.list.current_row
        if line is not None and line.key == key:
            cells = zip(self.list.columns, line.cells, strict=True)
            words = "\n\n".join(f"{column.name}\n{cell}" for column, cell in cells)
            self.app.push_screen(ReadingScreen("A row", (), [Text("", words)]))
