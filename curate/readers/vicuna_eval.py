"""The Vicuna evaluation and QLoRA's: questions, answers, and GPT-4's reviews of two answers by their ids.

A review is a pair of scores (FastChat) or one of three classes (QLoRA): 1 the first, 2 the second, 3 equal;
-1 is a reply that could not be read. Questions and answers are named by id: give their files with --with.
Where answers have no ids in their file, the names in the review's file name say whose they are.
"""

import json
from collections.abc import Iterator
from typing import Any

from curate.format import Format, Match, Sample
from curate.reader import Answer, Draw, Verdict
from curate.readers.drafts import Refusal, has_any
from curate.readers.fields import Fields, Unreadable
from curate.readers.labels import JUDGE, Around, LabelReader, Told, native_of, number_in
from curate.readers.response_sets import sampling_of_name
from curate.readers.told_elsewhere import question_of

LABELER = "gpt-4"
SCORE_PAIR = "score-pair"
"""Two scores from 1 to 10 in one reply; the margin is their difference by its greatest value."""
THREE_CLASS = "threeclass"
CLASSES = {1: (1.0, "win"), 2: (-1.0, "win"), 3: (0.0, "tie")}
GREATEST_GAP = 9.0
REVIEWER = "-gpt-4-reviewer"


def tell(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    """What a row is: a review, an answer, a generation or a question."""
    if "review_id" in fields:
        yield from _review(fields, around)
    elif "answer_id" in fields:
        yield _answer(fields, around)
    elif "generation" in fields:
        yield _generation(fields, around)
    else:
        question = question_of(fields.need_text("text"))
        yield Told(question, external_id=_take_question_id(fields), metadata=fields.rest())


def _take_question_id(fields: Fields) -> str:
    return fields.take_id("question_id", "message_id")


def _answer(fields: Fields, around: Around) -> Told:
    question_id = _take_question_id(fields)
    policy = fields.take_model("model_id") or around.policy
    prompt = around.elsewhere.question(question_id)
    answer = Answer(fields.need_text("text"), policy, draws=(Draw(policy, 0),))
    return Told(prompt, (answer,), (), question_id, 0, metadata=fields.rest())


def _generation(fields: Fields, around: Around) -> Told:
    prompt = question_of(fields.need_text("text"))
    sampling = json.dumps(sampling_of_name(around.stem), sort_keys=True)
    text = fields.need_text("generation")
    if fields.see("generation_truncated") == text:
        fields.drop("generation_truncated")
    answer = Answer(text, around.policy, draws=(Draw(around.policy, 0, sampling),))
    fields.drop("prompt")
    return Told(prompt, (answer,), (), _take_question_id(fields), 0, metadata=fields.rest())


def _review(fields: Fields, around: Around) -> Iterator[Told | Refusal]:
    question_id = _take_question_id(fields)
    policies = policies_of(around.stem)
    prompt = around.elsewhere.question(question_id)
    found = [
        _found(around, fields.take_id(f"answer{number}_id"), question_id, policy)
        for number, policy in zip((1, 2), policies, strict=True)
    ]
    answers = tuple(
        Answer(text, policy, draws=(Draw(policy, 0, sampling),) if is_known else ())
        for text, policy, sampling, is_known in found
    )
    score = fields.take("score")
    margin, state, scale = _outcome(score)
    reviewer = fields.take("reviewer_id")
    verdict = Verdict(
        0,
        1,
        around.labeler(LABELER),
        JUDGE,
        f"vicuna-eval/{native_of(reviewer)}",
        scale,
        margin,
        state,
        _native(score),
        explanation=fields.take_text("text") or None,
    )
    yield Told(prompt, answers, (verdict,), question_id, metadata=fields.rest(), are_draws=False)


def _found(around: Around, answer_id: str, question_id: str, policy: str) -> tuple[str, str, str, bool]:
    """An answer's text, its author, how it was drawn, and whether the text is known."""
    text, author = around.elsewhere.answer(answer_id, question_id, policy)
    sampling = "{}" if author != policy else json.dumps(sampling_of_name(policy), sort_keys=True)
    return text, author, sampling, not around.elsewhere.is_stand_in(text)


def policies_of(stem: str) -> tuple[str, str]:
    """Whose answers a review file is about, by its name: `A-vs-B-gpt-4-reviewer…`; empty where it does not say."""
    name = stem.partition(REVIEWER)[0]
    first, mark, second = name.partition("-vs-")
    return (first, second) if mark else ("", "")


def _outcome(score: object) -> tuple[float | None, str, str]:
    if isinstance(score, list):
        return _score_pair(score)
    number = number_in(score)
    margin, state = CLASSES.get(int(number), (None, "unparsed")) if number is not None else (None, "unparsed")
    return margin, state, THREE_CLASS


def _score_pair(score: list[Any]) -> tuple[float | None, str, str]:
    numbers = [number_in(one) for one in score]
    if len(numbers) != 2:
        raise Unreadable(f"the score has {len(numbers)} numbers, not two")
    first, second = numbers
    if first is None or second is None or min(first, second) < 0:
        return None, "unparsed", SCORE_PAIR
    return (first - second) / GREATEST_GAP, "tie" if first == second else "win", SCORE_PAIR


def _native(score: object) -> str:
    return " ".join(native_of(one) for one in score) if isinstance(score, list) else native_of(score)


VICUNA_EVAL = LabelReader(tell, has_any("question_id", "review_id"))


def _looks_like(sample: Sample) -> Match | None:
    marks = {
        ("review_id", "answer1_id"): "reviews of two answers by their ids",
        ("answer_id", "text"): "answers to questions by their ids",
        ("question_id", "generation"): "generations for questions",
        ("question_id", "text", "category"): "questions",
    }
    for keys, why in marks.items():
        share = sample.share(*keys)
        if share:
            return Match(1.1 * share, f"records are {why}")  # questions may be dialogues with marks
    return None


FORMAT = Format(
    "the Vicuna and QLoRA evaluations: questions, answers, and GPT-4's reviews of two (with --with FILES)",
    '{"question_id": 1, "text": "Name a prime.", "category": "maths"}',
    _looks_like,
)
