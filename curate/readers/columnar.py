"""Parquet files, Arrow files and folders that `datasets` saved: read with pyarrow, a batch at a time."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curate.format import Container
from curate.reader import Inspection
from curate.readers.archives import EXPANSION_GRACE_BYTES, MAX_EXPANSION, archive_of, open_bytes
from curate.readers.table_rows import TableRow, excerpt_of_cells
from curate.readers.text_files import CHUNK_BYTES
from store.errors import BadInput

PARQUET_MAGIC = b"PAR1"
ARROW_MAGIC = b"ARROW1"
STREAM_MAGIC = b"\xff\xff\xff\xff"
BATCH_ROWS = 256


def container_of(path: Path) -> Container | None:
    """What a file's first bytes say; a folder that `datasets` saved is Arrow.

    Raises BadInput for such a file inside an archive.
    """
    if path.is_dir():
        return "arrow" if is_saved_dataset(path) else None
    with open_bytes(path) as file:
        head = file.read(8)
    found: Container | None = None
    if head.startswith(PARQUET_MAGIC):
        found = "parquet"
    elif head.startswith((ARROW_MAGIC, STREAM_MAGIC)):
        found = "arrow"
    if found is not None and archive_of(path) is not None:
        raise BadInput(
            f"{path} is {found.capitalize()} inside an archive, where only text is read; unpack it"
        )
    return found


def is_saved_dataset(folder: Path) -> bool:
    """Whether `save_to_disk` made the folder, for one set or for several splits."""
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def inspect(path: Path) -> Inspection:
    """Hash and sizes of a file, or of all files of a folder.

    Raises BadInput if the content expands beyond MAX_EXPANSION.
    """
    expanded = _checked_size(path)
    files = [file for file, _ in _files(path)]
    digest = hashlib.sha256()
    for file in files:
        if path.is_dir():
            digest.update(f"{file.relative_to(path).as_posix()}\0".encode())
        with file.open("rb") as opened:
            while block := opened.read(CHUNK_BYTES):
                digest.update(block)
    return Inspection(digest.hexdigest(), stored_bytes(path), expanded)


def _checked_size(path: Path) -> int:
    files = [file for file, _ in _files(path)]
    expanded = sum(map(_expanded_bytes, files))
    if expanded > EXPANSION_GRACE_BYTES and expanded > MAX_EXPANSION * sum(
        file.stat().st_size for file in files
    ):
        raise BadInput(f"{path} expands to more than {MAX_EXPANSION} times its size; it is not read")
    return expanded


def stored_bytes(path: Path) -> int:
    """The size of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _expanded_bytes(file: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if container_of(file) != "parquet":
        return file.stat().st_size
    try:
        metadata = pq.ParquetFile(file).metadata
        return sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error


def _files(path: Path) -> list[tuple[Path, str]]:
    """The data files at PATH, each with the split it belongs to."""
    if not path.is_dir():
        return [(path, "")]
    splits = _splits(path)
    if splits:
        return [(file, split) for split in splits for file, _ in _files(path / split)]
    return [(path / name, "") for name in _names(path)]


def _splits(folder: Path) -> list[str]:
    described = folder / "dataset_dict.json"
    if not described.is_file():
        return []
    splits = _json(described).get("splits")
    if not isinstance(splits, list) or not all(isinstance(split, str) for split in splits):
        raise BadInput(f"{described} names no splits; save the data set again")
    return [_inside(folder, split) for split in splits]


def _names(folder: Path) -> list[str]:
    state = folder / "state.json"
    entries = _json(state).get("_data_files")
    if not isinstance(entries, list) or not entries:
        raise BadInput(f"{state} names no data files; save the data set again")
    names = [_inside(folder, entry.get("filename")) for entry in entries if isinstance(entry, dict)]
    missing = next((name for name in names if not (folder / name).is_file()), None)
    if missing is not None:
        raise BadInput(f"{folder / missing} is missing; copy the whole folder again")
    return names


def _inside(folder: Path, name: object) -> str:
    """NAME, if it is the name of something in the folder and of nothing outside it."""
    if not isinstance(name, str) or not name or Path(name).name != name or name == "..":
        raise BadInput(f"{folder} names a file outside itself: {str(name)[:80]!r}")
    return name


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}; save the data set again") from error
    return found if isinstance(found, dict) else {}


def read(path: Path) -> Iterator[TableRow]:
    """Every row; of a folder with several splits, split after split, each row with its `split`."""
    _checked_size(path)
    number = 0
    for file, split in _files(path):
        for values in _rows(file):
            number += 1
            if split and "split" not in values:
                values["split"] = split
            yield TableRow(number, number, 0, values, excerpt_of_cells(list(values.values())))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of one file; a null is a field that is not there."""
    import pyarrow as pa

    try:
        for batch in _batches(file):
            for values in batch.to_pylist():
                yield {name: value for name, value in values.items() if value is not None}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(file, error) from error


def _batches(file: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if container_of(file) == "parquet":
        yield from pq.ParquetFile(file).iter_batches(batch_size=BATCH_ROWS)
        return
    with pa.memory_map(str(file)) as source:
        if _begins_with(file, ARROW_MAGIC):
            opened = pa.ipc.open_file(source)
            batches = (opened.get_batch(index) for index in range(opened.num_record_batches))
        else:
            batches = iter(pa.ipc.open_stream(source))
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)


def _damaged(file: Path, error: Exception) -> BadInput:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return BadInput(f"{file} is damaged or cut off ({reason}); fetch or save it again")


def _begins_with(file: Path, magic: bytes) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(magic)) == magic
