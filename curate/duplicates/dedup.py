"""`curate dedup`: of conversations that say the same, keep one.

Every dropped conversation has a kept one that it was compared with: with A like B and B like C, but A unlike
C, B's drop does not drag C along. Each run decides on the whole store anew, from stored sketches and stored
comparisons, so that data taken in bit by bit ends like data taken in at once.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from curate.deciding import Caution, Decided, Decider, Proposal, decide, drops_table, newest_conversation
from curate.duplicates.sketching import Method, Sketches, sketch_all
from curate.part_texts import Part
from store.ids import to_text, uuid_text
from store.named_sql import named_sql
from store.runs import run_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from curate.shingles import Places
    from store.db import Store
    from store.runs import Run

Keep = Literal["class", "longest", "earliest"]
KEEPS: tuple[Keep, ...] = get_args(Keep)
Between = Literal["all", "within", "across"]
"""Whether both of a pair may come from any source, must come from one, or from two."""

RULE_VERSION = 1
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class DedupSettings:
    """What a user may ask of a search for duplicates."""

    method: Method
    part: Part = "conversations"
    between: Between = "all"
    keep: Keep = "class"
    """Which one stays: of the class with the largest weight, the longest, or the one taken in first; the
    others of these decide where one does not."""
    caution: Caution = field(default_factory=Caution)

    @property
    def decider(self) -> Decider:
        """Who stands in the decisions."""
        settings = {
            "sketches": self.method.key,
            "threshold": self.method.threshold,
            "between": self.between,
            "keep": self.keep,
        }
        return Decider("dedup", f"{self.method.name}-{self.part}", RULE_VERSION, settings)


@dataclass(frozen=True, slots=True)
class Match:
    """A dropped conversation and the kept one it is a duplicate of; numbers in the scope."""

    dropped: int
    kept: int
    score: float
    is_exact: bool


@dataclass(frozen=True)
class Scope:
    """The conversations that may be kept or dropped, and what says which."""

    ids: list[bytes]
    sources: "Places"
    weights: "NDArray[np.float64]"
    wanted: "NDArray[np.bool_]"
    """Kept by a person, whatever they are like."""
    lines: "Places"
    versions: "Places"


@dataclass(frozen=True)
class DedupReport:
    """What came of it."""

    decided: Decided
    n_compared: int
    """Conversations with such a text."""
    n_exact: int
    n_pairs: int
    """Pairs of different texts that reached the threshold, each compared in full."""
    examples: list[tuple[str, str, str]]
    """A few drops: conversation, reason, evidence."""
    n_crowded: int = 0
    """Texts that share words with so many others that they were not compared with each of them."""
    n_left_out: int = 0
    """Pairs that were not compared for that reason, at most."""


def dedup(
    store: "Store", settings: DedupSettings, advance: Callable[[float], None] | None = None
) -> DedupReport:
    """Find duplicates and write the decisions.

    Raises RequestError, having decided nothing, if more than the allowed part of a source would go.
    """
    tell = advance or (lambda _amount: None)
    if settings.caution.is_dry_run:
        return _dedup(store, settings, tell, None)
    decider = settings.decider
    asked = {
        "rule": decider.decided_by,
        **decider.settings,
        "max_drop_share": settings.caution.max_drop_share,
        "is_sure": settings.caution.is_sure,
    }
    with run_of(store, "curate dedup", asked) as run:
        report = _dedup(store, settings, tell, run)
        run.finish(counts(report))
    return report


def counts(report: DedupReport) -> dict[str, object]:
    """The report as plain values, for `--json` and the run."""
    return {
        **decided_counts(report.decided),
        "compared": report.n_compared,
        "exact": report.n_exact,
        "pairs": report.n_pairs,
        "crowded": report.n_crowded,
        "left_out": report.n_left_out,
    }


def decided_counts(decided: Decided) -> dict[str, object]:
    """What was decided, as plain values."""
    weighed = decided.weighed
    return {
        "seen": weighed.seen,
        "kept": weighed.kept,
        "dropped": weighed.dropped,
        "reasons": dict(weighed.reasons),
        "sources": [
            {"name": one.source, "seen": one.seen, "kept": one.seen - one.dropped, "dropped": one.dropped}
            for one in weighed.sources
        ],
        "overruled": weighed.overruled,
        "new": decided.new,
        "taken_back": decided.taken_back,
    }


def _dedup(
    store: "Store", settings: DedupSettings, tell: Callable[[float], None], run: "Run | None"
) -> DedupReport:
    method = settings.method
    with store.read() as reading:
        upto = newest_conversation(reading)
        scope = _scope(
            reading.arrow(named_sql("curate", "dedup_scope"), {"decider": settings.decider.key, "upto": upto})
        )
    sketches = sketch_all(store, run, scope.ids, settings.part, method, tell=tell)
    groups = sketches.groups
    _, firsts = np.unique(groups, return_index=True)
    firsts = firsts[groups[firsts] >= 0].astype(np.int64)
    likes = method.pairs(store, sketches, np.sort(firsts), run)
    matches = list(_matches(scope, sketches, settings, likes.pairs, likes.scores))
    rows = [_drop(scope, settings, match) for match in matches]
    proposal = Proposal(settings.decider, 0, upto, drops_table([(a, b, c) for a, b, c in rows]))
    decided = decide(store, run, [proposal], settings.caution)
    examples = [(to_text("c1", id_), reason, evidence) for id_, reason, evidence in rows[:EXAMPLES]]
    n_exact = sum(match.is_exact for match in matches)
    n_compared = int((groups >= 0).sum())
    return DedupReport(
        decided, n_compared, n_exact, len(likes.pairs), examples, likes.n_crowded, likes.n_left_out
    )


def _scope(table: "pa.Table") -> Scope:
    return Scope(
        ids=table.column("id").to_pylist(),
        sources=table.column("source").to_numpy(),
        weights=table.column("weight").to_numpy(),
        wanted=table.column("is_wanted").to_numpy(),
        lines=table.column("line").to_numpy(),
        versions=table.column("version").to_numpy(),
    )


def _matches(
    scope: Scope,
    sketches: Sketches,
    settings: DedupSettings,
    pairs: "NDArray[np.int64]",
    scores: "NDArray[np.float64]",
) -> Iterator[Match]:
    """Go through those with a like, the best first: one that is like a kept one is dropped, another is kept."""
    groups = sketches.groups
    near: dict[int, list[tuple[int, float]]] = {}
    for (a, b), score in zip(pairs.tolist(), scores.tolist(), strict=True):
        near.setdefault(int(groups[a]), []).append((int(groups[b]), score))
        near.setdefault(int(groups[b]), []).append((int(groups[a]), score))
    sizes = np.bincount(groups[groups >= 0], minlength=1)
    has_like = (groups >= 0) & (sizes[groups] > 1)
    if near:
        has_like |= np.isin(groups, np.array(list(near)))
    kept: dict[int, dict[int, int]] = {}
    for number in _by_preference(scope, sketches, settings.keep, np.flatnonzero(has_like)):
        group, source = int(groups[number]), int(scope.sources[number])
        likes = [(group, 1.0), *near.get(group, [])]
        found = [
            (score, like == group, -other, other)
            for like, score in likes
            for other in _allowed(kept.get(like, {}), source, settings.between)
        ]
        if found and not scope.wanted[number]:
            score, is_same, _, other = max(found)
            yield Match(number, other, score, is_same)
        else:
            kept.setdefault(group, {}).setdefault(source, number)


def _allowed(kept: Mapping[int, int], source: int, between: Between) -> list[int]:
    """Of the kept conversations of one text, by source, those a duplicate in SOURCE may stand behind."""
    if between == "within":
        return [kept[source]] if source in kept else []
    return [number for other, number in kept.items() if between == "all" or other != source]


def _by_preference(scope: Scope, sketches: Sketches, keep: Keep, numbers: "Places") -> list[int]:
    """NUMBERS, those to keep rather first."""
    weight, length = -scope.weights[numbers], -sketches.n_bytes[numbers]
    criteria = {
        "class": (weight, length),
        "longest": (length, weight),
        "earliest": (),
    }[keep]
    ids = np.array([scope.ids[number] for number in numbers.tolist()], dtype="S16")
    early = (scope.versions[numbers], scope.sources[numbers], scope.lines[numbers], ids)
    order = np.lexsort([*early[::-1], *criteria[::-1], ~scope.wanted[numbers]])
    chosen: list[int] = numbers[order].tolist()
    return chosen


def _drop(scope: Scope, settings: DedupSettings, match: Match) -> tuple[str, str, str]:
    evidence = {
        "on": settings.part,
        "duplicate_of": to_text("c1", scope.ids[match.kept]),
        "score": round(match.score, 6),
    }
    reason = "exact duplicate" if match.is_exact else f"{settings.method.name} duplicate"
    return uuid_text(scope.ids[match.dropped]), reason, json.dumps(evidence, sort_keys=True)
