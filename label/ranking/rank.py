"""`label rank`: what the best of n responses is worth, by reward model and policy.

A response set is what one policy gave under one prompt. Curves of best-of-n are over its draws, equal texts
as often as they were drawn; ranks are of different texts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from label.id_columns import Ids, are_among, chances, ids_of, ids_of_texts, uuid_column
from label.ranking.best_of import SIZES, Point, best_of_curve, kl_bound, rank_curve, win_rate_curve
from label.ranking.order import Piece, Scores, Sets, ranked, sets_of
from label.ranking.scores import Scored, Scoring, Step, named_models, read_scores
from store.errors import BadSettings, RequestError, UnknownName
from store.named_sql import named_sql

if TYPE_CHECKING:
    import pyarrow as pa

    from label.comparing.stored_verdicts import Merged
    from store.db import Reading, Store

BINS = 40
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
UNKNOWN_POLICY = "unknown"
POLICY_RANK_PROMPTS = 500  # Xwin-LM, section 6


@dataclass(frozen=True, slots=True)
class RankSettings:
    """What a user may ask of `label rank`."""

    scoring: Scoring = field(default_factory=Scoring)
    sizes: tuple[int, ...] = SIZES
    """n of best-of-n."""
    by: tuple[str, ...] = ("all",)
    """Whose verdicts count for win rates."""
    against: str | None = None
    """The policy that win rates are against; None takes every other."""
    policy_rank: str | None = None
    """Find the rank whose mean score is closest to this policy's."""
    sample: int = POLICY_RANK_PROMPTS
    """Prompts to find it on."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1:
            raise BadSettings("--best-of takes numbers of 1 or more, such as 1,2,4,8,16,32,64")


@dataclass(frozen=True, slots=True)
class Distribution:
    """How scores lie."""

    mean: float
    deviation: float
    quantiles: Mapping[str, float]
    counts: Sequence[int]
    """Draws in each of equal bins."""
    low: float
    """Where the first bin begins, the same for every policy of a score."""
    high: float


@dataclass(frozen=True, slots=True)
class WinRate:
    """What judges say of the best of n."""

    n: int
    value: float | None
    judged: float
    """The share of such bests that were judged, on prompts where any response was."""


@dataclass(frozen=True, slots=True)
class Curves:
    """One cell of the grid: a score and a policy."""

    score: str
    policy: str
    prompts: int
    responses: int
    """Different ones."""
    draws: int
    ties: int
    """Responses tied with the one ranked before them."""
    best_of: Sequence[Point]
    by_rank: Sequence[Point]
    distribution: Distribution
    win_rates: Sequence[WinRate] = ()

    def as_json(self) -> dict[str, object]:
        """Everything by name, with the KL bound beside each n."""
        best_of = [{"n": point.x, "kl_bound": kl_bound(point.x), **_figures(point)} for point in self.best_of]
        by_rank = [{"rank": point.x, **_figures(point)} for point in self.by_rank]
        return {**asdict(self), "best_of": best_of, "by_rank": by_rank}


def _figures(point: Point) -> dict[str, object]:
    return {name: value for name, value in point.as_json().items() if name != "x"}


@dataclass(frozen=True, slots=True)
class PolicyRank:
    """The rank whose mean score is closest to a policy's (Xwin-LM, section 6)."""

    score: str
    policy: str
    prompts: int
    mean: float
    """Of the policy's draws, prompts alike."""
    rank: int
    rank_mean: float
    by_rank: Sequence[Point]


@dataclass(frozen=True, slots=True)
class RankReport:
    """What came of it."""

    curves: Sequence[Curves]
    steps: Mapping[str, Step]
    """Score → which responses took part."""
    policy_rank: PolicyRank | None = None

    def as_json(self) -> dict[str, object]:
        """What a script reads."""
        return {
            "curves": [one.as_json() for one in self.curves],
            "steps": {score: step.as_json() for score, step in self.steps.items()},
            "policy_rank": None if self.policy_rank is None else asdict(self.policy_rank),
        }


def rank_report(store: "Store", settings: RankSettings) -> RankReport:
    """The grid of scores and policies.

    Raises RequestError if nothing has a score, UnknownName for a name that is not there.
    """
    curves: list[Curves] = []
    steps: dict[str, Step] = {}
    found = None
    with store.read() as reading:
        verdicts = _verdicts(reading, settings)
        scorings = _scorings(reading, settings)
        version = reading.version
    for scoring in scorings:
        with store.at_version(version).read() as reading:
            scores = read_scores(reading, scoring)
            policies = list(_by_policy(reading, scoring, scores.rows))
        steps[scores.score_of] = scores.step
        bounds = float(scores.rows.scores.min()), float(scores.rows.scores.max())
        for policy in policies:
            judged = judged_scores(verdicts, policy.name, settings.against)
            curves.append(_curves(scores.score_of, policy, bounds, settings, judged))
        if settings.policy_rank is not None:
            found = _policy_rank(scores.score_of, policies, settings)
    return RankReport(curves, steps, found)


def _scorings(reading: "Reading", settings: RankSettings) -> list[Scoring]:
    """One for each score of the grid."""
    scoring = settings.scoring
    if scoring.ratings is not None or scoring.together:
        return [scoring]
    models = named_models(reading, scoring)
    if settings.policy_rank is not None and len(models) > 1:
        raise RequestError(f"say which --reward-model: {', '.join(map(str, models))}")
    return [replace(scoring, reward_models=(str(one),)) for one in models]


@dataclass(frozen=True, slots=True)
class Answers:
    """What one policy gave, by prompt."""

    name: str
    draws: Sets
    """A row a draw."""
    distinct: Sets
    """A row a text."""


def _by_policy(reading: "Reading", scoring: Scoring, rows: Scored) -> Iterator[Answers]:
    """The scored responses of each policy, then those whose policy nobody knows."""
    import pyarrow as pa

    columns = {
        "prompt_id": uuid_column(rows.prompts),
        "response_id": uuid_column(rows.responses),
        "score": pa.array(rows.scores),
    }
    names = scoring.policies or [name for (name,) in reading.rows(named_sql("label", "policies"))]
    reading.con.register("scored_rows", pa.table(columns))
    try:
        for name in names:
            table = reading.arrow(named_sql("label", "drawn_scores"), {"policy": name})
            if table.num_rows:
                yield _answers(name, table)
        if not scoring.policies:
            table = reading.arrow(named_sql("label", "authorless_scores"))
            if table.num_rows:
                yield _answers(UNKNOWN_POLICY, table)
    finally:
        reading.con.unregister("scored_rows")


def _answers(name: str, table: "pa.Table") -> Answers:
    prompts, responses = (ids_of(table.column(column)) for column in ("prompt_id", "response_id"))
    scores = table.column("score").to_numpy().astype(np.float64)
    draws = sets_of(prompts, responses, scores)
    first = _first_draws(draws)
    if first.all():
        return Answers(name, draws, draws)
    return Answers(name, draws, sets_of(prompts[first], responses[first], scores[first]))


def _first_draws(draws: Sets) -> NDArray[np.bool_]:
    """One row of each different response; which one does not matter, for equal texts have one score."""
    keep = np.ones(len(draws.responses), dtype=np.bool_)
    for piece in ranked(draws, 0.0):
        ids = draws.responses[piece.rows]
        is_again = (ids[:, 1:] == ids[:, :-1]).all(axis=2)
        keep[piece.rows[:, 1:][is_again]] = False
    return keep


def _curves(
    score: str,
    answers: Answers,
    bounds: tuple[float, float],
    settings: RankSettings,
    judged: Mapping[tuple[int, int], float],
) -> Curves:
    epsilon = settings.scoring.epsilon
    distinct = list(ranked(answers.distinct, epsilon))
    draws = list(ranked(answers.draws, 0.0))
    return Curves(
        score=score,
        policy=answers.name,
        prompts=len(answers.draws.prompts),
        responses=len(answers.distinct.responses),
        draws=len(answers.draws.responses),
        ties=sum(int((piece.ties[:, 1:] == piece.ties[:, :-1]).sum()) for piece in distinct),
        best_of=best_of_curve(draws, settings.sizes),
        by_rank=rank_curve(distinct),
        distribution=distribution_of(np.concatenate([piece.scores.reshape(-1) for piece in draws]), bounds),
        win_rates=_win_rates(answers.draws, draws, judged, settings.sizes),
    )


def distribution_of(scores: Scores, bounds: tuple[float, float]) -> Distribution:
    """Mean, deviation, quantiles and a histogram between BOUNDS."""
    low, high = bounds if bounds[0] < bounds[1] else (bounds[0] - 0.5, bounds[1] + 0.5)
    counts, _ = np.histogram(scores, bins=BINS, range=(low, high))
    found = np.quantile(scores, QUANTILES)
    return Distribution(
        float(scores.mean()),
        float(scores.std()),
        {f"{share:.0%}": float(value) for share, value in zip(QUANTILES, found, strict=True)},
        [int(count) for count in counts],
        low,
        high,
    )


def _verdicts(reading: "Reading", settings: RankSettings) -> "list[Merged]":
    """Verdicts that count for win rates."""
    from label.comparing.stored_verdicts import merge_orders, read_verdicts
    from label.trust.agree import check_words, is_chosen

    if not reading.rows("SELECT 1 FROM comparisons LIMIT 1"):
        return []
    merged = [one for one in merge_orders(read_verdicts(reading)) if not one.knew_authors]
    check_words(settings.by, {one.labeler for one in merged})
    scoring = settings.scoring
    return [
        one
        for one in merged
        if is_chosen(one, settings.by)
        and (scoring.ratings is not None or scoring.scale in (None, one.scale))
        and (scoring.ratings is not None or scoring.template in (None, one.template))
    ]


def judged_scores(
    verdicts: "Sequence[Merged]", policy: str, against: str | None
) -> dict[tuple[int, int], float]:
    """Response of POLICY → its mean judged score against another policy: 1 won, 0.5 tied, 0 lost."""
    given: dict[str, list[float]] = {}
    for one in verdicts:
        if one.score is None or not one.item.is_between_two or policy not in one.item.policies:
            continue
        is_first = one.item.first.policy == policy
        own, other = (one.item.first, one.item.second) if is_first else (one.item.second, one.item.first)
        if against in (None, other.policy):
            given.setdefault(own.response_id, []).append(one.score if is_first else 1 - one.score)
    ids = ids_of_texts(list(given))
    return {
        (int(first), int(second)): sum(points) / len(points)
        for (first, second), points in zip(ids, given.values(), strict=True)
    }


def _win_rates(
    draws: Sets, pieces: Sequence[Piece], judged: Mapping[tuple[int, int], float], sizes: Sequence[int]
) -> list[WinRate]:
    if not judged:
        return []
    known = np.array(list(judged), dtype=np.uint64)
    scored = ((piece, _looked_up(draws.responses[piece.rows], known, judged)) for piece in pieces)
    return [WinRate(n, value, share) for n, (value, share) in win_rate_curve(scored, sizes).items()]


def _looked_up(ids: Ids, known: Ids, judged: Mapping[tuple[int, int], float]) -> Scores:
    """The judged scores of responses, NaN where nobody judged."""
    scores = np.full(ids.shape[:-1], np.nan)
    is_known = are_among(ids.reshape(-1, 2), known).reshape(scores.shape)
    scores[is_known] = [judged[int(first), int(second)] for first, second in ids[is_known]]
    return scores


def _policy_rank(score: str, policies: Sequence[Answers], settings: RankSettings) -> PolicyRank:
    from label.ranking.best_of import closest_rank

    own = next((one for one in policies if one.name == settings.policy_rank), None)
    if own is None:
        raise UnknownName.of("policy with scores", str(settings.policy_rank), {one.name for one in policies})
    others = [one for one in policies if one is not own] or [own]
    if len(others) > 1:
        names = ", ".join(one.name for one in others)
        raise RequestError(f"say whose ranks with --policy {settings.policy_rank} --policy NAME: {names}")
    shared = own.draws.prompts[are_among(own.draws.prompts, others[0].draws.prompts)]
    if not len(shared):
        raise RequestError(f"{own.name} and {others[0].name} have no prompt with scores in common")
    drawn = shared[np.argsort(chances(shared, settings.seed), kind="stable")[: settings.sample]]
    means = [
        piece.scores.mean(axis=1) for piece in ranked(_of_prompts(own.draws, drawn), settings.scoring.epsilon)
    ]
    mean = float(np.concatenate(means).mean())
    curve = rank_curve(ranked(_of_prompts(others[0].distinct, drawn), settings.scoring.epsilon))
    best = closest_rank(curve, mean)
    return PolicyRank(score, own.name, len(drawn), mean, best.x, float(best.value or 0.0), curve)


def _of_prompts(sets: Sets, prompts: Ids) -> Sets:
    chosen = are_among(sets.prompts, prompts)
    return replace(sets, prompts=sets.prompts[chosen], starts=sets.starts[chosen], sizes=sets.sizes[chosen])
