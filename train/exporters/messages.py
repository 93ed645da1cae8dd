"""Layout `messages`: conversations with a condition and weights, for TRL and our own trainer.

TRL's SFT trainer reads `messages` and `chat_template_kwargs`; the weights are ours.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from store.ids import to_text
from train.exporter import ExportRow, Shard, Target
from train.shards import write_shards

if TYPE_CHECKING:
    import pyarrow as pa


def write_messages(rows: Iterator[ExportRow], target: Target) -> list[Shard]:
    """One row a conversation."""
    records = (record(one, target.snapshot) for one in rows)
    return write_shards(records, target, _schema() if target.file_format == "parquet" else None)


def record(one: ExportRow, snapshot: str) -> dict[str, Any]:
    """A row as this layout writes it."""
    row = one.row
    return {
        "messages": [{"role": role, "content": content} for role, content in row.turns],
        "chat_template_kwargs": {"condition": row.condition},
        "weight": row.weight,
        "message_weights": list(row.turn_weights),
        "conversation_id": to_text("c1", row.conversation_id),
        "source_class": row.source_class,
        "snapshot": snapshot,
    }


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
            ("chat_template_kwargs", pa.struct([("condition", pa.string())])),
            ("weight", pa.float64()),
            ("message_weights", pa.list_(pa.float64())),
            ("conversation_id", pa.string()),
            ("source_class", pa.string()),
            ("snapshot", pa.string()),
        ]
    )
