"""One conversation: its turns with their ratings, and the decision about it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from store.ids import to_text
from tui.events import ConversationArrived, DecisionSaved
from tui.excerpts import highlighted
from tui.response_set import ONLY_HERE
from tui.review_data import ConversationView, Decision, Rating, Turn
from tui.screens.ask import AskScreen
from tui.screens.bookmarking import STAR, BookmarkScreen
from tui.screens.cleaning import CleaningScreen
from tui.text import one_line
from tui.transcript_blocks import Block
from tui.widgets.transcript import Transcript

VERDICT_WORDS = {"keep": "✓ kept", "drop": "✗ dropped", None: "· open"}


class ConversationScreen(BookmarkScreen):
    """A conversation of a list, with its neighbours one key away."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "decide('keep')", "Keep"),
        Binding("d", "decide('drop')", "Drop"),
        Binding("r", "reason", "Reason"),
        Binding("u,backspace", "undo", "Undo"),
        Binding("U,ctrl+r", "redo", "Redo"),
        Binding("c", "cleaning", "Cleaning"),
        Binding("n", "go(1)", "Next"),
        Binding("p", "go(-1)", "Previous"),
        Binding("escape,q", "app.pop_screen", "Back"),
    ]

    def __init__(self, ids: Sequence[str], position: int, *, at: str = "", words: Sequence[str] = ()) -> None:
        """The conversation at POSITION of IDS; opened AT a message, with WORDS marked in it."""
        super().__init__()
        self._at = at
        self._words = words
        self._ids = ids
        self._position = position
        self._view: ConversationView | None = None
        self._transcript = Transcript(id="turns")

    bookmarks = "conversation"

    def bookmark_target(self) -> str | None:
        """The conversation on screen."""
        return self._ids[self._position]

    def show_bookmarks(self) -> None:
        """Show whether it is bookmarked."""
        if self._view is not None:
            star = f"{STAR} " if self._view.conversation_id in self.bookmarked else ""
            self.set_title(f"{star}{_decided(self._view.decision)} · {self._place} · {_about(self._view)}")

    def compose_body(self) -> ComposeResult:
        """The turns."""
        yield self._transcript

    def on_mount(self) -> None:
        """Read the conversation."""
        self._transcript.focus()
        self._read()

    def _read(self) -> None:
        self.set_title(f"{self._place} · reading …")
        conversation_id = self._ids[self._position]
        job = partial(self.data.conversation, conversation_id)
        self.desk.read(self, job, ConversationArrived, "conversation")

    @property
    def _place(self) -> str:
        return f"{self._position + 1:,} of {len(self._ids):,}"

    @on(ConversationArrived)
    def show_conversation(self, event: ConversationArrived) -> None:
        """Show the turns; after a decision the reader stays where they are."""
        view = event.view
        if view.conversation_id != self._ids[self._position]:
            return
        is_same = self._view is not None and self._view.conversation_id == view.conversation_id
        self._view = view
        self.show_bookmarks()
        self._transcript.show_blocks(blocks_of(view, self._at, self._words), keep_place=is_same)
        if self._at and not is_same:
            self._transcript.go_to_block(_place_of(view, self._at), ONLY_HERE[0] if self._words else "")

    @on(DecisionSaved)
    def read_again(self, event: DecisionSaved) -> None:
        """Show a decision."""
        if event.conversation_id == self._ids[self._position]:
            self._read()

    def action_cleaning(self) -> None:
        """Show it before and after it was cleaned."""
        self.app.push_screen(CleaningScreen(self._ids[self._position]))

    def action_go(self, steps: int) -> None:
        """Open the next or the previous conversation of the list."""
        position = self._position + steps
        if not 0 <= position < len(self._ids):
            self.set_status("no more conversations in this direction")
            return
        self._position = position
        self._view = None
        self._read()

    def action_decide(self, verdict: str) -> None:
        """Keep or drop."""
        self._decide(verdict, "")

    def _decide(self, verdict: str, reason: str) -> None:
        decision = Decision(verdict, reason, self.data.annotator)
        self.desk.decide(self._ids[self._position], decision)

    def action_reason(self) -> None:
        """Give the reason for the verdict in force."""
        if self._view is None or self._view.decision.verdict is None:
            self.set_status("decide first: k keeps, d drops")
            return
        verdict, before = self._view.decision.verdict, self._view.decision.reason

        def answered(reason: str | None) -> None:
            if reason is not None:
                self._decide(verdict, reason)

        self.app.push_screen(AskScreen(f"Reason to {verdict} this conversation:", before), answered)

    def action_undo(self) -> None:
        """Take the last decision back."""
        self.desk.undo_decision()

    def action_redo(self) -> None:
        """Decide again what was taken back last."""
        self.desk.redo_decision()


def _decided(decision: Decision) -> str:
    words = VERDICT_WORDS.get(decision.verdict, "? other")
    who = f" by {decision.decided_by}" if decision.decided_by else ""
    why = f": {decision.reason}" if decision.reason else ""
    return one_line(f"{words}{who}{why}" if decision.verdict else words)


def _about(view: ConversationView) -> str:
    parts = (
        view.source_class,
        view.source,
        view.model,
        view.external_id,
        to_text("c1", view.conversation_id),
    )
    return " · ".join(one_line(part) for part in parts if part)


def _place_of(view: ConversationView, message_id: str) -> int:
    """The turn's place, or the first."""
    return next((place for place, turn in enumerate(view.turns) if turn.message_id == message_id), 0)


def blocks_of(view: ConversationView, at: str = "", words: Sequence[str] = ()) -> list[Block]:
    """The turns of a conversation as blocks, WORDS marked in the turn AT."""
    return [
        turn_block(
            replace(turn, content=highlighted(turn.content, words)) if turn.message_id == at else turn,
            f"{number} {turn.role}",
        )
        for number, turn in enumerate(view.turns, start=1)
    ]


def turn_block(turn: Turn, heading: str) -> Block:
    """One turn under HEADING, its ratings after it."""
    kind = turn.role if turn.role in ("user", "assistant") else "other"
    shown = "  ".join([heading, *(_short(rating) for rating in turn.ratings)])
    notes = tuple(_long(rating) for rating in turn.ratings if rating.explanation)
    return Block(shown, turn.content or "(empty)", kind, notes)


def _short(rating: Rating) -> str:
    if rating.value is None:
        return f"[{rating.state}]"
    return f"[{rating.value:g}]"


def _long(rating: Rating) -> str:
    return f"└ {rating.labeler}, {rating.aspect} {_short(rating)}: {rating.explanation}"
