"""MT-bench: two-turn questions, each turn rated on its own (Judging LLM-as-a-judge, section 2.3 and appendix).

The second turn is judged with the model's own first turn as its context. Questions of mathematics, coding and
reasoning are judged beside reference answers.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from label.chat import ChatModel, Json, request_key
from label.judging.rating_scales import MT_BENCH, MT_BENCH_REFERENCE
from label.judging.render import Turn, judge_prompt, shown_turns
from label.judging.turns import JudgedTurn, Question
from store.errors import BadInput, UnknownName
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading

REFERENCED = ("math", "coding", "reasoning")  # FastChat, llm_judge/common.py: NEED_REF_CATS
TURNS = 2
REFERENCE_ROLE = "reference"
SPACES = " \t\r\n"
"""Around a question; they make no other question of it."""


@dataclass(frozen=True, slots=True)
class BenchQuestion:
    """One question of two turns."""

    question_id: str
    category: str
    turns: tuple[str, str]
    references: tuple[str, ...] = ()
    """An answer to each turn, or none."""

    @property
    def shown_references(self) -> tuple[str, ...]:
        """The answers a judge is shown: only in the categories that have right ones."""
        return self.references if self.category in REFERENCED else ()


@dataclass(frozen=True, slots=True)
class BenchAnswer:
    """What one model said to both turns of a question."""

    model: str
    question: BenchQuestion
    first_id: str
    second_id: str

    def response_id(self, turn: int) -> str:
        """The message that answers TURN, 1 or 2."""
        return self.first_id if turn == 1 else self.second_id


def read_questions(path: Path, references: Path | None = None) -> list[BenchQuestion]:
    """The questions in a file of FastChat's form, with the answers in REFERENCES by question id.

    Raises BadInput, naming file and line, for a record that is no question of two turns.
    """
    given = {} if references is None else dict(_references(references))
    found = [_question(record, f"{path}:{line}", given) for line, record in _records(path)]
    if not found:
        raise BadInput(f"{path} holds no question; give FastChat's question.jsonl")
    ids = [question.question_id for question in found]
    if len(set(ids)) < len(ids):
        raise BadInput(f"{path} gives a question_id twice")
    return found


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                record = json.loads(text)
            except ValueError as error:
                raise BadInput(f"{path}:{number}: no JSON: {error}") from error
            if not isinstance(record, dict) or "question_id" not in record:
                raise BadInput(f"{path}:{number}: no object with a question_id")
            yield number, record


def _question(record: dict[str, Any], place: str, given: dict[str, tuple[str, ...]]) -> BenchQuestion:
    turns = _texts(record.get("turns"))
    if len(turns) != TURNS:
        raise BadInput(f"{place}: question {record['question_id']} has not two turns; MT-bench's have")
    question_id = str(record["question_id"])
    references = given.get(question_id, _texts(record.get("reference")))
    return BenchQuestion(
        question_id,
        str(record.get("category", "")),
        (turns[0].strip(SPACES), turns[1].strip(SPACES)),
        references if len(references) == TURNS else (),
    )


def _references(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    for number, record in _records(path):
        choices = record.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        turns = _texts(first.get("turns")) if isinstance(first, dict) else ()
        if not turns:
            raise BadInput(f"{path}:{number}: no answers; give FastChat's reference_answer/gpt-4.jsonl")
        yield str(record["question_id"]), turns


def _texts(value: object) -> tuple[str, ...]:
    """VALUE if it is a list of texts, else nothing."""
    texts = value if isinstance(value, list) else []
    return tuple(texts) if all(isinstance(text, str) for text in texts) else ()


def find_answers(
    reading: "Reading", questions: Sequence[BenchQuestion], models: Sequence[str] = ()
) -> list[BenchAnswer]:
    """What the models of the store, or only MODELS, said to these questions, by model.

    Raises UnknownName for a model that answered none of them.
    """
    by_turns = {question.turns: question for question in questions}
    firsts, seconds = ([question.turns[place] for question in questions] for place in (0, 1))
    rows = reading.rows(
        named_sql("label", "two_turn_answers"), {"firsts": firsts, "seconds": seconds, "spaces": SPACES}
    )
    found = [
        BenchAnswer(model, by_turns[first, second], *ids)
        for model, first, second, *ids in rows
        if (first, second) in by_turns
    ]
    known = {answer.model for answer in found}
    for model in models:
        if model not in known:
            raise UnknownName.of("model with answers to these questions", model, known)
    return [answer for answer in found if not models or answer.model in models]


def turns_to_judge(
    reading: "Reading",
    answers: Sequence[BenchAnswer],
    model: ChatModel,
    sampling: dict[str, Json],
    draws: int,
) -> tuple[tuple[JudgedTurn, ...], ...]:
    """Both turns of every answer, once for each draw; what several models said alike is there once."""
    ids = {one for answer in answers for one in (answer.first_id, answer.second_id)}
    rows = reading.rows(named_sql("label", "message_texts"), {"message_ids": sorted(ids)})
    texts = {message_id: content for message_id, _, content in rows}
    seen: set[str] = set()
    found = []
    for answer in answers:
        for draw in range(draws):
            turns = tuple(
                turn for turn in _judged(answer, texts, model, sampling, draw) if turn.key not in seen
            )
            seen.update(turn.key for turn in turns)
            if turns:
                found.append(turns)
    return tuple(found)


def bench_question(
    model: ChatModel, sampling: dict[str, Json], draw: int, references: Sequence[str] = ()
) -> Question:
    """How a turn is put to the judge, beside REFERENCES where there are any."""
    scale = MT_BENCH_REFERENCE if references else MT_BENCH
    shown = shown_turns(scale.template, [(REFERENCE_ROLE, text) for text in references])
    return Question(model, judge_prompt(scale.template), sampling, scale, draw, tuple(shown))


def _judged(
    answer: BenchAnswer, texts: dict[str, str], model: ChatModel, sampling: dict[str, Json], draw: int
) -> Iterator[JudgedTurn]:
    first, second = answer.question.turns
    said: list[Turn] = [
        ("user", first),
        ("assistant", texts[answer.first_id]),
        ("user", second),
        ("assistant", texts[answer.second_id]),
    ]
    for turn in (1, 2):
        question = bench_question(model, sampling, draw, answer.question.shown_references[:turn])
        shown = shown_turns(question.prompt.name, said)
        position = 2 * turn
        key = request_key(question.first(shown[:position]))
        yield JudgedTurn(answer.response_id(turn), key, question, shown, position)
