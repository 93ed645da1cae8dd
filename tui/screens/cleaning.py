"""A conversation before and after it was cleaned: side by side, or line by line."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from tui.browse_data import CleanedTurn, Cleaning
from tui.desk import DeskScreen
from tui.events import CleaningArrived
from tui.response_set import ONLY_HERE, marked
from tui.transcript_blocks import Block
from tui.widgets.transcript import Transcript

MARKED = f"{ONLY_HERE[0]}only on this side{ONLY_HERE[1]} · w shows the texts as they are"
LINES = "- before · + after · c side by side"


class CleaningScreen(DeskScreen):
    """What a conversation was, and what was made of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "turn_view", "Lines"),
        Binding("w", "toggle_words", "Marks"),
        Binding("n", "go_to_change(1)", "Next"),
        Binding("p", "go_to_change(-1)", "Previous"),
        Binding("tab", "app.focus_next", "Other side"),
        Binding("escape,q", "app.pop_screen", "Back"),
    ]

    def __init__(self, conversation_id: str) -> None:
        super().__init__()
        self._conversation_id = conversation_id
        self._cleaning: Cleaning | None = None
        self._has_marks = True
        self._is_lines = False
        self._change = -1
        self._before = Transcript(id="answer-a")
        self._after = Transcript(id="answer-b")
        self._lines = Transcript(id="whole")

    def compose_body(self) -> ComposeResult:
        """Both sides, and the lines that take their place."""
        with Horizontal(id="answers"):
            yield self._before
            yield self._after
        yield self._lines

    def on_mount(self) -> None:
        """Read both."""
        for pane in (self._before, self._after):
            pane.add_class("answer")
        self._lines.display = False
        self._before.focus()
        self.set_title("Before and after · reading …")
        job = partial(self.browse.cleaning, self._conversation_id)
        self.desk.read(self, job, CleaningArrived, "cleaning")

    @on(CleaningArrived)
    def show_cleaning(self, event: CleaningArrived) -> None:
        """Show what was done."""
        self._cleaning = event.cleaning
        if event.cleaning.why_not:
            self.set_title("Before and after")
            self.set_status(event.cleaning.why_not)
            return
        changed = len(self._changes)
        self.set_title(
            f"Before and after · {', '.join(event.cleaning.steps)} · {changed:,} of"
            f" {len(event.cleaning.turns):,} turns changed"
        )
        self._show()

    @property
    def _changes(self) -> list[int]:
        turns: Sequence[CleanedTurn] = self._cleaning.turns if self._cleaning else ()
        return [place for place, turn in enumerate(turns) if turn.is_changed]

    def _show(self) -> None:
        if self._cleaning is None:
            return
        turns = self._cleaning.turns
        sides = [_sides(turn, has_marks=self._has_marks) for turn in turns]
        self._before.show_blocks([before for before, _ in sides], keep_place=True)
        self._after.show_blocks([after for _, after in sides], keep_place=True)
        self._lines.show_blocks(
            [Block(_heading(turn), turn.lines, _kind(turn)) for turn in turns if turn.is_changed]
        )
        self.set_status(LINES if self._is_lines else MARKED if self._has_marks else "")

    def action_turn_view(self) -> None:
        """Show both sides, or the lines that changed."""
        self._is_lines = not self._is_lines
        self.query_one("#answers").display = not self._is_lines
        self._lines.display = self._is_lines
        (self._lines if self._is_lines else self._before).focus()
        self.call_after_refresh(self._show)

    def action_toggle_words(self) -> None:
        """Mark the words that differ, or show the texts as they are."""
        self._has_marks = not self._has_marks
        self._show()

    def action_go_to_change(self, steps: int) -> None:
        """Go to the next or the previous turn that changed, on both sides."""
        if not 0 <= self._change + steps < len(self._changes):
            self.set_status("no more changes in this direction")
            return
        self._change += steps
        if self._is_lines:
            self._lines.go_to_block(self._change)
            return
        for pane in (self._before, self._after):
            pane.go_to_block(self._changes[self._change], ONLY_HERE[0] if self._has_marks else "")


def _sides(turn: CleanedTurn, *, has_marks: bool) -> tuple[Block, Block]:
    texts = (turn.before, turn.after)
    if has_marks and turn.is_changed:
        texts = marked(*texts)
    heading = _heading(turn)
    before, after = (Block(heading, text or "(empty)", _kind(turn)) for text in texts)
    return before, after


def _heading(turn: CleanedTurn) -> str:
    return f"{turn.position} {turn.role} · {'✎ changed' if turn.is_changed else 'as it was'}"


def _kind(turn: CleanedTurn) -> str:
    return turn.role if turn.role in ("user", "assistant") else "other"
