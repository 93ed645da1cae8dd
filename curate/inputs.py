"""Which files a command is to read, and with which reader.

A folder stands for the data files in it, in order of their names; one that `datasets` saved is a single
input.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.detect import AUTO, Detected, detect
from curate.readers.columnar import is_saved_dataset, stored_bytes
from store.errors import BadInput

ENDINGS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".tab", ".xlsx", ".parquet", ".arrow")
PACKED = (".gz", ".zst", ".zstd")
REFUSALS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Input:
    """One file, or one folder that is a data set."""

    path: Path
    name: str
    """What it is called: its file name, or its path in the folder that was named."""
    reader: str
    """As it was named, `auto` included."""

    def format(self) -> Detected:
        """Its format, and how that was found; nothing to say where it was named.

        Raises BadInput if it is to be found and is not clear.
        """
        return detect(self.path) if self.reader == AUTO else Detected(self.reader, "")


def inputs_of(reader: str, paths: Sequence[Path]) -> list[Input]:
    """What PATHS stand for.

    Raises BadInput if a folder has no data files.
    """
    return [Input(file, name, reader) for path in paths for file, name in _files(path)]


def refusal_of(errors: Sequence[BadInput]) -> BadInput:
    """One error for all files that were refused."""
    if len(errors) == 1:
        return errors[0]
    shown = "; ".join(str(error) for error in errors[:REFUSALS_SHOWN])
    more = f"; and {len(errors) - REFUSALS_SHOWN} more" if len(errors) > REFUSALS_SHOWN else ""
    return BadInput(f"{len(errors)} files are refused (--skip-refused takes the others in): {shown}{more}")


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
