"""Reading a prompt with one response, or with two side by side, word by word."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from tui.desk import DeskScreen
from tui.response_set import ONLY_HERE, Text, marked
from tui.review_data import Turn
from tui.transcript_blocks import Block
from tui.widgets.transcript import Transcript


class ReadingScreen(DeskScreen):
    """A prompt over its texts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "toggle_words", "Differences"),
        Binding("tab", "app.focus_next", "Other side"),
        Binding("escape,q", "app.pop_screen", "Back"),
    ]

    def __init__(self, title: str, prompt: Sequence[Turn], texts: Sequence[Text]) -> None:
        super().__init__()
        self._words = title
        self._turns = prompt
        self._texts = texts
        self._has_marks = len(texts) == 2
        self._prompt = Transcript(id="prompt" if texts else "whole")
        self._panes = [Transcript(id=name) for name in ("answer-a", "answer-b")[: len(texts)]]

    def compose_body(self) -> ComposeResult:
        """The prompt over the texts."""
        if self._turns or not self._panes:
            yield self._prompt
        if self._panes:
            with Horizontal(id="answers"):
                yield from self._panes

    def on_mount(self) -> None:
        """Show them."""
        for pane in self._panes:
            pane.add_class("answer")
        (self._panes or [self._prompt])[0].focus()
        self.set_title(self._words)
        if self._prompt.is_attached:
            self._prompt.show_blocks([_block(turn) for turn in self._turns])
        self._show_texts()

    def _show_texts(self) -> None:
        shown = [text.text for text in self._texts]
        if self._has_marks:
            shown = list(marked(*shown))
            self.set_status(f"{ONLY_HERE[0]}only on this side{ONLY_HERE[1]} · w shows the texts as they are")
        for pane, text, content in zip(self._panes, self._texts, shown, strict=True):
            pane.show_blocks([Block(text.heading, content or "(empty)", "assistant")])

    def action_toggle_words(self) -> None:
        """Mark the words that differ, or show the texts as they are."""
        if len(self._panes) == 2:
            self._has_marks = not self._has_marks
            self.set_status("")
            self._show_texts()


def _block(turn: Turn) -> Block:
    return Block(turn.role, turn.content, turn.role if turn.role in ("user", "assistant") else "other")
