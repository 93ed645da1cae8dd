"""Pairs: what labelers decided, and what selections hold; the two texts beside each other."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from tui.browse_data import PAIRS
from tui.events import TextsArrived
from tui.listing import Listing
from tui.screens.bookmarking import BookmarkScreen
from tui.screens.listing import ListingScreen
from tui.screens.reading import ReadingScreen


class PairsScreen(ListingScreen, BookmarkScreen):
    """Pairs, those of selections first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("slash", "filter", "Filter")]
    place = "Pairs"
    vocabulary = PAIRS

    bookmarks = "pair"

    def bookmark_target(self) -> str | None:
        """The pair under the cursor."""
        return self.list.current_id

    def show_bookmarks(self) -> None:
        """Put a star before what is bookmarked."""
        self.list.starred = self.bookmarked
        self.list.refresh()

    def open_listing(self) -> Callable[[], Listing]:
        """The pairs of the filter."""
        return partial(self.browse.pairs, self.wanted)

    def chosen(self, key: str) -> None:
        """Read the pair's texts."""
        self.desk.read(self, partial(self.browse.pair, key), TextsArrived, "texts")

    @on(TextsArrived)
    def show_texts(self, event: TextsArrived) -> None:
        """Show the two texts beside each other."""
        view = event.view
        self.app.push_screen(ReadingScreen(view.title, view.prompt, view.texts))
