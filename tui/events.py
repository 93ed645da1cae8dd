"""What workers and widgets tell the screens (Textual calls these messages)."""

from collections.abc import Sequence

from textual.message import Message as Event

from tui.browse_data import Cleaning, MeasureStep, TextPlace
from tui.figures import Figure
from tui.judging.blind import BlindPair
from tui.judging.session import Judging
from tui.listing import Line, Listing
from tui.query import Filter
from tui.response_set import ResponseSet, TextsView
from tui.review_data import ConversationView, ListRow, PairAuthors, PairTexts, Selection
from tui.transcript_blocks import Block


class PageWanted(Event):
    """The list shows rows whose text it does not have."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first = first
        self.last = last


class RowChosen(Event):
    """A row of the list was chosen with Enter or the mouse."""

    def __init__(self, position: int) -> None:
        super().__init__()
        self.position = position


class RowReached(Event):
    """The cursor of a list moved to a row."""

    def __init__(self, position: int) -> None:
        super().__init__()
        self.position = position


class StoreChanged(Event):
    """Something new was taken in from the store."""


class SelectionArrived(Event):
    """The conversations a filter keeps."""

    def __init__(self, wanted: Filter, selection: Selection) -> None:
        super().__init__()
        self.wanted = wanted
        self.selection = selection


class PageArrived(Event):
    """Rows of the list, from position FIRST of IDS."""

    def __init__(self, ids: Sequence[str], first: int, rows: Sequence[ListRow]) -> None:
        super().__init__()
        self.ids = ids
        self.first = first
        self.rows = rows


class ConversationArrived(Event):
    """A conversation to show."""

    def __init__(self, view: ConversationView) -> None:
        super().__init__()
        self.view = view


class DecisionSaved(Event):
    """A decision is durable."""

    def __init__(self, conversation_id: str) -> None:
        super().__init__()
        self.conversation_id = conversation_id


class QueueArrived(Event):
    """The pairs to judge, and what was done before."""

    def __init__(self, judging: Judging) -> None:
        super().__init__()
        self.judging = judging


class PairArrived(Event):
    """The texts of a pair to judge."""

    def __init__(self, pair: BlindPair, texts: PairTexts) -> None:
        super().__init__()
        self.pair = pair
        self.texts = texts


class AuthorsArrived(Event):
    """Who wrote the answers of a pair that was voted on."""

    def __init__(self, pair: BlindPair, authors: PairAuthors) -> None:
        super().__init__()
        self.pair = pair
        self.authors = authors


class ListingArrived(Event):
    """What a question found, and the filter it was asked with."""

    def __init__(self, wanted: Filter, listing: Listing) -> None:
        super().__init__()
        self.wanted = wanted
        self.listing = listing


class LinesArrived(Event):
    """Lines of a listing, from position FIRST."""

    def __init__(self, listing: Listing, first: int, lines: Sequence[Line]) -> None:
        super().__init__()
        self.listing = listing
        self.first = first
        self.lines = lines


class ResponseSetArrived(Event):
    """The responses of a prompt."""

    def __init__(self, response_set: ResponseSet) -> None:
        super().__init__()
        self.response_set = response_set


class TextsArrived(Event):
    """Texts to read."""

    def __init__(self, view: TextsView) -> None:
        super().__init__()
        self.view = view


class TextTaken(Event):
    """A text to copy (`copy`), or to open in the pager (`page`) or the editor (`edit`); it is cleaned."""

    def __init__(self, text: str, use: str) -> None:
        super().__init__()
        self.text = text
        self.use = use


class StepsArrived(Event):
    """What can be measured."""

    def __init__(self, steps: Sequence[MeasureStep]) -> None:
        super().__init__()
        self.steps = steps


class FiguresArrived(Event):
    """What one step of STEPS measured."""

    def __init__(self, steps: Sequence[MeasureStep], place: int, figures: Sequence[Figure]) -> None:
        super().__init__()
        self.steps = steps
        self.place = place
        self.figures = figures


class TextPlaceArrived(Event):
    """Where a message can be read."""

    def __init__(self, place: TextPlace) -> None:
        super().__init__()
        self.place = place


class BookmarksArrived(Event):
    """The ids of what the annotator bookmarked."""

    def __init__(self, ids: frozenset[str]) -> None:
        super().__init__()
        self.ids = ids


class CleaningArrived(Event):
    """A conversation before and after."""

    def __init__(self, cleaning: Cleaning) -> None:
        super().__init__()
        self.cleaning = cleaning


class EvidenceArrived(Event):
    """What was found in a flagged conversation."""

    def __init__(self, key: str, blocks: Sequence[Block]) -> None:
        super().__init__()
        self.key = key
        self.blocks = blocks


class WordsArrived(Event):
    """What there is to say."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words
