"""HelpSteer and HelpSteer2: five aspects from 0 to 4, also each annotator's own, and preferences in strengths."""

from collections.abc import Iterator

from curate.format import Format, first_of, has_keys
from curate.reader import Answer, Rating, Verdict
from curate.readers.dialogue import marked_turns
from curate.readers.drafts import Messages, Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import PERSON, Around, LabelReader, Told, asked, native_of, need_number, rated

LABELER = "helpsteer annotators"
ASPECTS = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
TEMPLATE = "helpsteer"
SCALE = "0-4"
PREFERENCE_SCALE = "helpsteer2-preference"
STRONGEST = 3
"""Strengths go from -3, the first response is much better, to 3."""
TURN_MARKS = {"<extra_id_1>User\n": "user", "<extra_id_1>Assistant\n": "assistant"}


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """What a row says: ratings of one response, or a preference between two."""
    prompt = prompt_of(fields.need_text("prompt"))
    by = around.labeler(LABELER)
    if "preference_strength" in fields:
        yield _preference(fields, prompt, by)
        return
    text = fields.need_text("response")
    ratings = [one for aspect in ASPECTS for one in _ratings_of(fields.take(aspect), aspect, by)]
    if not ratings:
        raise Unreadable(f"none of the aspects {', '.join(ASPECTS)}")
    yield Told(prompt, (Answer(text, ratings=tuple(ratings)),), ending=0, metadata=fields.rest())


def _ratings_of(value: object, aspect: str, by: str) -> list[Rating]:
    """One rating, or one of each annotator."""
    values = value if isinstance(value, list) else [value]
    return [
        rated(one, by=by, kind=PERSON, template=TEMPLATE, scale=SCALE, aspect=aspect, draw_index=index)
        for index, one in enumerate(values)
        if value is not None
    ]


def _preference(fields: Fields, prompt: Messages, by: str) -> Told:
    answers = tuple(Answer(fields.need_text(f"response_{number}")) for number in (1, 2))
    native = fields.take("preference_strength")
    strength = need_number(native, "preference_strength")
    if abs(strength) > STRONGEST:
        raise Unreadable(f"preference_strength is {strength:g}, beyond {STRONGEST}")
    parts = (fields.take_text("preference_statement"), fields.take_text("preference_elaboration"))
    verdict = Verdict(
        0,
        1,
        by,
        PERSON,
        TEMPLATE,
        PREFERENCE_SCALE,
        0 - strength / STRONGEST,
        "win" if strength else "tie",
        native_of(native),
        explanation="\n".join(filter(None, parts)) or None,
    )
    return Told(prompt, answers, (verdict,), metadata=fields.rest())


def prompt_of(text: str) -> Messages:
    """The turns of a prompt; HelpSteer2 puts marks between them, and none before the first."""
    if "<extra_id_1>" not in text:
        return asked(text)
    turns = marked_turns("<extra_id_1>User\n" + text, TURN_MARKS)
    told = [(role, content.removesuffix("\n")) for role, content in turns]
    return tuple(told[:-1] if told[-1][0] == "assistant" and not told[-1][1] else told)


HELPSTEER = LabelReader(tell, has_any("prompt"))
FORMAT = Format(
    "HelpSteer, HelpSteer2: five aspects from 0 to 4, annotators apart or together, or a strength from -3 to 3",
    '{"prompt": "Name a prime.", "response": "Seven.", "helpfulness": 4, "correctness": 4, "coherence": 4, '
    '"complexity": 0, "verbosity": 0}',
    first_of(
        has_keys("prompt", "response", "helpfulness", "coherence", "verbosity", confidence=1.0),
        has_keys("response_1", "response_2", "preference_strength", confidence=1.0),
    ),
)
