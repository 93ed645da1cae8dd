"""Spreadsheets (`.xlsx`): the first sheet, its first row the header, every cell as text."""

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from curate.format import Container
from curate.reader import Inspection
from curate.readers.archives import EXPANSION_GRACE_BYTES, MAX_EXPANSION, archive_of, open_bytes
from curate.readers.table_rows import TableRow, excerpt_of_cells
from curate.readers.text_files import CHUNK_BYTES
from store.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    import polars as pl

ZIP_MAGIC = b"PK\x03\x04"


def container_of(path: Path) -> Container | None:
    """Whether the file is a zip archive with a workbook inside.

    Raises BadInput for an archive inside an archive.
    """
    if path.is_dir() or not _begins_as_zip(path):
        return None
    if archive_of(path) is not None:
        raise BadInput(f"{path} is an archive or a spreadsheet inside an archive; unpack the outer one")
    try:
        with zipfile.ZipFile(path) as archive:
            return "sheet" if "xl/workbook.xml" in archive.namelist() else None
    except zipfile.BadZipFile:
        return None


def _begins_as_zip(path: Path) -> bool:
    with open_bytes(path) as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def inspect(path: Path) -> Inspection:
    """The file's hash and sizes.

    Raises BadInput if it is no spreadsheet.
    """
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name the files in it")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            digest.update(block)
    return Inspection(digest.hexdigest(), path.stat().st_size, _expanded_bytes(path))


def _expanded_bytes(path: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    except zipfile.BadZipFile as error:
        raise BadInput(f"{path} is not an .xlsx spreadsheet: {error}") from error
    if "xl/workbook.xml" not in sizes:
        raise BadInput(f"{path} is a zip archive without a workbook; human-eval reads .xlsx spreadsheets")
    total = sum(sizes.values())
    if total > EXPANSION_GRACE_BYTES and total > MAX_EXPANSION * path.stat().st_size:
        raise BadInput(f"{path} expands to more than {MAX_EXPANSION} times its size; it is not read")
    return total


def read(path: Path) -> Iterator[TableRow]:
    """Every row after the header; an empty cell is empty text."""
    table = table_of(path)
    for number, values in enumerate(table.iter_rows(named=True), start=1):
        cells = {name: "" if value is None else value for name, value in values.items()}
        yield TableRow(number, number + 1, 0, cells, excerpt_of_cells(list(cells.values())))


def table_of(path: Path) -> "pl.DataFrame":
    """The first sheet, every cell as text.

    Raises MissingExtra without fastexcel, BadInput if the sheet cannot be read.
    """
    try:
        import fastexcel
    except ImportError as error:
        raise MissingExtra.of("fastexcel", "sheets") from error
    import polars as pl

    _expanded_bytes(path)
    try:
        return pl.read_excel(path, infer_schema_length=0)
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError) as error:
        raise BadInput(f"{path} cannot be read as a spreadsheet: {error}") from error
