"""`train evaluate mt-bench`: policies answer questions of two turns, and a judge rates both turns.

The answers are drawn by `label sample` and rated by `label mt-bench`. The second turn is asked under the policy's own
answer to the first one, so its prompts are written to the store in between.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from label.mt_bench.protocol import BenchQuestion, read_questions
from store.chat_format import Turn
from store.db import Reading, Store, Writing
from store.errors import RequestError, StoreDamaged
from store.ids import path_digests, uuid_text
from store.named_sql import named_sql
from store.runs import run_of
from store.selections import newest_selection, write_selection
from train.evaluating.policy import Contestant, sampled_model

RunCommand = Callable[[Sequence[str]], Mapping[str, Any]]
Words = tuple[str, ...]

TEMPERATURES = {
    "writing": 0.7,
    "roleplay": 0.7,
    "extraction": 0.0,
    "math": 0.0,
    "coding": 0.0,
    "reasoning": 0.0,
    "stem": 0.1,
    "humanities": 0.1,
}  # FastChat, llm_judge/common.py: temperature_config
USUAL_TEMPERATURE = 0.7
"""Of a category that MT-bench does not have; FastChat's too."""


@dataclass(frozen=True, slots=True)
class MtBenchSettings:
    """Who answers what, and who rates it."""

    store: Path
    contestants: Sequence[Contestant]
    questions: Path
    judge: str
    references: Path | None = None
    base_urls: Sequence[str] = ()
    """Of the judge."""
    draws: int = 3
    """Of the judge over each turn; the median counts."""
    max_cost: float | None = None
    temperature: float | None = None
    """Of the answers; None takes MT-bench's, by category."""
    max_new_tokens: int = 1024  # FastChat, gen_model_answer.py
    seed: int = 0

    def temperature_of(self, question: BenchQuestion) -> float:
        """At which temperature a question is answered."""
        if self.temperature is not None:
            return self.temperature
        return TEMPERATURES.get(question.category, USUAL_TEMPERATURE)

    @property
    def slug(self) -> str:
        """Names the questions, and how they are grouped, in the names of selections."""
        told = f"{self.questions.read_text(encoding='utf-8')}/{self.temperature}"
        return hashlib.sha256(told.encode()).hexdigest()[:8]

    def selection(self, turn: int, policy: str) -> str:
        """The name of the prompts of a turn; those of the second one are each policy's own."""
        return f"mt-bench {self.slug} turn {turn}" + (f" of {policy}" if turn == 2 else "")


def commands_of(settings: MtBenchSettings) -> Iterator[Words]:
    """Every command, in the order they run."""
    questions = read_questions(settings.questions)
    for turn in (1, 2):
        for one in settings.contestants:
            yield from sampling(settings, one, turn, questions)
    yield judging(settings)


def sampling(
    settings: MtBenchSettings, one: Contestant, turn: int, questions: Sequence[BenchQuestion]
) -> Iterator[Words]:
    """The commands that draw a policy's answers to a turn of QUESTIONS, one for each temperature; none for stored
    answers."""
    if one.model is None:
        return
    groups = {settings.temperature_of(question) for question in questions}
    condition = ("--condition", one.condition) if one.condition else ()
    for temperature in sorted(groups):
        yield _words(
            settings,
            *("label", "sample", "--model", sampled_model(one.model), "--policy", one.name, *condition),
            *("--prompts", settings.selection(turn, one.name), "--part", _part(temperature), "--n", 1),
            *("--temperature", temperature, "--max-new-tokens", settings.max_new_tokens),
            *("--seed", settings.seed),
        )


def judging(settings: MtBenchSettings) -> Words:
    """The command that rates both turns of every answer."""
    names = ",".join(one.name for one in settings.contestants)
    return _words(
        settings,
        *("label", "mt-bench", "--model", settings.judge, "--questions", settings.questions),
        *(() if settings.references is None else ("--references", settings.references)),
        *(word for url in settings.base_urls for word in ("--base-url", url)),
        *(() if settings.max_cost is None else ("--max-cost", settings.max_cost)),
        *("--policies", names, "--draws", settings.draws),
    )


def evaluate_mt_bench(settings: MtBenchSettings, run: RunCommand) -> dict[str, Any]:
    """Draw what is missing, have it judged with RUN, and return the figures of every policy, the best first."""
    store = Store(settings.store)
    questions = read_questions(settings.questions, settings.references)
    with run_of(store, "train evaluate mt-bench", asdict(settings)) as noted:
        for turn in (1, 2):
            for one in settings.contestants:
                if one.model is None:
                    continue
                asked = _ask(store, settings, questions, one.name, turn)
                for words in sampling(settings, one, turn, asked):
                    run(words)
        judged = run(judging(settings))
        found = _figures(settings, judged)
        noted.finish(found)
        return {**found, "run_id": noted.run_id}


def _figures(settings: MtBenchSettings, judged: Mapping[str, Any]) -> dict[str, Any]:
    conditions = {one.name: one.condition for one in settings.contestants}
    policies = [
        {"policy": score["model"], "condition": conditions[score["model"]]}
        | {name: value for name, value in score.items() if name != "model"}
        for score in judged["models"]
    ]
    told = {name: judged[name] for name in ("labeler", "questions", "draws", "cost_usd")}
    return {**told, "policies": policies}


def _ask(
    store: Store, settings: MtBenchSettings, questions: Sequence[BenchQuestion], policy: str, turn: int
) -> list[BenchQuestion]:
    """See that the prompts of a turn are in the store, as a selection; the same again writes nothing.

    Returns the questions there are prompts of: a first turn that got no answer has no second one.
    Raises RequestError where none is left.
    """
    firsts: Mapping[str, str] = {}
    if turn == 2:
        with store.read() as reading:
            firsts = first_answers(reading, questions, policy)
    asked: list[BenchQuestion] = []
    messages: dict[str, dict[str, object]] = {}
    prompts: set[tuple[str, str]] = set()
    for question in questions:
        path = [("user", question.turns[0])]
        if turn == 2:
            if question.question_id not in firsts:
                continue
            path += [("assistant", firsts[question.question_id]), ("user", question.turns[1])]
        asked.append(question)
        rows = message_rows(path)
        messages |= {str(row["message_id"]): row for row in rows}
        prompts.add((str(rows[-1]["message_id"]), _part(settings.temperature_of(question))))
    if not asked:
        raise RequestError(f"{policy} answered no first turn of {settings.questions}; see: label runs")
    name = settings.selection(turn, policy)
    with store.write() as writing:
        if _stored(writing, name) == prompts:
            return asked
        writing.append_new("messages", "message_id", list(messages.values()))
        places = ", ".join(["(CAST(? AS UUID), ?)"] * len(prompts))
        write_selection(
            writing,
            name,
            "prompts",
            f"SELECT * FROM (VALUES {places}) AS rows (prompt_id, part)",
            [value for prompt in sorted(prompts) for value in prompt],
            settings={"questions": str(settings.questions), "turn": turn, "policy": policy},
            steps={},
            run_id=None,
        )
    return asked


def message_rows(path: Sequence[Turn]) -> list[dict[str, object]]:
    """The rows of `messages` along a path."""
    ids = [uuid_text(digest) for digest in path_digests(list(path))]
    return [
        {
            "message_id": ids[depth],
            "parent_id": ids[depth - 1] if depth else None,
            "role": role,
            "content": content,
            "depth": depth,
        }
        for depth, (role, content) in enumerate(path)
    ]


def _stored(writing: Writing, name: str) -> set[tuple[str, str]] | None:
    selection = newest_selection(writing, name)
    if selection is None:
        return None
    rows = writing.rows(
        "SELECT CAST(prompt_id AS VARCHAR), part FROM selection_prompts WHERE selection_id = CAST(? AS UUID)",
        [selection.selection_id],
    )
    return {(prompt_id, part) for prompt_id, part in rows}


def first_answers(reading: Reading, questions: Sequence[BenchQuestion], policy: str) -> dict[str, str]:
    """Question → what the policy answered to its first turn; a question that got no answer is not in it."""
    asked = {
        uuid_text(path_digests([("user", question.turns[0])])[-1]): question.question_id
        for question in questions
    }
    rows = reading.rows(named_sql("train", "first_answers"), {"policy": policy, "prompt_ids": list(asked)})
    if any(content is None for _, content in rows):
        raise StoreDamaged(f"a draw of {policy} names a message that is not there; see: curate verify")
    return {asked[prompt_id]: content for prompt_id, content in rows}


def _part(temperature: float) -> str:
    return f"temperature {temperature:g}"


def _words(settings: MtBenchSettings, *words: object) -> Words:
    return tuple(str(word) for word in (*words, "--store", settings.store, "--json"))
