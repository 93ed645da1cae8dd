"""The chat layout of APIs and fine-tuning services: `messages` with roles, parts and tool calls."""

from collections.abc import Iterator

from curate.format import Format, Match, Sample
from curate.readers.chat_turns import turns_of
from curate.readers.drafts import Draft, DraftReader, has_any
from curate.readers.fields import Fields, Unreadable

IDS = ("id", "prompt_id", "conversation_id", "uuid")
LABELLED = ("chosen", "rejected", "chosen_messages", "rejected_messages")


def messages_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of a record."""
    if "messages" not in fields:
        raise Unreadable("no messages")
    turns = turns_of(fields.take("messages"), "messages")
    yield Draft(
        turns.messages,
        external_id=_id_of(fields),
        model=fields.take_model(),
        language=fields.take_language(),
        metadata=fields.rest(turns.metadata()),
    )


def _id_of(fields: Fields) -> str:
    key = next((key for key in IDS if fields.see(key) is not None), "id")
    return fields.take_id(key)


MESSAGES = DraftReader(messages_drafts, has_any("messages"))


def _looks_like(sample: Sample) -> Match | None:
    records = [record for record in sample.records if _is_chat(record.get("messages"))]
    if not records or any(key in record for record in sample.records for key in LABELLED):
        return None
    return Match(
        0.8 * len(records) / len(sample.records), "records have `messages` with a `role` and `content`"
    )


def _is_chat(turns: object) -> bool:
    return (
        isinstance(turns, list)
        and bool(turns)
        and isinstance(turns[0], dict)
        and {"role", "content"} <= turns[0].keys()
    )


FORMAT = Format(
    "OpenAI messages: roles, parts of content, tool calls and what the tools answered",
    '{"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": null, "tool_calls": '
    '[{"id": "t1", "type": "function", "function": {"name": "add", "arguments": "{\\"a\\": 2, \\"b\\": 2}"}}]}, '
    '{"role": "tool", "tool_call_id": "t1", "content": "4"}, {"role": "assistant", "content": "4"}]}',
    _looks_like,
)
