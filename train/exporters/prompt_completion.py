"""Layout `prompt-completion`: the last answer apart from what comes before it; TRL puts the loss on it alone."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from train.exporter import ExportRow, Shard, Target, id_text, shown_score_fields, shown_scores
from train.exporters.pairs import message_list, messages
from train.exporting.shards import write_shards

if TYPE_CHECKING:
    import pyarrow as pa


def write_prompt_completion(rows: Iterator[ExportRow], target: Target) -> list[Shard]:
    """Columns `prompt` and `completion`, each a list of messages."""
    return write_shards((_record(one, target) for one in rows), target, _schema(target))


def _record(one: ExportRow, target: Target) -> dict[str, Any]:
    row = one.conversation
    return {
        "prompt": messages(row.turns[:-1]),
        "completion": messages(row.turns[-1:]),
        "conversation_id": id_text(row),
        "source_class": row.source_class,
        "source": row.source,
        **shown_scores(row, target),
        "snapshot": target.snapshot,
    }


def _schema(target: Target) -> "pa.Schema":
    import pyarrow as pa

    names = ("conversation_id", "source_class", "source")
    return pa.schema(
        [
            ("prompt", message_list()),
            ("completion", message_list()),
            *((name, pa.string()) for name in names),
            *shown_score_fields(target),
            ("snapshot", pa.string()),
        ]
    )
