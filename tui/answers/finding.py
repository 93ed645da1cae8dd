"""Searching all texts of a store: a window of messages at a time, the hits of each shown at once.

A window is one short turn, so that writers get theirs in between and a search that nobody wants any more
ends with its window.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from store.named_sql import named_sql
from tui.browse_data import TextPlace
from tui.excerpts import BEFORE, excerpt, words_of
from tui.listing import Column, Line
from tui.query import Filter

if TYPE_CHECKING:
    import pyarrow as pa

    from store.db import Reading, Store
    from tui.answers.list_index import ListIndex
    from tui.answers.text_search import TextSearch

FIRST_WINDOW = 50_000
"""Messages searched before anything is shown: a tenth of a second."""
WINDOW = 300_000
"""Messages searched in a later turn: less than half a second."""
ENOUGH = 1_000
"""The search pauses once it has found so many more."""
COLUMNS = (Column("where", 16), Column("turn", 12), Column("text", 0))


@dataclass(frozen=True, slots=True)
class Window:
    """Messages of some versions, less the hits there that were taken already."""

    first: int
    last: int
    messages: int
    taken: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that holds every word."""

    message_id: str
    role: str
    depth: int
    around: str
    """Its text around the first word."""
    is_cut: bool
    """Whether text comes before that."""
    where: str
    """A source or a policy; empty where it takes a longer look."""


@dataclass(frozen=True)
class Found:
    """A listing of the messages found so far; `more` goes on with the search."""

    finder: "Finder"
    words_wanted: tuple[str, ...]
    within: Filter
    windows: tuple[Window, ...]
    """Still to be searched."""
    hits: tuple[Hit, ...] = ()
    searched: int = 0
    total: int = 0
    enough: int = ENOUGH
    chosen: "pa.Table | None" = None
    """The conversations of the filter, if it is not empty."""

    columns = COLUMNS

    @property
    def keys(self) -> list[str]:
        """The messages found."""
        return [hit.message_id for hit in self.hits]

    @property
    def is_done(self) -> bool:
        """Whether everything was searched."""
        return not self.windows

    @property
    def is_paused(self) -> bool:
        """Whether enough was found for now."""
        return len(self.hits) >= self.enough

    @property
    def words(self) -> str:
        """What the title says."""
        if not self.words_wanted:
            return "type words, or a phrase in quotes"
        within = f" within {self.within.text}" if self.within.text else ""
        found = f"{len(self.hits):,} found{within}"
        if self.is_done:
            return f"{found} in {self.total:,} messages"
        share = f"searched {self.searched:,} of {self.total:,} messages"
        return f"{found} · {share} · m for more" if self.is_paused else f"{found} · {share} …"

    def more(self) -> "Found":
        """The same after one more window."""
        return self.finder.search(self)

    def asked_for_more(self) -> "Found":
        """The same with a further aim."""
        return replace(self, enough=len(self.hits) + ENOUGH)

    def page(self, first: int, last: int) -> list[Line]:
        """The lines from position FIRST up to LAST."""
        return self.finder.lines(self.hits[first:last], self.words_wanted)


class Finder:
    """Searches in the texts of one store."""

    def __init__(self, store: "Store", index: "ListIndex", search: "TextSearch") -> None:
        self._store = store
        self._index = index
        self._search = search

    def find(self, typed: str, within: Filter) -> Found:
        """The first hits of what was TYPED, in conversations that WITHIN keeps if it says anything."""
        words = words_of(typed)
        if not words:
            return Found(self, (), within, ())
        with self._store.read() as reading:
            counts = reading.rows(named_sql("tui", "message_windows"), {"newest": reading.version})
        windows = _windows([(version, n) for version, n in counts])
        chosen = self._chosen(within) if within.text else None
        total = sum(window.messages for window in windows)
        return self.search(Found(self, words, within, windows, total=total, chosen=chosen))

    def _chosen(self, within: Filter) -> "pa.Table":
        among = self._search.conversations(within.words) if within.words else None
        return self._index.select(within, among).table()

    def search(self, found: Found) -> Found:
        """Search the next window, as far as enough is found."""
        if found.is_done:
            return found
        window, *rest = found.windows
        span = {"first": window.first, "last": window.last}
        page = {"most": ENOUGH, "taken": window.taken, "before": BEFORE + 1}
        words = {f"word{place}": word for place, word in enumerate(found.words_wanted)}
        with self._store.read() as reading:
            rows = reading.rows(_matching(found.words_wanted), {**span, **page, **words})
            where = self._where(reading, [row[0] for row in rows], span) if rows else {}
            kept = _within(reading, [row[0] for row in rows], found.chosen, window.first)
        hits = tuple(_hit(row, where) for row in rows if row[0] in kept)
        if len(rows) == ENOUGH:
            rest.insert(0, replace(window, taken=window.taken + ENOUGH))
        searched = found.searched + (0 if len(rows) == ENOUGH else window.messages)
        return replace(found, windows=tuple(rest), hits=found.hits + hits, searched=searched)

    def _where(self, reading: "Reading", ids: list[str], span: dict[str, int]) -> dict[str, str]:
        """The source of a conversation that was written with each message, or who drew it."""
        held = dict(reading.rows(named_sql("tui", "found_holders"), {"ids": ids, **span}))
        missing = [one for one in ids if one not in held]
        drawn = dict(reading.rows(named_sql("tui", "found_drawn"), {"ids": missing})) if missing else {}
        named = self._named(held)
        return {**{one: f"drawn: {policy}" for one, policy in drawn.items()}, **named}

    def _named(self, held: dict[str, str]) -> dict[str, str]:
        """The source, else the class, of the conversation that holds each message."""
        listed = self._index.columns(list(set(held.values())))
        return {
            one: listed[talk]["source"] or listed[talk]["class"]
            for one, talk in held.items()
            if talk in listed
        }

    def lines(self, hits: Sequence[Hit], words: Sequence[str]) -> list[Line]:
        """Messages with where they stand and the text around what was found."""
        unplaced = [hit.message_id for hit in hits if not hit.where]
        elsewhere: dict[str, str] = {}
        if unplaced:
            with self._store.read() as reading:
                span = {"first": 0, "last": reading.version}
                held = reading.rows(named_sql("tui", "found_holders"), {"ids": unplaced, **span})
            elsewhere = self._named(dict(held))
        return [
            Line(
                hit.message_id,
                (
                    hit.where or elsewhere.get(hit.message_id, "–"),
                    f"{hit.depth + 1} {hit.role}",
                    excerpt(hit.around, words, is_cut=hit.is_cut),
                ),
            )
            for hit in hits
        ]

    def place_of(self, message_id: str) -> TextPlace:
        """Where a message can be read: in a conversation, or among the responses to its prompt."""
        with self._store.read() as reading:
            span = {"ids": [message_id], "first": 0, "last": reading.version}
            held = dict(reading.rows(named_sql("tui", "found_holders"), span))
            parent = reading.rows(
                "SELECT CAST(parent_id AS VARCHAR) FROM messages WHERE message_id = CAST(? AS UUID)",
                [message_id],
            )
        if message_id in held:
            return TextPlace("conversation", held[message_id], message_id)
        return TextPlace("prompt", (parent[0][0] if parent else None) or message_id, message_id)


def _hit(row: tuple[Any, ...], where: Mapping[str, str]) -> Hit:
    message_id, role, depth, around, is_cut = row
    return Hit(message_id, role, depth, around, is_cut, where.get(message_id, ""))


def _windows(counts: Sequence[tuple[int, int]]) -> tuple[Window, ...]:
    """Versions taken together to windows; the first are small, so that something is seen soon."""
    windows: list[Window] = []
    for version, n in counts:
        most = FIRST_WINDOW if len(windows) < 2 else WINDOW
        if windows and windows[-1].messages + n <= most:
            windows[-1] = Window(windows[-1].first, version, windows[-1].messages + n)
        else:
            windows.append(Window(version, version, n))
    return tuple(windows)


def _matching(words: Sequence[str]) -> str:
    """The messages of some versions that hold every word, whatever the case, with the text around the first."""
    holds = " AND ".join(f"contains(lower(content), lower($word{place}))" for place in range(len(words)))
    return named_sql("tui", "found_messages").replace("$holds", holds)


def _within(reading: "Reading", ids: Sequence[str], chosen: "pa.Table | None", first: int) -> set[str]:
    """Those of IDS that stand in a conversation of CHOSEN; all of them without it."""
    if chosen is None or not ids:
        return set(ids)
    reading.con.register("chosen_conversations", chosen)
    rows = reading.rows(named_sql("tui", "found_among"), {"ids": list(ids), "first": first})
    reading.con.unregister("chosen_conversations")
    return {row[0] for row in rows}
