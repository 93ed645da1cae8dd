"""UltraFeedback: four completions of an instruction, each rated by GPT-4 from 1 to 5 in four aspects.

`overall_score` is never a rating: a parser's bug turned many a 1 into 10 there. It stays in the metadata
with the critique; whoever wants one number takes the mean of the aspects.
"""

from collections.abc import Iterator
from itertools import count

from curate.format import Format, Match, Sample
from curate.reader import Answer, Rating
from curate.readers.drafts import Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import JUDGE, Around, LabelReader, Told, asked, need_object, need_text_in, rated

LABELER = "gpt-4"
TEMPLATE = "ultrafeedback"
SCALE = "1-5"


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The instruction of a row, with the ratings of its completions."""
    prompt = asked(fields.need_text("instruction"))
    fields.drop("models")
    completions = [need_object(one, "a completion") for one in fields.need_list("completions")]
    if not completions:
        raise Unreadable("no completions")
    texts = [need_text_in(one.get("response"), "a completion's response") for one in completions]
    draws = {text: count() for text in texts}
    answers = [
        _answer(one, text, next(draws[text]), around) for one, text in zip(completions, texts, strict=True)
    ]
    rest = [{key: one[key] for key in one if key not in ("response", "annotations")} for one in completions]
    yield Told(prompt, tuple(answers), metadata=fields.rest([("completions", rest)]))


def _answer(completion: dict[str, object], text: str, draw_index: int, around: Around) -> Answer:
    """DRAW_INDEX tells apart the ratings of equal texts of several models."""
    annotations = need_object(completion.get("annotations"), "annotations")
    ratings = [
        _rating(said, aspect, draw_index, around.labeler(LABELER))
        for aspect, said in sorted(annotations.items())
        if said is not None
    ]
    model = completion.get("model")
    return Answer(text, model if isinstance(model, str) else "", ratings=tuple(ratings))


def _rating(said: object, aspect: str, draw_index: int, by: str) -> Rating:
    told = need_object(said[0] if isinstance(said, list) and said else said, f"the annotation {aspect}")
    reasons = [told.get(key) for key in ("Rationale", "Rationale For Rating")]
    explanation = "\n".join(reason for reason in reasons if isinstance(reason, str) and reason)
    return rated(
        told.get("Rating"),
        by=by,
        kind=JUDGE,
        template=TEMPLATE,
        scale=SCALE,
        aspect=aspect,
        explanation=explanation,
        draw_index=draw_index,
    )


ULTRAFEEDBACK = LabelReader(tell, has_any("completions"))


def _looks_like(sample: Sample) -> Match | None:
    firsts = [
        first
        for record in sample.records
        if isinstance(found := record.get("completions"), list) and found
        for first in found[:1]
    ]
    own = sum(isinstance(first, dict) and "annotations" in first for first in firsts)
    return Match(own / len(sample.records), "`completions` have `annotations`") if own else None


FORMAT = Format(
    "UltraFeedback: completions of several models, each rated from 1 to 5 in four aspects",
    '{"source": "s", "instruction": "Name a prime.", "models": ["m"], "completions": [{"model": "m", '
    '"response": "Seven.", "overall_score": 8.5, "annotations": {"helpfulness": {"Rating": "5", "Rationale": "r"}, '
    '"honesty": {"Rating": "N/A", "Rationale": "r"}}}]}',
    _looks_like,
)
