"""The screens there are, and choosing one by its letter."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.desk import DeskScreen
from tui.screens.bookmarks import BookmarksScreen
from tui.screens.decisions import DecisionsScreen, RejectsScreen
from tui.screens.exports import ExportsScreen
from tui.screens.find import FindScreen
from tui.screens.flags import FlagsScreen
from tui.screens.home import HomeScreen
from tui.screens.judge import JudgeScreen
from tui.screens.measures import MeasuresScreen
from tui.screens.pairs import PairsScreen
from tui.screens.prompts import PromptsScreen
from tui.screens.sql import SqlScreen


@dataclass(frozen=True, slots=True)
class Place:
    """A screen one can go to."""

    key: str
    words: str
    make: Callable[[], DeskScreen] | None
    """None is the first screen, which is always there."""


PLACES = {
    place.key: place
    for place in (
        Place("h", "Home: what is in the store and going on", HomeScreen),
        Place("c", "Conversations, with filters", None),
        Place("f", "Find words in all texts", FindScreen),
        Place("p", "Prompts and their responses, by rank", PromptsScreen),
        Place("a", "Pairs: compared and selected", PairsScreen),
        Place("b", "Blind judging", JudgeScreen),
        Place("k", "Bookmarks", BookmarksScreen),
        Place("m", "Measures: agreement, bias, calibration, ratings by class", MeasuresScreen),
        Place("d", "Decisions: who dropped what, and why", DecisionsScreen),
        Place("w", "Flags: what rules want a person to look at", FlagsScreen),
        Place("r", "Rejects: records not taken in", RejectsScreen),
        Place("x", "Exports: rows as the trainer sees them", ExportsScreen),
        Place("s", "SQL, read-only", SqlScreen),
    )
}
"""By the letter that opens it."""


class GoScreen(ModalScreen[str | None]):
    """Asks where to; None if it was put aside."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,g", "dismiss(None)", "Cancel"),
        *(
            Binding(place.key, f"dismiss('{place.key}')", place.words, show=False)
            for place in PLACES.values()
        ),
    ]

    def compose(self) -> ComposeResult:
        """A letter and a name for each screen."""
        lines = [
            "Go to",
            "",
            *(f"  {place.key}  {place.words}" for place in PLACES.values()),
            "",
            "Escape stays here",
        ]
        with Vertical(id="go"):
            yield Static("\n".join(lines), markup=False)
