"""The bytes of a text file: decompressed, without a byte order mark, in bounded chunks.

Also the look at a whole file before anything of it is taken: its hash, and whether it is text that a
JSON reader can do anything with.
"""

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol

from curate.reader import Inspection
from curate.readers.archives import EXPANSION_GRACE_BYTES, MAX_EXPANSION, MemberFile, open_bytes
from store.errors import BadInput

CHUNK_BYTES = 1 << 20
MAX_WINDOW_BYTES = 1 << 27

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
BOM = b"\xef\xbb\xbf"
CONFLICT = b"<<<<<<< "

NOT_JSON = (
    (
        re.compile(rb"version https://git-lfs"),
        "is a git-lfs pointer, not the file; fetch it with: git lfs pull",
    ),
    (re.compile(rb"<"), "looks like a web page, not JSON; download the file itself again"),
    (re.compile(rb"\xff\xfe|\xfe\xff"), "is UTF-16 text; convert it with: iconv -f UTF-16 -t UTF-8"),
    (re.compile(rb"PAR1"), "is a Parquet file, not JSON; write it as JSON Lines first"),
    (
        re.compile(rb"PK\x03\x04"),
        "is a zip archive where a file was meant; unpack it and name the file inside",
    ),
    (re.compile(rb"BZh|\xfd7zXZ"), "is compressed in a way that is not read; use gzip or zstd"),
)
"""How files begin that are often taken for JSON, and what to do about each."""
NOT_TEXT = (
    *(one for one in NOT_JSON if one[0].pattern != rb"<"),
    (re.compile(rb"(?i)<!doctype|<html"), "looks like a web page; download the file itself again"),
)
"""The same for plain text, which may begin with `<`."""
Beginnings = tuple[tuple[re.Pattern[bytes], str], ...]


class Bytes(Protocol):
    """Where raw bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Up to SIZE bytes, none at the end."""
        ...


class Tally:
    """Counts, and if asked hashes, what is read through it."""

    def __init__(self, file: BinaryIO | MemberFile, *, is_hashed: bool) -> None:
        self._file = file
        self._hash = hashlib.sha256() if is_hashed else None
        self.count = 0

    def read(self, size: int, /) -> bytes:
        """Up to SIZE bytes, none at the end."""
        block = self._file.read(size)
        self.count += len(block)
        if self._hash is not None:
            self._hash.update(block)
        return block

    @property
    def stored_count(self) -> int:
        """How many bytes of what is stored that is; of a member of an archive the whole of what is compressed."""
        return self._file.stored_bytes if isinstance(self._file, MemberFile) else self.count

    def hexdigest(self) -> str:
        """The SHA-256 of everything read."""
        return self._hash.hexdigest() if self._hash is not None else ""


def text_chunks(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The text of the file at PATH, in chunks of about CHUNK_BYTES.

    Raises BadInput if it is compressed and damaged, or expands beyond MAX_EXPANSION.
    """
    with open_bytes(path) as file:
        yield from _text(Tally(file, is_hashed=False), path, chunk_bytes)


def inspect_text(path: Path, beginnings: Beginnings = NOT_JSON) -> Inspection:
    """Hash the file at PATH and make sure that its text can be JSON, or does not begin with one of BEGINNINGS.

    Raises BadInput, naming the line and the way out, if it cannot: nothing was taken then.
    """
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name the files in it")
    with open_bytes(path) as file:
        tally = Tally(file, is_hashed=True)
        text_bytes = _checked_length(_text(tally, path, CHUNK_BYTES), path, beginnings)
    return Inspection(tally.hexdigest(), tally.stored_count, text_bytes)


def file_hash(path: Path) -> str:
    """The SHA-256 of the file at PATH, as it lies there."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked_length(chunks: Iterator[bytes], path: Path, beginnings: Beginnings) -> int:
    first = next(chunks, b"")
    _check_beginning(first, path, beginnings)
    length, tail = 0, b"\n"
    for chunk in chain([first], chunks):
        _check_conflict(tail + chunk[: len(CONFLICT)], path)
        _check_conflict(chunk, path)
        length += len(chunk)
        tail = chunk[-len(CONFLICT) :]
    return length


def _check_beginning(first: bytes, path: Path, beginnings: Beginnings) -> None:
    text = first.lstrip()
    if not text:
        raise BadInput(f"{path} is empty; check how it was made or downloaded")
    if text.startswith(CONFLICT):
        return  # the next check says so, with the line
    for beginning, sentence in beginnings:
        if beginning.match(text):
            raise BadInput(f"{path} {sentence} (line {first[: first.find(text[:8])].count(10) + 1})")


def _check_conflict(text: bytes, path: Path) -> None:
    """A raw line break cannot stand inside a JSON string, so these marks are never part of the data."""
    if b"\n" + CONFLICT in text:
        raise BadInput(
            f"{path} has git merge-conflict markers (first at line {_conflict_line(path)});"
            " resolve the conflict and try again"
        )


def _conflict_line(path: Path) -> int:
    line, rest = 0, b"\n"
    for chunk in text_chunks(path):
        text = rest + chunk
        found = text.find(b"\n" + CONFLICT)
        if found >= 0:
            return line + text.count(b"\n", 0, found + 1)
        rest = text[-len(CONFLICT) :]
        line += text.count(b"\n", 0, len(text) - len(rest))
    return line


def _text(raw: Tally, path: Path, chunk_bytes: int) -> Iterator[bytes]:
    try:
        chunks = gathered(_bounded(_decompressed(raw, chunk_bytes), raw, path), chunk_bytes)
        first = next(chunks, b"")
        yield first.removeprefix(BOM)
        yield from chunks
    except (zlib.error, EOFError) as error:
        raise BadInput(
            f"{path} is compressed and damaged or cut off ({error}); fetch or compress it again"
        ) from error


def gathered(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in chunks of at least SIZE, the last one excepted."""
    held: list[bytes] = []
    n_held = 0
    for piece in pieces:
        held.append(piece)
        n_held += len(piece)
        if n_held >= size:
            yield b"".join(held)
            held, n_held = [], 0
    if n_held:
        yield b"".join(held)


def _bounded(pieces: Iterator[bytes], raw: Tally, path: Path) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > EXPANSION_GRACE_BYTES and total > MAX_EXPANSION * raw.stored_count:
            raise BadInput(
                f"{path} expands to more than {MAX_EXPANSION} times its size;"
                " decompress it yourself if you trust it"
            )
        yield piece


def _decompressed(raw: Bytes, chunk_bytes: int) -> Iterator[bytes]:
    first = raw.read(chunk_bytes)
    if first.startswith(GZIP_MAGIC):
        return _gunzipped(_blocks(first, raw, 1 << 16))
    if first.startswith(ZSTD_MAGIC):
        return _unzstd(_blocks(first, raw, 1 << 16))
    return _blocks(first, raw, chunk_bytes)


def _blocks(first: bytes, raw: Bytes, size: int) -> Iterator[bytes]:
    block = first
    while block:
        yield block
        block = raw.read(size)


def _gunzipped(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Every member of a gzip file, one after the other; zeros may follow (tapes and some uploaders pad)."""
    engine = zlib.decompressobj(31)
    is_open = True
    for block in blocks:
        rest = block
        while rest:
            if not is_open:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                engine, is_open = zlib.decompressobj(31), True
            yield engine.decompress(rest, CHUNK_BYTES)
            is_open = not engine.eof
            rest = engine.unused_data if engine.eof else engine.unconsumed_tail
    if is_open:
        yield engine.flush()
        if not engine.eof:
            raise EOFError("the end of the gzip stream is missing")


FEED_BYTES = 2048
"""A zstd block of 4 bytes can stand for 128 KiB; small feeds bound what one call returns."""


def _unzstd(blocks: Iterator[bytes]) -> Iterator[bytes]:
    import zstandard

    settings = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    engine = settings.decompressobj()
    is_open = True
    try:
        for feed in (
            block[start : start + FEED_BYTES]
            for block in blocks
            for start in range(0, len(block), FEED_BYTES)
        ):
            rest = feed
            while rest:
                if not is_open:
                    engine, is_open = settings.decompressobj(), True
                yield engine.decompress(rest)
                is_open = not engine.eof
                rest = engine.unused_data if engine.eof else b""
    except zstandard.ZstdError as error:
        raise EOFError(str(error)) from error
    if is_open:
        raise EOFError("the end of the zstd frame is missing")
