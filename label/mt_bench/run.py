"""`label mt-bench`: both turns of every answer rated, and the models' scores."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from label.chat import ChatModel
from label.engine.clock import Clock, LoopClock
from label.engine.prices import PriceTag
from label.engine.sigterm import ending_on_sigterm
from label.judging.judge import Forecast, finish, forecast_of, labeler_of, stored_settings
from label.judging.rating_job import JudgeSettings, RatingJob, Tally
from label.judging.turns import JudgedTurn, Question, Window, known_of
from label.measures import Resampling
from label.mt_bench.protocol import (
    REFERENCED,
    BenchAnswer,
    BenchQuestion,
    bench_question,
    find_answers,
    read_questions,
    turns_to_judge,
)
from label.mt_bench.report import ModelScore, read_medians, scores_of
from store.errors import RequestError
from store.runs import run_of

if TYPE_CHECKING:
    from store.console import Advance
    from store.db import Store

DRAWS = 3
"""Runs of the judge over each turn; their median counts."""
WINDOW_ANSWERS = 500


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What is judged; stored with the run beside how it is."""

    questions: Path
    """FastChat's question.jsonl."""
    references: Path | None = None
    """FastChat's reference_answer/*.jsonl."""
    models: tuple[str, ...] = ()
    """Only these; empty takes every model with answers."""
    resampling: Resampling = field(default_factory=Resampling)


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """The answers there are, and the turns to judge."""

    bench: BenchSettings
    questions: list[BenchQuestion]
    answers: list[BenchAnswer]
    turns: tuple[tuple[JudgedTurn, ...], ...]

    @property
    def n_turns(self) -> int:
        """Ratings asked for."""
        return sum(map(len, self.turns))

    @property
    def without_reference(self) -> int:
        """Questions that ought to be judged beside a reference answer and have none."""
        return sum(one.category in REFERENCED and not one.references for one in self.questions)


@dataclass(frozen=True, slots=True)
class BenchReport:
    """A finished run."""

    run_id: str
    labeler: str
    tally: Tally
    n_questions: int
    draws: int
    scores: list[ModelScore]

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            **self.tally.counts(),
            "run_id": self.run_id,
            "labeler": self.labeler,
            "questions": self.n_questions,
            "draws": self.draws,
            "models": [score.as_json() for score in self.scores],
        }


def plan_bench(store: "Store", model: ChatModel, bench: BenchSettings, settings: JudgeSettings) -> BenchPlan:
    """What a run would be about.

    Raises BadInput for files that hold no questions, RequestError if the store has no answer to any of them.
    """
    questions = read_questions(bench.questions, bench.references)
    sampling = model.sampling(settings.temperature, settings.max_tokens)
    with store.read() as reading:
        answers = find_answers(reading, questions, bench.models)
        if not answers:
            raise RequestError(
                f"the store holds no answer to both turns of any question in {bench.questions}; take"
                " conversations of these questions in, with a model label"
            )
        turns = turns_to_judge(reading, answers, model, sampling, settings.draws)
    return BenchPlan(bench, questions, answers, turns)


def windows_of(store: "Store", plan: BenchPlan, labeler: str) -> Iterator[Window]:
    """The turns of a plan with what earlier runs know of them, some at a time."""
    for start in range(0, len(plan.turns), WINDOW_ANSWERS):
        with store.read() as reading:
            window = known_of(reading, plan.turns[start : start + WINDOW_ANSWERS], labeler)
        yield window


def _asked(model: ChatModel, settings: JudgeSettings) -> tuple[Question, ...]:
    """What a canary is asked with."""
    return (bench_question(model, model.sampling(settings.temperature, settings.max_tokens), 0),)


def forecast_bench(
    store: "Store", model: ChatModel, price: PriceTag, plan: BenchPlan, settings: JudgeSettings
) -> Forecast:
    """What `judge_bench` would do, without a call and without writing."""
    labeler = labeler_of(model, settings.labeler)
    windows = windows_of(store, plan, labeler)
    return forecast_of(windows, _asked(model, settings), model, price, settings, labeler=labeler)


def judge_bench(
    store: "Store",
    model: ChatModel,
    price: PriceTag,
    plan: BenchPlan,
    settings: JudgeSettings,
    *,
    advance: "Advance",
    tally: Tally | None = None,
    clock: Clock | None = None,
) -> BenchReport:
    """Rate every turn of PLAN that has no rating yet, and score the models.

    Raises ProviderStopped, BudgetReached or BadReply when the run cannot go on; what was answered is kept.
    """
    labeler = labeler_of(model, settings.labeler)
    kept = {**stored_settings(model, price, settings, labeler), "bench": asdict(plan.bench)}
    with run_of(store, "label mt-bench", kept) as run:
        job = RatingJob(
            run,
            model,
            price,
            settings,
            labeler=labeler,
            advance=advance,
            tally=tally or Tally(),
            questions=_asked(model, settings),
        )
        job.tally.requested = plan.n_turns
        try:
            with ending_on_sigterm():
                asyncio.run(job.rate(windows_of(store, plan, labeler), clock or LoopClock()))
        finally:
            run.drain()
            finish(run, job.tally)
        with store.read() as reading:
            medians = read_medians(reading, plan.answers, labeler, settings.draws)
        scores = scores_of(plan.answers, medians, plan.bench.resampling)
    return BenchReport(run.run_id, labeler, job.tally, len(plan.questions), settings.draws, scores)
