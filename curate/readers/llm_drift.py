"""LLMDrift: answers of dated model versions to fixed queries, with how each was asked."""

import json
from collections.abc import Iterator

from curate.format import Format, has_keys
from curate.reader import Answer, Draw
from curate.readers.drafts import Refusal, has_any
from curate.readers.fields import Fields
from curate.readers.labels import Around, LabelReader, Told, asked, number_in


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The answer of a row, as a draw of its model."""
    prompt = asked(fields.need_text("query"))
    policy = fields.take_model() or around.policy
    asked_with = {name: number_in(fields.see(name)) for name in ("max_tokens", "temperature")}
    sampling = json.dumps({name: value for name, value in asked_with.items() if value is not None})
    trial = number_in(fields.see("trail"))
    tokens = number_in(fields.see("answer_token"))
    draw = Draw(policy, int(trial or 0), sampling, n_tokens=None if tokens is None else int(tokens))
    answer = Answer(fields.take_text("answer"), policy, draws=(draw,))
    yield Told(prompt, (answer,), (), fields.take_id(), 0, metadata=fields.rest())


LLM_DRIFT = LabelReader(tell, has_any("query"))
FORMAT = Format(
    "LLMDrift: answers of dated model versions to fixed queries",
    '{"model": "openaichat/m", "temperature": 0.1, "max_tokens": 10, "trail": 0, "dataset": "d", "id": "1", '
    '"query": "Name a prime.", "ref_answer": "7", "answer": "Seven."}',
    has_keys("query", "ref_answer", "answer", "temperature", confidence=1.0),
)
