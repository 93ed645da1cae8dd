"""What the screens beside conversations and judging ask for; tests and other stores may implement it.

Every method may block and is called in a thread. Reading raises TryLater while the store is busy, and
the screens ask again. Ids are UUID text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from curate.bookmarks import Bookmark, BookmarkKind
from tui.figures import Figure
from tui.listing import Listing
from tui.query import Filter, Vocabulary
from tui.response_set import ResponseSet, TextsView
from tui.transcript_blocks import Block

PROMPTS = Vocabulary(numbers=("responses", "draws", "best", "spread"))
PAIRS = Vocabulary(
    names=("state", "labeler", "strength", "selection", "scale", "part"), numbers=("gap",), takes_text=False
)


@dataclass(frozen=True, slots=True)
class MeasureStep:
    """Something that is measured in one go."""

    words: str
    measure: Callable[[], Sequence[Figure]]
    """May take long; raises TryLater only."""


@dataclass(frozen=True, slots=True)
class TextPlace:
    """Where a message can be read."""

    kind: Literal["conversation", "prompt"]
    """A conversation that holds it, or the prompt to which it is a response."""
    target_id: str
    message_id: str


@dataclass(frozen=True, slots=True)
class CleanedTurn:
    """A turn before and after."""

    position: int
    role: str
    before: str
    after: str
    is_changed: bool
    lines: str
    """The lines that changed, with those around them."""


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What was made of a conversation."""

    steps: tuple[str, ...]
    turns: tuple[CleanedTurn, ...]
    why_not: str = ""
    """Why there is nothing to show, if so."""


class Finding(Listing, Protocol):
    """A listing of the messages found so far; the search goes on as long as it is asked for more."""

    @property
    def words_wanted(self) -> tuple[str, ...]:
        """What is looked for."""

    @property
    def is_done(self) -> bool:
        """Whether everything was searched."""

    @property
    def is_paused(self) -> bool:
        """Whether enough was found for now."""

    def more(self) -> "Finding":
        """The same after a further piece of the search."""

    def asked_for_more(self) -> "Finding":
        """The same with a further aim, after a pause."""


class BrowseData(Protocol):
    """The rest of the store as the screens see it."""

    def prompts(self, wanted: Filter) -> Listing:
        """The prompts with several responses, or with draws, that a filter of PROMPTS keeps."""

    def response_set(self, prompt_id: str) -> ResponseSet:
        """A prompt with all its responses and what is known of them."""

    def pairs(self, wanted: Filter) -> Listing:
        """The pairs, compared or selected, that a filter of PAIRS keeps."""

    def pair(self, key: str) -> TextsView:
        """A pair of `pairs` with its texts, the chosen one first."""

    def home(self) -> Listing:
        """What is in the store and going on in it; a key begins with the letter of the screen that shows more."""

    def rules(self) -> Listing:
        """Who dropped or kept how many, for which reason."""

    def decisions(self, rule: str) -> Listing:
        """What a line of `rules` counts; the keys are `conversation:ID` or `message:ID`."""

    def rejects(self) -> Listing:
        """Records that were not taken in."""

    def sql(self, query: str) -> Listing:
        """The answer to a read-only query, or the error as lines."""

    def exports(self) -> Listing:
        """The exports."""

    def export_rows(self, export_id: str) -> Listing:
        """The rows of an export, as texts until it is `export_ready`; or why they cannot be read."""

    def export_ready(self) -> str:
        """Load what shows the export looked at last as a trainer sees it; returns what there is to say."""

    def export_row(self, key: str) -> TextsView:
        """A row of the export looked at last, stretch by stretch."""

    def export_faults(self, export_id: str) -> Listing:
        """What is wrong with an export, over all its rows."""

    def measures(self) -> Sequence[MeasureStep]:
        """What is measured of labelers, one step after the other."""

    def stop_measuring(self) -> None:
        """End the step that is being done, which then has no figures."""

    def find(self, typed: str, within: Filter) -> Finding:
        """The first messages that hold every word TYPED, in conversations that WITHIN keeps if it says anything."""

    def place_of(self, message_id: str) -> TextPlace:
        """Where a message that was found can be read."""

    def my_bookmarks(self) -> frozenset[str]:
        """The ids of what the annotator bookmarked."""

    def toggle_bookmark(self, target: Bookmark) -> bool:
        """Bookmark something, or take the bookmark away; returns whether it is bookmarked now."""

    def note_bookmark(self, target: Bookmark, note: str) -> None:
        """Say something about a bookmark."""

    def bookmarks(self, *, is_everyones: bool) -> Listing:
        """The annotator's bookmarks, or everyone's; the keys are `kind:id:place`."""

    def keep_bookmarks(self, kind: BookmarkKind, name: str) -> str:
        """Keep the annotator's bookmarks of one kind as a selection; returns what came of it in words."""

    def cleaning(self, conversation_id: str) -> Cleaning:
        """A conversation before and after it was cleaned."""

    def flags(self, without: frozenset[str]) -> Listing:
        """What rules flagged and no person decided about, WITHOUT some; the keys are conversations."""

    def flag_evidence(self, conversation_id: str) -> Sequence[Block]:
        """What was found in a flagged conversation, where it stands."""

    def allow_line(self, conversation_id: str) -> str | None:
        """What would have to be allowed for a flag that was listed to go away; answers at once."""

    def flagged_alike(self, conversation_id: str) -> Sequence[str]:
        """Every flagged conversation that the same line would let go."""
