"""Which files a command is to read, and with which reader.

A folder stands for the data files in it, in order of their names; one that `datasets` saved is a single
input.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.detect import AUTO, detect
from curate.readers.columnar import is_saved_dataset, stored_bytes
from store.errors import BadInput

ENDINGS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".tab", ".xlsx", ".parquet", ".arrow")
PACKED = (".gz", ".zst", ".zstd")


@dataclass(frozen=True, slots=True)
class Input:
    """One file, or one folder that is a data set."""

    path: Path
    name: str
    """What it is called: its file name, or its path in the folder that was named."""
    reader: str
    why: str
    """How the format was found; empty where it was named."""


def inputs_of(reader: str, paths: Sequence[Path]) -> list[Input]:
    """What PATHS stand for, each with its reader; `auto` finds the reader of each.

    Raises BadInput if a folder has no data files, or if a format is not clear.
    """
    files = [file for path in paths for file in _files(path)]
    if reader != AUTO:
        return [Input(file, name, reader, "") for file, name in files]
    found = [(file, name, detect(file)) for file, name in files]
    return [Input(file, name, one.reader, one.why) for file, name, one in found]


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """The inputs at PATH, each with its name."""
    if not path.is_dir() or is_saved_dataset(path):
        yield path, path.name
        return
    found = list(_data_files(path))
    if not found:
        raise BadInput(f"{path} is a folder without data files ({', '.join(ENDINGS)}, also packed)")
    yield from ((file, file.relative_to(path).as_posix()) for file in found)


def _data_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from [path] if is_saved_dataset(path) else _data_files(path)
        elif _ending(path) in ENDINGS:
            yield path


def _ending(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    return suffixes[-1] if suffixes else ""


def size_of(path: Path) -> int:
    """How many bytes lie at PATH, a folder's files together."""
    return stored_bytes(path)
