"""CSV and TSV with a header line: streamed, each row with its line and byte offset.

CSV may quote cells, line breaks inside them included. TSV is read as most sets write it: a tab always
ends a cell and a line break a row; quotes around a whole cell are taken off.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from curate.format import Container
from curate.reader import Reject
from curate.readers.json_records import RECORD_BYTES
from curate.readers.table_rows import EXCERPT_CHARS, TableRow, excerpt_of_cells
from curate.readers.text_files import text_chunks
from store.errors import BadInput

PACKED = (".gz", ".zst", ".zstd")


def container_of(path: Path) -> Container | None:
    """Whether the name of the file says CSV or TSV."""
    suffixes = [suffix for suffix in path.suffixes if suffix.lower() not in PACKED]
    last = suffixes[-1].lower() if suffixes else ""
    if last == ".csv":
        return "csv"
    return "tsv" if last in (".tsv", ".tab") else None


class Lines:
    """The lines of a text, with how far it was read; endless ones are cut off."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.line = 0
        self.byte_offset = 0
        """Where the next line begins."""
        self.too_long = False
        """Whether a line of the last row was longer than a record may be."""

    def __iter__(self) -> Iterator[str]:
        rest = b""
        for chunk in self._chunks:
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            for line in lines:
                yield self._next(line + b"\n")
            if len(rest) > RECORD_BYTES:
                self.too_long = True
                rest = rest[: EXCERPT_CHARS * 4]
        if rest:
            yield self._next(rest)

    def _next(self, line: bytes) -> str:
        self.line += 1
        self.byte_offset += len(line)
        return line.decode("utf-8", "surrogateescape")


def read(path: Path, container: str) -> Iterator[TableRow | Reject]:
    """Every row after the header.

    Raises BadInput if there is no header, or one that names a column twice.
    """
    lines = Lines(text_chunks(path))
    rows = _csv_rows(lines) if container == "csv" else tsv_rows(lines)
    header: list[str] | None = None
    number = 0
    for line, offset, cells, fault in rows:
        if header is None:
            header = _checked_header(path, cells, fault)
            continue
        number += 1
        reason = fault or _reason_against(cells, header)
        if reason is not None:
            yield Reject(number, line, offset, reason, _shown(excerpt_of_cells(cells)))
            continue
        yield TableRow(number, line, offset, dict(zip(header, cells, strict=True)), excerpt_of_cells(cells))


Cells = tuple[int, int, list[str], str | None]
"""(line, byte offset, cells, what is wrong)"""


def _csv_rows(lines: Lines) -> Iterator[Cells]:
    csv.field_size_limit(RECORD_BYTES)
    reader = csv.reader(lines, strict=True)
    while True:
        line, offset = lines.line + 1, lines.byte_offset
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, offset, [], _csv_reason(str(error))
            continue
        if cells:
            yield line, offset, cells, length_fault(lines)


def _csv_reason(message: str) -> str:
    if message == "unexpected end of data":
        return "not CSV: a quote that opens here is never closed"
    return f"not CSV: {message}"


def tsv_rows(lines: Lines) -> Iterator[Cells]:
    """The cells of every line that is not empty."""
    offset = 0
    for text in lines:
        row = text.rstrip("\n").removesuffix("\r")
        if row:
            yield lines.line, offset, [_unquoted(cell) for cell in row.split("\t")], length_fault(lines)
        offset = lines.byte_offset


def length_fault(lines: Lines) -> str | None:
    """Whether a line of the last row was longer than a record may be."""
    was_long, lines.too_long = lines.too_long, False
    return f"longer than {RECORD_BYTES >> 20} MB" if was_long else None


def _unquoted(cell: str) -> str:
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        inner = cell[1:-1]
        if '"' not in inner.replace('""', ""):
            return inner.replace('""', '"')
    return cell


def _checked_header(path: Path, cells: list[str], fault: str | None) -> list[str]:
    names = [cell.strip() for cell in cells]
    if fault is not None:
        raise BadInput(f"{path} has no header line: {fault}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"{path} has the column {twice!r} twice in its header (line 1); rename one")
    return names


def _reason_against(cells: list[str], header: list[str]) -> str | None:
    if len(cells) != len(header):
        return f"{len(cells)} cells where the header has {len(header)}"
    return text_fault(cells)


def text_fault(cells: list[str]) -> str | None:
    """Whether a cell is not UTF-8."""
    if any(not cell.isascii() and any("\ud800" <= char <= "\udfff" for char in cell) for cell in cells):
        return "not UTF-8"
    return None


def _shown(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
