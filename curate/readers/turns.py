"""Lists of turns inside records with labels: a speaker and a text each, in the usual spellings."""

from curate.readers.drafts import Messages
from curate.readers.fields import Unreadable, kind_of

SPEAKERS = ("role", "from")
TEXTS = ("content", "value")
ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function_call": "tool_call",
}


def turns_in(value: object, name: str) -> Messages:
    """The turns in a list of objects, or the one in an object.

    Raises Unreadable if a turn has no known speaker or no text.
    """
    listed = [value] if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise Unreadable(f"{name} is {kind_of(value)}, not a list of turns")
    return tuple(_turn(one, f"{name} {number}") for number, one in enumerate(listed, start=1))


def _turn(value: object, name: str) -> tuple[str, str]:
    if not isinstance(value, dict):
        raise Unreadable(f"{name}: {kind_of(value)}, not an object")
    speaker = next((value[key] for key in SPEAKERS if key in value), None)
    role = ROLES.get(speaker.strip().lower()) if isinstance(speaker, str) else None
    if role is None:
        raise Unreadable(f"{name}: no role is known for the speaker {str(speaker)[:80]!r}")
    return role, _text_of(next((value[key] for key in TEXTS if key in value), None), name)


def _text_of(content: object, name: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text", part.get("value")) if isinstance(part, dict) else part for part in content]
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) == len(parts):
            return "\n".join(texts)
    raise Unreadable(f"{name}: the content is {kind_of(content)}, not text")
