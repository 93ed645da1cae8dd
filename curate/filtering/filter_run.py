"""`curate filter`: look at new conversations with some filters, and hand in what each would drop.

First every message in question is read once, in pieces of a turn each, and each filter notices what it
notices; of the texts only that stays in memory, with role and length. Then the conversations are gone
through in pieces, with what was noticed beside their turns.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from curate.deciding import (
    Caution,
    Decided,
    Proposal,
    decide,
    drops_table,
    looked_to,
    newest_conversation,
)
from curate.filter import AnswerFilter, Filter, StoreFilter
from curate.filtering.filter_options import Chosen
from curate.filtering.screen import Screen
from curate.ingesting.known_ids import uuid_array
from store.ids import to_text, uuid_text
from store.named_sql import named_sql
from store.runs import run_of

if TYPE_CHECKING:
    from store.db import Reading, Store
    from store.runs import Run

PIECE_MESSAGES = 50_000
"""Messages whose texts are read in one turn: a quarter of a second."""
PIECE_TURNS = 200_000
"""Turns of conversations, without texts, gone through at a time."""
EXAMPLES = 3

Progress = Callable[[float], None]
Drop = tuple[str, str, str | None]
"""Conversation as UUID text, reason, evidence."""


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """What a user may ask of a filtering."""

    caution: Caution = field(default_factory=Caution)
    is_again: bool = False
    """Look at conversations these filters have seen before, too."""


@dataclass(frozen=True)
class FilterReport:
    """What came of it."""

    decided: Decided
    examples: dict[str, list[tuple[str, str, str | None]]]
    """Filter → a few of its drops: conversation, reason, evidence."""


@dataclass(frozen=True)
class Due:
    """A filter and from where on it has to look."""

    chosen: Chosen
    after: int


def filter_store(
    store: "Store", chosen: Sequence[Chosen], settings: FilterSettings, advance: Progress | None = None
) -> FilterReport:
    """Look at what is new for these filters and write their decisions.

    Raises RequestError, having written nothing, if more than the allowed part of a source would go.
    """
    asked = {
        "pipeline": [
            {"filter": one.name, "rule_version": one.rule.rule_version, **one.options} for one in chosen
        ],
        "is_again": settings.is_again,
        "max_drop_share": settings.caution.max_drop_share,
        "is_sure": settings.caution.is_sure,
    }
    if settings.caution.is_dry_run:
        return _filter(store, chosen, settings, advance or (lambda _amount: None), None)
    with run_of(store, "curate filter", asked) as run:
        report = _filter(store, chosen, settings, advance or (lambda _amount: None), run)
        run.finish(counts(report))
    return report


def counts(report: FilterReport) -> dict[str, object]:
    """The report as plain values, for `--json` and the run."""
    weighed = report.decided.weighed
    return {
        "seen": weighed.seen,
        "kept": weighed.kept,
        "dropped": weighed.dropped,
        "reasons": dict(weighed.reasons),
        "by_filter": dict(weighed.by_decider),
        "sources": [
            {"name": one.source, "seen": one.seen, "kept": one.seen - one.dropped, "dropped": one.dropped}
            for one in weighed.sources
        ],
        "overruled": weighed.overruled,
        "new": report.decided.new,
        "taken_back": report.decided.taken_back,
    }


def _filter(
    store: "Store", chosen: Sequence[Chosen], settings: FilterSettings, tell: Progress, run: "Run | None"
) -> FilterReport:
    with store.read() as reading:
        upto = newest_conversation(reading)
        due = [
            Due(one, _begin(looked_to(reading, one.decider), one, upto, is_again=settings.is_again))
            for one in chosen
        ]
    drops = _judge(store, due, upto, tell)
    proposals = [
        Proposal(one.chosen.decider, one.after, upto, drops_table(drops[one.chosen.name])) for one in due
    ]
    decided = decide(store, run, proposals, settings.caution)
    examples = {
        name: [(to_text("c1", id_), reason, evidence) for id_, reason, evidence in found[:EXAMPLES]]
        for name, found in drops.items()
        if found
    }
    return FilterReport(decided, examples)


def _begin(looked: int, chosen: Chosen, upto: int, *, is_again: bool) -> int:
    """The version after which a filter has to look; one that needs the whole store looks at all of it again."""
    if is_again or (isinstance(chosen.rule, StoreFilter) and looked < upto):
        return 0
    return looked


def _judge(store: "Store", due: Sequence[Due], upto: int, tell: Progress) -> dict[str, list[Drop]]:
    """What each filter would drop, by its name."""
    drops: dict[str, list[Drop]] = {one.chosen.name: [] for one in due}
    single = [one for one in due if isinstance(one.chosen.rule, Filter) and one.after < upto]
    whole = [one for one in due if isinstance(one.chosen.rule, StoreFilter) and one.after < upto]
    answers = None
    if single:
        after = min(one.after for one in single)
        knows_same = after == 0 and any(isinstance(one.chosen.rule, AnswerFilter) for one in whole)
        screen = _screen(store, single, after, upto, tell, knows_same=knows_same)
        answers = screen.answers()
        for name, found in _drops_by_turns(store, screen, single, after, upto):
            drops[name] += found
    for one in whole:
        with store.read() as reading:
            across = _across(reading, one.chosen.rule, upto, answers)
        drops[one.chosen.name] += [
            (id_, _reason(one.chosen.name, label), _evidence(evidence)) for id_, label, evidence in across
        ]
    return drops


def _across(
    reading: "Reading", rule: object, upto: int, answers: pa.Table | None
) -> list[tuple[str, str | None, dict[str, object]]]:
    """What a rule drops that needs the whole store; one of answers goes without their texts where they were read."""
    if answers is not None and isinstance(rule, AnswerFilter):
        return rule.drops_among(reading, upto, answers)
    assert isinstance(rule, StoreFilter)
    return rule.drops_across(reading, upto)


def _screen(
    store: "Store", due: Sequence[Due], after: int, upto: int, tell: Progress, *, knows_same: bool
) -> Screen:
    """Read the messages of the conversations in question, each once."""
    import polars as pl

    span = {"after": after, "upto": upto}
    with store.read() as reading:
        versions = reading.rows(named_sql("curate", "filter_versions"), span)
        n_messages = int(reading.rows("SELECT coalesce(max(rowid) + 1, 0) FROM main.messages")[0][0])
    rules = {one.chosen.name: one.chosen.rule for one in due if isinstance(one.chosen.rule, Filter)}
    screen = Screen(n_messages, rules, knows_same=knows_same)
    for piece in _pieces([Held(*row) for row in versions]):
        has_others = any(held.has_others for held in piece)
        asked: dict[str, object] = {"versions": [held.version for held in piece]}
        name = "filter_some_texts" if has_others else "filter_texts"
        with store.read() as reading:
            found = pl.from_arrow(
                reading.arrow(named_sql("curate", name), {**asked, **(span if has_others else {})})
            )
        assert isinstance(found, pl.DataFrame)
        screen.take(found)
        tell(sum(held.n_messages for held in piece))
    return screen


@dataclass(frozen=True, slots=True)
class Held:
    """What one version holds of the messages in question."""

    version: int
    n_messages: int
    has_others: bool
    """Whether it holds messages of other conversations, too."""


def _pieces(versions: Sequence[Held]) -> Iterator[list[Held]]:
    """Versions, so many at a time that their messages make one piece."""
    piece: list[Held] = []
    for held in versions:
        piece.append(held)
        if sum(one.n_messages for one in piece) >= PIECE_MESSAGES:
            yield piece
            piece = []
    if piece:
        yield piece


def _drops_by_turns(
    store: "Store", screen: Screen, due: Sequence[Due], after: int, upto: int
) -> Iterator[tuple[str, list[Drop]]]:
    """Go through the conversations; gives (filter, drops) for each piece."""
    import polars as pl

    with store.read() as reading:
        table = reading.arrow(named_sql("curate", "filter_conversations"), {"after": after, "upto": upto})
    versions = table.column("version").to_numpy()
    starts = {one.chosen.name: int(np.searchsorted(versions, one.after, side="right")) for one in due}
    ends = np.cumsum(table.column("n_messages").to_numpy())
    first = 0
    while first < table.num_rows:
        done = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + PIECE_TURNS, side="right")))
        ids: list[bytes] = table.column("id").slice(first, last - first).to_pylist()
        numbered = pa.table({"id": uuid_array(ids), "number": pa.array(range(first, last), pa.int64())})
        with store.read() as reading:
            reading.con.register("piece", numbered)
            paths = pl.from_arrow(reading.arrow(named_sql("curate", "filter_paths")))
            reading.con.unregister("piece")
        assert isinstance(paths, pl.DataFrame)
        turns = screen.turns(paths)
        for name, rule in screen.rules.items():
            mine = turns if starts[name] <= first else turns.filter(pl.col("conversation") >= starts[name])
            found = rule.drops(screen.marked(name, mine)).sort("conversation")
            yield name, [_drop(name, row, ids, first) for row in found.iter_rows(named=True)]
        first = last


def _drop(name: str, row: dict[str, Any], ids: list[bytes], first: int) -> Drop:
    evidence = {key: value for key, value in row.items() if key not in ("conversation", "label")}
    return uuid_text(ids[row["conversation"] - first]), _reason(name, row["label"]), _evidence(evidence)


def _reason(name: str, label: str | None) -> str:
    return f"{name}: {label}" if label else name


_EVIDENCE = json.JSONEncoder(ensure_ascii=False, sort_keys=True)


def _evidence(values: dict[str, object]) -> str | None:
    known = {key: value for key, value in values.items() if value is not None}
    return _EVIDENCE.encode(known) if known else None


def to_read(store: "Store") -> int:
    """How many messages a filter that looks at everything reads."""
    with store.read() as reading:
        return int(reading.rows("SELECT count(*) FROM messages")[0][0])
