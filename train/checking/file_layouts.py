"""The layouts a file of rows may be in, told by its columns, and how a record of each is read."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

from store.chat_format import Turn
from store.errors import BadInput
from train.supervise import Supervised

SPEAKERS = {"human": "user", "gpt": "assistant", "system": "system"}


@dataclass(frozen=True, slots=True)
class Side:
    """One conversation of a record."""

    turns: tuple[Turn, ...] | None
    """None in the layout `tokenized`."""
    turn_weights: tuple[float, ...] | None
    condition: str | None = None
    """None where the layout has no column for it, empty where the column is empty."""
    tokens: Supervised | None = None
    """None in the layouts that hold text."""


Read = Callable[[dict[str, Any]], tuple[Side, ...]]


def layout_of(record: dict[str, Any], path: Path) -> str:
    """The layout a record is in, by the columns only that layout has.

    Raises BadInput if it is in none.
    """
    for columns, layout in LAYOUT_BY_COLUMNS.items():
        if set(columns) <= record.keys():
            return layout
    known = "; ".join(" and ".join(columns) for columns in LAYOUT_BY_COLUMNS)
    raise BadInput(f"{path} has the columns {', '.join(record)}, and none of the known sets: {known}")


def sides_of(record: dict[str, Any], layout: str) -> tuple[Side, ...]:
    """The conversations of a record: one, or for a pair the better and the worse.

    Raises KeyError, TypeError or ValueError where the record is not of the layout.
    """
    return READ[layout](record)


def _from_messages(record: dict[str, Any]) -> tuple[Side, ...]:
    turns = _messages(record["messages"])
    weights = record.get("message_weights")
    if weights is None:
        weight = float(record.get("weight", 1.0))
        weights = [weight if role == "assistant" else 0.0 for role, _ in turns]
    condition = None
    if "chat_template_kwargs" in record:
        condition = (record["chat_template_kwargs"] or {}).get("condition") or ""
    return (Side(turns, _floats(weights), condition),)


def _from_openchat(record: dict[str, Any]) -> tuple[Side, ...]:
    system = [("system", record["system"])] if record.get("system") else []
    spoken = _messages(record["items"])
    weights = [0.0] * len(system) + [item.get("weight", 0.0) for item in record["items"] or []]
    return (Side((*system, *spoken), _floats(weights), record.get("condition") or ""),)


def _from_tokenized(record: dict[str, Any]) -> tuple[Side, ...]:
    ids = list(record["input_ids"])
    n_tokens = int(record.get("n_tokens") or len(ids))
    weights = list(_floats(record["loss_weights"]))
    tokens = Supervised(ids, list(record["labels"]), weights, n_tokens)
    return (Side(None, None, record.get("condition"), tokens),)


def pieces_of(record: dict[str, Any]) -> tuple[int, ...] | None:
    """The lengths of the conversations a row of tokens is packed of: told, or where positions start again at 0."""
    if record.get("seq_lengths") is not None:
        return tuple(map(int, record["seq_lengths"]))
    positions = record.get("position_ids")
    if not positions:
        return None
    starts = [place for place, position in enumerate(positions) if position == 0 or place == 0]
    return tuple(end - start for start, end in pairwise([*starts, len(positions)]))


def _from_sharegpt(record: dict[str, Any]) -> tuple[Side, ...]:
    turns = _spoken(record)
    return (Side(turns, tuple(float(role == "assistant") for role, _ in turns)),)


def _from_prompt_completion(record: dict[str, Any]) -> tuple[Side, ...]:
    return (_answered(_messages(record["prompt"]), _messages(record["completion"])),)


def _from_pairs(record: dict[str, Any]) -> tuple[Side, ...]:
    prompt = _messages(record["prompt"])
    return tuple(_answered(prompt, _messages(record[side])) for side in ("chosen", "rejected"))


def _from_full_pairs(record: dict[str, Any]) -> tuple[Side, ...]:
    better, worse = (_messages(record[side]) for side in ("chosen", "rejected"))
    shared = len(list(takewhile(lambda two: two[0] == two[1], zip(better[:-1], worse[:-1], strict=False))))
    return _answered(better[:shared], better[shared:]), _answered(worse[:shared], worse[shared:])


def _from_axolotl_pairs(record: dict[str, Any]) -> tuple[Side, ...]:
    system = [("system", record["system"])] if record.get("system") else []
    prompt = (*system, ("user", record["input"] or ""))
    return tuple(_answered(prompt, (("assistant", record[side] or ""),)) for side in ("chosen", "rejected"))


def _from_llamafactory_pairs(record: dict[str, Any]) -> tuple[Side, ...]:
    prompt = _spoken(record)
    return tuple(
        _answered(prompt, ((SPEAKERS[record[side]["from"]], record[side]["value"] or ""),))
        for side in ("chosen", "rejected")
    )


def _answered(prompt: tuple[Turn, ...], answer: tuple[Turn, ...]) -> Side:
    """A prompt and the answer that alone is trained on."""
    return Side((*prompt, *answer), (*(0.0 for _ in prompt), *(1.0 for _ in answer)))


def _messages(turns: list[dict[str, Any]] | None) -> tuple[Turn, ...]:
    return tuple((str(turn["role"]), turn["content"] or "") for turn in turns or [])


def _spoken(record: dict[str, Any]) -> tuple[Turn, ...]:
    system = [("system", record["system"])] if record.get("system") else []
    turns = [(SPEAKERS[turn["from"]], turn["value"] or "") for turn in record["conversations"]]
    return (*system, *turns)


def _floats(values: list[Any]) -> tuple[float, ...]:
    return tuple(float("nan") if value is None else float(value) for value in values)


LAYOUT_BY_COLUMNS: dict[tuple[str, ...], str] = {
    ("input_ids",): "tokenized",
    ("items",): "openchat",
    ("messages",): "messages",
    ("prompt", "chosen", "rejected"): "pairs",
    ("conversations", "chosen", "rejected"): "llamafactory-pairs",
    ("input", "chosen", "rejected"): "axolotl-pairs",
    ("chosen", "rejected"): "pairs-full",
    ("prompt", "completion", "label"): "labelled",
    ("prompt", "completion"): "prompt-completion",
    ("conversations",): "sharegpt",
}
"""Columns that only this layout has all of → layout; the first that fits."""

READ: dict[str, Read] = {
    "axolotl-pairs": _from_axolotl_pairs,
    "labelled": _from_prompt_completion,
    "llamafactory-pairs": _from_llamafactory_pairs,
    "messages": _from_messages,
    "openchat": _from_openchat,
    "pairs": _from_pairs,
    "pairs-full": _from_full_pairs,
    "prompt-completion": _from_prompt_completion,
    "sharegpt": _from_sharegpt,
    "tokenized": _from_tokenized,
}
