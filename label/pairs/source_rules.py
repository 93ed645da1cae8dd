"""Which rule makes pairs of the labels that a source brought: RLHF Workflow's filters, set by set (arXiv 2405.07863).

A source that holds verdicts gives those that stand, without what its own scores contradict or hold for even;
SHP's need a ratio of votes. A source that only rates gives every two answers whose mean ratings differ.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from label.pairs.choose import PairSettings
from label.pairs.judged import Judged
from label.pairs.rules import SHP_PAIRS, SHP_RATIO, PairRule
from label.ranking.scores import Scoring, check_sources
from store.errors import RequestError
from store.named_sql import named_sql
from store.selections import selection_named

if TYPE_CHECKING:
    from store.db import Reading

VOTES = "reddit-score"
"""The scale of SHP's scores."""
YES_OR_NO = "safe"
"""A scale whose numbers may contradict a verdict, but tell two answers of one kind not apart."""
MERITS: Mapping[str, tuple[str, ...]] = {"helpsteer": ("helpfulness", "correctness")}
"""Template → the aspects that make an answer better, as the paper's mixture took them; otherwise all do."""
EVEN = 1e-4
"""Ratings that differ by less are equal."""


@dataclass(frozen=True, slots=True)
class MixtureSettings:
    """What a user may ask of pairs that are made source by source."""

    sources: tuple[str, ...] = ()
    """Only labels of these; empty takes those that the selection of prompts names, or all."""
    prompts: str | None = None
    """Only prompts of this selection."""
    min_gap: float = 0.0
    """Mean ratings of a pair lie at least this far apart; 0 drops only equal ones."""
    min_ratio: float = SHP_RATIO
    """Votes have a larger ratio."""
    max_per_prompt: int | None = None
    """The most pairs of a prompt; None takes all, and 5 of votes."""
    with_truncated: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SourceRule:
    """How the labels of one source become pairs."""

    source: str
    words: str
    settings: PairSettings


def source_rules(reading: "Reading", asked: MixtureSettings) -> list[SourceRule]:
    """A rule for each source, in the order of their names; several where several rate and nobody compares.

    Raises UnknownName for a source or selection, RequestError if no source has a label.
    """
    check_sources(reading, asked.sources)
    prompts = None if asked.prompts is None else selection_named(reading, asked.prompts, "prompts")
    named = asked.sources or (tuple(prompts.settings.get("label_sources") or ()) if prompts else ())
    params = {"sources": list(named) or None, "prompts": prompts.selection_id if prompts else None}
    told: dict[str, list[dict[str, Any]]] = {}
    for row in reading.dicts(named_sql("label", "label_sources"), params):
        told.setdefault(row["source"], []).append(row)
    if not told:
        raise RequestError("no source has verdicts or ratings there; take some in with: curate ingest")
    return [rule for source, rows in told.items() for rule in _rules_of(source, rows, asked)]


def _rules_of(source: str, rows: Sequence[Mapping[str, Any]], asked: MixtureSettings) -> Iterable[SourceRule]:
    ratings = [row for row in rows if row["kind"] == "ratings"]
    if len(ratings) < len(rows):
        yield _of_verdicts(source, ratings[0] if len(ratings) == 1 else None, asked)
        return
    for row in ratings:
        yield _of_ratings(source, row, asked)


def _of_verdicts(source: str, scores: Mapping[str, Any] | None, asked: MixtureSettings) -> SourceRule:
    """Verdicts that stand; SCORES are the source's own, if it has one kind of them."""
    if scores is None:
        rule = PairRule("judged", max_per_prompt=asked.max_per_prompt, seed=asked.seed)
        settings = PairSettings(rule, Scoring(**_common(source, asked)))
        return SourceRule(source, "verdicts", settings)
    judged = Judged(drops_contradicted=True)
    if scores["scale"] == VOTES:
        most = asked.max_per_prompt or SHP_PAIRS
        rule = PairRule("judged", min_ratio=asked.min_ratio, max_per_prompt=most, seed=asked.seed)
        words = f"verdicts, votes above {asked.min_ratio:g} to 1, at most {most} of a prompt"
    elif scores["scale"] == YES_OR_NO:
        rule = PairRule("judged", max_per_prompt=asked.max_per_prompt, seed=asked.seed)
        words = f"verdicts that {_aspects(scores)} does not contradict"
    else:
        judged = Judged(drops_contradicted=True, keeps_unscored=True)
        rule = _with_gap("judged", asked)
        words = f"verdicts whose scores agree, {_gap_in_words(asked)}"
    return SourceRule(source, words, PairSettings(rule, _scoring(source, scores, asked), judged))


def _of_ratings(source: str, scores: Mapping[str, Any], asked: MixtureSettings) -> SourceRule:
    scoring = _scoring(source, scores, asked)
    words = f"ratings by {scores['labeler']} ({_aspects(scores)}), {_gap_in_words(asked)}"
    return SourceRule(source, words, PairSettings(_with_gap("all-above-gap", asked), scoring))


def _with_gap(rule: str, asked: MixtureSettings) -> PairRule:
    return PairRule(
        "judged" if rule == "judged" else "all-above-gap",
        min_gap=max(asked.min_gap, EVEN),
        max_per_prompt=asked.max_per_prompt,
        seed=asked.seed,
    )


def _gap_in_words(asked: MixtureSettings) -> str:
    return f"{asked.min_gap:g} or more apart" if asked.min_gap > EVEN else "none equal"


def _common(source: str, asked: MixtureSettings) -> dict[str, Any]:
    return {"sources": (source,), "prompts": asked.prompts, "with_truncated": asked.with_truncated}


def _scoring(source: str, scores: Mapping[str, Any], asked: MixtureSettings) -> Scoring:
    return Scoring(
        ratings=scores["labeler"], scale=scores["scale"], aspects=_merits(scores), **_common(source, asked)
    )


def _merits(scores: Mapping[str, Any]) -> tuple[str, ...]:
    """The aspects that count; empty where all do."""
    wanted = [aspect for template in scores["templates"] for aspect in MERITS.get(template, ())]
    return tuple(aspect for aspect in wanted if aspect in scores["aspects"])


def _aspects(scores: Mapping[str, Any]) -> str:
    return ", ".join(_merits(scores) or scores["aspects"])
