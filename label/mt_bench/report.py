"""MT-bench figures: a turn's rating is the median over the draws, a model's score the mean over its turns."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING

from label.judging.rating_scales import MT_BENCH, MT_BENCH_REFERENCE
from label.measures import Measure, Resampling, mean_of, measured
from label.mt_bench.protocol import BenchAnswer
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading


@dataclass(frozen=True, slots=True)
class RatedTurn:
    """One turn of an answer, rated in every draw."""

    question_id: str
    category: str
    turn: int
    rating: float


@dataclass(frozen=True, slots=True)
class ModelScore:
    """How one model did."""

    model: str
    questions: int
    """Questions with an answer."""
    unrated: int
    """Turns without a rating in every draw; they are in no mean."""
    turn_1: Measure
    turn_2: Measure
    average: Measure
    """Over all turns."""
    categories: dict[str, float]
    """Category → mean over its turns."""
    by_turn: dict[str, tuple[float | None, float | None]]
    """Category → mean over its first turns, and over its second ones."""

    def as_json(self) -> dict[str, object]:
        """The figures as an object."""
        return asdict(self)


def read_medians(
    reading: "Reading", answers: Sequence[BenchAnswer], labeler: str, draws: int
) -> dict[tuple[str, str], float]:
    """(response id, template) → the median of its ratings, where every draw has one."""
    ids = sorted({answer.response_id(turn) for answer in answers for turn in (1, 2)})
    rows = reading.rows(
        named_sql("label", "mt_bench_ratings"),
        {
            "labeler": labeler,
            "templates": [MT_BENCH.template, MT_BENCH_REFERENCE.template],
            "draws": draws,
            "response_ids": ids,
        },
    )
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for response_id, template, _, state, value in rows:
        if state == "done":
            values[response_id, template].append(value)
    return {key: median(given) for key, given in values.items() if len(given) == draws}


def scores_of(
    answers: Sequence[BenchAnswer], medians: dict[tuple[str, str], float], resampling: Resampling
) -> list[ModelScore]:
    """Every model's score, the best first; intervals come from drawing questions anew."""
    by_model: dict[str, list[BenchAnswer]] = defaultdict(list)
    for answer in answers:
        by_model[answer.model].append(answer)
    scores = [_score(model, own, medians, resampling) for model, own in by_model.items()]
    return sorted(scores, key=lambda one: (-(one.average.value or 0.0), one.model))


def _score(
    model: str,
    answers: Sequence[BenchAnswer],
    medians: dict[tuple[str, str], float],
    resampling: Resampling,
) -> ModelScore:
    rated = [turn for answer in answers for turn in _rated(answer, medians)]
    categories: dict[str, list[float]] = defaultdict(list)
    for one in rated:
        categories[one.category].append(one.rating)
    return ModelScore(
        model=model,
        questions=len({answer.question.question_id for answer in answers}),
        unrated=2 * len(answers) - len(rated),
        turn_1=_mean("turn 1", [one for one in rated if one.turn == 1], resampling),
        turn_2=_mean("turn 2", [one for one in rated if one.turn == 2], resampling),
        average=_mean("average", rated, resampling),
        by_turn={
            name: (_category_mean(rated, name, 1), _category_mean(rated, name, 2))
            for name in sorted(categories)
        },
        categories={name: sum(given) / len(given) for name, given in sorted(categories.items())},
    )


def _category_mean(rated: Sequence[RatedTurn], category: str, turn: int) -> float | None:
    given = [one.rating for one in rated if (one.category, one.turn) == (category, turn)]
    return sum(given) / len(given) if given else None


def _rated(answer: BenchAnswer, medians: dict[tuple[str, str], float]) -> list[RatedTurn]:
    scale = MT_BENCH_REFERENCE if answer.question.shown_references else MT_BENCH
    found = []
    for turn in (1, 2):
        rating = medians.get((answer.response_id(turn), scale.template))
        if rating is not None:
            question = answer.question
            found.append(RatedTurn(question.question_id, question.category, turn, rating))
    return found


def _mean(of: str, rated: Sequence[RatedTurn], resampling: Resampling) -> Measure:
    ratings = mean_of([one.rating for one in rated])
    return measured("mt_bench", of, ratings, [one.question_id for one in rated], resampling)
