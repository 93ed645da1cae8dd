"""How far ratings agree: between the draws of one judge, between judges, and over the models they rated.

The intraclass correlations are those of Shrout and Fleiss (Psychological Bulletin 86, 1979): written out
here, because the libraries that have them carry a licence this package cannot take.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from label.measures import Measure, Resampling, Rows, Statistic, measured, pearson, quietly
from label.trust.verdict_agreement import alpha_of
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading

Table = NDArray[np.float64]
"""Ratings by thing rated (row) and rater (column), without gaps."""


@dataclass(frozen=True, slots=True)
class Score:
    """One number given to one answer."""

    response_id: str
    prompt_id: str
    policy: str
    labeler: str
    labeler_kind: str
    scale: str
    aspect: str
    draw_index: int
    value: float


def read_scores(reading: "Reading", labelers: Sequence[str] | None = None) -> list[Score]:
    """Every rating in force, of anybody or of LABELERS."""
    rows = reading.rows(named_sql("label", "agree_scores"), {"labelers": labelers})
    return [Score(*row) for row in rows]


def raters(reading: "Reading") -> set[str]:
    """Whoever rated anything."""
    return {name for (name,) in reading.rows("SELECT DISTINCT labeler FROM ratings")}


def intraclass_correlations(table: Table) -> dict[str, float]:
    """ICC(1,1), (2,1), (3,1) of one rating and (1,k), (2,k), (3,k) of the mean of all, k columns.

    1: every row was rated by others; 2: by the same random raters; 3: by the same fixed raters.
    """
    n_rows, n_raters = table.shape
    mean = table.mean()
    between = n_raters * ((table.mean(axis=1) - mean) ** 2).sum() / (n_rows - 1)
    within = ((table - table.mean(axis=1, keepdims=True)) ** 2).sum() / (n_rows * (n_raters - 1))
    raters = n_rows * ((table.mean(axis=0) - mean) ** 2).sum() / (n_raters - 1)
    residual = (within * n_rows * (n_raters - 1) - raters * (n_raters - 1)) / ((n_rows - 1) * (n_raters - 1))
    shift = (raters - residual) / n_rows
    return {
        "icc_1_1": (between - within) / (between + (n_raters - 1) * within),
        "icc_2_1": (between - residual) / (between + (n_raters - 1) * residual + n_raters * shift),
        "icc_3_1": (between - residual) / (between + (n_raters - 1) * residual),
        "icc_1_k": (between - within) / between,
        "icc_2_k": (between - residual) / (between + shift),
        "icc_3_k": (between - residual) / between,
    }


def rating_agreement(scores: Sequence[Score], resampling: Resampling) -> list[Measure]:
    """Every measure on ratings: draws of one judge, judges with each other, judges over models."""
    found: list[Measure] = []
    kinds: dict[tuple[str, str], list[Score]] = defaultdict(list)
    for one in scores:
        kinds[one.scale, one.aspect].append(one)
    for (scale, aspect), group in sorted(kinds.items()):
        what = scale if aspect in ("", "overall") else f"{scale} {aspect}"
        found += _between_draws(group, what, resampling)
        found += _between_labelers(group, what, resampling)
    return found


def _between_draws(scores: Sequence[Score], what: str, resampling: Resampling) -> list[Measure]:
    """ICC(1,1) and (1,k): draws are interchangeable."""
    found: list[Measure] = []
    for labeler in sorted({one.labeler for one in scores}):
        own = [one for one in scores if one.labeler == labeler]
        table, prompts = _table(own, lambda one: one.draw_index)
        if table.shape[1] > 1:
            of = f"{labeler}, {table.shape[1]} draws, {what}"
            found += [
                measured(name, of, _icc(table, name), prompts, resampling) for name in ("icc_1_1", "icc_1_k")
            ]
            found.append(measured("exact", of, _all_equal(table), prompts, resampling))
    return found


def _between_labelers(scores: Sequence[Score], what: str, resampling: Resampling) -> list[Measure]:
    found: list[Measure] = []
    for first, second in combinations(sorted({one.labeler for one in scores}), 2):
        both = [one for one in scores if one.labeler in (first, second)]
        table, prompts = _table(both, lambda one: one.labeler)
        of = f"{first} : {second}, {what}"
        if table.shape[1] == 2:
            found += [
                measured("icc_2_1", of, _icc(table, "icc_2_1"), prompts, resampling),
                measured(
                    "krippendorff_alpha_interval", of, alpha_of(table.T, "interval"), prompts, resampling
                ),
                measured("pearson", of, _column_pearson(table), prompts, resampling),
            ]
        found += _over_models(model_means(both), first, second, what)
    return found


def _table(scores: Sequence[Score], rater: Callable[[Score], object]) -> tuple[Table, list[str]]:
    """Mean ratings by answer and rater, of the answers that every rater rated; and the answers' prompts."""
    cells: dict[str, dict[object, list[float]]] = defaultdict(lambda: defaultdict(list))
    prompts = {one.response_id: one.prompt_id for one in scores}
    for one in scores:
        cells[one.response_id][rater(one)].append(one.value)
    raters = sorted({key for row in cells.values() for key in row}, key=str)
    whole = [response_id for response_id, row in cells.items() if len(row) == len(raters)]
    table = np.array([[np.mean(cells[one][key]) for key in raters] for one in whole], dtype=np.float64)
    if len(whole) < 2:
        return np.zeros((0, 0)), []
    return table, [prompts[one] for one in whole]


def _icc(table: Table, name: str) -> Statistic:
    def icc(rows: Rows) -> float:
        return quietly(lambda: intraclass_correlations(table[rows])[name])

    return icc


def _all_equal(table: Table) -> Statistic:
    equal = np.ptp(table, axis=1) == 0
    return lambda rows: float(equal[rows].mean())


def _column_pearson(table: Table) -> Statistic:
    return lambda rows: pearson(table[rows, 0].tolist(), table[rows, 1].tolist())


def model_means(scores: Sequence[Score]) -> dict[str, dict[str, float]]:
    """Labeler → policy → the mean of what it gave the policy's answers."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in scores:
        values[one.labeler][one.policy].append(one.value)
    return {
        labeler: {model: float(np.mean(given)) for model, given in by_model.items()}
        for labeler, by_model in values.items()
    }


def _over_models(
    means: Mapping[str, Mapping[str, float]], first: str, second: str, what: str
) -> list[Measure]:
    return [pearson_over_models(means.get(first, {}), means.get(second, {}), f"{first} : {second}, {what}")]


def pearson_over_models(first: Mapping[str, float], second: Mapping[str, float], of: str) -> Measure:
    """How far two judges put models in the same places; the interval is Fisher's, models being few."""
    models = sorted(set(first) & set(second))
    columns = [[means[model] for model in models] for means in (first, second)]
    r = pearson(*columns)
    if np.isnan(r):
        return Measure("pearson_over_models", of, None, None, None, len(models))
    low, high = _fisher_interval(columns)
    return Measure("pearson_over_models", of, r, low, high, len(models))


def _fisher_interval(columns: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    from scipy.stats import pearsonr

    if len(columns[0]) < 4:
        return None, None  # Fisher's transformation needs a fourth point
    interval = pearsonr(columns[0], columns[1]).confidence_interval(0.95)
    return float(interval.low), float(interval.high)
