"""What a reader is: it turns one file into records, rejects and remarks, in the file's order.

A reader takes records as they are. Whether a conversation is fit for training is decided later, by
filters and exports; only what cannot be stored at all is a reject, and it says why and where.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from store.extensions import ExtensionPoint

Pieces = Literal["keep", "join"]


@dataclass(frozen=True, slots=True)
class Record:
    """One conversation of a file."""

    record_number: int
    """Counted from 1, rejects included."""
    line: int
    """Where the record begins, counted from 1."""
    byte_offset: int
    """Where the record begins, in the text after decompression."""
    external_id: str
    """The id the file gives it, or empty."""
    messages: tuple[tuple[str, str], ...]
    """(role, content), with the store's roles."""
    model: str
    """The model label as the file gives it, or empty."""
    source_class: str | None
    """Only where the file names a class; otherwise the class follows from the model label."""
    language: str | None
    metadata: str | None
    """JSON text of whatever else the record holds."""
    record_numbers: tuple[int, ...]
    """More than one when pieces were joined, in the order of their turns."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was not taken."""

    record_number: int
    line: int
    byte_offset: int
    reason: str
    excerpt: str
    """How the record begins."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence about the file as a whole, for the person who reads it in."""

    text: str


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """What a user may ask of a reader."""

    pieces: Pieces = "keep"
    """Whether pieces of one long conversation (ids `<base>_<n>`) are put together again."""


class Reader(Protocol):
    """Reads files of one format."""

    def __call__(self, path: Path, settings: ReaderSettings) -> Iterator[Record | Reject | Remark]:
        """Everything in the file at PATH; every record is either a Record, part of one, or a Reject.

        Raises BadInput if the file is not of this format at all.
        """
        ...


READERS: ExtensionPoint[Reader] = ExtensionPoint(
    kind="reader",
    group="curate.readers",
    built_in={"sharegpt": "curate.readers.sharegpt:read_sharegpt"},
)
