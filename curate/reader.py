"""What a reader is: it turns one file into records, verdicts, rejects and remarks, in the file's order.

A reader takes records as they are. Whether a conversation is fit for training is decided later, by
filters and exports; only what cannot be stored at all is a reject, and it says why and where.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

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
class Inspection:
    """A file, looked at from beginning to end."""

    sha256: str
    """Of the file as it lies there, compressed or not."""
    stored_bytes: int
    text_bytes: int
    """After decompression."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A record that is a verdict on two answers to one prompt.

    Prompt and answers are stored as conversations too, each answer of a model once however many verdicts
    name it.
    """

    record_number: int
    """Counted from 1, rejects included."""
    line: int
    byte_offset: int
    external_id: str
    """The id the file gives the prompt, or empty."""
    prompt: tuple[tuple[str, str], ...]
    """(role, content), with the store's roles."""
    answer_a: str
    """The one shown first."""
    answer_b: str
    policy_a: str
    """Who wrote it, or empty."""
    policy_b: str
    labeler: str
    labeler_kind: str
    """`person`, `judge` …"""
    template: str
    """What the labeler was shown."""
    scale: str
    native_label: str | None
    """The verdict in the scale's own words."""
    signed_margin: float | None
    """From 1, A is clearly better, to -1; None where there is no verdict."""
    state: str
    """`win`, `tie`, or why there is no verdict."""
    created_at: datetime
    """In UTC, without a zone; the epoch where the file gives no time."""
    acceptable_a: bool | None = None
    acceptable_b: bool | None = None
    explanation: str | None = None
    draw_index: int = 0
    """Which of several verdicts of one labeler on the same order it is."""


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

    def __call__(self, path: Path, settings: ReaderSettings) -> Iterator[Record | Judged | Reject | Remark]:
        """Everything in the file at PATH; every record is a Record, part of one, a Judged or a Reject.

        Raises BadInput if the file is not of this format at all.
        """
        ...


@runtime_checkable
class Inspecting(Protocol):
    """A reader of files that are not text: it looks at them itself before anything of them is taken."""

    def inspect(self, path: Path) -> Inspection:
        """The file's hash and sizes.

        Raises BadInput if it cannot be a file of this format.
        """
        ...


READERS: ExtensionPoint[Reader] = ExtensionPoint(
    kind="reader",
    group="curate.readers",
    built_in={
        "human-eval": "curate.readers.human_eval:HUMAN_EVAL",
        "sharegpt": "curate.readers.sharegpt:read_sharegpt",
    },
)
