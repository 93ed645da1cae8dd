"""Prometheus: a response rated from 1 to 5 by a rubric of its own, three draws of GPT-4 each; HHH pairs; BiGGen.

The instruction as the judge saw it holds everything under `###` headings; the prompt and the response are
taken from there, the reference and the rubric go into the metadata.
"""

import re
from collections.abc import Iterator

from curate.format import Format, Match, Sample
from curate.reader import Answer
from curate.readers.drafts import Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import (
    JUDGE,
    PERSON,
    Around,
    LabelReader,
    Told,
    asked,
    need_object,
    preferred,
    rated,
)

LABELER = "gpt-4"
HHH_LABELER = "hhh-alignment authors"
TEMPLATE = "prometheus"
SCALE = "1-5"
HEADING = re.compile(r"(?:^|\n\n)###([^\n:]+(?: \([^)\n]*\))?): ?\n?")
PROMPT, RESPONSE = "The instruction to evaluate", "Response to evaluate"
REFERENCE, RUBRIC = "Reference Answer (Score 5)", "Score Rubrics"


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """The rated response of a row, the pair of one, or the responses of a file that is one object."""
    if "chosen_instruction" in fields:
        yield _hhh(fields, around)
    elif "gpt4_score" in fields:
        yield _three_draws(fields, around)
    elif "score_rubric" in fields:
        yield _biggen(fields, around)
    else:
        for key in fields.keys():  # noqa: SIM118 - not a dict
            yield _biggen(Fields(need_object(fields.take(key), key)), around)


def sections_of(text: str) -> dict[str, str]:
    """What stands under each heading.

    Raises Unreadable if there is no prompt or no response among them.
    """
    parts = HEADING.split(text)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    for name in (PROMPT, RESPONSE):
        if name not in found:
            raise Unreadable(f"the instruction has no part {name!r}")
    return found


def _three_draws(fields: Fields, around: Around) -> Told:
    parts = sections_of(fields.need_text("instruction"))
    scores, said = fields.need_list("gpt4_score"), fields.take("gpt4_feedback")
    reasons = said if isinstance(said, list) else [None] * len(scores)
    ratings = tuple(
        rated(
            score,
            by=around.labeler(LABELER),
            kind=JUDGE,
            template=TEMPLATE,
            scale=SCALE,
            aspect="rubric",
            explanation=reasons[draw] if draw < len(reasons) else None,
            draw_index=draw,
        )
        for draw, score in enumerate(scores)
    )
    answer = Answer(parts[RESPONSE], fields.take_model("response_source"), ratings=ratings)
    more = [("rubric", parts.get(RUBRIC)), ("reference", parts.get(REFERENCE))]
    return Told(asked(parts[PROMPT]), (answer,), (), fields.take_id("idx"), 0, metadata=fields.rest(more))


def _hhh(fields: Fields, around: Around) -> Told:
    chosen, rejected = (
        sections_of(fields.need_text(f"{name}_instruction")) for name in ("chosen", "rejected")
    )
    if chosen[PROMPT] != rejected[PROMPT]:
        raise Unreadable("chosen and rejected answer different prompts")
    if chosen[RESPONSE] == rejected[RESPONSE]:
        raise Unreadable("chosen and rejected are the same")
    verdict = preferred(0, 1, by=around.labeler(HHH_LABELER), kind=PERSON, template="hhh-alignment")
    answers = (Answer(chosen[RESPONSE]), Answer(rejected[RESPONSE]))
    return Told(
        asked(chosen[PROMPT]), answers, (verdict,), metadata=fields.rest([("rubric", chosen.get(RUBRIC))])
    )


def _biggen(fields: Fields, around: Around) -> Told:
    prompt = asked(fields.need_text("input"), fields.take_text("system_prompt"))
    judge = around.labeler(fields.take_model("eval_model_name") or LABELER)
    rating = rated(
        fields.take("score"),
        by=judge,
        kind=JUDGE,
        template="biggen-bench",
        scale=SCALE,
        aspect="rubric",
        explanation=fields.take_text("feedback"),
    )
    answer = Answer(fields.need_text("response"), fields.take_model("response_model_name"), ratings=(rating,))
    return Told(prompt, (answer,), (), fields.take_id(), 0, metadata=fields.rest())


PROMETHEUS = LabelReader(tell, has_any("instruction", "chosen_instruction"))


def _looks_like(sample: Sample) -> Match | None:
    for keys in (
        ("instruction", "gpt4_score"),
        ("chosen_instruction", "rejected_instruction"),
        ("score_rubric", "score"),
    ):
        if share := sample.share(*keys):
            return Match(share, f"records have {' and '.join(f'`{key}`' for key in keys)}")
    values = [value for record in sample.records for value in list(record.values())[:1]]
    if len(sample.records) == 1 and values and isinstance(values[0], dict) and "score_rubric" in values[0]:
        return Match(1.0, "an object of records with a `score_rubric`")
    return None


FORMAT = Format(
    "Prometheus: a response rated by a rubric of its own, several draws; HHH pairs; BiGGen-Bench evaluations",
    '{"idx": 1, "response_source": "m", "instruction": "###Task Description:\\nRate.\\n\\n###The instruction to '
    "evaluate:\\nName a prime.\\n\\n###Response to evaluate:\\nSeven.\\n\\n###Score Rubrics:\\n[Is it right?]\\n\\n"
    '###Feedback: ", "gpt4_score": [5, 5, 4], "gpt4_feedback": ["a", "b", "c"]}',
    _looks_like,
)
