"""Logs of public chat services: WildChat and LMSYS-Chat-1M.

Model, language, moderation and the flags `toxic` and `redacted` are kept, of the conversation and of each
turn. Hashed addresses and the headers of browsers are left out: they tell people apart and teach nothing.
"""

from collections.abc import Iterator

from curate.format import Format, has_keys
from curate.readers.chat_turns import turns_of
from curate.readers.drafts import Draft, DraftReader, has_any
from curate.readers.fields import Fields, Unreadable

PERSONAL = frozenset({"hashed_ip", "header"})
NO_LANGUAGE = "unknown"


def wildchat_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of a WildChat row."""
    yield _draft(fields, "conversation_hash")


def lmsys_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of an LMSYS-Chat-1M row."""
    yield _draft(fields, "conversation_id")


def _draft(fields: Fields, id_key: str) -> Draft:
    if "conversation" not in fields:
        raise Unreadable("no conversation")
    turns = turns_of(fields.take("conversation"), "conversation", PERSONAL)
    fields.drop(*PERSONAL)
    language = fields.take_language()
    return Draft(
        turns.messages,
        external_id=fields.take_id(id_key),
        model=fields.take_model(),
        language=None if language == NO_LANGUAGE else language,
        metadata=fields.rest(turns.metadata()),
    )


WILDCHAT = DraftReader(wildchat_drafts, has_any("conversation"))
LMSYS = DraftReader(lmsys_drafts, has_any("conversation"))

WILDCHAT_FORMAT = Format(
    "WildChat: conversation_hash, model, language, toxic, redacted, and a conversation of roles",
    '{"conversation_hash": "c9", "model": "gpt-4-0314", "language": "English", "toxic": false, "redacted": false, '
    '"conversation": [{"role": "user", "content": "hi", "toxic": false}, {"role": "assistant", "content": "hello", '
    '"toxic": false}]}',
    has_keys("conversation_hash", "conversation", "model", confidence=0.95),
)
LMSYS_FORMAT = Format(
    "LMSYS-Chat-1M: conversation_id, model, language, redacted, and a conversation of roles",
    '{"conversation_id": "33", "model": "vicuna-13b", "language": "English", "redacted": false, '
    '"conversation": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}',
    has_keys("conversation_id", "conversation", "model", confidence=0.95, without=("conversation_hash",)),
)
