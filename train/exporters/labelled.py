"""Layout `labelled`: one answer a row, good or bad, for TRL's KTO trainer."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from store.ids import to_text
from train.exporter import ExportRow, Shard, Target
from train.exporters.pairs import message_list, messages
from train.exporting.shards import write_shards

if TYPE_CHECKING:
    import pyarrow as pa


def write_labelled(rows: Iterator[ExportRow], target: Target) -> list[Shard]:
    """Columns `prompt`, `completion` and `label`; the two rows of a pair follow each other."""
    return write_shards((_record(one, target.snapshot) for one in rows), target, _schema())


def _record(one: ExportRow, snapshot: str) -> dict[str, Any]:
    row = one.labelled
    return {
        "prompt": messages(row.pair.prompt),
        "completion": messages((("assistant", row.completion),)),
        "label": row.is_good,
        "score": row.scores[0],
        "score_other": row.scores[1],
        "prompt_id": to_text("m1", row.pair.prompt_id),
        "completion_id": to_text("m1", row.completion_id),
        "snapshot": snapshot,
    }


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            ("prompt", message_list()),
            ("completion", message_list()),
            ("label", pa.bool_()),
            ("score", pa.float64()),
            ("score_other", pa.float64()),
            *((name, pa.string()) for name in ("prompt_id", "completion_id", "snapshot")),
        ]
    )
