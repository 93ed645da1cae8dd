"""BrowseData over a store file: each part of it in its own module."""

from dataclasses import replace

from curate.bookmarks import Bookmark, BookmarkKind
from tui.answers.bookmarks import StoreBookmarks
from tui.answers.cleaning import cleaning_of
from tui.answers.decisions import StoreDecisions
from tui.answers.exports import StoreExports
from tui.answers.finding import Finder, Found
from tui.answers.flags import StoreFlags
from tui.answers.home import StoreHome
from tui.answers.measuring import Measuring
from tui.answers.pairs import StorePairs
from tui.answers.sets import StoreSets
from tui.answers.sql import answer
from tui.answers.store_review import StoreReview
from tui.browse_data import Cleaning, MeasureStep, TextPlace
from tui.listing import Listing
from tui.query import Filter
from tui.response_set import ResponseSet, TextsView
from tui.transcript_blocks import Block


class StoreBrowse:
    """The screens beside conversations, answered by the store that DATA reads."""

    def __init__(self, data: StoreReview) -> None:
        self._store = data.reader
        self._sets = StoreSets(data.reader, data.search)
        self._pairs = StorePairs(data.reader)
        self._home = StoreHome(data.reader, data.index)
        self._decisions = StoreDecisions(data.reader)
        self._exports = StoreExports(data.reader)
        self._finder = Finder(data.reader, data.index, data.search)
        self._flags = StoreFlags(data.reader, lambda one: data.conversation(one).turns)
        self._bookmarks = StoreBookmarks(
            data.reader, data.writer, data.annotator, data.append_mark, data.drain
        )
        self._measuring = Measuring(data.reader)

    def close(self) -> None:
        """Give the memory back."""
        self._sets.close()
        self._pairs.close()

    def prompts(self, wanted: Filter) -> Listing:
        """The prompts a filter keeps."""
        return self._sets.prompts(wanted)

    def response_set(self, prompt_id: str) -> ResponseSet:
        """A prompt with all its responses."""
        return self._sets.response_set(prompt_id)

    def pairs(self, wanted: Filter) -> Listing:
        """The pairs a filter keeps."""
        return self._pairs.pairs(wanted)

    def pair(self, key: str) -> TextsView:
        """A pair with its texts."""
        return self._pairs.pair(key)

    def home(self) -> Listing:
        """What is in the store and going on in it."""
        return self._home.home()

    def rules(self) -> Listing:
        """Who dropped or kept how many."""
        return self._decisions.rules()

    def decisions(self, rule: str) -> Listing:
        """What one rule decided for one reason."""
        return self._decisions.decisions(rule)

    def rejects(self) -> Listing:
        """Records that were not taken in."""
        return self._decisions.rejects()

    def sql(self, query: str) -> Listing:
        """The answer to a query, or the error."""
        return answer(self._store, query)

    def exports(self) -> Listing:
        """The exports."""
        return self._exports.exports()

    def export_rows(self, export_id: str) -> Listing:
        """The rows of an export."""
        return self._exports.rows(export_id)

    def export_ready(self) -> str:
        """Load what shows the export looked at last as a trainer sees it."""
        return self._exports.ready()

    def export_row(self, key: str) -> TextsView:
        """A row of the export looked at last."""
        return self._exports.row(key)

    def export_faults(self, export_id: str) -> Listing:
        """What is wrong with an export."""
        return self._exports.faults(export_id)

    def measures(self) -> list[MeasureStep]:
        """What is measured of labelers."""
        return self._measuring.steps()

    def stop_measuring(self) -> None:
        """Nobody waits for a step any more."""
        self._measuring.stop()

    def find(self, typed: str, within: Filter) -> Found:
        """The first messages that hold what was typed."""
        return self._finder.find(typed, within)

    def place_of(self, message_id: str) -> TextPlace:
        """Where a message can be read."""
        return self._finder.place_of(message_id)

    def my_bookmarks(self) -> frozenset[str]:
        """The ids of what the annotator bookmarked."""
        return self._bookmarks.mine()

    def toggle_bookmark(self, target: Bookmark) -> bool:
        """Bookmark something, or take the bookmark away."""
        return self._bookmarks.toggle(self._whole(target))

    def note_bookmark(self, target: Bookmark, note: str) -> None:
        """Say something about a bookmark."""
        self._bookmarks.write_note(self._whole(target), note)

    def _whole(self, target: Bookmark) -> Bookmark:
        """A bookmark of a pair with its members, so that it can be kept as a selection."""
        return (
            replace(target, pair=self._pairs.decided(target.target_id)) if target.kind == "pair" else target
        )

    def bookmarks(self, *, is_everyones: bool) -> Listing:
        """The annotator's bookmarks, or everyone's."""
        return self._bookmarks.listing(is_everyones=is_everyones)

    def keep_bookmarks(self, kind: BookmarkKind, name: str) -> str:
        """Keep the annotator's bookmarks of one kind as a selection."""
        return self._bookmarks.keep(kind, name)

    def cleaning(self, conversation_id: str) -> Cleaning:
        """A conversation before and after it was cleaned."""
        return cleaning_of(self._store, conversation_id)

    def flags(self, without: frozenset[str]) -> Listing:
        """What rules flagged and no person decided about."""
        return self._flags.flags(without)

    def flag_evidence(self, conversation_id: str) -> list[Block]:
        """What was found in a flagged conversation."""
        return self._flags.evidence(conversation_id)

    def allow_line(self, conversation_id: str) -> str | None:
        """What would have to be allowed for a flag to go away."""
        flag = self._flags.flag(conversation_id)
        return None if flag is None else flag.allow_line

    def flagged_alike(self, conversation_id: str) -> list[str]:
        """Every flagged conversation that the same line would let go."""
        return self._flags.alike(conversation_id)
