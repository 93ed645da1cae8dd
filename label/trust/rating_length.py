"""Whether longer answers get better ratings or rewards: Pearson's r prompt by prompt (RLHF Workflow, figure 3)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from label.measures import Measure, Resampling, mean_of, measured, pearson
from label.trust.rating_agreement import Score
from label.trust.win_rates import Lengths

LENGTH_EDGES = (0, 250, 500, 1000, 2000, 4000, float("inf"))
"""Mean characters of a prompt's answers."""
R_EDGES = (-1.0, -0.6, -0.2, 0.2, 0.6, 1.0)
MIN_ANSWERS = 3


@dataclass(frozen=True, slots=True)
class PromptLength:
    """One prompt's answers by one labeler."""

    prompt_id: str
    mean_characters: float
    r: float
    """NaN where all ratings, or all lengths, are equal."""


@dataclass(frozen=True, slots=True)
class Heatmap:
    """How many prompts have which correlation at which length."""

    labeler: str
    length_labels: list[str]
    r_labels: list[str]
    counts: list[list[int]]
    """A row for each interval of r, a column for each of length."""


def prompt_lengths(scores: Sequence[Score], lengths: Lengths) -> list[PromptLength]:
    """Every prompt with answers enough, given one labeler's ratings."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in scores:
        if one.response_id in lengths:
            values[one.prompt_id][one.response_id].append(one.value)
    return [
        _prompt_length(prompt_id, answers, lengths)
        for prompt_id, answers in values.items()
        if len(answers) >= MIN_ANSWERS
    ]


def _prompt_length(prompt_id: str, answers: dict[str, list[float]], lengths: Lengths) -> PromptLength:
    characters = [float(lengths[response_id].characters) for response_id in answers]
    ratings = [float(np.mean(given)) for given in answers.values()]
    return PromptLength(prompt_id, float(np.mean(characters)), pearson(ratings, characters))


def length_measures(
    prompts: Sequence[PromptLength], resampling: Resampling, measure: str = "rating_length_r"
) -> list[Measure]:
    """The mean r over prompts, overall and by how long the answers are."""
    found = [_mean_r(measure, "all lengths", prompts, resampling)]
    for low, high in _spans(LENGTH_EDGES):
        inside = [one for one in prompts if low <= one.mean_characters < high]
        found.append(_mean_r(measure, f"{_span_name(low, high)} characters", inside, resampling))
    return found


def _mean_r(measure: str, of: str, prompts: Sequence[PromptLength], resampling: Resampling) -> Measure:
    known = [one for one in prompts if not np.isnan(one.r)]
    return measured(
        measure, of, mean_of([one.r for one in known]), [one.prompt_id for one in known], resampling
    )


def heatmap_of(labeler: str, prompts: Sequence[PromptLength]) -> Heatmap:
    """Prompts counted by correlation and mean length."""
    known = [one for one in prompts if not np.isnan(one.r)]
    r_edges = [*R_EDGES[:-1], R_EDGES[-1] + 1e-9]
    counts, _, _ = np.histogram2d(
        [one.r for one in known], [one.mean_characters for one in known], bins=[r_edges, LENGTH_EDGES]
    )
    return Heatmap(
        labeler,
        [_span_name(low, high) for low, high in _spans(LENGTH_EDGES)],
        [f"{low:g} to {high:g}" for low, high in _spans(R_EDGES)],
        counts.astype(int).tolist(),
    )


def _spans(edges: Sequence[float]) -> list[tuple[float, float]]:
    return list(pairwise(edges))


def _span_name(low: float, high: float) -> str:
    return f"over {low:g}" if high == float("inf") else f"{low:g} to {high:g}"
