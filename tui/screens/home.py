"""Home: what is in the store and what is going on."""

from collections.abc import Callable
from typing import ClassVar

from textual.binding import BindingType

from tui.listing import Listing
from tui.screens.listing import ListingScreen


class HomeScreen(ListingScreen):
    """Runs, counts, selections, exports and labelers; Enter goes to the screen that shows more."""

    BINDINGS: ClassVar[list[BindingType]] = []
    place = "Home"

    def open_listing(self) -> Callable[[], Listing]:
        """What there is."""
        return self.browse.home

    def chosen(self, key: str) -> None:
        """Go to the screen that shows more of it."""
        self.desk.go_to(key.partition(":")[0])
