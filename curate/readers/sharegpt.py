"""ShareGPT and its relatives: a list of turns with a speaker and a text, an id, perhaps a model.

Everything that was seen in the wild is mapped to the store's roles and to text, nothing is guessed:
a missing model stays empty, an unknown speaker rejects its record and is named.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from curate.format import Format, Match, Sample
from curate.reader import Inspection, ReaderSettings, Record, Reject, Remark
from curate.readers.drafts import has_any
from curate.readers.fields import Fields, Unreadable, kind_of, objects_of
from curate.readers.json_records import NotJson, RawRecord, excerpt_of, split_records
from curate.readers.pieces import Piece, Plan, joined, plan_of
from curate.readers.rows import Row, container_of, inspect_rows, rows_of
from curate.readers.text_files import CHUNK_BYTES, text_chunks
from store.errors import BadInput

TURN_LISTS = ("conversations", "items", "messages")
SPEAKERS = ("from", "role", "user")
TEXTS = ("value", "content", "text")
SYSTEM_KEYS = ("system", "system_prompt")

ROLE_OF = {
    "system": "system",
    "human": "user",
    "user": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "claude": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "tool_call": "tool_call",
    "function_call": "tool_call",
    "tool": "tool",
    "observation": "tool",
    "function": "tool",
}
"""Speaker, in lower case → the store's role."""

PIECE_ID = re.compile(r"(.+)_(\d{1,9})", re.DOTALL)
"""FastChat's splitter names a piece after the index of its first turn."""


class _Turn(msgspec.Struct, rename={"speaker": "from"}, forbid_unknown_fields=True, gc=False):
    speaker: str
    value: str


class _Chat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    conversations: list[_Turn]
    id: str | int = ""
    model: str | None = ""


_decode_chat = msgspec.json.Decoder(_Chat).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Chat(NamedTuple):
    """What a record says."""

    external_id: str
    messages: tuple[tuple[str, str], ...]
    model: str
    language: str | None
    metadata: str | None
    has_preamble: bool
    """Whether the first message is a system prompt that stood outside the turns."""


class ShareGptReader:
    """Reads such files: JSON on a path of its own, which is the fast one, tables by their rows."""

    def inspect(self, path: Path) -> Inspection:
        """The file's hash and sizes.

        Raises BadInput if it cannot hold records.
        """
        return inspect_rows(path)

    def __call__(self, path: Path, settings: ReaderSettings) -> Iterator[Record | Reject | Remark]:
        """Every conversation.

        Raises BadInput if nothing in the file could be a record.
        """
        return read_sharegpt(path, settings)


SHAREGPT = ShareGptReader()


def read_sharegpt(path: Path, settings: ReaderSettings) -> Iterator[Record | Reject | Remark]:
    """The conversations of a ShareGPT file, pieces joined if that is asked for.

    Raises BadInput if nothing in the file could be a record.
    """
    if settings.pieces == "keep":
        yield from (item for item, _ in _read(path))
        return
    plan = _plan(path)
    if plan.n_gaps:
        yield Remark(f"conversations left in pieces because turns between them are missing: {plan.n_gaps}")
    yield from joined(_read(path), plan)


def _plan(path: Path) -> Plan:
    return plan_of(_piece_of(item, preamble) for item, preamble in _read(path) if isinstance(item, Record))


def _piece_of(record: Record, preamble: int) -> Piece | None:
    """Where in its conversation the record is, if its id says that it is a piece."""
    match = PIECE_ID.fullmatch(record.external_id)
    if match is None:
        return None
    head = record.messages[0][1] if preamble else ""
    return Piece(
        whole=(match[1], record.model, head),
        first_turn=int(match[2]),
        n_turns=len(record.messages) - preamble,
        record_number=record.record_number,
    )


def _read(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[tuple[Record | Reject, int]]:
    """Every record, with how many messages stand before its turns (0, or 1 for a system prompt)."""
    if container_of(path) != "json":
        for row in rows_of(path, has_any(*TURN_LISTS)):
            yield (row, 0) if isinstance(row, Reject) else _record_or_reject_of_row(row)
        return
    try:
        for item in split_records(text_chunks(path, chunk_bytes), has_turns, usual_chat_of):
            yield (item, 0) if isinstance(item, Reject) else _record_or_reject(item)
    except NotJson as error:
        raise BadInput(
            f"{path} is not JSON: it begins (line 1) with {error}; sharegpt reads a JSON array or JSON Lines"
        ) from error


def has_turns(raw: bytes) -> bool:
    """Whether a JSON object looks like a conversation rather than like one of its turns."""
    try:
        return any(key in _decode_object(raw) for key in TURN_LISTS)
    except (ValueError, RecursionError):
        return False


def _record_or_reject(item: RawRecord[Chat]) -> tuple[Record | Reject, int]:
    try:
        chat = item.value or _tolerant_chat_of(item.raw)
    except Unreadable as error:
        reject = Reject(item.record_number, item.line, item.byte_offset, str(error), excerpt_of(item.raw))
        return reject, 0
    return _record_of(chat, item), int(chat.has_preamble)


def _record_or_reject_of_row(row: Row) -> tuple[Record | Reject, int]:
    try:
        chat = _chat_of_fields(row.fields)
    except Unreadable as error:
        return Reject(row.record_number, row.line, row.byte_offset, str(error), row.excerpt), 0
    return _record_of(chat, row), int(chat.has_preamble)


def _record_of(chat: Chat, item: RawRecord[Chat] | Row) -> Record:
    return Record(
        item.record_number,
        item.line,
        item.byte_offset,
        chat.external_id,
        chat.messages,
        chat.model,
        None,
        chat.language,
        chat.metadata,
        (item.record_number,),
    )


def usual_chat_of(raw: bytes) -> Chat | None:
    """What a record of the usual shape says, given its JSON; None for any other."""
    try:
        chat = _decode_chat(raw)
        messages = tuple([(ROLE_OF[turn.speaker], turn.value) for turn in chat.conversations])
    except (ValueError, KeyError, RecursionError):
        return None
    return Chat(str(chat.id), messages, chat.model or "", None, None, False) if messages else None


def chat_of(raw: bytes) -> Chat:
    """What a record says, given its JSON.

    Raises Unreadable, with the reason, if it cannot be stored.
    """
    return usual_chat_of(raw) or _tolerant_chat_of(raw)


def _tolerant_chat_of(raw: bytes) -> Chat:
    return _chat_of_fields(Fields.of_json(raw))


def _chat_of_fields(fields: Fields) -> Chat:
    turns = _take_turns(fields)
    messages = [_message_of(turn, number) for number, turn in enumerate(turns, start=1)]
    preamble = _take_system(fields)
    if preamble and messages[0] == ("system", preamble):
        preamble = ""
    if preamble:
        messages.insert(0, ("system", preamble))
    return Chat(
        external_id=fields.take_id(),
        messages=tuple(messages),
        model=fields.take_model(),
        language=fields.take_language(),
        metadata=fields.rest(_extras_of(turns)),
        has_preamble=bool(preamble),
    )


def _extras_of(turns: list[dict[str, Any]]) -> list[tuple[str, object]]:
    """What the turns say besides speaker and text (a loss weight, say), for the metadata."""
    extras = [
        {"turn": number, **{key: value for key, value in turn.items() if key not in _keys_read(turn)}}
        for number, turn in enumerate(turns, start=1)
    ]
    told = [extra for extra in extras if len(extra) > 1]
    return [("turns", told)] if told else []


def _keys_read(turn: dict[str, Any]) -> set[str]:
    found = (next((key for key in keys if key in turn), "") for keys in (SPEAKERS, TEXTS))
    return set(found)


def _take_turns(fields: Fields) -> list[Any]:
    key = next((key for key in TURN_LISTS if key in fields), None)
    if key is None:
        raise Unreadable(f"no list of turns (one of {', '.join(TURN_LISTS)})")
    turns = objects_of(fields.take(key))
    if not isinstance(turns, list):
        raise Unreadable(f"{key} is {kind_of(turns)}, not a list of turns")
    if not turns:
        raise Unreadable("no turns")
    return turns


def _message_of(turn: object, number: int) -> tuple[str, str]:
    if not isinstance(turn, dict):
        raise Unreadable(f"turn {number}: {kind_of(turn)}, not an object")
    return _role_of(turn, number), _content_of(turn, number)


def _role_of(turn: dict[str, Any], number: int) -> str:
    key = next((key for key in SPEAKERS if key in turn), None)
    if key is None:
        raise Unreadable(f"turn {number}: no speaker (one of {', '.join(SPEAKERS)})")
    speaker = turn[key]
    if not isinstance(speaker, str):
        raise Unreadable(f"turn {number}: the speaker is {kind_of(speaker)}, not text")
    role = ROLE_OF.get(speaker.strip().lower())
    if role is None:
        raise Unreadable(f"turn {number}: no role is known for the speaker {speaker[:80]!r}")
    return role


def _content_of(turn: dict[str, Any], number: int) -> str:
    key = next((key for key in TEXTS if key in turn), None)
    if key is None:
        raise Unreadable(f"turn {number}: no text (one of {', '.join(TEXTS)})")
    content = turn[key]
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_part_of(part, number) for part in content)
    raise Unreadable(f"turn {number}: the content is {kind_of(content)}, not text")


def _part_of(part: object, number: int) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise Unreadable(f"turn {number}: a part of the content is {kind_of(part)}, not text")
    kind = part.get("type", "text")
    if kind not in ("text", "input_text", "output_text"):
        raise Unreadable(f"turn {number}: a part of the content is of type {str(kind)[:80]!r}, not text")
    text = next((part[key] for key in ("text", "value", "content") if key in part), None)
    if not isinstance(text, str):
        raise Unreadable(f"turn {number}: a part of the content is {kind_of(text)}, not text")
    return text


def _take_system(fields: Fields) -> str:
    """The system prompt that stands outside the turns; of two keys the first that is not empty."""
    found = [fields.take_text(key) for key in SYSTEM_KEYS]
    return next(filter(None, found), "")


def _looks_like(sample: Sample) -> Match | None:
    """Turns that name their speaker `from` are this family's own; `items` and `conversations` nearly so."""
    chats = [turns for record in sample.records if (turns := _turns_of(record))]
    if not chats or any("chosen" in record for record in sample.records):
        return None
    own = sum(1 for turns in chats if "from" in turns[0] and "value" in turns[0])
    share = len(chats) / len(sample.records)
    if own * 2 >= len(chats):
        return Match(0.95 * share, "records hold a list of turns with `from` and `value`")
    return Match(0.6 * share, "records hold a list of turns with a speaker and a text")


def _turns_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The turns, if there is a list that begins with one."""
    turns = next((record[key] for key in TURN_LISTS if key in record), None)
    if not isinstance(turns, list) or not turns or not isinstance(turns[0], dict):
        return []
    first = turns[0]
    return turns if any(key in first for key in SPEAKERS) and any(key in first for key in TEXTS) else []


FORMAT = Format(
    "ShareGPT and its relatives: a list of turns with a speaker and a text (raw HTML stays as it is)",
    '{"id": "a1", "model": "gpt-4", "conversations": [{"from": "human", "value": "Hi"}, '
    '{"from": "gpt", "value": "Hello."}]}',
    _looks_like,
)
