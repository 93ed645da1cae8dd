"""Values that pass between the rooms; the tables they are stored in are in `migrations/`."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant", "tool_call", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool_call", "tool")
"""`tool_call` is the assistant calling a tool, `tool` is what the tool answered."""

UNKNOWN_CLASS = "unknown"
"""The class of a conversation whose model label is missing or matches no class: never guessed."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, with its id as UUID text."""

    message_id: str
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A record of a source: a path of messages, root first."""

    conversation_id: str
    """UUID text."""
    messages: tuple[Message, ...]
    source: str
    """The name of the source it was first read from."""
    external_id: str
    """The id the file gave it, or empty."""
    model: str
    """The model label as the file gave it, or empty."""
    source_class: str
    """The class in force, UNKNOWN_CLASS if none matches."""


@dataclass(frozen=True, slots=True)
class SourceClass:
    """What a source class means for C-RLFT (OpenChat, section 3)."""

    name: str
    condition: str | None
    """Text put before every speaker (`GPT4`); None keeps the class out of a C-RLFT export."""
    weight: float | None
    """Loss factor, exp(reward / beta) in the paper; None keeps the class out of a C-RLFT export."""
    reward: float | None
    """The coarse reward r_c, if the weight is to be computed from it."""
    patterns: tuple[str, ...]
    """Case-insensitive globs of model labels; the longest matching pattern decides."""
