"""A screen that shows a listing, with a filter over it where the list takes one."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from store.errors import RequestError
from tui.desk import DeskScreen
from tui.events import LinesArrived, ListingArrived, PageWanted, RowChosen, StoreChanged
from tui.listing import Listing, heading_of
from tui.query import Filter, Vocabulary, parse_filter
from tui.widgets.line_list import LineList


class ListingScreen(DeskScreen):
    """The lines that one question found; the question is asked again when the store has news."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "app.go", "Go to"),
        Binding("escape", "back", "Back"),
        Binding("q", "back", show=False),
    ]
    place: ClassVar[str]
    """What the title calls it."""
    vocabulary: ClassVar[Vocabulary | None] = None
    """What its filter understands; None for a list without a filter."""
    follows_store: ClassVar[bool] = True
    """Whether the question is asked again when the store has news."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = Filter()
        self._shown: Filter | None = None
        self._listing: Listing | None = None
        self._is_paging = False
        self._next_page: tuple[int, int] | None = None
        self.list = LineList(id="list")
        self._heading = Static("", id="heading", markup=False)

    def open_listing(self) -> Callable[[], Listing]:
        """The question, to be asked in a thread."""
        raise NotImplementedError

    def chosen(self, key: str) -> None:
        """Open what a line stands for."""

    def compose_body(self) -> ComposeResult:
        """The filter, the names of the columns, the lines."""
        if self.vocabulary is not None:
            with Horizontal(id="filter-line"):
                yield Static("filter:", id="filter-word", markup=False)
                hint = f"press / to type: {', '.join(self.vocabulary.keys)}"
                yield Input("", placeholder=hint, id="filter")
        yield self._heading
        yield self.list

    def on_mount(self) -> None:
        """Begin to read."""
        self.focus_first()
        self.set_title(f"{self.place} · reading …")
        self.ask()

    def focus_first(self) -> None:
        """Begin at the list."""
        self.list.focus()

    def ask(self) -> None:
        """Ask the question."""
        job = self.open_listing()
        self.desk.read(self, job, partial(ListingArrived, self.wanted), "listing")

    @on(StoreChanged)
    def take_news(self) -> None:
        """Show what is new."""
        if self.follows_store:
            self.ask()

    @on(ListingArrived)
    def show_listing(self, event: ListingArrived) -> None:
        """Show a listing; the cursor stays on its line where it can."""
        if event.wanted != self.wanted:
            return
        listing = event.listing
        is_same = event.wanted == self._shown
        current = self.list.current_id if is_same else None
        self._shown, self._listing = event.wanted, listing
        self._is_paging, self._next_page = False, None
        self.set_title(f"{self.place} · {listing.words}")
        self.list.columns = listing.columns
        self._show_heading()
        place = self.list.cursor if is_same else 0
        if current is not None and len(listing.keys) < 10_000 and current in listing.keys:
            place = list(listing.keys).index(current)
        self.list.show_ids(listing.keys, place)
        self.list.ask_for_rows(again=True)

    def on_resize(self) -> None:
        """Columns follow the width."""
        self._show_heading()

    def _show_heading(self) -> None:
        if self._listing is not None:
            self._heading.update(heading_of(self._listing.columns, self.size.width - 1))

    @on(PageWanted)
    def read_page(self, event: PageWanted) -> None:
        """Read lines; while a page is on its way only the newest wish is remembered."""
        if self._listing is None:
            return
        if self._is_paging:
            self._next_page = (event.first, event.last)
            return
        self._is_paging = True
        listing = self._listing
        job = partial(listing.page, event.first, event.last)
        self.desk.read(self, job, partial(LinesArrived, listing, event.first), "page")

    @on(LinesArrived)
    def show_lines(self, event: LinesArrived) -> None:
        """Show lines, and read the next page that was wished for."""
        if not self.is_shown(event.listing):
            return
        self._is_paging = False
        self.list.fill(event.first, event.lines)
        if self._next_page is not None:
            first, last = self._next_page
            self._next_page = None
            self.list.post_message(PageWanted(first, min(last, len(self.list.ids))))

    @on(RowChosen)
    def open_line(self, event: RowChosen) -> None:
        """Open the chosen line."""
        if event.position < len(self.list.ids):
            self.chosen(self.list.ids[event.position])

    def is_shown(self, listing: Listing) -> bool:
        """Whether lines of LISTING belong to what is on screen."""
        return listing is self._listing

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one("#filter", Input).focus()

    def action_back(self) -> None:
        """From the filter to the list, from the list to where one came from."""
        if self.list.has_focus or not self.query(Input):
            self.app.pop_screen()
        else:
            self.list.focus()

    @on(Input.Submitted, "#filter")
    def set_filter(self, event: Input.Submitted) -> None:
        """Use the filter that was typed, or say what is wrong with it."""
        assert self.vocabulary is not None
        try:
            self.wanted = parse_filter(event.value, self.vocabulary)
        except RequestError as error:
            self.set_status(f"✗ {error}")
            return
        self.set_status("searching the text …" if self.wanted.words else "")
        self.list.focus()
        self.ask()
