"""Layout `messages`: conversations for TRL, and with a condition and weights for our own trainer.

TRL's SFT trainer reads `messages` and `chat_template_kwargs`; the weights are ours.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from train.exporter import ExportRow, Shard, Target, id_text, shown_score_fields, shown_scores
from train.exporters.pairs import message_list, messages
from train.exporting.shards import write_shards

if TYPE_CHECKING:
    import pyarrow as pa


def write_messages(rows: Iterator[ExportRow], target: Target) -> list[Shard]:
    """One row a conversation."""
    records = (_record(one, target) for one in rows)
    return write_shards(records, target, _schema(target))


def _record(one: ExportRow, target: Target) -> dict[str, Any]:
    row = one.conversation
    weighed = {
        "chat_template_kwargs": {"condition": row.condition},
        "weight": row.weight,
        "message_weights": list(row.turn_weights),
    }
    return {
        "messages": messages(row.turns),
        **(weighed if target.has_conditions else {}),
        "conversation_id": id_text(row),
        "source_class": row.source_class,
        "source": row.source,
        **shown_scores(row, target),
        "snapshot": target.snapshot,
    }


def _schema(target: Target) -> "pa.Schema":
    import pyarrow as pa

    weighed = [
        ("chat_template_kwargs", pa.struct([("condition", pa.string())])),
        ("weight", pa.float64()),
        ("message_weights", pa.list_(pa.float64())),
    ]
    names = ("conversation_id", "source_class", "source")
    return pa.schema(
        [
            ("messages", message_list()),
            *(weighed if target.has_conditions else []),
            *((name, pa.string()) for name in names),
            *shown_score_fields(target),
            ("snapshot", pa.string()),
        ]
    )
