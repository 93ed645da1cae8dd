"""The queue of what rules flagged: the evidence under the list, kept, dropped or allowed with one key."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from curate.contamination.allowing import ALLOWED
from tui.events import DecisionSaved, EvidenceArrived, LinesArrived, RowReached
from tui.listing import Listing
from tui.review_data import Decided, Decision, ReviewData
from tui.screens.conversation import ConversationScreen
from tui.screens.listing import ListingScreen
from tui.widgets.transcript import Transcript


class FlagsScreen(ListingScreen):
    """What waits for a person: contamination that was flagged, near-duplicates that were dropped."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "decide('keep')", "Keep"),
        Binding("d", "decide('drop')", "Drop"),
        Binding("a", "allow", "Allow"),
        Binding("u,backspace", "undo", "Undo"),
        Binding("U,ctrl+r", "redo", "Redo"),
        Binding("tab", "app.focus_next", "Text"),
    ]
    place = "Flags"

    def __init__(self) -> None:
        super().__init__()
        self._decided: frozenset[str] = frozenset()
        self._sizes: list[int] = []
        """How many conversations each key of this session decided, the last key last."""
        self._undone: list[int] = []
        self._text = Transcript(id="response-text")

    def compose_body(self) -> ComposeResult:
        """The queue over the evidence of the line at the cursor."""
        yield from super().compose_body()
        yield self._text

    def open_listing(self) -> Callable[[], Listing]:
        """What waits."""
        return partial(self.browse.flags, self._decided)

    @on(LinesArrived)
    @on(RowReached)
    def read_evidence(self) -> None:
        """Show the evidence of the line at the cursor."""
        if self.list.current_id is None:
            self._text.show_blocks(())
            return
        key = self.list.current_id
        job = partial(self.browse.flag_evidence, key)
        self.desk.read(self, job, partial(EvidenceArrived, key), "evidence")

    @on(EvidenceArrived)
    def show_evidence(self, event: EvidenceArrived) -> None:
        """Show what was found where it stands."""
        if event.key == self.list.current_id:
            self._text.show_blocks(event.blocks)
            self._text.go_to_block(0, "⟦")

    def chosen(self, key: str) -> None:
        """Read the whole conversation."""
        self.app.push_screen(ConversationScreen(self.list.ids, list(self.list.ids).index(key)))

    def action_decide(self, verdict: str) -> None:
        """Keep or drop the conversation at the cursor."""
        if (key := self._current()) is not None:
            decision = Decision(verdict, "", self.data.annotator)
            self._save(partial(_decide_all, self.data, lambda: [key], decision))

    def action_allow(self) -> None:
        """Keep this and everything in which the same was found."""
        key = self._current()
        if key is None:
            return
        line = self.browse.allow_line(key)
        if line is None:
            self.set_status("only what was found in a set can be allowed: keep or drop this one")
            return
        decision = Decision("keep", f"{ALLOWED}{line}", self.data.annotator)
        self._save(partial(_decide_all, self.data, partial(self.browse.flagged_alike, key), decision))

    def _current(self) -> str | None:
        if self.data.is_read_only:
            self.set_status("looking at the past with --at: nothing can be decided")
            return None
        return self.list.current_id

    def _save(self, job: Callable[[], list[str]]) -> None:
        self.desk.save(job, self._saved)

    def _saved(self, ids: list[str]) -> None:
        self._decided |= frozenset(ids)
        self._sizes.append(len(ids))
        self._undone.clear()
        self._tell_all(ids, f"✓ saved for {len(ids):,}" if len(ids) > 1 else "✓ saved")

    def _tell_all(self, ids: Sequence[str], words: str) -> None:
        self.desk.tell(words)
        for screen in self.app.screen_stack:
            for one in ids:
                screen.post_message(DecisionSaved(one))
        if self.is_attached:
            self.ask()

    def action_undo(self) -> None:
        """Take back what the last key decided."""
        self._change(self.data.undo_decision, self._sizes, self._undone, "undone")

    def action_redo(self) -> None:
        """Decide again what was taken back last."""
        self._change(self.data.redo_decision, self._undone, self._sizes, "redone")

    def _change(
        self, step: Callable[[], Decided | None], source: list[int], target: list[int], words: str
    ) -> None:
        if self.data.is_read_only:
            return
        count = source[-1] if source else 1

        def done(found: list[Decided]) -> None:
            if not found:
                self.desk.tell(f"nothing to be {words}")
                return
            if source:
                target.append(source.pop())
            reopened = {
                one.conversation_id for one in found if one.decision.decided_by != self.data.annotator
            }
            self._decided = (self._decided | {one.conversation_id for one in found}) - reopened
            self._tell_all([one.conversation_id for one in found], f"✓ {words} for {len(found):,}")

        self.desk.save(partial(_repeat, step, count), done)


def _decide_all(data: ReviewData, ids: Callable[[], Sequence[str]], decision: Decision) -> list[str]:
    decided = list(ids())
    for one in decided:
        data.decide(one, decision)
    return decided


def _repeat(step: Callable[[], Decided | None], count: int) -> list[Decided]:
    """STEP so often; the last first."""
    return [decided for _ in range(count) if (decided := step()) is not None]
