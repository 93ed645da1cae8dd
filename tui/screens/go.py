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
from tui.screens.judge import JudgeScreen
from tui.screens.prompts import PromptsScreen


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
        Place("c", "Conversations, with filters", None),
        Place("p", "Prompts and their responses, by rank", PromptsScreen),
        Place("b", "Blind judging", JudgeScreen),
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
