"""An annotator's decisions about conversations: each of them, each undo and each redo is a row in a store."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.named_sql import named_sql
from store.runs import utc_now
from tui.judging.history import History
from tui.review_data import Decided, Decision

if TYPE_CHECKING:
    from store.db import Reading, Store

UNDECIDED = "undecided"
"""The verdict that takes a decision back; the views read it as none."""

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Own:
    """A decision of the annotator."""

    conversation_id: str
    decision: Decision
    place: int | None = None
    """Where its row stands among all rows; None for one of this session."""


class Deciding:
    """What the annotator decided here and in earlier sessions, to be taken back and done again."""

    def __init__(self, store: "Store", annotator: str, save: Callable[[Row], str]) -> None:
        """SAVE makes a row of `decisions` durable and returns the id of the run it belongs to."""
        self._store = store
        self._annotator = annotator
        self._save = save
        self._history: History[Own] = History()
        self._knows_earlier = False
        self._run_id = "-"

    def decide(self, conversation_id: str, decision: Decision) -> None:
        """Store a decision."""
        self._store_row(conversation_id, decision, None)
        self._history.do(Own(conversation_id, decision))

    def undo(self) -> Decided | None:
        """Store once more what held before the last decision that stands; returns it, or None if none stands.

        What a rule decided is not repeated in a person's name: taking the person's word back is enough.
        """
        self._know_earlier()
        if not self._history.done:
            return None
        one = self._history.done[-1].conversation_id
        before = self._before(one)
        self._store_row(one, before, {"undo": True, "decided_by": before.decided_by})
        self._history.undo()
        return Decided(one, before)

    def redo(self) -> Decided | None:
        """Store once more the decision that was taken back last; returns it, or None if there is none."""
        self._know_earlier()
        if not self._history.undone:
            return None
        own = self._history.undone[-1]
        self._store_row(own.conversation_id, own.decision, {"redo": True})
        self._history.redo()
        return Decided(own.conversation_id, own.decision)

    def _before(self, conversation_id: str) -> Decision:
        """What held before the last decision: one of this session, else what the store says without it."""
        earlier = [own for own in self._history.done[:-1] if own.conversation_id == conversation_id]
        if earlier and earlier[-1].place is None:
            return earlier[-1].decision
        standing = [own.place for own in earlier if own.place is not None]
        with self._store.read() as reading:
            return decision_in_force(reading, conversation_id, self._annotator, standing)

    def _store_row(
        self, conversation_id: str, decision: Decision, evidence: dict[str, object] | None
    ) -> None:
        row: Row = {
            "target_kind": "conversation",
            "target_id": conversation_id,
            "verdict": UNDECIDED if decision.is_rule else decision.verdict or UNDECIDED,
            "reason": "" if decision.is_rule else decision.reason,
            "evidence": json.dumps(evidence) if evidence else None,
            "decided_by": self._annotator,
            "decided_at": utc_now().isoformat(),
        }
        self._run_id = self._save(row)

    def _know_earlier(self) -> None:
        """Put what earlier sessions did under what this one did."""
        if self._knows_earlier:
            return
        asked = {"annotator": self._annotator, "except_run": self._run_id}
        with self._store.read() as reading:
            earlier = _told(reading.rows(named_sql("tui", "own_decisions"), asked), self._annotator)
        for own in self._history.done:
            earlier.do(own)
        self._history = earlier
        self._knows_earlier = True


def decision_in_force(
    reading: "Reading", conversation_id: str, without: str = "", standing: "list[int] | None" = None
) -> Decision:
    """The decision that holds about a conversation; of the annotator WITHOUT, only rows at places STANDING count."""
    asked = {"id": conversation_id, "without": without, "standing": standing or []}
    rows = reading.rows(named_sql("tui", "latest_decision"), asked)
    return Decision(*rows[0]) if rows else Decision()


def _told(rows: "list[tuple[str, str | None, str, str | None, int]]", annotator: str) -> History[Own]:
    history: History[Own] = History()
    for conversation_id, verdict, reason, evidence, place in rows:
        is_same = _about(conversation_id)
        if evidence and '"undo"' in evidence:
            history.undo(is_same)
        elif evidence and '"redo"' in evidence:
            history.redo(is_same)
        else:
            history.do(Own(conversation_id, Decision(verdict, reason, annotator), place))
    return history


def _about(conversation_id: str) -> Callable[[Own], bool]:
    return lambda own: own.conversation_id == conversation_id
