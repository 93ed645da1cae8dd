"""Searching the texts of the whole store; hits appear while the search goes on."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input, Static

from tui.browse_data import Finding
from tui.events import ListingArrived, TextPlaceArrived
from tui.excerpts import words_of
from tui.listing import Listing
from tui.query import Filter
from tui.screens.conversation import ConversationScreen
from tui.screens.conversations import ConversationsScreen
from tui.screens.listing import ListingScreen
from tui.screens.response_set import ResponseSetScreen

PAUSE_S = 0.3
"""Typing that rests so long is searched for."""
SHORTEST = 3
"""Characters from which on typing alone begins a search; Enter always does."""


class FindScreen(ListingScreen):
    """A line to type words in, and the messages that hold them all."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "type", "Type"),
        Binding("f", "toggle_within", "Filter only"),
        Binding("m", "more", "More"),
        Binding("down", "to_list", show=False),
    ]
    place = "Find"
    follows_store = False

    def __init__(self) -> None:
        super().__init__()
        self._typed = ""
        self._is_within = False
        self._timer: Timer | None = None
        self._finding: Finding | None = None

    def compose_body(self) -> ComposeResult:
        """The words over what was found."""
        with Horizontal(id="filter-line"):
            yield Static("find:", id="filter-word", markup=False)
            yield Input("", placeholder='words, or "a phrase"; ↓ to what was found', id="words")
        yield self._heading
        yield self.list

    def focus_first(self) -> None:
        """Begin where one types."""
        self.action_type()

    def _within(self) -> Filter:
        """The filter of the list of conversations, if only that is searched."""
        first = self.app.screen_stack[0]
        if self._is_within and isinstance(first, ConversationsScreen):
            return first.wanted
        return Filter()

    def open_listing(self) -> Callable[[], Listing]:
        """The search."""
        within = self._within()
        self.wanted = Filter(f"{self._typed}\n{within.text}")
        return partial(self.browse.find, self._typed, within)

    @on(Input.Changed, "#words")
    def typed(self, event: Input.Changed) -> None:
        """Search for what was typed, once the typing rests."""
        if self._timer is not None:
            self._timer.stop()
        words = words_of(event.value)
        if any(len(word) >= SHORTEST for word in words) or not words:
            self._timer = self.set_timer(PAUSE_S, partial(self._search, event.value))

    @on(Input.Submitted, "#words")
    def submitted(self, event: Input.Submitted) -> None:
        """Search at once, and go to what is found."""
        if self._timer is not None:
            self._timer.stop()
        self._search(event.value)
        self.list.focus()

    def _search(self, typed: str) -> None:
        if words_of(typed) == words_of(self._typed):
            return
        self._typed = typed
        self._begin()

    def _begin(self) -> None:
        self.set_status("")
        self._finding = None
        self.set_title("Find · searching …")
        self.ask()

    @on(ListingArrived)
    def go_on(self, event: ListingArrived) -> None:
        """Search on until enough was found; what was typed since ends it."""
        finding = cast(Finding, event.listing)
        if event.wanted != self.wanted:
            return
        if self._finding is not None and self._shown == event.wanted:
            event.prevent_default()  # the same search, further on: its lines stay
            self._listing = finding
            self.set_title(f"{self.place} · {finding.words}")
            self.list.grow_ids(finding.keys)
        self._finding = finding
        if not finding.is_done and not finding.is_paused:
            self._search_on(finding)

    def _search_on(self, finding: Finding) -> None:
        self.desk.read(self, finding.more, partial(ListingArrived, self.wanted), "listing")

    def is_shown(self, listing: Listing) -> bool:
        """Lines found earlier in the same search are still at their places."""
        same = cast(Finding, listing)
        return self._finding is not None and same.words_wanted == self._finding.words_wanted

    def action_more(self) -> None:
        """Search on after a pause."""
        if self._finding is None or self._finding.is_done:
            self.set_status("everything was searched")
        elif self._finding.is_paused:
            self._search_on(self._finding.asked_for_more())

    def action_toggle_within(self) -> None:
        """Search only what the list of conversations shows, or everything."""
        self._is_within = not self._is_within
        if self._is_within and not self._within().text:
            self._is_within = False
            self.set_status("the list of conversations has no filter; everything is searched")
            return
        self._begin()

    def action_type(self) -> None:
        """Type other words."""
        self.query_one("#words", Input).focus()

    def action_to_list(self) -> None:
        """Go to what was found."""
        self.list.focus()

    def chosen(self, key: str) -> None:
        """Read the message where it stands."""
        self.desk.read(self, partial(self.browse.place_of, key), TextPlaceArrived, "place")

    @on(TextPlaceArrived)
    def open_place(self, event: TextPlaceArrived) -> None:
        """Open the conversation at the message, or the responses it is one of."""
        place = event.place
        if place.kind == "conversation":
            words = words_of(self._typed)
            self.app.push_screen(ConversationScreen([place.target_id], 0, at=place.message_id, words=words))
        else:
            self.app.push_screen(ResponseSetScreen(place.target_id))
