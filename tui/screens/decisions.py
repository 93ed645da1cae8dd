"""What was dropped or kept by which rule, with its evidence, and bringing it back; and what was rejected."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from tui.events import DecisionSaved
from tui.listing import Listing
from tui.response_set import Text
from tui.review_data import Decision
from tui.screens.conversation import ConversationScreen
from tui.screens.listing import ListingScreen
from tui.screens.reading import ReadingScreen

BROUGHT_BACK = "brought back"


class DecisionsScreen(ListingScreen):
    """The rules and people that decided, with how much for which reason."""

    BINDINGS: ClassVar[list[BindingType]] = []
    place = "Decisions"

    def open_listing(self) -> Callable[[], Listing]:
        """Who decided."""
        return self.browse.rules

    def chosen(self, key: str) -> None:
        """Show what was decided."""
        self.app.push_screen(RuleScreen(key))

    @on(DecisionSaved)
    def count_again(self) -> None:
        """A decision changes the numbers."""
        self.ask()


class RuleScreen(ListingScreen):
    """What one rule decided for one reason."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "bring_back", "Bring back"),
        Binding("backspace", "undo", "Undo"),
        Binding("U,ctrl+r", "redo", "Redo"),
        Binding("e", "evidence", "Evidence"),
    ]
    place = "Decisions"

    def __init__(self, rule: str) -> None:
        super().__init__()
        self._rule = rule

    def open_listing(self) -> Callable[[], Listing]:
        """What it decided."""
        return partial(self.browse.decisions, self._rule)

    def chosen(self, key: str) -> None:
        """Open the conversation, among the others of this rule."""
        kind, _, one = key.partition(":")
        if kind != "conversation":
            self.set_status("a decision about a single message; e shows its evidence")
            return
        ids = _conversations(self.list.ids)
        self.app.push_screen(ConversationScreen(ids, ids.index(one)))

    def action_evidence(self) -> None:
        """Read the evidence whole."""
        line = self.list.current_row
        if line is not None:
            words = [("about", line.key), ("evidence", _spread(line.cells[1])), ("text", line.cells[2])]
            self.app.push_screen(ReadingScreen("Evidence", (), _one(words)))

    def action_bring_back(self) -> None:
        """Keep the conversation under the cursor, which outweighs every rule."""
        kind, _, one = (self.list.current_id or "").partition(":")
        if kind != "conversation":
            self.set_status("only conversations are kept and dropped")
            return
        self.desk.decide(one, Decision("keep", BROUGHT_BACK, self.data.annotator))

    def action_undo(self) -> None:
        """Take the last decision back."""
        self.desk.undo_decision()

    def action_redo(self) -> None:
        """Decide again what was taken back last."""
        self.desk.redo_decision()

    @on(DecisionSaved)
    def show_decision(self, event: DecisionSaved) -> None:
        """Say which line it was about; it leaves the list once the store holds the decision."""
        self.set_status(f"✓ saved for {event.conversation_id[:8]}…; the list follows")
        self.ask()


class RejectsScreen(ListingScreen):
    """Records that were not taken in."""

    BINDINGS: ClassVar[list[BindingType]] = []
    place = "Rejects"

    def open_listing(self) -> Callable[[], Listing]:
        """What was rejected."""
        return self.browse.rejects

    def chosen(self, key: str) -> None:
        """Read the reject whole."""
        line = self.list.current_row
        if line is not None and line.key == key:
            names = ("source", "record", "line", "reason", "excerpt")
            self.app.push_screen(
                ReadingScreen("A reject", (), _one(list(zip(names, line.cells, strict=True))))
            )


def _conversations(keys: Sequence[str]) -> list[str]:
    return [one for kind, _, one in (key.partition(":") for key in keys) if kind == "conversation"]


def _one(words: list[tuple[str, str]]) -> list[Text]:
    return [Text("", "\n\n".join(f"{name}\n{value}" for name, value in words))]


def _spread(evidence: str) -> str:
    """JSON over several lines; anything else as it is."""
    try:
        return json.dumps(json.loads(evidence), indent=2, ensure_ascii=False)
    except ValueError:
        return evidence
