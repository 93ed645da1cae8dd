"""Turns in the layout of chat APIs: a role, a content that is text or a list of parts, tool calls.

A call of a tool becomes a message of its own with the role `tool_call` and, as content, JSON with `name`
and `arguments`. What else a turn says (its name, a loss weight, reasoning that was not shown) is kept for
the metadata, by turn.
"""

from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from curate.readers.drafts import Messages
from curate.readers.fields import Unreadable, kind_of, objects_of

ROLE_OF = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "ipython": "tool",
    "tool_call": "tool_call",
}
TEXT_PARTS = ("text", "input_text", "output_text", "refusal")
REASONING_PARTS = ("reasoning", "thinking")
REASONING_KEYS = ("reasoning_content", "reasoning")

_encode = msgspec.json.encode


class Turns(NamedTuple):
    """What a list of turns says."""

    messages: Messages
    extras: list[dict[str, object]]
    """What else turns say, each with the number of its `turn`."""

    def metadata(self) -> list[tuple[str, object]]:
        """The extras, for the metadata, if there are any."""
        return [("turns", self.extras)] if self.extras else []


def turns_of(turns: object, key: str, left_out: frozenset[str] = frozenset()) -> Turns:
    """The messages of the list in field KEY; fields of a turn that are LEFT_OUT are not kept.

    Raises Unreadable if it is no list of turns.
    """
    turns = objects_of(turns)
    if not isinstance(turns, list):
        raise Unreadable(f"{key} is {kind_of(turns)}, not a list of turns")
    if not turns:
        raise Unreadable("no turns")
    messages: list[tuple[str, str]] = []
    extras: list[dict[str, object]] = []
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, dict):
            raise Unreadable(f"turn {number}: {kind_of(turn)}, not an object")
        left = {name: value for name, value in turn.items() if name not in left_out}
        messages += _messages_of(left, number)
        told = {name: value for name, value in left.items() if value is not None}
        if told:
            extras.append({"turn": number, **told})
    return Turns(tuple(messages), extras)


def _messages_of(turn: dict[str, Any], number: int) -> list[tuple[str, str]]:
    """The messages of one turn, whose role, content and calls are taken out of it."""
    role = _role_of(turn, number)
    calls = _calls_of(turn, number)
    texts, reasoning, part_calls = _parts_of(turn.pop("content", None), number)
    if not texts and isinstance(turn.get("refusal"), str):
        texts = [turn.pop("refusal")]
    if reasoning:
        turn["reasoning"] = "\n".join(reasoning)
    calls += part_calls
    text = "\n".join(texts)
    if not texts and not calls:
        raise Unreadable(f"turn {number}: no content")
    said = [(role, text)] if text or not calls else []
    return said + [("tool_call", call) for call in calls]


def _role_of(turn: dict[str, Any], number: int) -> str:
    role = turn.pop("role", None)
    if not isinstance(role, str):
        raise Unreadable(f"turn {number}: the role is {kind_of(role)}, not text")
    known = ROLE_OF.get(role.strip().lower())
    if known is None:
        raise Unreadable(f"turn {number}: no role is known for {role[:80]!r}")
    return known


def _parts_of(content: object, number: int) -> tuple[list[str], list[str], list[str]]:
    """The texts, the reasoning and the calls of a content."""
    if content is None:
        return [], [], []
    if isinstance(content, str):
        return [content], [], []
    if not isinstance(content, list):
        raise Unreadable(f"turn {number}: the content is {kind_of(content)}, not text")
    texts: list[str] = []
    reasoning: list[str] = []
    calls: list[str] = []
    for part in content:
        kind, text = _part_of(part, number)
        if kind in REASONING_PARTS:
            reasoning.append(text)
        elif kind == "tool_call":
            calls.append(text)
        else:
            texts.append(text)
    return texts, reasoning, calls


def _part_of(part: object, number: int) -> tuple[str, str]:
    if isinstance(part, str):
        return "text", part
    if not isinstance(part, dict):
        raise Unreadable(f"turn {number}: a part of the content is {kind_of(part)}, not text")
    kind = part.get("type", "text")
    if kind not in (*TEXT_PARTS, *REASONING_PARTS, "tool_call"):
        raise Unreadable(f"turn {number}: a part of the content is of type {str(kind)[:80]!r}, not text")
    text = next((part[key] for key in ("text", "value", "content", kind) if key in part), None)
    if not isinstance(text, str):
        raise Unreadable(f"turn {number}: a part of the content is {kind_of(text)}, not text")
    return str(kind), text


def _calls_of(turn: dict[str, Any], number: int) -> list[str]:
    calls = turn.pop("tool_calls", None) or []
    old = turn.pop("function_call", None)
    if not isinstance(calls, list):
        raise Unreadable(f"turn {number}: tool_calls is {kind_of(calls)}, not a list")
    found = [
        _call_of(call.get("function", call) if isinstance(call, dict) else call, number) for call in calls
    ]
    ids = [call["id"] for call in calls if isinstance(call.get("id"), str)]
    if ids:
        turn["tool_call_ids"] = ids
    return found + ([_call_of(old, number)] if old is not None else [])


def _call_of(function: object, number: int) -> str:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Unreadable(f"turn {number}: a tool call names no function")
    return tool_call(function["name"], function.get("arguments", {}))


def tool_call(name: str, arguments: object) -> str:
    """The content of a `tool_call` message; arguments that are JSON text are put in as what they say."""
    if isinstance(arguments, str):
        with suppress(ValueError, RecursionError):
            arguments = msgspec.json.decode(arguments)
    return _encode({"name": name, "arguments": arguments}).decode()
