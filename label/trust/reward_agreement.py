"""Reward models as labelers: the verdicts their rewards amount to, and how rewards go along with ratings."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from label.measures import Measure, Resampling, Rows, Statistic, mean_of, measured, pearson
from label.trust.rating_agreement import Score, model_means, pearson_over_models
from label.trust.rating_length import MIN_ANSWERS, PromptLength
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading


def read_rewards(reading: "Reading") -> list[Score]:
    """The rewards of every answer that was compared or rated too."""
    return [Score(*row) for row in reading.rows(named_sql("label", "agree_rewards"))]


def reward_models(reading: "Reading") -> list[str]:
    """The reward models of the store, as labelers."""
    return [name for (name,) in reading.rows(named_sql("label", "reward_models"))]


def read_reward_lengths(reading: "Reading", labelers: Sequence[str]) -> dict[str, list[PromptLength]]:
    """Every prompt with scored answers enough, by reward model; computed where the rewards are, they are many."""
    rows = reading.rows(
        named_sql("label", "reward_lengths"), {"labelers": sorted(labelers), "least": MIN_ANSWERS}
    )
    found: dict[str, list[PromptLength]] = defaultdict(list)
    for labeler, prompt_id, mean_characters, r in rows:
        found[labeler].append(PromptLength(prompt_id, mean_characters, float("nan") if r is None else r))
    return dict(found)


def reward_agreement(
    rewards: Sequence[Score], ratings: Sequence[Score], resampling: Resampling
) -> list[Measure]:
    """How far each reward model's rewards go along with each labeler's ratings of the same answers."""
    found: list[Measure] = []
    by_model, by_rater = _grouped(rewards), _grouped(ratings)
    for model, own in sorted(by_model.items()):
        for rater, rated in sorted(by_rater.items()):
            found += _between(own, rated, _pair_name(model, rater), resampling)
    return found


Kind = tuple[str, str, str]
"""Labeler, scale, aspect."""


def _grouped(scores: Sequence[Score]) -> dict[Kind, list[Score]]:
    groups: dict[Kind, list[Score]] = defaultdict(list)
    for one in scores:
        groups[one.labeler, one.scale, one.aspect].append(one)
    return groups


def _pair_name(model: Kind, rater: Kind) -> str:
    labeler, scale, aspect = rater
    what = scale if aspect in ("", "overall") else f"{scale} {aspect}"
    return f"{model[0]} : {labeler}, {what}"


def _between(
    rewards: Sequence[Score], ratings: Sequence[Score], of: str, resampling: Resampling
) -> list[Measure]:
    given: dict[str, list[float]] = defaultdict(list)
    for one in ratings:
        given[one.response_id].append(one.value)
    both = [one for one in rewards if one.response_id in given]
    prompts = [one.prompt_id for one in both]
    columns = np.array([[one.value, np.mean(given[one.response_id])] for one in both]).reshape(-1, 2)
    within = _within_prompts(both, columns)
    return [
        measured("pearson", of, _column_pearson(columns), prompts, resampling),
        measured(
            "pearson_within_prompts",
            of,
            mean_of([r for _, r in within]),
            [prompt for prompt, _ in within],
            resampling,
        ),
        pearson_over_models(
            model_means(both).get(rewards[0].labeler, {}),
            model_means(ratings).get(ratings[0].labeler, {}),
            of,
        ),
    ]


def _column_pearson(columns: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> Statistic:
    def statistic(rows: Rows) -> float:
        return pearson(columns[rows, 0].tolist(), columns[rows, 1].tolist())

    return statistic


def _within_prompts(
    scores: Sequence[Score], columns: "np.ndarray[tuple[int, int], np.dtype[np.float64]]"
) -> list[tuple[str, float]]:
    """Pearson's r under each prompt with answers enough on which neither side is all alike."""
    rows: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(scores):
        rows[one.prompt_id].append(place)
    found = [
        (prompt, pearson(columns[places, 0].tolist(), columns[places, 1].tolist()))
        for prompt, places in rows.items()
        if len(places) >= MIN_ANSWERS
    ]
    return [(prompt, r) for prompt, r in found if not np.isnan(r)]
