"""Searching words in the texts of a store, in pieces, each a short turn."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.named_sql import named_sql
from tui.answers.list_index import ListIndex, id_table

if TYPE_CHECKING:
    import pyarrow as pa

    from store.db import Reading, Store

SEARCH_PIECE = 300_000
"""Messages searched in one turn."""


class TextSearch:
    """Searches that go on where they stood when they are asked again."""

    def __init__(self, store: "Store", index: ListIndex) -> None:
        self._store = store
        self._index = index
        self._searches: dict[str, Search] = {}

    def conversations(self, words: tuple[str, ...]) -> "pa.Table":
        """The conversations in which every word stands somewhere."""
        sets = [set(self._holding(word).column("id").to_pylist()) for word in words]
        return id_table(b"".join(sorted(set.intersection(*sets))))

    def _holding(self, word: str) -> "pa.Table":
        """The conversations with a message that holds WORD; asked again, only newer messages are searched."""
        import pyarrow as pa

        search = self._searches.get(word, Search())
        if search.conversations is not None and search.n_listed == self._index.n_listed:
            return search.conversations
        n_listed = self._index.n_listed
        tables = list(search.messages)
        searched_to = search.searched_to
        for last, found in self._matching(word, searched_to + 1):
            tables.append(found)
            searched_to = last
        with self._store.read() as reading:
            reading.con.register("found_messages", pa.concat_tables(tables))
            holders = reading.arrow(named_sql("tui", "holding_conversations"))
        self._searches[word] = Search(searched_to, tuple(tables), n_listed, holders)
        return holders

    def messages(self, words: tuple[str, ...]) -> "pa.Table":
        """The messages that hold every word, their ids as bytes."""
        tables = [[found for _, found in self._matching(word, 0)] for word in words]
        sets = [{one for table in found for one in table.column("id").to_pylist()} for found in tables]
        return id_table(b"".join(sorted(set.intersection(*sets))))

    def _matching(self, word: str, first: int) -> Iterator[tuple[int, "pa.Table"]]:
        """The messages that hold WORD, in pieces so that writers get their turn in between."""
        while True:
            with self._store.read() as reading:
                last = _search_end(reading, first)
                found = reading.arrow(
                    named_sql("tui", "matching_messages"), {"word": word, "first": first, "last": last}
                )
                newest = reading.version
            yield last, found
            if last >= newest:
                return
            first = last + 1


@dataclass(frozen=True, slots=True)
class Search:
    """What is known of the conversations that hold a word."""

    searched_to: int = -1
    """Messages written up to this version were searched."""
    messages: "tuple[pa.Table, ...]" = ()
    n_listed: int = -1
    """How many conversations there were when `conversations` was found."""
    conversations: "pa.Table | None" = None


def _search_end(reading: "Reading", first: int) -> int:
    counts = reading.rows(
        "SELECT version, count(*) FROM messages WHERE version >= ? GROUP BY version ORDER BY version", [first]
    )
    taken = 0
    for version, count in counts:
        taken += count
        if taken >= SEARCH_PIECE:
            return int(version)
    return reading.version
