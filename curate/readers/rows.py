"""The records of a file, whatever it is packed in: JSON, CSV, TSV, a spreadsheet, Parquet, Arrow.

A reader that asks for rows is told the fields of each and where it stands; a record that is no object, or
no row of its table, is a reject.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from curate.format import Container, Sample
from curate.reader import Inspection, Reject
from curate.readers import columnar, delimited, sheets
from curate.readers.fields import Fields, Unreadable, objects_of
from curate.readers.json_records import NotJson, excerpt_of, split_records
from curate.readers.text_files import inspect_text, text_chunks
from store.errors import BadInput

SAMPLE_RECORDS = 20
SAMPLE_LINES = 20
SAMPLE_LINE_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file."""

    record_number: int
    line: int
    byte_offset: int
    fields: Fields
    beginning: bytes | str
    """The record, or how it begins."""

    @property
    def excerpt(self) -> str:
        """How the record begins, as text."""
        return self.beginning if isinstance(self.beginning, str) else excerpt_of(self.beginning)


IsRecord = Callable[[Fields], bool]
"""Tells a record from an object inside one; asked only after a damaged record."""


def container_of(path: Path) -> Container:
    """What the file at PATH is packed in, by its first bytes, and its name where they do not tell."""
    found = columnar.container_of(path) or sheets.container_of(path)
    if found is not None:
        return found
    return delimited.container_of(path) or "json"


def inspect_rows(path: Path) -> Inspection:
    """The file's hash and sizes.

    Raises BadInput if it cannot hold records.
    """
    container = container_of(path)
    if container in ("parquet", "arrow"):
        return columnar.inspect(path)
    if container == "sheet":
        return sheets.inspect(path)
    return inspect_text(path)


def rows_of(path: Path, is_record: IsRecord) -> Iterator[Row | Reject]:
    """Every record of the file at PATH.

    Raises BadInput if there is nothing in it that could be one.
    """
    container = container_of(path)
    if container == "json":
        yield from _json_rows(path, is_record)
        return
    if container in ("csv", "tsv"):
        found = delimited.read(path, container)
    else:
        found = sheets.read(path) if container == "sheet" else columnar.read(path)
    for item in found:
        if isinstance(item, Reject):
            yield item
        else:
            yield Row(item.record_number, item.line, item.byte_offset, Fields(item.values), item.excerpt)


def _json_rows(path: Path, is_record: IsRecord) -> Iterator[Row | Reject]:
    def is_one(raw: bytes) -> bool:
        try:
            return is_record(Fields.of_json(raw))
        except Unreadable:
            return False

    try:
        for item in split_records(text_chunks(path), is_one, _fields_or_none):
            if isinstance(item, Reject):
                yield item
                continue
            fields = item.value if item.value is not None else _fields_or_reason(item.raw)
            where = item.record_number, item.line, item.byte_offset
            if isinstance(fields, str):
                yield Reject(*where, fields, excerpt_of(item.raw))
            else:
                yield Row(*where, fields, item.raw)
    except NotJson as error:
        raise BadInput(
            f"{path} is not JSON: it begins (line 1) with {error};"
            " a JSON array, JSON Lines, CSV, TSV, Parquet or a spreadsheet is read"
        ) from error


def _fields_or_none(raw: bytes) -> Fields | None:
    try:
        return Fields.of_json(raw)
    except Unreadable:
        return None


def _fields_or_reason(raw: bytes) -> Fields | str:
    try:
        return Fields.of_json(raw)
    except Unreadable as error:
        return str(error)


def sample_of(path: Path) -> Sample:
    """The first records and lines of the file at PATH.

    Raises BadInput if it is damaged at the beginning; one that is no JSON has lines and no records.
    """
    container = container_of(path)
    lines = () if container in ("parquet", "arrow", "sheet") else _first_lines(path)
    try:
        records = tuple(_first_records(path))
    except BadInput:
        if not lines:
            raise
        records = ()
    return Sample(path, container, records, lines)


def _first_records(path: Path) -> Iterator[dict[str, Any]]:
    for row in islice(rows_of(path, lambda _fields: True), SAMPLE_RECORDS):
        if isinstance(row, Row):
            try:
                yield {key: objects_of(row.fields.see(key)) for key in row.fields.keys()}  # noqa: SIM118 - not a dict
            except Unreadable:
                continue


def _first_lines(path: Path) -> tuple[str, ...]:
    head = next(text_chunks(path, 1 << 16), b"")[: 1 << 16].decode("utf-8", "replace")
    return tuple(line[:SAMPLE_LINE_CHARS] for line in head.split("\n")[:SAMPLE_LINES])
