"""One line asked from the person."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tui.text import clean, one_line


class AskScreen(ModalScreen[str | None]):
    """Asks for a line; None if it was put aside with Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, question: str, answer: str = "") -> None:
        super().__init__()
        self._question = question
        self._answer = answer

    def compose(self) -> ComposeResult:
        """The question over a line to type in."""
        with Vertical(id="ask"):
            yield Static(clean(self._question), markup=False)
            yield Input(one_line(self._answer), id="answer")
            yield Static("Enter saves, Escape leaves it", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Hand the line back."""
        event.stop()
        self.dismiss(event.value)
