"""Layouts `pairs` and `pairs-full`: preference rows for TRL and the trainers that read its files.

`pairs` has the prompt in a column of its own; `pairs-full` has whole conversations and no such column.
The two are never mixed: TRL takes the user's turn for part of the answer in a file that has both.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from store.chat_format import Turn
from store.ids import to_text
from train.exporter import ExportRow, Shard, Target
from train.exporting.rows import PairRow
from train.exporting.shards import write_shards

if TYPE_CHECKING:
    import pyarrow as pa


def write_pairs(rows: Iterator[ExportRow], target: Target) -> list[Shard]:
    """Columns `prompt`, `chosen` and `rejected`, each a list of messages."""
    records = (
        {"prompt": messages(one.pair.prompt), **_sides(one.pair, ()), **metadata(one.pair, target.snapshot)}
        for one in rows
    )
    return write_shards(records, target, _schema("prompt", "chosen", "rejected"))


def write_full_pairs(rows: Iterator[ExportRow], target: Target) -> list[Shard]:
    """Columns `chosen` and `rejected`, each the whole conversation."""
    records = ({**_sides(one.pair, one.pair.prompt), **metadata(one.pair, target.snapshot)} for one in rows)
    return write_shards(records, target, _schema("chosen", "rejected"))


def messages(turns: "tuple[Turn, ...]") -> list[dict[str, str]]:
    """Turns as trainers write them."""
    return [{"role": role, "content": content} for role, content in turns]


def _sides(row: PairRow, before: "tuple[Turn, ...]") -> dict[str, Any]:
    return {
        "chosen": messages((*before, ("assistant", row.chosen))),
        "rejected": messages((*before, ("assistant", row.rejected))),
    }


def metadata(row: PairRow, snapshot: str) -> dict[str, Any]:
    """Where a pair comes from and what chose it; no column is called `margin`, which trainers would use."""
    return {
        "score_chosen": row.score_chosen,
        "score_rejected": row.score_rejected,
        "score_gap": row.score_gap,
        "rank_chosen": row.rank_chosen,
        "rank_rejected": row.rank_rejected,
        "strength": row.strength,
        "prompt_id": to_text("m1", row.prompt_id),
        "chosen_id": to_text("m1", row.chosen_id),
        "rejected_id": to_text("m1", row.rejected_id),
        "snapshot": snapshot,
    }


def metadata_fields() -> "list[tuple[str, pa.DataType]]":
    """The columns of `metadata`."""
    import pyarrow as pa

    return [
        ("score_chosen", pa.float64()),
        ("score_rejected", pa.float64()),
        ("score_gap", pa.float64()),
        ("rank_chosen", pa.int32()),
        ("rank_rejected", pa.int32()),
        *((name, pa.string()) for name in ("strength", "prompt_id", "chosen_id", "rejected_id", "snapshot")),
    ]


def message_list() -> "pa.DataType":
    """A column of messages."""
    import pyarrow as pa

    return pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def _schema(*columns: str) -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([*((name, message_list()) for name in columns), *metadata_fields()])
