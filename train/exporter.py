"""What an exporter is, and the table of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from store.extensions import ExtensionPoint
from store.ids import to_text
from train.checking.pair_tokens import PairTokens
from train.exporting.rows import LabelledRow, PairRow, Row, TrainingRow
from train.supervise import Supervised

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_SHARD = 100_000


@dataclass(frozen=True, slots=True)
class ExportRow:
    """A row on its way into a file, with its tokens where a tokenizer was given."""

    row: Row
    tokens: Supervised | PairTokens | None

    @property
    def conversation(self) -> TrainingRow:
        """The row, known to be a conversation."""
        assert isinstance(self.row, TrainingRow), "the recipe's rows are no conversations"
        return self.row

    @property
    def pair(self) -> PairRow:
        """The row, known to be a pair."""
        assert isinstance(self.row, PairRow), "the recipe's rows are no pairs"
        return self.row

    @property
    def labelled(self) -> LabelledRow:
        """The row, known to be one answer that is good or bad."""
        assert isinstance(self.row, LabelledRow), "the recipe's rows are no labelled answers"
        return self.row


def id_text(row: TrainingRow) -> str:
    """What names a row in its file: the conversation, or the last message it was made of."""
    if row.conversation_id is None:
        return to_text("m1", row.message_ids[-1])
    return to_text("c1", row.conversation_id)


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how shards are written."""

    folder: Path
    snapshot: str
    """A snapshot's name, or `v12`."""
    file_format: str
    """`parquet` or `jsonl`."""
    rows_per_shard: int = ROWS_PER_SHARD
    has_conditions: bool = False
    """Whether rows carry a condition and weights (C-RLFT)."""
    shows_two: bool = False
    """Whether rows show two answers and carry their scores (the preference model)."""


def shown_scores(row: TrainingRow, target: Target) -> dict[str, float | None]:
    """The columns with the scores of two answers that are shown, in files that have them."""
    return dict(zip(("score_a", "score_b"), row.shown_scores, strict=True)) if target.shows_two else {}


def shown_score_fields(target: Target) -> "list[tuple[str, pa.DataType]]":
    """The columns of `shown_scores`."""
    import pyarrow as pa

    return [("score_a", pa.float64()), ("score_b", pa.float64())] if target.shows_two else []


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
        "axolotl-pairs": "train.exporters.axolotl_pairs:write_axolotl_pairs",
        "labelled": "train.exporters.labelled:write_labelled",
        "llamafactory-pairs": "train.exporters.llamafactory:write_llamafactory_pairs",
        "messages": "train.exporters.messages:write_messages",
        "openchat": "train.exporters.openchat:write_openchat",
        "pairs": "train.exporters.pairs:write_pairs",
        "pairs-full": "train.exporters.pairs:write_full_pairs",
        "prompt-completion": "train.exporters.prompt_completion:write_prompt_completion",
        "sharegpt": "train.exporters.llamafactory:write_sharegpt",
        "tokenized": "train.exporters.tokenized:write_tokenized",
    },
)

FORMATS: dict[str, tuple[str, ...]] = {
    "axolotl-pairs": ("jsonl", "parquet"),
    "labelled": ("parquet", "jsonl"),
    "llamafactory-pairs": ("jsonl",),
    "messages": ("parquet", "jsonl"),
    "openchat": ("jsonl",),
    "pairs": ("parquet", "jsonl"),
    "pairs-full": ("parquet", "jsonl"),
    "prompt-completion": ("parquet", "jsonl"),
    "sharegpt": ("jsonl",),
    "tokenized": ("parquet",),
}
"""The file formats of the built-in layouts, the usual one first."""
