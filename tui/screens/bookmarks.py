"""The bookmarks: opening what they mark, saying something about them, keeping them as a selection."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar, cast

from textual import on
from textual.binding import Binding, BindingType

from curate.bookmarks import Bookmark, BookmarkKind
from tui.events import TextsArrived
from tui.listing import Listing
from tui.screens.ask import AskScreen
from tui.screens.conversation import ConversationScreen
from tui.screens.listing import ListingScreen
from tui.screens.reading import ReadingScreen
from tui.screens.response_set import ResponseSetScreen


class BookmarksScreen(ListingScreen):
    """What was bookmarked, the newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("asterisk", "take_away", "Take away"),
        Binding("n", "note", "Note"),
        Binding("a", "everyone", "Everyone's"),
        Binding("s", "select", "Selection"),
    ]
    place = "Bookmarks"

    def __init__(self) -> None:
        super().__init__()
        self._is_everyones = False

    def open_listing(self) -> Callable[[], Listing]:
        """The bookmarks."""
        return partial(self.browse.bookmarks, is_everyones=self._is_everyones)

    def on_screen_resume(self) -> None:
        """Coming back, show what was bookmarked meanwhile."""
        self.ask()

    def _target(self) -> tuple[BookmarkKind, str] | None:
        if self.list.current_id is None:
            return None
        kind, target_id, _ = self.list.current_id.split(":")
        return cast(BookmarkKind, kind), target_id

    def chosen(self, key: str) -> None:
        """Open what is bookmarked."""
        kind, target_id, _ = key.split(":")
        if kind == "conversation":
            ids = [one.split(":")[1] for one in self.list.ids if one.startswith("conversation:")]
            self.app.push_screen(ConversationScreen(ids, ids.index(target_id)))
        elif kind == "prompt":
            self.app.push_screen(ResponseSetScreen(target_id))
        else:
            self.desk.read(self, partial(self.browse.pair, target_id), TextsArrived, "texts")

    @on(TextsArrived)
    def show_texts(self, event: TextsArrived) -> None:
        """Show the two texts of a pair."""
        view = event.view
        self.app.push_screen(ReadingScreen(view.title, view.prompt, view.texts))

    def action_everyone(self) -> None:
        """Show the bookmarks of everyone, or one's own."""
        self._is_everyones = not self._is_everyones
        self.ask()

    def _own(self) -> Bookmark | None:
        """The bookmark under the cursor, if it may be changed."""
        line, target = self.list.current_row, self._target()
        if line is None or target is None:
            return None
        if self.data.is_read_only:
            self.set_status("looking at the past with --at: nothing can be changed")
        elif line.cells[1] != self.data.annotator:
            self.set_status(f"only {line.cells[1]} changes this one")
        else:
            return Bookmark(*target, self.data.annotator, line.cells[3])
        return None

    def action_take_away(self) -> None:
        """Take the bookmark under the cursor away, or set it again."""
        if (bookmark := self._own()) is not None:
            self.desk.save(partial(self.browse.toggle_bookmark, bookmark), lambda _: self._changed())

    def action_note(self) -> None:
        """Say something about it."""
        bookmark = self._own()
        if bookmark is None:
            return

        def answered(note: str | None) -> None:
            if note is not None:
                job = partial(self.browse.note_bookmark, bookmark, note)
                self.desk.save(job, lambda _: self._changed())

        self.app.push_screen(AskScreen("Note on this bookmark:", bookmark.note), answered)

    def _changed(self) -> None:
        self.desk.tell("✓ saved")
        if self.is_attached:
            self.ask()

    def action_select(self) -> None:
        """Keep one's bookmarks of the kind under the cursor as a selection."""
        target = self._target()
        if target is None or self.data.is_read_only:
            self.set_status("nothing to keep")
            return
        kind = target[0]

        def answered(name: str | None) -> None:
            if name:
                self.desk.save(partial(self.browse.keep_bookmarks, kind, name), self.desk.tell)

        self.app.push_screen(AskScreen(f"Name of the selection of your {kind}s:"), answered)
