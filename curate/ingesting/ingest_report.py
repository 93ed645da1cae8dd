"""What came of taking files in: counts of what was read, kept, rejected and new, a file at a time."""

from collections import Counter
from dataclasses import dataclass, field, fields

from curate.ingesting.sources import Source
from curate.reader import Judged, Labeled, Record, Reject
from store.ids import uuid_text

REASONS_KEPT = 1_000

Item = Record | Judged | Labeled | Reject


@dataclass(slots=True)
class Tally:
    """Counts of one file; `read = kept + rejected`."""

    read: int = 0
    kept: int = 0
    rejected: int = 0
    new_conversations: int = 0
    new_messages: int = 0
    new_comparisons: int = 0
    new_ratings: int = 0
    new_samples: int = 0
    new_rewards: int = 0

    def add_new(self, table: str, count: int) -> None:
        """Count new rows of TABLE."""
        name = f"new_{table}"
        setattr(self, name, getattr(self, name) + count)


@dataclass(frozen=True, slots=True)
class FileReport:
    """What came of one file."""

    path: str
    name: str
    reader: str
    source_id: str
    was_taken: bool
    """Whether an earlier run had finished it; then nothing was read and the counts are that run's."""
    tally: Tally
    reasons: Counter[str]
    remarks: list[str]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What came of all files."""

    files: list[FileReport] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Why files were left out."""

    def total(self) -> dict[str, int]:
        """The counts of all files together."""
        return {one.name: sum(getattr(file.tally, one.name) for file in self.files) for one in fields(Tally)}


def count_item(tally: Tally, reasons: Counter[str], item: Item) -> None:
    """Count one item of a file, and why it was rejected if it was."""
    if isinstance(item, Judged | Labeled):
        tally.read += 1
        tally.kept += 1
        return
    if isinstance(item, Record):
        tally.read += len(item.record_numbers)
        tally.kept += len(item.record_numbers)
        return
    tally.read += 1
    tally.rejected += 1
    if item.reason in reasons or len(reasons) < REASONS_KEPT:
        reasons[item.reason] += 1


def report_on(
    source: Source, tally: Tally, reasons: Counter[str], remarks: list[str], *, was_taken: bool
) -> FileReport:
    """What came of SOURCE."""
    return FileReport(
        str(source.path),
        source.name,
        source.reader,
        uuid_text(source.source_id),
        was_taken,
        tally,
        reasons,
        remarks,
    )
