"""What an exporter is, and the table of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from store.extensions import ExtensionPoint
from train.rows import TrainingRow
from train.supervise import Supervised

ROWS_PER_SHARD = 100_000


@dataclass(frozen=True, slots=True)
class ExportRow:
    """A row on its way into a file, with its tokens where a tokenizer was given."""

    row: TrainingRow
    tokens: Supervised | None


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how shards are written."""

    folder: Path
    snapshot: str
    """A snapshot's name, or `v12`."""
    file_format: str
    """`parquet` or `jsonl`."""
    rows_per_shard: int = ROWS_PER_SHARD


@dataclass(frozen=True, slots=True)
class Shard:
    """A file that was written."""

    name: str
    rows: int


class Exporter(Protocol):
    """Writes rows in the layout a trainer reads."""

    def __call__(self, rows: Iterator[ExportRow], target: Target) -> list[Shard]:
        """Write all ROWS under TARGET's folder, in their order."""


EXPORTERS: ExtensionPoint[Exporter] = ExtensionPoint(
    kind="layout",
    group="train.exporters",
    built_in={
        "messages": "train.exporters.messages:write_messages",
        "openchat": "train.exporters.openchat:write_openchat",
        "tokenized": "train.exporters.tokenized:write_tokenized",
    },
)

FORMATS: dict[str, tuple[str, ...]] = {
    "messages": ("parquet", "jsonl"),
    "openchat": ("jsonl",),
    "tokenized": ("parquet",),
}
"""The file formats of the built-in layouts, the usual one first."""
