"""Exports: their rows as the trainer sees them, and their faults."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from tui.events import ListingArrived, TextsArrived, WordsArrived
from tui.listing import Listing
from tui.screens.listing import ListingScreen
from tui.screens.reading import ReadingScreen


class ExportsScreen(ListingScreen):
    """Every export of the store."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f", "faults", "Faults")]
    place = "Exports"

    def open_listing(self) -> Callable[[], Listing]:
        """The exports."""
        return self.browse.exports

    def chosen(self, key: str) -> None:
        """Show its rows."""
        self.app.push_screen(ExportRowsScreen(key))

    def action_faults(self) -> None:
        """Check the whole export under the cursor."""
        if self.list.current_id is not None:
            self.app.push_screen(FaultsScreen(self.list.current_id))


class ExportRowsScreen(ListingScreen):
    """The rows of one export, the tokens of each once the tokenizer is loaded."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f", "faults", "Faults of all rows")]
    place = "Export"
    follows_store = False

    def __init__(self, export_id: str) -> None:
        super().__init__()
        self._export_id = export_id

    def open_listing(self) -> Callable[[], Listing]:
        """Its rows."""
        return partial(self.browse.export_rows, self._export_id)

    def chosen(self, key: str) -> None:
        """Read the row, stretch by stretch."""
        self.desk.read(self, partial(self.browse.export_row, key), TextsArrived, "texts")

    @on(ListingArrived)
    def get_ready(self) -> None:
        """Load the tokenizer, now that the texts are on screen."""
        self.set_status("loading the tokenizer …")
        self.desk.read(self, self.browse.export_ready, WordsArrived, "tokenizer")

    @on(WordsArrived)
    def show_tokens(self, event: WordsArrived) -> None:
        """Show the rows again, with their tokens."""
        self.set_status(event.words)
        self.list.ask_for_rows(again=True)

    @on(TextsArrived)
    def show_texts(self, event: TextsArrived) -> None:
        """Show what is trained on and what is context."""
        self.app.push_screen(ReadingScreen(event.view.title, event.view.prompt, event.view.texts))

    def action_faults(self) -> None:
        """Check the whole export."""
        self.app.push_screen(FaultsScreen(self._export_id))


class FaultsScreen(ListingScreen):
    """What `train check` finds in one export."""

    BINDINGS: ClassVar[list[BindingType]] = []
    place = "Faults"
    follows_store = False

    def __init__(self, export_id: str) -> None:
        super().__init__()
        self._export_id = export_id

    def open_listing(self) -> Callable[[], Listing]:
        """Its faults."""
        return partial(self.browse.export_faults, self._export_id)
