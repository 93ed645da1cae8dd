"""`label pairs`: choose pairs by a rule, audit them, and keep them under a name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from label.comparing.pairing import Split
from label.id_columns import are_among, uuid_column, uuid_texts
from label.pairs.audit import Audit, audit_of, read_texts
from label.pairs.judged import Judged, judged_pairs, with_scores
from label.pairs.rules import Drops, PairRule, Pairs, first_of_each, pairs_by
from label.ranking.scores import Scoring, Step, check_sources, conditions, cut_draws, read_scores
from store.errors import BadSettings
from store.selections import Selection, newest_selection, write_selection

if TYPE_CHECKING:
    import pyarrow as pa

    from store.db import Reading, Store, Writing

COLUMNS = (
    "prompt_id, chosen_id, rejected_id, score_chosen, score_rejected, score_gap, rank_chosen, rank_rejected,"
    " strength, part"
)

OF_SOURCES = " AND source_id IN (SELECT source_id FROM current_sources WHERE list_contains($sources, name))"
"""Asked of verdicts."""


@dataclass(frozen=True, slots=True)
class PairSettings:
    """What a user may ask of `label pairs`."""

    rule: PairRule = field(default_factory=PairRule)
    scoring: Scoring = field(default_factory=Scoring)
    judged: Judged = field(default_factory=Judged)
    """By the rule `judged`."""
    split: Split = field(default_factory=Split)
    """Parts that prompts belong to, by hash."""

    def __post_init__(self) -> None:
        if self.judged.drops_contradicted and not self.has_scores:
            raise BadSettings("--drop-contradicted compares with scores: add --reward-model or --ratings")
        if self.rule.rule == "judged" and self.rule.min_gap > 0 and not self.has_scores:
            raise BadSettings(
                "--min-gap is about scores: add --reward-model or --ratings, or use --min-margin"
            )
        if self.rule.rule == "judged" and self.rule.min_ratio is not None and not self.has_scores:
            raise BadSettings("--min-ratio is about scores: add --reward-model or --ratings")

    @property
    def has_scores(self) -> bool:
        """Whether pairs have scores: by every rule but `judged`, and there where a score is named."""
        return self.rule.rule != "judged" or bool(self.scoring.reward_models or self.scoring.ratings)


@dataclass(frozen=True, slots=True)
class Plan:
    """Pairs that may be kept, and how they came about."""

    pairs: Pairs
    steps: Sequence[Step]
    audit: Audit
    settings: Mapping[str, object]
    """What was asked, and what the score turned out to be."""
    at_version: int

    def as_json(self) -> dict[str, object]:
        """What a script reads."""
        return {
            "pairs": len(self.pairs),
            "steps": {step.name: step.as_json() for step in self.steps},
            "audit": self.audit.as_json(),
            "at_version": self.at_version,
        }


@dataclass(frozen=True, slots=True)
class Kept:
    """The selection that holds the pairs."""

    selection_id: str
    version: int
    is_new: bool
    """False where the newest selection of that name held just these pairs already."""


def plan_pairs(store: "Store", settings: PairSettings) -> Plan:
    """Choose and audit the pairs; nothing is written.

    Raises RequestError where there is nothing to choose from, UnknownName for a name that is not there.
    """
    choose = _judged if settings.rule.rule == "judged" else _ruled
    pairs, steps, score_of, version = choose(store, settings)
    with store.at_version(version).read() as reading:
        texts = read_texts(reading, pairs)
    equal = int(texts.is_equal.sum())
    steps.append(Step("texts", "pairs", len(pairs), {"equal_text": equal} if equal else {}))
    pairs, texts = pairs.only(~texts.is_equal), texts.only(~texts.is_equal)
    asked = {**asdict(settings), "score": score_of}
    return Plan(pairs, steps, audit_of(pairs, texts), asked, version)


Chosen = tuple[Pairs, list[Step], str | None, int]
"""Pairs, the steps that led to them, what their score is, and the version they were read at."""


def _ruled(store: "Store", settings: PairSettings) -> Chosen:
    with store.read() as reading:
        scores = read_scores(reading, settings.scoring)
        version = reading.version
    drops = Drops()
    pairs = pairs_by(settings.rule, scores.sets, settings.scoring.epsilon, drops)
    steps = [
        scores.step,
        Step("prompts", "prompts", drops.n_prompts, _sorted(drops.prompts)),
        Step("pairs", "pairs", drops.n_pairs, _sorted(drops.pairs)),
    ]
    return pairs, steps, scores.score_of, version


def _judged(store: "Store", settings: PairSettings) -> Chosen:
    dropped: Counter[str] = Counter()
    with store.read() as reading:
        pairs, read = _verdicts(reading, settings, dropped)
        cut = cut_draws(reading)
        scores = read_scores(reading, settings.scoring) if settings.has_scores else None
        version = reading.version
    steps = [Step("verdicts", "verdicts", read, _sorted(dropped))]
    reasons: Counter[str] = Counter()
    count = len(pairs)
    if not settings.scoring.with_truncated:
        is_cut = are_among(pairs.chosen, cut) | are_among(pairs.rejected, cut)
        pairs = _without(pairs, is_cut, "truncated", reasons)
    if scores is not None:
        pairs = with_scores(pairs, scores.sets, settings.scoring.epsilon)
        pairs = _scores_checked(pairs, settings, reasons)
    if settings.rule.most is not None:
        pairs = _without(pairs, ~_drawn(pairs, settings.rule), "over_max_per_prompt", reasons)
    steps.append(Step("pairs", "pairs", count, _sorted(reasons)))
    return pairs, steps, None if scores is None else scores.score_of, version


def _verdicts(reading: "Reading", settings: PairSettings, dropped: Counter[str]) -> tuple[Pairs, int]:
    asked = conditions(reading, settings.scoring, ("response_a_id", "response_b_id"))
    check_sources(reading, settings.scoring.sources)
    named = {"scale": settings.scoring.scale, "template": settings.scoring.template}
    if settings.scoring.ratings is not None:
        named = {}  # these say which ratings are the score
    params: dict[str, object] = {name: value for name, value in named.items() if value is not None}
    asked += "".join(f" AND {name} = ${name}" for name in params)
    if settings.scoring.sources:
        asked += OF_SOURCES
        params["sources"] = list(settings.scoring.sources)
    return judged_pairs(reading, settings.judged, asked, dropped, params)


def _scores_checked(pairs: Pairs, settings: PairSettings, reasons: Counter[str]) -> Pairs:
    gaps = pairs.score_chosen - pairs.score_rejected
    if settings.judged.drops_contradicted:
        is_against = (gaps <= -settings.scoring.epsilon) & (gaps < 0)
        pairs = _without(pairs, is_against, "contradicted", reasons)
    rule = settings.rule
    if (rule.min_gap > 0 or rule.min_ratio is not None) and not settings.judged.keeps_unscored:
        pairs = _without(pairs, np.isnan(pairs.score_chosen - pairs.score_rejected), "no_score", reasons)
    if rule.min_ratio is not None:
        pairs = _without(pairs, pairs.score_rejected <= 0, "score_not_positive", reasons)
        is_even = pairs.score_chosen <= rule.min_ratio * pairs.score_rejected
        pairs = _without(pairs, is_even, "ratio_too_small", reasons)
    if rule.min_gap > 0:
        gaps = pairs.score_chosen - pairs.score_rejected
        pairs = _without(pairs, gaps < rule.min_gap, "below_min_gap", reasons)
    return pairs


def _drawn(pairs: Pairs, rule: PairRule) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    from label.id_columns import pair_chances

    groups = np.unique(pairs.prompts, axis=0, return_inverse=True)[1].reshape(-1)
    return first_of_each(groups, pair_chances(pairs.chosen, pairs.rejected, rule.seed), rule.most or 0)


def _without(
    pairs: Pairs, leaves: "np.ndarray[tuple[int], np.dtype[np.bool_]]", reason: str, reasons: Counter[str]
) -> Pairs:
    count = int(leaves.sum())
    if not count:
        return pairs
    reasons[reason] += count
    return pairs.only(~leaves)


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return {reason: count for reason, count in sorted(counts.items()) if count}


def keep_pairs(store: "Store", name: str, settings: PairSettings, plan: Plan) -> Kept:
    """Store PLAN's pairs as the selection NAME, unless the newest of that name holds just these."""
    from store.runs import run_of

    table = _table(plan.pairs, settings.split)
    with store.read() as reading:
        newest = newest_selection(reading, name)
        if newest is not None and _holds(reading, newest, plan, table):
            return Kept(newest.selection_id, newest.version, is_new=False)
    with run_of(store, "label pairs", {"name": name, **plan.settings}) as run:
        with store.write(run.run_id) as writing:
            selection_id = _write(writing, name, plan, table, run.run_id)
            version = writing.version
        run.finish({"pairs": len(plan.pairs)})
    return Kept(selection_id, version, is_new=True)


def _holds(reading: "Reading", selection: Selection, plan: Plan, table: "pa.Table") -> bool:
    """Whether the selection was asked for in the same words and has the same rows."""
    import json

    asked = json.loads(json.dumps(plan.settings, sort_keys=True, default=str))
    if selection.settings != asked or selection.row_count != table.num_rows:
        return False
    reading.con.register("planned_pairs", table)
    (differing,) = reading.rows(
        f"SELECT count(*) FROM (SELECT {COLUMNS} FROM planned_pairs EXCEPT ALL"
        f" SELECT {COLUMNS} FROM selection_pairs WHERE selection_id = CAST(? AS UUID))",
        [selection.selection_id],
    )[0]
    reading.con.unregister("planned_pairs")
    return bool(differing == 0)


def _table(pairs: Pairs, split: Split) -> "pa.Table":
    import pyarrow as pa

    def ranks(places: "np.ndarray[tuple[int], np.dtype[np.intp]]") -> "pa.Array":
        return pa.array(places, type=pa.int32(), mask=places == 0)

    def scores(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> "pa.Array":
        return pa.array(values, type=pa.float64(), mask=np.isnan(values))

    parts = [split.part_of(text) for text in uuid_texts(pairs.prompts)] if split.shares else None
    no_text = pa.nulls(len(pairs), pa.string())
    return pa.table(
        {
            "prompt_id": uuid_column(pairs.prompts),
            "chosen_id": uuid_column(pairs.chosen),
            "rejected_id": uuid_column(pairs.rejected),
            "score_chosen": scores(pairs.score_chosen),
            "score_rejected": scores(pairs.score_rejected),
            "score_gap": scores(pairs.score_chosen - pairs.score_rejected),
            "rank_chosen": ranks(pairs.rank_chosen),
            "rank_rejected": ranks(pairs.rank_rejected),
            "strength": no_text if pairs.strength is None else pa.array(pairs.strength, type=pa.string()),
            "part": no_text if parts is None else pa.array(parts, type=pa.string()),
        }
    )


def _write(writing: "Writing", name: str, plan: Plan, table: "pa.Table", run_id: str) -> str:
    writing.con.register("planned_pairs", table)
    try:
        return write_selection(
            writing,
            name,
            "pairs",
            f"SELECT {COLUMNS} FROM planned_pairs",
            settings=plan.settings,
            steps={step.name: step.as_json() for step in plan.steps} | {"audit": plan.audit.as_json()},
            run_id=run_id,
            at_version=plan.at_version,
        )
    finally:
        writing.con.unregister("planned_pairs")
