"""One annotator's way through a queue of pairs: what is on the desk, what was done, taken back and done again.

The screen and the line mode both drive this; nothing here knows a screen or a store.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from tui.judging.blind import Act, BlindPair, Vote, shown_text_hash
from tui.judging.history import History
from tui.judging.protocols import JudgingProtocol
from tui.review_data import PairTexts, ReviewData

REDONE = "redone"
"""The note of a mark that was taken back and set again."""


class Judging:
    """The pairs of a queue, one after the other."""

    def __init__(
        self, pairs: Sequence[BlindPair], protocol: JudgingProtocol, history: History[Act] | None = None
    ) -> None:
        self.pairs = list(pairs)
        self.protocol = protocol
        self.history: History[Act] = history or History()
        self.position = 0
        self._votes = 0
        self.vote: Vote | None = None
        """The vote that stands on the pair on the desk, if one was cast."""
        self.acceptable: dict[str, bool | None] = {"a": None, "b": None}
        self.comment = ""
        self._flagged: set[str] = set()
        self._revealed = {act.pair.comparison_id for act in _acts(self.history) if act.vote is not None}

    @property
    def n_voted(self) -> int:
        """Votes of this session that stand."""
        return max(0, self._votes)

    @property
    def is_finished(self) -> bool:
        """Whether no pair is left."""
        return self.position >= len(self.pairs)

    @property
    def pair(self) -> BlindPair:
        """The pair on the desk, knowing whether its authors were ever shown to this annotator."""
        pair = self.pairs[self.position]
        return replace(pair, was_revealed=pair.was_revealed or pair.comparison_id in self._revealed)

    @property
    def is_flagged(self) -> bool:
        """Whether the pair on the desk was flagged in this session."""
        return self.pair.comparison_id in self._flagged

    def accept(self, side: str, *, is_acceptable: bool) -> None:
        """Say whether an answer is acceptable."""
        self.acceptable[side] = is_acceptable

    def cast(self, step: int, texts: PairTexts, seconds: float) -> Act:
        """Vote on the pair on the desk; it stays there until `go_on`."""
        prompt = [(turn.role, turn.content) for turn in texts.prompt]
        self.vote = Vote(
            pair=self.pair,
            choice=self.protocol.choices[step],
            acceptable_a=self.acceptable["a"],
            acceptable_b=self.acceptable["b"],
            comment=self.comment,
            seconds=seconds,
            shown_text_hash=shown_text_hash(prompt, texts.text_a, texts.text_b),
        )
        return self._did(Act(self.vote.pair, self.vote))

    def skip(self) -> Act:
        """Leave the pair on the desk out of the queue and go on."""
        act = self._did(Act(self.pair))
        self.go_on()
        return act

    def _did(self, act: Act) -> Act:
        self.history.do(act)
        self._votes += act.vote is not None
        return act

    def go_on(self) -> None:
        """Put the next pair on the desk."""
        self._put(self.position + 1)

    def _put(self, position: int) -> None:
        self.position = position
        self.vote = None
        self.acceptable = {"a": None, "b": None}
        self.comment = ""

    def flag(self) -> str:
        """Flag the pair, or take the flag away; returns the mark to store."""
        was_flagged = self.is_flagged
        self._flagged ^= {self.pair.comparison_id}
        return "unflag" if was_flagged else "flag"

    def reveal(self, pair: BlindPair) -> None:
        """Remember that the authors of PAIR were shown: a later vote on it is not blind."""
        self._revealed.add(pair.comparison_id)

    def undo(self) -> Act | None:
        """Take the last act back and put its pair on the desk; None if there is nothing to take back."""
        act = self.history.undo()
        if act is not None:
            self._votes -= act.vote is not None
            self._bring(act.pair)
        return act

    def redo(self) -> Act | None:
        """Do again what was taken back last; None if there is nothing. A pair voted on is put on the desk."""
        act = self.history.redo()
        if act is not None:
            self._votes += act.vote is not None
            if self.vote is not None:
                self.go_on()
            self._bring(act.pair)
            self.vote = act.vote
            if act.vote is None:
                self.go_on()
        return act

    def _bring(self, pair: BlindPair) -> None:
        """Put PAIR on the desk: where it stands among those already seen, else before those still to come."""
        wanted = _triple(pair)
        place = next((place for place, one in enumerate(self.pairs) if _triple(one) == wanted), None)
        if place is None or place > self.position:
            found = replace(pair, protocol=self.protocol) if place is None else self.pairs.pop(place)
            place = min(self.position, len(self.pairs))
            self.pairs.insert(place, found)
        self._put(place)


def _acts(history: History[Act]) -> list[Act]:
    return [*history.done, *history.undone]


def _triple(pair: BlindPair) -> tuple[str, str, str]:
    return pair.prompt_id, pair.response_a_id, pair.response_b_id


def save_act(data: ReviewData, act: Act, *, again: bool = False) -> None:
    """Make an act durable, for the first time or AGAIN."""
    if act.vote is None:
        data.mark(act.pair, "skip", REDONE if again else "")
    else:
        data.vote(act.vote)


def save_undo(data: ReviewData, act: Act) -> None:
    """Make it durable that an act was taken back."""
    if act.vote is None:
        data.mark(act.pair, "unskip")
    else:
        data.undo_vote(act.vote)


@dataclass(frozen=True, slots=True)
class Trace:
    """A row that an act, an undo or a redo left."""

    comparison_id: str
    act: Act | None
    """What was done; None where something was taken back."""
    is_redo: bool = False
    """Whether the row says of itself that it did something again."""


def told(traces: Iterable[Trace]) -> History[Act]:
    """The history that left these rows; a vote equal to the one taken back last is that one, cast again."""
    history: History[Act] = History()
    for trace in traces:
        if trace.act is None:
            history.undo(_about(trace.comparison_id))
        elif trace.is_redo or (trace.act.vote and history.undone and history.undone[-1] == trace.act):
            history.redo(_about(trace.comparison_id))
        else:
            history.do(trace.act)
    return history


def _about(comparison_id: str) -> Callable[[Act], bool]:
    return lambda act: act.pair.comparison_id == comparison_id
