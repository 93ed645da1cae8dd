"""Readers that turn each record of a file into conversations, whatever the file is packed in.

Such a reader is one function from the fields of a record to its conversations. What becomes a
conversation counts as one record read: a path of a message tree, an instance of a task. A part that
gives none is a reject of its own, so that read = kept + rejected holds for the parts as well.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from curate.reader import Inspection, Rating, ReaderSettings, Record, Reject, Remark
from curate.readers.fields import Fields, Unreadable
from curate.readers.rows import IsRecord, Row, inspect_rows, rows_of

Messages = tuple[tuple[str, str], ...]


class Draft(NamedTuple):
    """One conversation, before it has a place in a file."""

    messages: Messages
    external_id: str = ""
    model: str = ""
    language: str | None = None
    metadata: str | None = None
    ratings: tuple[tuple[int, Rating], ...] = ()
    """What somebody gave to one of the messages, by its place."""


class Refusal(NamedTuple):
    """A part of a record that gives no conversation, and why."""

    reason: str
    excerpt: str = ""


DraftsOf = Callable[[Fields], Iterable[Draft | Refusal]]
"""Raises Unreadable if the record as a whole cannot be stored."""


@dataclass(frozen=True, slots=True)
class DraftReader:
    """A reader made of such a function."""

    drafts: DraftsOf
    is_record: IsRecord
    """Tells a record from an object inside one, after damage."""

    def inspect(self, path: Path) -> Inspection:
        """The file's hash and sizes.

        Raises BadInput if it cannot hold records.
        """
        return inspect_rows(path)

    def __call__(self, path: Path, settings: ReaderSettings) -> Iterator[Record | Reject | Remark]:
        """Every conversation of the file at PATH.

        Raises BadInput if nothing in it could be a record.
        """
        del settings
        yield from records_of(rows_of(path, self.is_record), self.drafts)


def records_of(rows: Iterable[Row | Reject], drafts: DraftsOf) -> Iterator[Record | Reject]:
    """What DRAFTS makes of ROWS, counted anew."""
    number = 0
    for row in rows:
        if isinstance(row, Reject):
            number += 1
            yield Reject(number, row.line, row.byte_offset, row.reason, row.excerpt)
            continue
        for one in _drafts_of(row, drafts):
            number += 1
            if isinstance(one, Refusal):
                yield Reject(number, row.line, row.byte_offset, one.reason, one.excerpt or row.excerpt)
            else:
                yield _record_of(one, number, row)


def _drafts_of(row: Row, drafts: DraftsOf) -> list[Draft | Refusal]:
    try:
        found = list(drafts(row.fields))
    except Unreadable as error:
        return [Refusal(str(error))]
    except RecursionError:
        return [Refusal("nested too deeply")]
    checked = [_checked(one) for one in found]
    return checked or [Refusal("no conversation in it")]


def _checked(one: Draft | Refusal) -> Draft | Refusal:
    return one if isinstance(one, Refusal) or one.messages else Refusal("no messages")


def _record_of(draft: Draft, number: int, row: Row) -> Record:
    return Record(
        number,
        row.line,
        row.byte_offset,
        draft.external_id,
        draft.messages,
        draft.model,
        None,
        draft.language,
        draft.metadata,
        (number,),
        draft.ratings,
    )


def has_any(*keys: str) -> IsRecord:
    """Whether a JSON object has one of KEYS."""

    def is_record(fields: Fields) -> bool:
        return any(key in fields for key in keys)

    return is_record
