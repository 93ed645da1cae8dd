"""Files inside zip archives: found, checked and read in a stream, without unpacking anything.

A member is named as if its archive were a folder: `export.zip/conversations.json`. Archives that would
expand without bound, are encrypted, or name their members so that they would leave a folder are refused.
"""

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO

from store.errors import BadInput

ARCHIVE_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
"""The second begins an archive without members."""
MAX_MEMBERS = 2_000
"""An archive's directory is read anew for each of its members."""
MAX_EXPANSION = 256
"""Compressed chat logs reach 20; a file that passes this is a bomb."""
EXPANSION_GRACE_BYTES = 64 << 20
IS_ENCRYPTED = 0x1
"""The flag of a member that needs a password."""
JUNK = "__MACOSX"


class MemberFile:
    """The bytes of a member, as they are after inflating."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self._path = path
        self._archive = archive
        self._file = archive.open(member)
        self.stored_bytes = member.compress_size
        """How long it is in the archive."""

    def __enter__(self) -> "MemberFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self._archive.close()

    def read(self, size: int = -1, /) -> bytes:
        """Up to SIZE bytes, none at the end.

        Raises BadInput if the archive is damaged there.
        """
        try:
            return self._file.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise BadInput(
                f"{self._path} is damaged in its archive ({error}); fetch the archive again"
            ) from error


def is_archive(path: Path) -> bool:
    """Whether the file at PATH is a zip archive, and not a spreadsheet."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if not file.read(4).startswith(ARCHIVE_MAGICS):
            return False
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" not in archive.namelist()
    except zipfile.BadZipFile:
        return True


def members(path: Path) -> list[str]:
    """The names of the files in the archive at PATH, in order.

    Raises BadInput if it is damaged, or made to harm.
    """
    found = sorted(name for name, info in _directory(path).items() if not info.is_dir())
    return [name for name in found if not any(_is_junk(part) for part in PurePosixPath(name).parts)]


def _is_junk(part: str) -> bool:
    return part.startswith(".") or part == JUNK


def _directory(path: Path) -> dict[str, zipfile.ZipInfo]:
    """Name → what the archive's directory says, every entry checked."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise BadInput(
            f"{path} is a zip archive that is damaged or cut off ({error}); fetch it again"
        ) from error
    if len(entries) > MAX_MEMBERS:
        raise BadInput(
            f"{path} holds {len(entries):,} files, more than {MAX_MEMBERS:,}; unpack it if you trust it"
        )
    total = sum(entry.file_size for entry in entries)
    if total > EXPANSION_GRACE_BYTES and total > MAX_EXPANSION * path.stat().st_size:
        raise BadInput(
            f"{path} expands to more than {MAX_EXPANSION} times its size; unpack it yourself if you trust it"
        )
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = _checked_name(path, entry)
        if name in found:
            raise BadInput(f"{path} holds two files called {name!r}; which one is meant cannot be known")
        found[name] = entry
    return found


def _checked_name(path: Path, entry: zipfile.ZipInfo) -> str:
    name = PurePosixPath(entry.filename)
    if name.is_absolute() or ".." in name.parts or "\\" in entry.filename or ":" in entry.filename[:2]:
        raise BadInput(
            f"{path} holds {entry.filename[:80]!r}, a name that leads out of it; unpack it if you trust it"
        )
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise BadInput(f"{path} holds {entry.filename[:80]!r}, a link and no file; unpack it if you trust it")
    if entry.flag_bits & IS_ENCRYPTED:
        raise BadInput(f"{path} is encrypted; unpack it with its password")
    return name.as_posix()


def archive_of(path: Path) -> Path | None:
    """The archive that PATH leads into, if it does."""
    if path.exists():
        return None
    return next((parent for parent in path.parents if parent.is_file()), None)


def stored_bytes(path: Path) -> int:
    """How long the file at PATH is, or the member of an archive while it is compressed."""
    archive = archive_of(path)
    if archive is None:
        return path.stat().st_size
    member = _directory(archive).get(path.relative_to(archive).as_posix())
    return member.compress_size if member else 0


def open_bytes(path: Path) -> "BinaryIO | MemberFile":
    """The file at PATH, or the member of an archive, to be read from its beginning.

    Raises BadInput for a member that is not there or cannot be read.
    """
    archive = archive_of(path)
    if archive is None:
        return path.open("rb")
    name = path.relative_to(archive).as_posix()
    member = _directory(archive).get(name)
    if member is None:
        raise BadInput(f"{archive} holds no file {name!r}")
    opened = zipfile.ZipFile(archive)
    try:
        return MemberFile(path, opened, member)
    except (NotImplementedError, zipfile.BadZipFile, RuntimeError) as error:
        opened.close()
        raise BadInput(f"{path} cannot be read from its archive ({error}); unpack it yourself") from error
