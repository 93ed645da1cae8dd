"""`curate decontaminate`: find what stands in evaluation sets; flag it to be looked at, or drop it.

A flag is a decision `undecided` with evidence: it changes nothing, and waits for a person's keep or drop.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from curate.contamination.allowing import SHOWN_CHARS
from curate.contamination.items import Item, read_items
from curate.contamination.search import Found, GramIndex, Index, MeaningIndex, NearIndex, words_by_message
from curate.deciding import (
    Caution,
    Decided,
    Decider,
    Proposal,
    decide,
    drops_table,
    looked_to,
    newest_conversation,
)
from curate.duplicates.dedup import decided_counts
from curate.part_texts import Part, TextPiece, read_texts
from store.errors import BadInput, BadSettings
from store.ids import to_text, uuid_text
from store.named_sql import named_sql
from store.runs import run_of, utc_now

if TYPE_CHECKING:
    from curate.encoder import Encoder
    from store.db import Store
    from store.runs import Run

RULE_VERSION = 1
NAME = "benchmarks"
EXAMPLES = 5
METHODS = ("ngram", "near", "embedding")
"""Surest first: of several finds in a conversation this order says which is its evidence."""


@dataclass(frozen=True, slots=True)
class DecontaminateSettings:
    """What a user may ask of a search for contamination."""

    against: tuple[str, ...]
    """Files or folders of evaluation sets, or NAME=PATH."""
    action: Literal["flag", "drop"] = "flag"
    part: Part = "conversations"
    words: int = 13
    """Of a run; a Chinese or Japanese character is a word."""
    min_words: int = 8
    """A shorter text of an item is not looked for."""
    max_items: int = 10
    """A run that stands in more items is a set's own phrase."""
    near: float | None = 0.6
    """The Jaccard index from which on a message is nearly an item's text; None not to look."""
    encoder: Path | None = None
    cosine: float = 0.8
    """From which on a message says what an item says."""
    allow: Path | None = None
    """A file of spans and items that are fine."""
    is_again: bool = False
    caution: Caution = field(default_factory=Caution)


@dataclass(frozen=True, slots=True)
class BenchmarkCount:
    """What was found of one set."""

    benchmark: str
    items: int
    found_items: int
    conversations: int
    by_method: Mapping[str, int]
    """Conversations each method found; one may be found by several."""


@dataclass(frozen=True)
class DecontaminateReport:
    """What came of it."""

    decided: Decided
    flagged: int
    """Conversations found, whether flagged or dropped."""
    benchmarks: tuple[BenchmarkCount, ...]
    examples: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Sets:
    """The items to look for, less those that are allowed, and what finds them."""

    items: Sequence[Item]
    digest: str
    indexes: Sequence[Index]


@dataclass(frozen=True, slots=True)
class Hit:
    """A find, with its words."""

    found: Found
    position: int
    start: int
    """In characters."""
    words: str


def decontaminate(
    store: "Store", settings: DecontaminateSettings, advance: Callable[[float], None] | None = None
) -> DecontaminateReport:
    """Look at what is new, and flag or drop it.

    Raises RequestError, having written nothing, if more than the allowed part of a source would be dropped.
    """
    tell = advance or (lambda _amount: None)
    sets = load_sets(settings)
    if settings.caution.is_dry_run:
        return _decontaminate(store, settings, sets, tell, run=None)
    decider = decider_of(settings, sets)
    asked = {**decider.settings, "against": settings.against, "is_sure": settings.caution.is_sure}
    with run_of(store, "curate decontaminate", asked) as run:
        report = _decontaminate(store, settings, sets, tell, run=run)
        run.finish(counts(report))
    return report


def counts(report: DecontaminateReport) -> dict[str, object]:
    """The report as plain values, for `--json` and the run."""
    return {
        **decided_counts(report.decided),
        "found": report.flagged,
        "benchmarks": [
            {
                "name": one.benchmark,
                "items": one.items,
                "found_items": one.found_items,
                "conversations": one.conversations,
                "by_method": dict(one.by_method),
            }
            for one in report.benchmarks
        ],
    }


def load_sets(settings: DecontaminateSettings) -> Sets:
    """Read the evaluation sets and the file of what is allowed, and make the indexes.

    Raises BadInput for a file that cannot be read, BadSettings for settings that find nothing.
    """
    if not 1 <= settings.min_words <= settings.words:
        raise BadSettings("--min-words is at least 1 and at most --words")
    spans, allowed = _allowed(settings.allow, settings.min_words)
    items = [item for named in settings.against for item in read_items(named)]
    items = [item for item in items if f"{item.benchmark}/{item.item}" not in allowed]
    if not items:
        raise BadInput(f"no items in {', '.join(settings.against)}")
    digest = hashlib.blake2b(digest_size=8)
    for item in items:
        digest.update(json.dumps([item.benchmark, item.item, item.texts]).encode())
    digest.update(json.dumps(sorted(spans)).encode())
    grams = GramIndex(items, settings.words, settings.min_words, settings.max_items)
    grams.allow(spans)
    indexes: list[Index] = [grams]
    if settings.near is not None:
        indexes.append(NearIndex(items, settings.near))
    if settings.encoder is not None:
        indexes.append(MeaningIndex(items, _encoder(settings.encoder), settings.cosine))
    return Sets(items, digest.hexdigest(), indexes)


def _encoder(folder: Path) -> "Encoder":
    from curate.encoder import Encoder

    return Encoder(folder)


def _allowed(path: Path | None, min_words: int) -> tuple[list[str], set[str]]:
    """Spans, and items as BENCHMARK/ITEM, that are fine: a line each, items after `item:`, `#` for a remark."""
    from curate.contamination.search import words_of_texts

    if path is None:
        return [], set()
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    kept = [line for line in lines if line and not line.startswith("#")]
    items = {line.removeprefix("item:").strip() for line in kept if line.startswith("item:")}
    spans = [line for line in kept if not line.startswith("item:")]
    if spans:
        for span, count in zip(spans, np.diff(words_of_texts(spans).bounds), strict=True):
            if count < min_words:
                raise BadInput(
                    f"{path}: {span!r} has fewer than {min_words} words, which is never found alone"
                )
    return spans, items


def decider_of(settings: DecontaminateSettings, sets: Sets) -> Decider:
    """Who stands in the decisions."""
    said: dict[str, object] = {
        "items": sets.digest,
        "action": settings.action,
        "on": settings.part,
        "words": settings.words,
        "min_words": settings.min_words,
        "max_items": settings.max_items,
        "near": settings.near,
    }
    if settings.encoder is not None:
        said |= {"encoder": _encoder(settings.encoder).digest, "cosine": settings.cosine}
    return Decider("decontaminate", NAME, RULE_VERSION, said)


def _decontaminate(
    store: "Store",
    settings: DecontaminateSettings,
    sets: Sets,
    tell: Callable[[float], None],
    *,
    run: "Run | None",
) -> DecontaminateReport:
    decider = decider_of(settings, sets)
    with store.read() as reading:
        upto = newest_conversation(reading)
        after = 0 if settings.is_again else looked_to(reading, decider)
        table = reading.arrow(named_sql("curate", "filter_conversations"), {"after": after, "upto": upto})
    ids: list[bytes] = table.column("id").to_pylist()
    hits: dict[int, list[Hit]] = {}
    for piece in read_texts(store, ids, np.arange(len(ids)), settings.part):
        words = words_by_message(piece)
        for index in sets.indexes:
            for found in index.find(piece, words):
                hits.setdefault(int(piece.numbers[found.conversation]), []).append(_hit(piece, found))
        tell(len(piece.numbers))
    rows = [_row(ids[number], hits[number], sets.items) for number in sorted(hits)]
    drops = rows if settings.action == "drop" else []
    proposal = Proposal(decider, after, upto, drops_table([(a, b, c) for a, b, c in drops]))
    if run is not None and settings.action == "flag":
        _write_flags(store, run, proposal, rows)  # first, for deciding notes that all was looked at
    decided = decide(store, run, [proposal], settings.caution)
    if run is not None and settings.action == "drop":
        _write_flags(store, run, replace(proposal, after=0), [])
    examples = [(to_text("c1", id_), reason, evidence) for id_, reason, evidence in rows[:EXAMPLES]]
    return DecontaminateReport(decided, len(rows), _by_benchmark(hits, sets.items), examples)


def _hit(piece: TextPiece, found: Found) -> Hit:
    low = int(piece.cuts[found.message])
    before = piece.data[low : low + found.begin].tobytes().decode()
    words = piece.data[low + found.begin : low + found.end].tobytes().decode()
    return Hit(found, int(piece.positions[found.message]), len(before), words[:SHOWN_CHARS])


def _row(id_: bytes, hits: Sequence[Hit], items: Sequence[Item]) -> tuple[str, str, str]:
    best = min(hits, key=_rank)
    item = items[best.found.item]
    others = sorted({items[hit.found.item].benchmark for hit in hits} - {item.benchmark})
    evidence = {
        "benchmark": item.benchmark,
        "item": item.item,
        "method": best.found.method,
        "score": round(best.found.score, 6),
        "position": best.position,
        "start": best.start,
        "found": best.words,
        **({"others": others} if others else {}),
    }
    return (
        uuid_text(id_),
        f"contaminated: {item.benchmark}",
        json.dumps(evidence, ensure_ascii=False, sort_keys=True),
    )


def _rank(hit: Hit) -> tuple[int, float, int, int, int]:
    found = hit.found
    return METHODS.index(found.method), -found.score, hit.position, hit.start, found.item


def _by_benchmark(hits: Mapping[int, Sequence[Hit]], items: Sequence[Item]) -> tuple[BenchmarkCount, ...]:
    sizes: dict[str, int] = {}
    for item in items:
        sizes[item.benchmark] = sizes.get(item.benchmark, 0) + 1
    found: dict[str, set[int]] = {name: set() for name in sizes}
    talks: dict[tuple[str, str], set[int]] = {}
    for number, some in hits.items():
        for hit in some:
            name = items[hit.found.item].benchmark
            found[name].add(hit.found.item)
            talks.setdefault((name, hit.found.method), set()).add(number)
    return tuple(
        BenchmarkCount(
            name,
            size,
            len(found[name]),
            len(set[int]().union(*(talks.get((name, method), set()) for method in METHODS))),
            {method: len(talks[name, method]) for method in METHODS if (name, method) in talks},
        )
        for name, size in sorted(sizes.items())
    )


def _write_flags(
    store: "Store", run: "Run", proposal: Proposal, rows: Sequence[tuple[str, str, str]]
) -> None:
    """Flag ROWS, and take back the flags that are given no longer."""
    who = {
        "decider": proposal.decider.key,
        "decided_by": proposal.decider.decided_by,
        "decided_at": utc_now(),
        "run_id": run.run_id,
        "decider_kind": proposal.decider.kind,
    }
    with store.write(run.run_id) as writing:
        writing.con.register("proposed", drops_table(rows))
        span = {"after": proposal.after, "upto": proposal.upto}
        writing.append_from("decisions", named_sql("curate", "stale_flags"), {**who, **span})
        writing.append_from("decisions", named_sql("curate", "new_flags"), who)
        writing.con.unregister("proposed")


def flagged(store: "Store", limit: int) -> list[dict[str, object]]:
    """What waits to be looked at: flagged, and neither kept nor dropped by a person."""
    with store.read() as reading:
        return reading.dicts(
            named_sql("curate", "open_flags"), {"decider": f"decontaminate:{NAME}", "limit": limit}
        )
