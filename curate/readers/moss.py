"""MOSS conversations with plugins: the user, the commands, what the tools answered, the reply.

The marks around each text (`<|Human|>: … <eoh>`) belong to the format. Inner thoughts were never shown to
the user: they go to the metadata, by turn.
"""

import re
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from curate.format import Format, has_keys
from curate.readers.drafts import Draft, DraftReader, has_any
from curate.readers.fields import Fields, Unreadable, kind_of

OPENING = re.compile(r"\s*<\|[^|]*\|>: ?\n?")
CLOSING = re.compile(r"\s*<eo\w>\s*\Z")
TURN = re.compile(r"turn_(\d+)")
NOTHING = ("", "None", "None.")
THOUGHTS = "Inner Thoughts"
PARTS = (("Human", "user"), ("Commands", "tool_call"), ("Tool Responses", "tool"), ("MOSS", "assistant"))


def moss_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of a record."""
    chat = fields.take("chat")
    if not isinstance(chat, dict) or not chat:
        raise Unreadable(f"chat is {kind_of(chat)}, not an object with turns")
    system = fields.take_text("meta_instruction")
    messages = [("system", system)] if system else []
    thoughts: list[dict[str, object]] = []
    for number, turn in sorted((_numbered(name, turn) for name, turn in chat.items()), key=itemgetter(0)):
        messages += _messages_of(turn, number)
        thought = _text(turn, THOUGHTS, number)
        if thought not in NOTHING:
            thoughts.append({"turn": number, "thoughts": thought})
    yield Draft(
        tuple(messages),
        external_id=fields.take_id("conversation_id"),
        model=fields.take_model(),
        metadata=fields.rest([("turns", thoughts)] if thoughts else []),
    )


def _numbered(name: str, turn: object) -> tuple[int, dict[str, Any]]:
    match = TURN.fullmatch(name)
    if match is None or not isinstance(turn, dict):
        raise Unreadable(f"{name[:80]!r} is no turn")
    return int(match[1]), turn


def _messages_of(turn: dict[str, Any], number: int) -> list[tuple[str, str]]:
    texts = [(role, _text(turn, name, number)) for name, role in PARTS]
    return [(role, text) for role, text in texts if role in ("user", "assistant") or text not in NOTHING]


def _text(turn: dict[str, Any], name: str, number: int) -> str:
    """The text of a part, without its marks; empty if the turn has no such part."""
    value = turn.get(name, "")
    if not isinstance(value, str):
        raise Unreadable(f"turn {number}: {name} is {kind_of(value)}, not text")
    found = OPENING.match(value)
    without = value[found.end() :] if found else value
    return CLOSING.sub("", without)


MOSS = DraftReader(moss_drafts, has_any("chat"))
FORMAT = Format(
    "MOSS conversations with plugins: turns of a user, commands, tool responses and the reply",
    '{"conversation_id": 1, "meta_instruction": "You are MOSS.", "num_turns": 1, "chat": {"turn_1": '
    '{"Human": "<|Human|>: 2+2?<eoh>\\n", "Inner Thoughts": "<|Inner Thoughts|>: A sum.<eot>\\n", "Commands": '
    '"<|Commands|>: Calculate(\\"2+2\\")<eoc>\\n", "Tool Responses": "<|Results|>:\\n4\\n<eor>\\n", '
    '"MOSS": "<|MOSS|>: 4<eom>\\n"}}}',
    has_keys("meta_instruction", "chat", confidence=0.95),
)
