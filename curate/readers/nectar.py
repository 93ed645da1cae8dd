"""Nectar: seven answers to a prompt, ranked by GPT-4.

A rank is a rating on the scale `minus-rank`: -1 is the best, so that the higher number is the better
answer, as everywhere.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import count

from curate.format import Format, Match, Sample
from curate.reader import Answer
from curate.readers.dialogue import hh_turns
from curate.readers.drafts import Messages, Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import (
    JUDGE,
    Around,
    LabelReader,
    Told,
    asked,
    need_number,
    need_object,
    need_text_in,
    rated,
)

LABELER = "gpt-4"
TEMPLATE = "nectar"
SCALE = "minus-rank"


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The prompt of a row with its ranked answers."""
    prompt = _prompt_of(fields.need_text("prompt"))
    given = [need_object(one, "an answer") for one in fields.need_list("answers")]
    if not given:
        raise Unreadable("no answers")
    draws: dict[str, count[int]] = defaultdict(count)
    texts = [need_text_in(one.get("answer"), "an answer's text") for one in given]
    answers = tuple(
        _answer(one, text, next(draws[text]), around) for one, text in zip(given, texts, strict=True)
    )
    yield Told(prompt, answers, metadata=fields.rest())


def _prompt_of(text: str) -> Messages:
    turns = hh_turns(text) or asked(text)
    return turns[:-1] if turns[-1][0] == "assistant" and not turns[-1][1].strip() else turns


def _answer(one: dict[str, object], text: str, draw_index: int, around: Around) -> Answer:
    rank = need_number(one.get("rank"), "a rank")
    model = one.get("model")
    rating = rated(
        0 - rank,
        by=around.labeler(LABELER),
        kind=JUDGE,
        template=TEMPLATE,
        scale=SCALE,
        aspect="rank",
        draw_index=draw_index,
    )
    return Answer(text, model if isinstance(model, str) else "", ratings=(rating,))


NECTAR = LabelReader(tell, has_any("answers"))


def _looks_like(sample: Sample) -> Match | None:
    ranked = sum(_is_ranked(record.get("answers")) for record in sample.records)
    return Match(ranked / len(sample.records), "`answers` have a `rank` each") if ranked else None


def _is_ranked(answers: object) -> bool:
    first = answers[0] if isinstance(answers, list) and answers else None
    return isinstance(first, dict) and {"answer", "rank"} <= set(first)


FORMAT = Format(
    "Nectar: answers of several models to a prompt, ranked by GPT-4",
    '{"prompt": "\\n\\nHuman: Name a prime.\\n\\nAssistant: ", "answers": [{"answer": "Seven.", "model": "m", '
    '"rank": 1.0}, {"answer": "Nine.", "model": "n", "rank": 2.0}], "turns": 1, "source": ["s"]}',
    _looks_like,
)
