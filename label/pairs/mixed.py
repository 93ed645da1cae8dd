"""Pairs of several sources, each by the rule its labels ask for, as one choice (RLHF Workflow's mixtures)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from label.pairs.audit import audit_of, read_texts
from label.pairs.choose import Plan, plan_pairs
from label.pairs.rules import Pairs, joined
from label.pairs.source_rules import MixtureSettings, SourceRule, source_rules
from label.ranking.scores import Step

if TYPE_CHECKING:
    from store.db import Store

PRESET = "rlhf-workflow"


@dataclass(frozen=True, slots=True)
class Share:
    """What one source gave."""

    source: str
    rule: str
    read: int
    """Verdicts, or pairs of rated answers, that were looked at."""
    pairs: int


@dataclass(frozen=True, slots=True)
class Mixture:
    """The pairs of all sources, and what each gave."""

    plan: Plan
    shares: Sequence[Share]


def plan_mixture(store: "Store", asked: MixtureSettings) -> Mixture:
    """Choose and audit the pairs of every source; nothing is written.

    The same two answers of a prompt are one pair, whoever paired them; sources that disagree on them give none.
    Raises RequestError where there is nothing to choose from, UnknownName for a name that is not there.
    """
    with store.read() as reading:
        rules = source_rules(reading, asked)
        version = reading.version
    then = store.at_version(version)
    plans = [plan_pairs(then, rule.settings) for rule in rules]
    pairs, together = _together([plan.pairs for plan in plans])
    with then.read() as reading:
        texts = read_texts(reading, pairs)
    steps = [_named(rule, step) for rule, plan in zip(rules, plans, strict=True) for step in plan.steps]
    settings = {"preset": PRESET, **asdict(asked), "rules": {rule.source: rule.words for rule in rules}}
    shares = [_share(rule, plan) for rule, plan in zip(rules, plans, strict=True)]
    return Mixture(Plan(pairs, [*steps, together], audit_of(pairs, texts), settings, version), shares)


def _named(rule: SourceRule, step: Step) -> Step:
    ratings = rule.settings.scoring.ratings if rule.settings.rule.rule != "judged" else None
    of = f"{rule.source} ({ratings})" if ratings else rule.source
    return Step(f"{of}: {step.name}", step.unit, step.read, step.dropped)


def _share(rule: SourceRule, plan: Plan) -> Share:
    first = next(step for step in plan.steps if step.name in ("verdicts", "pairs"))
    return Share(rule.source, rule.words, first.read, len(plan.pairs))


def _together(parts: Sequence[Pairs]) -> tuple[Pairs, Step]:
    """The pairs of all sources, each once, and without those that two sources decide differently."""
    pairs = _joined(parts)
    if not len(pairs):
        return pairs, Step("together", "pairs", 0, {})
    firsts, groups, is_upright = _same_two(pairs)
    uprights = np.bincount(groups, weights=is_upright)
    is_split = ((uprights > 0) & (uprights < np.bincount(groups)))[groups]
    is_first = np.zeros(len(pairs), dtype=np.bool_)
    is_first[firsts] = True
    reasons = {
        "said_again": int((~is_first & ~is_split).sum()),
        "sources_disagree": int(is_split.sum()),
    }
    step = Step(
        "together", "pairs", len(pairs), {reason: count for reason, count in reasons.items() if count}
    )
    return pairs.only(is_first & ~is_split).in_order(), step


def _same_two(pairs: Pairs) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """The first pair of each two answers, the group of each pair, and whether the smaller id is chosen."""
    chosen, rejected = pairs.chosen, pairs.rejected
    is_upright = (chosen[:, 0] < rejected[:, 0]) | (
        (chosen[:, 0] == rejected[:, 0]) & (chosen[:, 1] < rejected[:, 1])
    )
    lower = np.where(is_upright[:, None], chosen, rejected)
    upper = np.where(is_upright[:, None], rejected, chosen)
    _, firsts, groups = np.unique(np.hstack([lower, upper]), axis=0, return_index=True, return_inverse=True)
    return firsts, groups.reshape(-1), is_upright


def _joined(parts: Sequence[Pairs]) -> Pairs:
    pairs = joined(parts)
    strengths = [
        np.full(len(part), None, dtype=np.object_) if part.strength is None else part.strength
        for part in parts
    ]
    return Pairs(
        pairs.prompts,
        pairs.chosen,
        pairs.rejected,
        pairs.score_chosen,
        pairs.score_rejected,
        pairs.rank_chosen,
        pairs.rank_rejected,
        np.concatenate(strengths),
    )
