"""GPT-4 comparison data: answers of several models to one prompt, all scored by GPT-4 in one reply."""

from collections.abc import Iterator

from curate.format import Format, Match, Sample
from curate.reader import Answer
from curate.readers.drafts import Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import (
    JUDGE,
    Around,
    LabelReader,
    Told,
    asked,
    need_object,
    need_text_in,
    preferred,
    rated,
)

LABELER = "gpt-4"
TEMPLATE = "gpt4-llm"
SCALE = "1-10"


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The scored answers of a row; in the first version of the data, two answers, the better one first."""
    prompt = asked(fields.need_text("user_input"))
    by = around.labeler(LABELER)
    if "completion_a" in fields:
        texts = [fields.need_text(f"completion_{side}") for side in "ab"]
        if texts[0] == texts[1]:
            yield Refusal("the two completions are the same")
            return
        verdict = preferred(0, 1, by=by, kind=JUDGE, template=TEMPLATE)
        yield Told(prompt, tuple(map(Answer, texts)), (verdict,), metadata=fields.rest())
        return
    given = [need_object(one, "a response") for one in fields.need_list("responses_and_scores")]
    if not given:
        raise Unreadable("no responses")
    met: list[object] = []
    answers = []
    for one in given:
        draw_index = met.count(one.get("response"))
        met.append(one.get("response"))
        rating = rated(
            one.get("score"), by=by, kind=JUDGE, template=TEMPLATE, scale=SCALE, draw_index=draw_index
        )
        source = one.get("source")
        text = need_text_in(one.get("response"), "a response")
        answers.append(Answer(text, source if isinstance(source, str) else "", ratings=(rating,)))
    yield Told(prompt, tuple(answers), metadata=fields.rest())


GPT4_SCORES = LabelReader(tell, has_any("user_input"))


def _looks_like(sample: Sample) -> Match | None:
    own = max(sample.share("user_input", "responses_and_scores"), sample.share("user_input", "completion_a"))
    return Match(own, "records have `user_input` and scored responses") if own else None


FORMAT = Format(
    "GPT-4 comparison data (GPT-4-LLM): answers of several models, all scored in one reply",
    '{"user_input": "Name a prime.", "responses_and_scores": [{"response": "Seven.", "source": "gpt4", "score": 9.0}, '
    '{"response": "Nine.", "source": "icm-1.3b", "score": 2.0}]}',
    _looks_like,
)
