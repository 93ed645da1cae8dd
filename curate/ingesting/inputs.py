"""Which files a command is to read, and with which reader.

A folder or a zip archive stands for the data files in it, in order of their names; a folder that `datasets`
saved is a single input. Of ChatGPT's account export only the conversations are data.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from curate.ingesting.detect import AUTO, Detected, detect
from curate.readers.archives import archive_of, is_archive, members
from curate.readers.archives import stored_bytes as member_bytes
from curate.readers.columnar import is_saved_dataset, stored_bytes
from curate.readers.text_prompts import ENDINGS as TEXT_ENDINGS
from store.errors import BadInput

ENDINGS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".tab", ".xlsx", ".parquet", ".arrow")
PACKED = (".gz", ".zst", ".zstd")
ARCHIVE = ".zip"
TEXT_READERS = ("prompt-lines", "prompt-blocks")
"""Only who asks for these means notes and licenses too when naming a folder."""
CONVERSATIONS = re.compile(r"conversations(-\d+)?\.json")
"""What ChatGPT's account export calls its conversations; large exports have several such files."""
BESIDE_CONVERSATIONS = frozenset(
    {"chat.html", "user.json", "message_feedback.json", "shared_conversations.json"}
)
"""At least one of these stands beside them."""
REFUSALS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Input:
    """One file, or one folder that is a data set."""

    path: Path
    name: str
    """What it is called: its file name, or its path in the folder that was named."""
    reader: str
    """As it was named, `auto` included."""
    remark: str = ""
    """What a person should know of it."""

    def format(self) -> Detected:
        """Its format, and how that was found; nothing to say where it was named.

        Raises BadInput if it is to be found and is not clear.
        """
        return detect(self.path) if self.reader == AUTO else Detected(self.reader, "")


def inputs_of(reader: str, paths: Sequence[Path]) -> list[Input]:
    """What PATHS stand for.

    Raises BadInput if a folder or an archive has no data files.
    """
    endings = (*ENDINGS, *TEXT_ENDINGS) if reader in TEXT_READERS else ENDINGS
    return [one for path in paths for one in _inputs(path, reader, endings)]


def refusal_of(errors: Sequence[BadInput]) -> BadInput:
    """One error for all files that were refused."""
    if len(errors) == 1:
        return errors[0]
    shown = "; ".join(str(error) for error in errors[:REFUSALS_SHOWN])
    more = f"; and {len(errors) - REFUSALS_SHOWN} more" if len(errors) > REFUSALS_SHOWN else ""
    return BadInput(f"{len(errors)} files are refused (--skip-refused takes the others in): {shown}{more}")


def _inputs(path: Path, reader: str, endings: tuple[str, ...]) -> Iterator[Input]:
    """The inputs at PATH."""
    if is_archive(path):
        yield from _members(path, path.name, reader, endings)
        return
    if not path.is_dir() or is_saved_dataset(path):
        yield Input(path, path.name, reader)
        return
    found = list(_data_files(path, endings))
    if not found:
        raise BadInput(f"{path} is a folder without data files ({', '.join(endings)}, also packed)")
    for file in found:
        name = file.relative_to(path).as_posix()
        if is_archive(file):
            yield from _members(file, name, reader, endings)
        else:
            yield Input(file, name, reader)


def _data_files(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from [path] if is_saved_dataset(path) else _data_files(path, endings)
        elif _ending(path) in (*endings, ARCHIVE):
            yield path


def _members(archive: Path, name: str, reader: str, endings: tuple[str, ...]) -> Iterator[Input]:
    """The data files of a zip archive.

    Raises BadInput if there are none, or it was made to harm.
    """
    every = members(archive)
    found = [member for member in every if _ending(PurePosixPath(member)) in endings]
    export = [member for member in found if CONVERSATIONS.fullmatch(PurePosixPath(member).name)]
    remark = ""
    if export and BESIDE_CONVERSATIONS & {PurePosixPath(member).name for member in every}:
        others = len(every) - len(export)
        remark = f"ChatGPT's account export: its conversations are read, its {others} other files are not"
        found = export
    if not found:
        raise BadInput(f"{archive} is an archive without data files ({', '.join(endings)}, also packed)")
    for member in found:
        yield Input(archive / member, f"{name}/{member}", reader, remark)


def _ending(path: PurePath) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    return suffixes[-1] if suffixes else ""


def size_of(path: Path) -> int:
    """How many bytes lie at PATH, a folder's files together."""
    return stored_bytes(path) if archive_of(path) is None else member_bytes(path)
