"""What an ingest would add, counted without writing anything."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from curate.ingesting import intake
from curate.ingesting.ingest_report import Item, Tally, count_item
from curate.ingesting.judged import JudgedRows, not_stored
from curate.ingesting.known_ids import KnownIds, Occurrences, Prefixes, halves_of
from curate.ingesting.labeled import TABLES, LabeledRows, Row, Table, fresh_rows, key_of
from curate.ingesting.piece import Piece
from curate.ingesting.sources import Source
from curate.reader import Judged, Labeled, Record
from store.ids import digest_of

if TYPE_CHECKING:
    from store.db import Store


class DryCount:
    """Counts new rows without writing them, at 8 bytes a message."""

    def __init__(self, store: "Store", source: Source) -> None:
        self._store = store
        self._source = source
        self._occurrences = Occurrences()
        self._met = Prefixes()
        self._judged = JudgedRows(source.reader)
        self._labeled = LabeledRows(source.reader, source.source_id)
        self._labels_met = Prefixes()
        self._piece = Piece()
        self.tally = Tally()
        self.reasons: Counter[str] = Counter()

    def take(self, items: Iterator[Item]) -> None:
        """Count all of ITEMS, in pieces."""
        for item in items:
            self._add(item)
            if len(self._piece.ids) >= intake.GROUP_ROWS:
                self._settle()
        self._settle()

    def _add(self, item: Item) -> None:
        if isinstance(item, Record):
            self._labeled.add_record(item, self._piece)
        elif isinstance(item, Labeled):
            self._labeled.add(item, self._piece)
        elif isinstance(item, Judged):
            self._judged.add(item, self._piece)
        count_item(self.tally, self.reasons, item)

    def _settle(self) -> None:
        """Count what of the piece is new."""
        conversations = [
            one.conversation_id for one in self._piece.conversations(self._source.reader, self._occurrences)
        ]
        self.tally.new_messages += self._n_new("messages", "message_id", self._piece.ids)
        self.tally.new_conversations += self._n_new("conversations", "conversation_id", conversations)
        self.tally.new_comparisons += self._n_new_verdicts(self._judged.take(len(self._piece.ids)))
        ready = self._labeled.take(len(self._piece.ids))
        for table in TABLES:
            self.tally.add_new(table.name, self._n_new_labels(table, ready[table.name]))
        self._piece = Piece()

    def _n_new_labels(self, table: Table, rows: list[Row]) -> int:
        if not rows:
            return 0
        digests = {digest_of("q1", table.name, repr(key_of(table, row))): row for row in rows}
        prefixes = halves_of(list(digests))[:, 0]
        is_met = self._labels_met.holds(prefixes).tolist()
        self._labels_met.add(prefixes)
        unmet = [row for row, met in zip(digests.values(), is_met, strict=True) if not met]
        if not self._store.path.exists():
            return len(unmet)
        with self._store.read() as reading:
            return len(fresh_rows(reading, table, unmet, frozenset()))

    def _n_new_verdicts(self, rows: list[dict[str, object]]) -> int:
        if not rows or not self._store.path.exists():
            return len(rows)
        with self._store.read() as reading:
            return len(not_stored(reading, rows))

    def _n_new(self, table: str, column: str, ids: list[bytes]) -> int:
        if not ids:
            return 0
        prefixes = halves_of(ids)[:, 0]
        unmet = [id_ for id_, met in zip(ids, self._met.holds(prefixes).tolist(), strict=True) if not met]
        self._met.add(prefixes)
        if not self._store.path.exists():
            return len(unmet)
        with self._store.read() as reading:
            return len(unmet) - len(KnownIds(table, column).stored_among(reading, unmet))
