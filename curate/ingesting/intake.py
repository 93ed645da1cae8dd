"""One file on its way into the store: what is there already is left out, the rest written a piece at a time.

Killed at any moment and repeated, the store ends up as if nothing had happened: ids are hashes of what
they name, a piece is one transaction, and whatever is stored already is left out of the next.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from curate.ingesting.ingest_report import Item, Tally, count_item
from curate.ingesting.inputs import size_of
from curate.ingesting.judged import JudgedRows, not_stored
from curate.ingesting.known_ids import KnownIds, Occurrences
from curate.ingesting.labeled import TABLES, LabeledRows, append_labels, fresh_rows
from curate.ingesting.piece import Numbered, Piece, conversation_table
from curate.ingesting.sources import Source
from curate.reader import Judged, Labeled, Record, Reject
from store.errors import BadInput
from store.ids import uuid_text

if TYPE_CHECKING:
    from store.db import Reading, Store, Writing

GROUP_ROWS = 20_480
"""The store's row group; a piece is a whole number of them."""
GROUPS_PER_PIECE = 1
"""About a second's work, so that others get their turn."""
PIECE_BYTES = 48 << 20
"""A piece of very long messages is written before its row group is full."""
PIECE_REJECTS = 10_000
PIECE_LABELS = 20_000

Progress = Callable[[float], None]
"""Told how many more bytes of text have been taken in."""


class Intake:
    """What one run knows about the store it writes to."""

    def __init__(self, store: "Store", run_id: str) -> None:
        self.store = store
        self.run_id = run_id
        self.messages = KnownIds("messages", "message_id")
        self.conversations = KnownIds("conversations", "conversation_id")

    def refresh(self, reading: "Reading", version: int) -> bool:
        """Take in what others wrote up to VERSION; whether there were messages among it."""
        self.conversations.refresh(reading, version)
        return self.messages.refresh(reading, version)


class FileIntake:
    """One file on its way into the store."""

    def __init__(self, intake: Intake, source: Source) -> None:
        self._intake = intake
        self._source = source
        self._occurrences = Occurrences()
        self._piece = Piece()
        self._judged = JudgedRows(source.reader)
        self._labeled = LabeledRows(source.reader, source.source_id)
        self._is_noted = False
        self.tally = Tally()
        self.reasons: Counter[str] = Counter()

    def take(self, items: Iterator[Item], tell: Progress) -> None:
        """Write all of ITEMS, in pieces."""
        offset = 0
        for item in items:
            self._add(item)
            if self._is_full():
                self._write(is_last=False)
                tell(item.byte_offset - offset)
                offset = item.byte_offset
        _check_unchanged(self._source)
        self._write(is_last=True)
        tell(self._source.inspection.text_bytes - offset)

    def _add(self, item: Item) -> None:
        if isinstance(item, Record):
            self._labeled.add_record(item, self._piece)
        elif isinstance(item, Labeled):
            self._labeled.add(item, self._piece)
        elif isinstance(item, Judged):
            self._judged.add(item, self._piece)
        else:
            self._piece.rejects.append(item)
        count_item(self.tally, self.reasons, item)

    def _is_full(self) -> bool:
        piece, wanted = self._piece, GROUPS_PER_PIECE * GROUP_ROWS
        return (
            (piece.n_unsettled() >= wanted and piece.screen(self._intake.messages) >= wanted)
            or piece.n_bytes >= PIECE_BYTES
            or len(piece.rejects) >= PIECE_REJECTS
            or len(self._judged) + len(self._labeled) >= PIECE_LABELS
        )

    def _write(self, *, is_last: bool) -> None:
        intake, piece = self._intake, self._piece
        with intake.store.write(intake.run_id) as writing:
            if intake.refresh(writing, writing.version - 1):
                piece.screen_again(intake.messages)
            piece.screen(intake.messages)
            self._note_source(writing, is_last=False)
            settled, message_ids = self._write_messages(writing, is_last=is_last)
            conversation_ids = self._write_conversations(writing, settled)
            self._write_verdicts(writing, settled)
            self._write_labels(writing, settled, frozenset(message_ids))
            self._write_rejects(writing)
            if is_last:
                self._note_source(writing, is_last=True)
        version = writing.version if writing.rows_by_table else writing.version - 1
        intake.messages.added(message_ids, version)
        intake.conversations.added(conversation_ids, version)
        self._piece = piece.rest_after(settled)

    def _write_messages(self, writing: "Writing", *, is_last: bool) -> tuple[int, list[bytes]]:
        """Returns up to where the piece is settled, and the ids that were new."""
        piece = self._piece
        stored = self._intake.messages.stored_among(writing, piece.doubtful())
        places = piece.new_messages(stored)
        whole = len(places) // GROUP_ROWS * GROUP_ROWS
        settled = len(piece.ids)
        if whole and not is_last and whole < len(places):
            settled = places[whole]
            places = places[:whole]
        writing.append("messages", piece.message_table(places))
        self.tally.new_messages += len(places)
        return settled, [piece.ids[i] for i in places]

    def _write_conversations(self, writing: "Writing", settled: int) -> list[bytes]:
        """Write the conversations all of whose messages are stored; returns the ids that were new."""
        source, known = self._source, self._intake.conversations
        numbered = self._piece.conversations(source.reader, self._occurrences)
        ready = [one for one in numbered if one.kept.last_new <= settled]
        fresh = _without(ready, known, writing)
        writing.append(
            "conversations",
            conversation_table(fresh, source.source_id, source.reader, source.settings.source_class),
        )
        self.tally.new_conversations += len(fresh)
        return [one.conversation_id for one in fresh]

    def _write_verdicts(self, writing: "Writing", settled: int) -> None:
        """Write the verdicts all of whose messages are stored."""
        rows = not_stored(writing, self._judged.take(settled))
        place = {"run_id": self._intake.run_id, "source_id": uuid_text(self._source.source_id)}
        self.tally.new_comparisons += writing.append("comparisons", [{**row, **place} for row in rows])

    def _write_labels(self, writing: "Writing", settled: int, written: frozenset[bytes]) -> None:
        """Write the labels all of whose messages are stored; WRITTEN are those new in this turn."""
        ready = self._labeled.take(settled)
        for table in TABLES:
            rows = fresh_rows(writing, table, ready[table.name], written)
            self.tally.add_new(table.name, append_labels(writing, table, rows, self._intake.run_id))

    def _write_rejects(self, writing: "Writing") -> None:
        rejects = self._piece.rejects
        if not rejects:
            return
        stored = writing.rows(
            "SELECT record_number FROM rejects WHERE source_id = CAST(? AS UUID) AND record_number BETWEEN ? AND ?",
            [uuid_text(self._source.source_id), rejects[0].record_number, rejects[-1].record_number],
        )
        numbers = {row[0] for row in stored}
        rows = [
            _reject_row(self._source, reject) for reject in rejects if reject.record_number not in numbers
        ]
        writing.append("rejects", rows)

    def _note_source(self, writing: "Writing", *, is_last: bool) -> None:
        """Say that the source is being read, once ever, or that it is finished."""
        if not is_last:
            if self._is_noted or _noted(writing, self._source) is not None:
                return
            self._is_noted = True
        state, tally = ("finished", self.tally) if is_last else ("reading", Tally())
        writing.append("sources", [_source_row(self._source, state, tally, self._intake.run_id)])


def _without(ready: list[Numbered], known: KnownIds, reading: "Reading") -> list[Numbered]:
    ids = [one.conversation_id for one in ready]
    if not ids:
        return []
    doubts = known.doubtful(ids).tolist()
    stored = known.stored_among(
        reading, [id_ for id_, is_doubted in zip(ids, doubts, strict=True) if is_doubted]
    )
    return [one for one in ready if one.conversation_id not in stored]


def _check_unchanged(source: Source) -> None:
    if size_of(source.path) != source.inspection.stored_bytes:
        raise BadInput(f"{source.path} changed while it was read; repeat the command when it is complete")


def finished(intake: Intake, source: Source) -> Tally | None:
    """The counts of a source that an earlier run finished; a new name or license is noted."""
    with intake.store.read() as reading:
        found = _noted(reading, source)
    if found is None or found["state"] != "finished":
        return None
    tally = Tally(found["records_read"], found["records_kept"], found["records_rejected"])
    wanted = (source.settings.name or found["name"], source.settings.license or found["license"])
    if wanted != (found["name"], found["license"]):
        with intake.store.write(intake.run_id) as writing:
            row = _source_row(source, "finished", tally, intake.run_id)
            writing.append("sources", [{**row, "name": wanted[0], "license": wanted[1]}])
    return tally


def _noted(reading: "Reading", source: Source) -> dict[str, Any] | None:
    rows = reading.dicts(
        "SELECT name, license, state, records_read, records_kept, records_rejected"
        " FROM current_sources WHERE source_id = CAST(? AS UUID)",
        [uuid_text(source.source_id)],
    )
    return rows[0] if rows else None


def _source_row(source: Source, state: str, tally: Tally, run_id: str) -> dict[str, object]:
    return {
        "source_id": uuid_text(source.source_id),
        "name": source.name,
        "reader": source.reader,
        "path": str(source.path),
        "sha256": source.inspection.sha256,
        "bytes": source.inspection.stored_bytes,
        "license": source.settings.license,
        "settings": source.settings.identity(),
        "state": state,
        "records_read": tally.read,
        "records_kept": tally.kept,
        "records_rejected": tally.rejected,
        "run_id": run_id,
    }


def _reject_row(source: Source, reject: Reject) -> dict[str, object]:
    return {
        "source_id": uuid_text(source.source_id),
        "sha256": source.inspection.sha256,
        "record_number": reject.record_number,
        "line": reject.line,
        "byte_offset": reject.byte_offset,
        "reason": reject.reason,
        "excerpt": reject.excerpt,
    }
