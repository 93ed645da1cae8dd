"""Win rates of policies, and what a judge that only counts words would have said.

A tie and a conflict between orders are half a win each. Beside every win rate stands that of the dummy
judge of Camels, appendix H (the answer with more unique tokens wins), and one with length held equal:
a logistic model of our own, fitted for each pair of policies, not AlpacaEval's.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from label.comparing.stored_verdicts import Item, Merged, Side, sign
from label.measures import (
    Measure,
    Resampling,
    Rows,
    mean_of,
    measured,
    measured_together,
    quietly,
)
from label.trust.verdict_agreement import pair_name
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading

Column = NDArray[np.float64]

ELO_BASE, ELO_SCALE = 1000.0, 400.0
"""Ratings are shown on the usual Elo scale: 1000 in the middle, 400 points for odds of ten to one."""
ELO_ORDERS = 4
"""Orders of the verdicts over which an Elo rating is the mean."""
MAX_LOGIT = 15.0
"""A fitted advantage beyond this means that one side won everything: there is nothing to fit."""


@dataclass(frozen=True, slots=True)
class Length:
    """How long an answer is."""

    characters: int
    unique_tokens: int
    """Different words and signs, without regard to case."""
    n_prompts: int = 1
    """How many of the judged prompts have this very text as an answer."""


Lengths = Mapping[str, Length]


def read_lengths(reading: "Reading", labelers: Sequence[str] | None = None) -> dict[str, Length]:
    """The lengths of every answer that was compared or rated, by anybody or by LABELERS, by response id."""
    rows = reading.rows(named_sql("label", "agree_lengths"), {"labelers": labelers})
    return {response_id: Length(*facts) for response_id, *facts in rows}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all verdicts on an item come to."""

    item: Item
    score: float
    """What the first side gets of the point, the mean over the verdicts."""


def outcomes_of(labels: Iterable[Merged]) -> list[Outcome]:
    """One outcome an item that has a verdict."""
    scores: dict[Item, list[float]] = defaultdict(list)
    for one in labels:
        if one.score is not None:
            scores[one.item].append(one.score)
    return [Outcome(item, float(np.mean(given))) for item, given in scores.items()]


def win_rates(labels: Sequence[Merged], lengths: Lengths, resampling: Resampling) -> list[Measure]:
    """For every pair of policies the share of the first: as judged, with lengths held equal, by the dummy."""
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for one in outcomes_of(labels):
        if one.item.is_between_two:
            groups[one.item.policies].append(one)
    found: list[Measure] = []
    for policies, outcomes in sorted(groups.items()):
        of = pair_name(policies)
        prompts = [one.item.prompt_id for one in outcomes]
        scores = np.array([one.score for one in outcomes])
        dummy = mean_of([dummy_score(one.item, lengths) for one in outcomes])
        found += [
            measured("win_rate", of, mean_of(scores), prompts, resampling),
            length_controlled(of, outcomes, lengths, resampling.level),
            measured("win_rate_more_unique_tokens", of, dummy, prompts, resampling),
            *_state_shares(labels, policies, resampling),
        ]
    return found


def _state_shares(
    labels: Sequence[Merged], policies: tuple[str, str], resampling: Resampling
) -> list[Measure]:
    own = [one for one in labels if one.item.policies == policies and one.score is not None]
    prompts = [one.item.prompt_id for one in own]
    return [
        measured(
            f"{state}_rate",
            pair_name(policies),
            mean_of([one.state == state for one in own]),
            prompts,
            resampling,
        )
        for state in ("tie", "conflict")
    ]


def dummy_score(item: Item, lengths: Lengths) -> float:
    """What the first side gets from a judge for whom more unique tokens win (Camels, appendix H)."""
    first, second = (length_of(side, lengths).unique_tokens for side in (item.first, item.second))
    return (1 + sign(first - second)) / 2


def length_of(side: Side, lengths: Lengths) -> Length:
    """The length of a side's answer."""
    return lengths.get(side.response_id, Length(0, 0))


def length_controlled(of: str, outcomes: Sequence[Outcome], lengths: Lengths, level: float) -> Measure:
    """The first side's win rate at equal length, by a logistic model of our own.

    logit P(first wins) = a + b * tanh(d / sd(d)), d the difference in characters; the rate is
    sigmoid(a), its interval from a's standard error clustered by prompt. None where one side wins all.
    """
    name = "win_rate_length_controlled_logistic"
    differences = np.array(
        [
            length_of(one.item.first, lengths).characters - length_of(one.item.second, lengths).characters
            for one in outcomes
        ],
        dtype=np.float64,
    )
    fit = fit_logistic(
        np.array([one.score for one in outcomes]),
        np.column_stack([np.ones(len(outcomes)), _squashed(differences)]),
        [one.item.prompt_id for one in outcomes],
        level,
    )
    if fit is None:
        return Measure(name, of, None, None, None, len(outcomes))
    value, low, high = (float(1 / (1 + np.exp(-logit))) for logit in (fit.values[0], *fit.intervals[0]))
    return Measure(name, of, value, low, high, len(outcomes))


def _squashed(differences: Column) -> Column:
    spread = differences.std()
    return np.tanh(differences / spread) if spread > 0 else np.zeros_like(differences)


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted logistic model."""

    values: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]


def fit_logistic(scores: Column, columns: Column, clusters: Sequence[str], level: float = 0.95) -> Fit | None:
    """Coefficients of SCORES (0 to 1) on COLUMNS, with intervals clustered by CLUSTERS.

    A column that does not vary along with the constant is held at 0. None where no model can be fitted.
    """
    import statsmodels.api as sm

    if len(scores) <= columns.shape[1] or np.ptp(scores) == 0:
        return None
    varies = np.ptp(columns, axis=0) > 0
    varies[0] = True
    numbers = np.unique(np.asarray(clusters), return_inverse=True)[1]
    if len(np.unique(numbers)) < 2:
        return None
    fitted: dict[str, Column] = {}

    def fit() -> float:
        model = sm.GLM(scores, columns[:, varies], family=sm.families.Binomial())
        result = model.fit(cov_type="cluster", cov_kwds={"groups": numbers})
        fitted.update(values=result.params, intervals=result.conf_int(1 - level))
        return 0.0

    try:
        quietly(fit)
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(fitted["values"]).all() or np.abs(fitted["values"]).max() > MAX_LOGIT:
        return None
    return _with_gaps(fitted["values"], fitted["intervals"], varies)


def _with_gaps(values: Column, intervals: Column, varies: NDArray[np.bool_]) -> Fit:
    places = iter(range(len(values)))
    rows = [next(places) if is_fitted else None for is_fitted in varies]
    return Fit(
        tuple(0.0 if row is None else float(values[row]) for row in rows),
        tuple(
            (0.0, 0.0) if row is None else (float(intervals[row][0]), float(intervals[row][1]))
            for row in rows
        ),
    )


def policy_rates(labels: Iterable[Merged]) -> dict[str, float]:
    """Each policy's win rate over everything it was compared with."""
    points: dict[str, list[float]] = defaultdict(list)
    for one in outcomes_of(labels):
        if not one.item.is_between_two:
            continue
        points[one.item.first.policy].append(one.score)
        points[one.item.second.policy].append(1 - one.score)
    return {policy: float(np.mean(given)) for policy, given in sorted(points.items())}


def rankings(labels: Sequence[Merged], resampling: Resampling) -> list[Measure]:
    """Bradley–Terry strengths and Elo ratings of all policies (evalica), on the Elo scale."""
    games = [one for one in labels if one.direction is not None and one.item.is_between_two]
    policies = sorted({policy for one in games for policy in one.item.policies})
    if len(policies) < 2:
        return []
    prompts = [one.item.prompt_id for one in games]
    places = {policy: place for place, policy in enumerate(policies)}
    sides = np.array([[places[policy] for policy in one.item.policies] for one in games])
    directions = np.array([one.direction for one in games])
    return [
        one
        for name, statistic in _rating_statistics(sides, directions, len(policies)).items()
        for one in measured_together(
            [f"{name} {policy}" for policy in policies], "all policies", statistic, prompts, resampling
        )
    ]


def _rating_statistics(
    sides: NDArray[np.intp], directions: NDArray[np.intp], n_policies: int
) -> dict[str, Callable[[Rows], Column]]:
    import evalica
    import pandas as pd

    index = pd.Index(range(n_policies))
    winners = np.array([evalica.Winner.Y, evalica.Winner.Draw, evalica.Winner.X])[directions + 1]

    def bradley_terry(rows: Rows) -> Column:
        given = sides[rows]
        if not is_rankable(given, directions[rows], n_policies):
            return np.full(n_policies, np.nan)
        result = evalica.bradley_terry(given[:, 0], given[:, 1], winners[rows].tolist(), index=index)
        strengths = np.log10(result.scores.reindex(index).to_numpy(dtype=np.float64))
        return np.asarray(ELO_BASE + ELO_SCALE * (strengths - strengths.mean()))

    def elo(rows: Rows) -> Column:
        return np.asarray(np.mean([elo_in(order) for order in _orders(rows)], axis=0))

    def elo_in(rows: Rows) -> Column:
        given = sides[rows]
        result = evalica.elo(given[:, 0], given[:, 1], winners[rows].tolist(), index=index)
        return np.asarray(result.scores.reindex(index).to_numpy(dtype=np.float64))

    return {"bradley_terry": bradley_terry, "elo": elo}


def _orders(rows: Rows) -> list[Rows]:
    """ROWS in some orders: Elo depends on it, and verdicts come grouped by file and policy."""
    random = np.random.default_rng(0)
    return [random.permutation(rows) for _ in range(ELO_ORDERS)]


def is_rankable(sides: NDArray[np.intp], directions: NDArray[np.intp], n_policies: int) -> bool:
    """Whether Bradley–Terry strengths exist: every policy took a point, by a chain, from every other (Ford)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    winners = np.concatenate([sides[directions >= 0, 0], sides[directions <= 0, 1]])
    losers = np.concatenate([sides[directions >= 0, 1], sides[directions <= 0, 0]])
    took = coo_array((np.ones(len(winners)), (winners, losers)), shape=(n_policies, n_policies))
    n_parts, _ = connected_components(took, connection="strong")
    return int(n_parts) == 1
