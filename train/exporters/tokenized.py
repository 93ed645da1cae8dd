"""Layout `tokenized`: tokens, labels and loss weights, ready for the trainer."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from store.errors import BadSettings
from train.exporter import ExportRow, Shard, Target, id_text, shown_score_fields, shown_scores
from train.exporting.shards import write_shards
from train.supervise import Supervised

if TYPE_CHECKING:
    import pyarrow as pa


def write_tokenized(rows: Iterator[ExportRow], target: Target) -> list[Shard]:
    """One row a conversation, cut to length."""
    return write_shards((record(one, target) for one in rows), target, _schema(target))


def record(one: ExportRow, target: Target) -> dict[str, Any]:
    """A row as this layout writes it."""
    row, tokens = one.conversation, one.tokens
    if not isinstance(tokens, Supervised):
        raise BadSettings("the layout tokenized needs a tokenizer; name one with --tokenizer")
    return {
        "input_ids": tokens.input_ids,
        "labels": tokens.labels,
        "loss_weights": tokens.loss_weights,
        "n_tokens": tokens.n_tokens,
        "condition": row.condition,
        "conversation_id": id_text(row),
        "source_class": row.source_class,
        **shown_scores(row, target),
        "snapshot": target.snapshot,
    }


def _schema(target: Target) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            ("input_ids", pa.list_(pa.int32())),
            ("labels", pa.list_(pa.int32())),
            ("loss_weights", pa.list_(pa.float32())),
            ("n_tokens", pa.int32()),
            ("condition", pa.string()),
            ("conversation_id", pa.string()),
            ("source_class", pa.string()),
            *shown_score_fields(target),
            ("snapshot", pa.string()),
        ]
    )
