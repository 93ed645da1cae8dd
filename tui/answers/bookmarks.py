"""Bookmarks of one annotator, durable at the key press, and everybody's as a list."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from curate.bookmarks import Bookmark, BookmarkKind, keep_bookmarks, read_bookmarks
from store.errors import NeedsMemory, PreferablyError, TryLater
from store.runs import utc_now
from tui.answers.message_texts import contents
from tui.listing import Column, FewLines, Line, listing_of

if TYPE_CHECKING:
    from store.db import Reading, Store

COLUMNS = (Column("kind", 12), Column("by", 8), Column("when", 11), Column("note", 16), Column("text", 0))
FIRST_TURNS = """
SELECT CAST(conversation_id AS VARCHAR), CAST(message_ids[1] AS VARCHAR)
FROM conversations
WHERE conversation_id IN (SELECT unnest(?::UUID[]))
"""

SaveMark = Callable[[dict[str, object]], None]


class StoreBookmarks:
    """What is bookmarked; what this session changed is known before the store has it."""

    def __init__(
        self, store: "Store", writer: "Store", annotator: str, save: SaveMark, drain: Callable[[], None]
    ) -> None:
        self._store = store
        self._writer = writer
        self._annotator = annotator
        self._save = save
        self._drain = drain
        self._lock = threading.Lock()
        self._changed: dict[tuple[BookmarkKind, str], Bookmark | None] = {}

    def mine(self) -> frozenset[str]:
        """The ids of what this annotator bookmarked."""
        with self._store.read() as reading:
            return frozenset(one.target_id for one in self._all(reading, self._annotator))

    def _all(self, reading: "Reading", annotator: str | None) -> list[Bookmark]:
        stored = {(one.kind, one.target_id, one.annotator): one for one in read_bookmarks(reading, annotator)}
        with self._lock:
            for (kind, target_id), one in self._changed.items():
                stored.pop((kind, target_id, self._annotator), None)
                if one is not None:
                    stored = {(kind, target_id, self._annotator): one, **stored}
        return list(stored.values())

    def toggle(self, target: Bookmark) -> bool:
        """Bookmark something, or take the bookmark away; returns whether it is bookmarked now."""
        is_new = target.target_id not in self.mine()
        self._put(target if is_new else None, target)
        return is_new

    def write_note(self, target: Bookmark, note: str) -> None:
        """Say something about a bookmark."""
        self._put(replace(target, note=note), target)

    def _put(self, bookmark: Bookmark | None, target: Bookmark) -> None:
        now = utc_now()
        self._save(
            {
                "target_kind": target.kind,
                "target_id": target.target_id,
                "mark": "unbookmark" if bookmark is None else "bookmark",
                "note": None if bookmark is None else bookmark.note_text,
                "annotator": self._annotator,
                "created_at": now.isoformat(),
            }
        )
        kept = None if bookmark is None else replace(bookmark, annotator=self._annotator, created_at=now)
        with self._lock:
            self._changed[target.kind, target.target_id] = kept

    def listing(self, *, is_everyones: bool) -> FewLines:
        """The bookmarks of the annotator, or of everyone, the newest first."""
        with self._store.read() as reading:
            found = self._all(reading, None if is_everyones else self._annotator)
            texts = _texts(reading, found)
        lines = [
            Line(
                f"{one.kind}:{one.target_id}:{place}",
                (one.kind, one.annotator, str(one.created_at)[5:16], one.note, texts.get(one.target_id, "")),
                "keep" if one.annotator == self._annotator else "",
            )
            for place, one in enumerate(found)
        ]
        whose = "of everyone" if is_everyones else f"of {self._annotator}"
        return listing_of(lines, COLUMNS, f"{len(lines):,} {whose}")

    def find(self, kind: str, target_id: str) -> Bookmark | None:
        """A bookmark of this annotator."""
        with self._store.read() as reading:
            found = self._all(reading, self._annotator)
        return next((one for one in found if (one.kind, one.target_id) == (kind, target_id)), None)

    def keep(self, kind: BookmarkKind, name: str) -> str:
        """Keep the annotator's bookmarks of one kind as a selection; returns what came of it in words."""
        try:
            self._drain()
            kept, count = keep_bookmarks(self._writer, kind, name, self._annotator)
        except (TryLater, NeedsMemory):
            raise
        except PreferablyError as error:
            return f"✗ {error}"
        return f"✓ {count:,} {kind}s are selection {name}, version {kept.version}"


def _texts(reading: "Reading", found: Sequence[Bookmark]) -> dict[str, str]:
    """What each bookmark begins with: the first turn of a conversation, the prompt."""
    talks = [one.target_id for one in found if one.kind == "conversation"]
    first: dict[str, str] = dict(reading.rows(FIRST_TURNS, [talks])) if talks else {}
    for one in found:
        if one.kind != "conversation":
            first[one.target_id] = one.pair[0] if one.pair else one.target_id
    turns = contents(reading, list(set(first.values())), reading.version)
    return {one: turns[step].content for one, step in first.items() if step in turns}
