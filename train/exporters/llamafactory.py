"""Layouts `sharegpt` and `llamafactory-pairs`: LLaMA-Factory's files, with the `dataset_info.json` it looks for."""

import json
from collections.abc import Iterator
from typing import Any

from store.chat_format import Turn
from train.exporter import ExportRow, Shard, Target, id_text
from train.exporters.pairs import metadata
from train.exporting.shards import write_shards

SPEAKERS = {"user": "human", "assistant": "gpt"}
TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
}


def write_sharegpt(rows: Iterator[ExportRow], target: Target) -> list[Shard]:
    """Columns `conversations` and `system`; every answer is trained on."""
    shards = write_shards((_conversation(one, target.snapshot) for one in rows), target)
    _describe(shards, target, {"messages": "conversations", "system": "system"}, is_ranking=False)
    return shards


def write_llamafactory_pairs(rows: Iterator[ExportRow], target: Target) -> list[Shard]:
    """Columns `conversations`, which ends with the user, `chosen` and `rejected`, each one turn."""
    shards = write_shards((_pair(one, target.snapshot) for one in rows), target)
    columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected", "system": "system"}
    _describe(shards, target, columns, is_ranking=True)
    return shards


def _conversation(one: ExportRow, snapshot: str) -> dict[str, Any]:
    row = one.conversation
    return {
        **_spoken(row.turns),
        "conversation_id": id_text(row),
        "source_class": row.source_class,
        "snapshot": snapshot,
    }


def _pair(one: ExportRow, snapshot: str) -> dict[str, Any]:
    row = one.pair
    return {
        **_spoken(row.prompt),
        "chosen": {"from": "gpt", "value": row.chosen},
        "rejected": {"from": "gpt", "value": row.rejected},
        **metadata(row, snapshot),
    }


def _spoken(turns: tuple[Turn, ...]) -> dict[str, Any]:
    return {
        "conversations": [
            {"from": SPEAKERS[role], "value": content} for role, content in turns if role != "system"
        ],
        "system": "".join(content for role, content in turns if role == "system"),
    }


def _describe(shards: list[Shard], target: Target, columns: dict[str, str], *, is_ranking: bool) -> None:
    """Name every shard as LLaMA-Factory's `--dataset` does."""
    entries = {
        shard.name.removesuffix(".jsonl"): {
            "file_name": shard.name,
            "formatting": "sharegpt",
            **({"ranking": True} if is_ranking else {}),
            "columns": columns,
            "tags": TAGS,
        }
        for shard in shards
    }
    text = json.dumps(entries, indent=2) + "\n"
    (target.folder / "dataset_info.json").write_text(text, encoding="utf-8")
