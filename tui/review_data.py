"""What the screens ask for and give back; tests and other stores may implement it.

Every method may block and is called in a thread. Reading raises TryLater while the store is busy, and
the screens ask again; saving returns when the row is durable. Ids are UUID text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tui.judging.blind import Act, BlindPair, Vote
from tui.judging.history import History
from tui.judging.protocols import JudgingProtocol
from tui.query import Filter

News = Literal["none", "some", "more"]
"""Whether anything was taken in from the store, and whether more is waiting."""


@dataclass(frozen=True, slots=True)
class Rating:
    """A number given to one turn."""

    labeler: str
    aspect: str
    scale: str
    value: float | None
    state: str
    explanation: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One message as shown."""

    message_id: str
    role: str
    content: str
    ratings: tuple[Rating, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """Keep or drop, by whom and why; verdict None is undecided."""

    verdict: str | None = None
    reason: str = ""
    decided_by: str = ""
    is_rule: bool = False
    """Whether a filter or another rule decided, not a person."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What holds about a conversation after an undo or a redo."""

    conversation_id: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class ListRow:
    """One line of the list of conversations."""

    conversation_id: str
    source_class: str
    source: str
    n_turns: int
    rating: float | None
    n_rated: int
    n_answers: int
    verdict: str | None
    first_text: str
    """The start of the first user turn."""


@dataclass(frozen=True, slots=True)
class ConversationView:
    """One conversation, whole."""

    conversation_id: str
    source_class: str
    source: str
    model: str
    external_id: str
    turns: tuple[Turn, ...]
    decision: Decision


@dataclass(frozen=True, slots=True)
class Selection:
    """The conversations a filter keeps, and how much of the store that covers."""

    ids: Sequence[str]
    total: int
    """Conversations in the store, filtered or not."""
    is_complete: bool
    """False while part of the store is still being read in."""
    words: str = ""
    """What the rating column shows, such as `gpt-4`."""


@dataclass(frozen=True, slots=True)
class PairTexts:
    """What an annotator sees of a pair: no name, no score."""

    prompt: tuple[Turn, ...]
    text_a: str
    text_b: str


@dataclass(frozen=True, slots=True)
class PairAuthors:
    """What is shown after the vote, one line each."""

    author_a: str
    author_b: str
    standing: str = ""
    """How many this annotator has judged, and how far that agrees with others and with known answers."""


class ReviewData(Protocol):
    """The store as the screens see it."""

    annotator: str
    protocol: JudgingProtocol
    """What annotators are asked."""
    is_read_only: bool
    """True when looking at the past: nothing can be decided."""

    def refresh(self) -> News:
        """Take in a piece of what is new in the store."""

    def select(self, wanted: Filter) -> Selection:
        """The conversations a filter keeps, of what has been taken in so far."""

    def rows(self, ids: Sequence[str]) -> list[ListRow]:
        """The lines of a page, in the order of IDS."""

    def conversation(self, conversation_id: str) -> ConversationView:
        """One conversation with its turns, ratings and decision."""

    def prepare_to_save(self) -> None:
        """Do what the first save would have to wait for."""

    def decide(self, conversation_id: str, decision: Decision) -> None:
        """Store a decision."""

    def undo_decision(self) -> Decided | None:
        """Take back the annotator's last decision, also one of an earlier session; None if none stands."""

    def redo_decision(self) -> Decided | None:
        """Decide again what was taken back last; None if there is nothing."""

    def queue(self) -> list[BlindPair]:
        """Pairs this annotator has neither judged nor skipped, in their order."""

    def judged(self) -> History[Act]:
        """What this annotator did and took back by this protocol, also in earlier sessions; ask for the queue first."""

    def pair_texts(self, pair: BlindPair) -> PairTexts:
        """What to show of a pair before the vote."""

    def pair_authors(self, pair: BlindPair) -> PairAuthors:
        """What to reveal of a pair after the vote."""

    def vote(self, vote: Vote) -> None:
        """Store a vote, for the first time or again."""

    def undo_vote(self, vote: Vote) -> None:
        """Take a vote back."""

    def mark(self, pair: BlindPair, mark: str, note: str = "") -> None:
        """Store a mark on a pair: skip, unskip, flag, unflag, comment."""
