"""Conversations as a list of exchanges: a user's text and the answer to it (MNBVC, Firefly, Capybara, DialogStudio)."""

from collections.abc import Iterator
from typing import Any

from curate.format import Format, Match, Sample
from curate.readers.drafts import Draft, DraftReader, Messages, Refusal
from curate.readers.fields import Fields, Unreadable, kind_of

LISTS = ("conversation", "conversations", "turns")
ASKED = ("human", "user", "user utterance", "input", "prompt", "instruction", "question")
ANSWERED = ("assistant", "bot", "gpt", "system response", "output", "response", "answer")
REPEATED = ("dialog history", "turn id")
"""Fields of an exchange that say again what the others say."""


def turn_pair_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of a record."""
    key = next((key for key in LISTS if key in fields), None)
    if key is None:
        raise Unreadable(f"no list of exchanges (one of {', '.join(LISTS)})")
    messages, extras = _exchanges(fields.take(key), key)
    yield Draft(
        messages,
        external_id=fields.take_id("conversation_id" if "conversation_id" in fields else "id"),
        model=fields.take_model(),
        language=fields.take_language(),
        metadata=fields.rest(extras),
    )


def dialogstudio_drafts(fields: Fields) -> Iterator[Draft | Refusal]:
    """The dialogs of a DialogStudio file, which is one object with a dialog under every key."""
    for name in fields.keys():  # noqa: SIM118 - not a dict
        try:
            yield _dialog(name, fields.take(name))
        except Unreadable as error:
            yield Refusal(f"{name[:80]}: {error}")


def _dialog(name: str, value: object) -> Draft:
    if not isinstance(value, dict) or "log" not in value:
        raise Unreadable("no dialog with a log")
    fields = Fields(value)
    messages, extras = _exchanges(fields.take("log"), "log")
    about = fields.take("original dialog info")
    model = about.pop("model", "") if isinstance(about, dict) else ""
    more: list[tuple[str, object]] = [("original dialog info", about)] if about else []
    return Draft(
        messages,
        external_id=fields.take_id("original dialog id") or name,
        model=model if isinstance(model, str) else "",
        metadata=fields.rest([("dialog", name), *more, *extras]),
    )


def _exchanges(turns: object, key: str) -> tuple[Messages, list[tuple[str, object]]]:
    """The messages, and what else the exchanges say."""
    if not isinstance(turns, list):
        raise Unreadable(f"{key} is {kind_of(turns)}, not a list of exchanges")
    if not turns:
        raise Unreadable("no turns")
    messages: list[tuple[str, str]] = []
    extras: list[dict[str, object]] = []
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, dict):
            raise Unreadable(f"turn {number}: {kind_of(turn)}, not an object")
        messages += [
            ("user", _side(turn, ASKED, number)),
            ("assistant", _side(turn, ANSWERED, number)),
        ]
        told = {
            name: value for name, value in turn.items() if name not in REPEATED and value not in ({}, None)
        }
        if told:
            extras.append({"turn": number, **told})
    return tuple(messages), [("turns", extras)] if extras else []


def _side(turn: dict[str, Any], names: tuple[str, ...], number: int) -> str:
    name = next((name for name in names if name in turn), None)
    if name is None:
        raise Unreadable(f"turn {number}: no {names[0]} (one of {', '.join(names)})")
    text = turn.pop(name)
    if not isinstance(text, str):
        raise Unreadable(f"turn {number}: {name} is {kind_of(text)}, not text")
    return text


def _is_exchange(fields: Fields) -> bool:
    return any(key in fields for key in LISTS)


TURN_PAIRS = DraftReader(turn_pair_drafts, _is_exchange)
DIALOGSTUDIO = DraftReader(dialogstudio_drafts, lambda fields: "log" not in fields)


def _looks_like_pairs(sample: Sample) -> Match | None:
    n_found = sum(_has_exchanges(record) for record in sample.records)
    if not n_found:
        return None
    return Match(0.9 * n_found / len(sample.records), "records hold a list of exchanges, user and assistant")


def _has_exchanges(record: dict[str, Any]) -> bool:
    turns = next((record[key] for key in LISTS if key in record), None)
    if not isinstance(turns, list) or not turns or not isinstance(turns[0], dict):
        return False
    return any(name in turns[0] for name in ASKED) and any(name in turns[0] for name in ANSWERED)


def _looks_like_dialogstudio(sample: Sample) -> Match | None:
    dialogs = [value for record in sample.records for value in record.values()]
    n_found = sum(isinstance(value, dict) and "log" in value for value in dialogs)
    if not n_found:
        return None
    return Match(0.95 * n_found / len(dialogs), "an object with a dialog and its log under every key")


TURN_PAIRS_FORMAT = Format(
    "exchanges of a user and an assistant, one after the other (MNBVC, Firefly, Capybara)",
    '{"conversation_id": "p1", "category": "Brainstorming", "conversation": [{"human": "Hi", "assistant": "Hello."}]}',
    _looks_like_pairs,
)
DIALOGSTUDIO_FORMAT = Format(
    "DialogStudio: one object with a dialog under every key, a log of utterances and responses",
    '{"train--1": {"original dialog id": "d1", "original dialog info": {"model": "gpt-3.5-turbo"}, "log": '
    '[{"turn id": 1, "user utterance": "Hi", "system response": "Hello.", "dialog history": ""}]}}',
    _looks_like_dialogstudio,
)
