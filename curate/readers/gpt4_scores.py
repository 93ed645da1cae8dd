"""GPT-4 comparison data: answers of several models to one prompt, all scored by GPT-4 in one reply.

The scores alone, one list for each model, name no prompt and no answer: with --stand-ins the items of the
lists, one after the other, are taken for the prompts.
"""

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
    if "user_input" not in fields:
        yield from _bare_scores(fields, around)
        return
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


def _bare_scores(fields: Fields, around: Around) -> Iterator[Told]:
    columns = {model: fields.need_list(model) for model in fields.keys()}  # noqa: SIM118 - not a dict
    if len({len(scores) for scores in columns.values()}) != 1:
        raise Unreadable("no user_input, and not one list of scores for each model either")
    by = around.labeler(LABELER)
    for place, scores in enumerate(zip(*columns.values(), strict=True), start=1):
        item = f"prompt {place} of {around.stem}"
        answers = tuple(
            Answer(
                around.elsewhere.stand_in(f"answer of {model} to {item}"),
                model,
                ratings=(rated(score, by=by, kind=JUDGE, template=TEMPLATE, scale=SCALE),),
            )
            for model, score in zip(columns, scores, strict=True)
        )
        prompt = asked(around.elsewhere.stand_in(item))
        yield Told(prompt, answers, (), str(place), are_draws=False)


GPT4_SCORES = LabelReader(tell, has_any("user_input"))


def _looks_like(sample: Sample) -> Match | None:
    own = max(sample.share("user_input", "responses_and_scores"), sample.share("user_input", "completion_a"))
    if own:
        return Match(own, "records have `user_input` and scored responses")
    if len(sample.records) == 1 and sample.records[0] and all(map(_are_numbers, sample.records[0].values())):
        return Match(0.9, "one object with a list of numbers for each model")
    return None


def _are_numbers(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, int | float) for one in value[:20])


FORMAT = Format(
    "GPT-4 comparison data (GPT-4-LLM): answers of several models, all scored in one reply",
    '{"user_input": "Name a prime.", "responses_and_scores": [{"response": "Seven.", "source": "gpt4", "score": 9.0}, '
    '{"response": "Nine.", "source": "icm-1.3b", "score": 2.0}]}',
    _looks_like,
)
