"""Bookmarking what is on screen with one key; every screen that can do it is one of these."""

from functools import partial
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from curate.bookmarks import Bookmark, BookmarkKind
from tui.desk import DeskScreen
from tui.events import BookmarksArrived

STAR = "★"


class BookmarkScreen(DeskScreen):
    """A screen whose conversation, prompt or pair can be bookmarked."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("asterisk", "bookmark", "Bookmark")]
    bookmarks: ClassVar[BookmarkKind]
    """What it shows."""
    bookmarked: frozenset[str] = frozenset()
    """The ids of what the annotator bookmarked."""

    def on_mount(self) -> None:
        """Learn what is bookmarked."""
        self._read_bookmarks()

    def on_screen_resume(self) -> None:
        """Coming back, learn what was bookmarked meanwhile."""
        self._read_bookmarks()

    def _read_bookmarks(self) -> None:
        self.desk.read(self, self.browse.my_bookmarks, BookmarksArrived, "bookmarks")

    @on(BookmarksArrived)
    def take_bookmarks(self, event: BookmarksArrived) -> None:
        """Show what is bookmarked."""
        self.bookmarked = event.ids
        self.show_bookmarks()

    def show_bookmarks(self) -> None:
        """Put a star where something is bookmarked."""
        raise NotImplementedError

    def bookmark_target(self) -> str | None:
        """The id of what the key is about."""
        raise NotImplementedError

    def action_bookmark(self) -> None:
        """Bookmark it, or take the bookmark away."""
        target_id = self.bookmark_target()
        if target_id is None:
            return
        if self.data.is_read_only:
            self.set_status("looking at the past with --at: nothing can be bookmarked")
            return
        target = Bookmark(self.bookmarks, target_id, self.data.annotator)
        self.desk.save(partial(self.browse.toggle_bookmark, target), self._told)

    def _told(self, is_bookmarked: bool) -> None:  # noqa: FBT001 - the result of a save
        self.desk.tell(
            f"{STAR} bookmarked; g k lists them" if is_bookmarked else "the bookmark is taken away"
        )
        if self.is_attached:
            self._read_bookmarks()
