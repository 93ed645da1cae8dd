"""Conversations as a list of texts, the user's and the assistant's in turn (LIMA, UltraChat)."""

from collections.abc import Iterator
from typing import Any

from curate.format import Format, Match, Sample
from curate.readers.drafts import Draft, DraftReader, has_any
from curate.readers.fields import Fields, Unreadable, kind_of

LISTS = ("conversations", "data", "dialog", "dialogue")
SPEAKERS = ("user", "assistant")


def alternating_drafts(fields: Fields) -> Iterator[Draft]:
    """The conversation of a record; the user begins."""
    key = next((key for key in LISTS if key in fields), None)
    if key is None:
        raise Unreadable(f"no list of texts (one of {', '.join(LISTS)})")
    texts = fields.need_list(key)
    if not texts:
        raise Unreadable("no turns")
    odd = next((number for number, text in enumerate(texts, start=1) if not isinstance(text, str)), None)
    if odd is not None:
        raise Unreadable(f"turn {odd}: {kind_of(texts[odd - 1])}, not text")
    yield Draft(
        tuple((SPEAKERS[place % 2], text) for place, text in enumerate(texts)),
        external_id=fields.take_id("id"),
        model=fields.take_model(),
        language=fields.take_language(),
        metadata=fields.rest(),
    )


ALTERNATING = DraftReader(alternating_drafts, has_any(*LISTS))


def _looks_like(sample: Sample) -> Match | None:
    n_found = sum(_has_texts(record) for record in sample.records)
    if not n_found:
        return None
    return Match(
        0.9 * n_found / len(sample.records),
        "records have a list of texts, in turn the user's and the answers",
    )


def _has_texts(record: dict[str, Any]) -> bool:
    texts = next((record[key] for key in LISTS if key in record), None)
    return isinstance(texts, list) and bool(texts) and all(isinstance(text, str) for text in texts)


FORMAT = Format(
    "texts in turn, the user's first (LIMA, UltraChat)",
    '{"id": "0", "data": ["How do I sort?", "Use sorted().", "In reverse?", "reverse=True."]}',
    _looks_like,
)
