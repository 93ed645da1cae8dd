"""The list of conversations, with its filter."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from store.errors import RequestError
from tui.events import DecisionSaved, PageArrived, PageWanted, RowChosen, SelectionArrived, StoreChanged
from tui.query import Filter, parse_filter
from tui.review_data import Decision, Selection
from tui.screens.bookmarking import BookmarkScreen
from tui.screens.conversation import ConversationScreen
from tui.screens.judge import JudgeScreen
from tui.widgets.conversation_list import ConversationList, heading


class ConversationsScreen(BookmarkScreen):
    """All conversations, or those a filter keeps."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter"),
        Binding("k", "decide('keep')", "Keep"),
        Binding("d", "decide('drop')", "Drop"),
        Binding("u,backspace", "undo", "Undo"),
        Binding("U,ctrl+r", "redo", "Redo"),
        Binding("b", "judge", "Judge"),
        Binding("g", "app.go", "Go"),
        Binding("q", "app.quit", "Quit"),
        Binding("escape", "to_list", show=False),
    ]

    def __init__(self, store_name: str, wanted: Filter) -> None:
        super().__init__()
        self._store_name = store_name
        self.wanted = wanted
        self._shown: Filter | None = None
        self._is_paging = False
        self._next_page: tuple[int, int] | None = None
        self.list = ConversationList(id="list")
        self._heading = Static("", id="heading", markup=False)

    bookmarks = "conversation"

    def bookmark_target(self) -> str | None:
        """The conversation under the cursor."""
        return self.list.current_id

    def show_bookmarks(self) -> None:
        """Put a star before what is bookmarked."""
        self.list.starred = self.bookmarked
        self.list.refresh()

    def compose_body(self) -> ComposeResult:
        """The filter over the list."""
        with Horizontal(id="filter-line"):
            yield Static("filter:", id="filter-word", markup=False)
            yield Input(self.wanted.text, placeholder="press / to type, ? for help", id="filter")
        yield self._heading
        yield self.list

    def on_mount(self) -> None:
        """Begin at the list."""
        self.list.focus()
        self.set_title(f"{self._store_name} · opening …")
        self._ask()

    def on_resize(self) -> None:
        """Columns follow the width."""
        self._heading.update(heading(self.size.width - 1))

    def _ask(self) -> None:
        wanted = self.wanted
        self.desk.read(self, partial(self.data.select, wanted), partial(SelectionArrived, wanted), "select")

    @on(StoreChanged)
    def take_news(self) -> None:
        """Show what is new."""
        self._ask()

    @on(SelectionArrived)
    def show_selection(self, event: SelectionArrived) -> None:
        """Show a selection; the cursor stays on its conversation where it can."""
        if event.wanted != self.wanted:
            return
        is_same = event.wanted == self._shown
        self._shown = event.wanted
        self._title_of(event.selection)
        if is_same and _starts_alike(self.list.ids, event.selection.ids):
            self.list.extend_ids(event.selection.ids)
        else:
            self.list.show_ids(event.selection.ids, self.list.cursor if is_same else 0)

    def _title_of(self, selection: Selection) -> None:
        some = "" if self.wanted == Filter() else f"{len(selection.ids):,} of "
        shown = f"{some}{selection.total:,} conversations"
        reading = "" if selection.is_complete else " · reading …"
        rated = f" · rated by {selection.words}" if selection.words else ""
        self.set_title(f"{self._store_name} · {shown}{reading}{rated}")

    @on(PageWanted)
    def read_page(self, event: PageWanted) -> None:
        """Read rows; while a page is on its way only the newest wish is remembered."""
        if self._is_paging:
            self._next_page = (event.first, event.last)
            return
        self._is_paging = True
        ids = self.list.ids
        page = ids[event.first : event.last]
        self.desk.read(self, partial(self.data.rows, page), partial(PageArrived, ids, event.first), "page")

    @on(PageArrived)
    def show_page(self, event: PageArrived) -> None:
        """Show rows, and read the next page that was wished for."""
        self._is_paging = False
        if event.ids is self.list.ids or _starts_alike(event.ids, self.list.ids):
            self.list.fill(event.first, event.rows)
        if self._next_page is not None:
            first, last = self._next_page
            self._next_page = None
            self.list.post_message(PageWanted(first, min(last, len(self.list.ids))))

    @on(RowChosen)
    def open_conversation(self, event: RowChosen) -> None:
        """Open the chosen conversation."""
        self.app.push_screen(ConversationScreen(self.list.ids, event.position))

    def on_screen_resume(self) -> None:
        """Coming back, show what was decided meanwhile."""
        if self._shown is not None:
            self.list.ask_for_rows(again=True)

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one("#filter", Input).focus()

    def action_to_list(self) -> None:
        """Go back to the list."""
        self.list.focus()

    @on(Input.Submitted, "#filter")
    def set_filter(self, event: Input.Submitted) -> None:
        """Use the filter that was typed, or say what is wrong with it."""
        try:
            self.wanted = parse_filter(event.value)
        except RequestError as error:
            self.set_status(f"✗ {error}")
            return
        self.set_status("searching the text …" if self.wanted.words else "")
        self.list.focus()
        self._ask()

    def action_decide(self, verdict: str) -> None:
        """Keep or drop the conversation under the cursor."""
        conversation_id = self.list.current_id
        if conversation_id is None:
            return
        decision = Decision(verdict, "", self.data.annotator)
        self.desk.decide(conversation_id, decision)

    def action_undo(self) -> None:
        """Take the last decision back."""
        self.desk.undo_decision()

    def action_redo(self) -> None:
        """Decide again what was taken back last."""
        self.desk.redo_decision()

    @on(DecisionSaved)
    def show_decision(self) -> None:
        """Show the verdict in its row."""
        self.list.ask_for_rows(again=True)

    def action_judge(self) -> None:
        """Judge pairs of answers blind."""
        self.app.push_screen(JudgeScreen())


def _starts_alike(old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether the rows of OLD keep their positions in NEW, as far as its ends tell."""
    if not old or len(new) < len(old):
        return False
    places = {0, len(old) // 2, len(old) - 1}
    return all(old[place] == new[place] for place in places)
