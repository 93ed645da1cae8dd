"""The prompts that have several responses."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.browse_data import PROMPTS
from tui.listing import Listing
from tui.screens.bookmarking import BookmarkScreen
from tui.screens.listing import ListingScreen
from tui.screens.response_set import ResponseSetScreen


class PromptsScreen(ListingScreen, BookmarkScreen):
    """Prompts, those with most draws first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("slash", "filter", "Filter")]
    place = "Prompts"
    vocabulary = PROMPTS

    bookmarks = "prompt"

    def bookmark_target(self) -> str | None:
        """The prompt under the cursor."""
        return self.list.current_id

    def show_bookmarks(self) -> None:
        """Put a star before what is bookmarked."""
        self.list.starred = self.bookmarked
        self.list.refresh()

    def open_listing(self) -> Callable[[], Listing]:
        """The prompts of the filter."""
        return partial(self.browse.prompts, self.wanted)

    def chosen(self, key: str) -> None:
        """Open the prompt's responses."""
        self.app.push_screen(ResponseSetScreen(key))
