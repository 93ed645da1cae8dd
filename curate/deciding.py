"""What a rule decides becomes rows here, whichever rule it is: filter, dedup, decontaminate.

A rule hands in which conversations it would drop, of those in a span of the store's versions. Here that is
weighed (how many of each source, and which of them a person keeps all the same), refused where it would
empty a source, and written in pieces. A drop that its rule no longer gives is taken back. Killed at any
moment and repeated, the rows end up the same.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from store.errors import RequestError
from store.named_sql import named_sql
from store.runs import utc_now

if TYPE_CHECKING:
    from store.db import Reading, Store, Writing
    from store.runs import Run

PIECE_ROWS = 20_480
"""Decisions written in one turn: under a second, so that others get theirs."""

SMALL_SOURCE = 100
"""A source of fewer conversations may be dropped whole without `--yes`."""


@dataclass(frozen=True, slots=True)
class Decider:
    """A rule with its settings."""

    kind: str
    """`filter`, `dedup`, `decontaminate`."""
    name: str
    """Which of its kind, such as `refusal`."""
    rule_version: int
    """Grows when the rule decides otherwise under the same settings."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """All that bears on its verdicts."""

    @property
    def key(self) -> str:
        """The rule in all its versions: of two of its decisions the later counts."""
        return f"{self.kind}:{self.name}"

    @property
    def decided_by(self) -> str:
        """What stands in the column of that name."""
        return f"{self.key}/{self.rule_version}"

    @property
    def settings_text(self) -> str:
        """The settings as the store keeps them."""
        return json.dumps(self.settings, sort_keys=True, default=str)


@dataclass(frozen=True)
class Proposal:
    """What a rule would do with the conversations written after one version and up to another."""

    decider: Decider
    after: int
    """0: from the beginning."""
    upto: int
    drops: pa.Table
    """`target_id` (UUID), `reason`, `evidence` (JSON text); each conversation once."""


@dataclass(frozen=True, slots=True)
class Caution:
    """How far a rule may go."""

    max_drop_share: float = 0.5
    """The largest part of a source that may be dropped without being sure."""
    is_sure: bool = False
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class SourceCount:
    """One source's part; `seen` counts conversations that are not superseded."""

    source: str
    seen: int
    dropped: int

    @property
    def share(self) -> float:
        """Dropped of seen."""
        return self.dropped / self.seen if self.seen else 0.0


@dataclass(frozen=True)
class Weighed:
    """What the proposals come to; `seen = kept + dropped`, and the reasons add up to `dropped`."""

    sources: tuple[SourceCount, ...]
    reasons: Mapping[str, int]
    """Each conversation under the reason of the first rule that drops it."""
    by_decider: Mapping[str, int]
    """Decider → conversations it drops, whoever else does."""
    overruled: int
    """Conversations a rule would drop and a person keeps: they count as kept."""

    @cached_property
    def seen(self) -> int:
        """Conversations looked at."""
        return sum(source.seen for source in self.sources)

    @cached_property
    def dropped(self) -> int:
        """Conversations that at least one of the rules drops, and no person keeps."""
        return sum(source.dropped for source in self.sources)

    @property
    def kept(self) -> int:
        """The others."""
        return self.seen - self.dropped


@dataclass(frozen=True)
class Decided:
    """What was weighed, and what it changed in the store."""

    weighed: Weighed
    new: int = 0
    """Drops that were not in force before, or for another reason."""
    taken_back: int = 0
    """Earlier drops of the same rules that they no longer give."""


def looked_to(reading: "Reading", decider: Decider) -> int:
    """Up to which version DECIDER has looked with these very settings; 0 if it must look at everything."""
    rows = reading.rows(named_sql("curate", "latest_screening"), {"decider": decider.key})
    if not rows:
        return 0
    decided_by, settings, to_version = rows[0]
    is_same = (decided_by, settings) == (decider.decided_by, decider.settings_text)
    return int(to_version) if is_same else 0


def newest_conversation(reading: "Reading") -> int:
    """The version that wrote the newest conversation; where a rule that looks at everything looks up to."""
    return int(reading.rows("SELECT coalesce(max(version), 0) FROM conversations")[0][0])


def drops_table(rows: Sequence[tuple[str, str, str | None]]) -> pa.Table:
    """Drops from (conversation as UUID text, reason, evidence), for a Proposal."""
    names = ("target_id", "reason", "evidence")
    return pa.table({name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(names)})


def decide(store: "Store", run: "Run | None", proposals: Sequence[Proposal], caution: Caution) -> Decided:
    """Weigh what the rules propose and write it, in turns of under a second; without a RUN only weigh.

    Raises RequestError, having written nothing, if more than the allowed part of a source would go.
    """
    with store.read() as reading:
        weighed = weigh(reading, proposals)
    if run is None or caution.is_dry_run:
        return Decided(weighed)
    _refuse_to_empty(weighed, caution)
    new = taken_back = 0
    for proposal in proposals:
        new += sum(_write_drops(store, run, proposal))
        with store.write(run.run_id) as writing:
            taken_back += _take_back(writing, proposal, run.run_id)
            _note_screening(writing, proposal, weighed, run.run_id)
    return Decided(weighed, new, taken_back)


def weigh(reading: "Reading", proposals: Sequence[Proposal]) -> Weighed:
    """Count what PROPOSALS, the first to be named first, would keep and drop."""
    _propose(reading, proposals)
    span = {
        "after": min((proposal.after for proposal in proposals), default=0),
        "upto": max((proposal.upto for proposal in proposals), default=0),
    }
    sources = reading.rows(named_sql("curate", "weigh_sources"), span)
    reasons = reading.rows(named_sql("curate", "weigh_reasons"), span)
    by_decider = Counter(dict(reading.rows(named_sql("curate", "weigh_deciders"), span)))
    reading.con.unregister("proposed")
    return Weighed(
        sources=tuple(SourceCount(name, seen, dropped) for name, seen, dropped, _ in sources),
        reasons=dict(reasons),
        by_decider={proposal.decider.decided_by: by_decider[i] for i, proposal in enumerate(proposals)},
        overruled=sum(row[3] for row in sources),
    )


def _propose(reading: "Reading", proposals: Sequence[Proposal]) -> None:
    """Make the proposals' drops one relation `proposed`, each with its rule's place."""
    tables = [
        proposal.drops.select(["target_id", "reason", "evidence"]).append_column(
            "place", pa.array([i] * proposal.drops.num_rows, pa.int32())
        )
        for i, proposal in enumerate(proposals)
    ]
    empty = drops_table([]).append_column("place", pa.array([], pa.int32()))
    reading.con.register("proposed", pa.concat_tables(tables) if tables else empty)


def _refuse_to_empty(weighed: Weighed, caution: Caution) -> None:
    if caution.is_sure:
        return
    over = [
        source
        for source in weighed.sources
        if source.seen >= SMALL_SOURCE and source.share > caution.max_drop_share
    ]
    if over:
        words = ", ".join(
            f"{source.dropped:,} of {source.seen:,} of {source.source} ({source.share:.0%})"
            for source in over
        )
        raise RequestError(
            f"this would drop {words}, more than {caution.max_drop_share:.0%} of a source; nothing was done;"
            " look with --dry-run, then allow it with --yes or --max-drop"
        )


def _write_drops(store: "Store", run: "Run", proposal: Proposal) -> Iterator[int]:
    """Add the drops that are not in force yet, a piece a turn; gives how many each time."""
    for start in range(0, proposal.drops.num_rows, PIECE_ROWS):
        with store.write(run.run_id) as writing:
            writing.con.register("proposed", proposal.drops.slice(start, PIECE_ROWS))
            added = writing.append_from(
                "decisions", named_sql("curate", "new_drops"), _who(proposal.decider, run.run_id)
            )
            writing.con.unregister("proposed")
        yield added


def _take_back(writing: "Writing", proposal: Proposal, run_id: str) -> int:
    """Take back what the rule dropped earlier in the span and drops no longer."""
    writing.con.register("proposed", proposal.drops)
    taken_back = writing.append_from(
        "decisions",
        named_sql("curate", "stale_drops"),
        {**_who(proposal.decider, run_id), "after": proposal.after, "upto": proposal.upto},
    )
    writing.con.unregister("proposed")
    return taken_back


def _who(decider: Decider, run_id: str) -> dict[str, object]:
    return {
        "decider": decider.key,
        "decided_by": decider.decided_by,
        "decider_kind": decider.kind,
        "decided_at": utc_now(),
        "run_id": run_id,
    }


def _note_screening(writing: "Writing", proposal: Proposal, weighed: Weighed, run_id: str) -> None:
    """Say how far the rule has looked, unless it has looked at nothing new."""
    decider = proposal.decider
    if looked_to(writing, decider) >= proposal.upto:
        return
    span = {"after": proposal.after, "upto": proposal.upto}
    seen = int(writing.rows(named_sql("curate", "count_seen"), span)[0][0])
    dropped = weighed.by_decider[decider.decided_by]
    reasons = Counter(proposal.drops.column("reason").to_pylist())
    writing.append(
        "screenings",
        [
            {
                "decider": decider.key,
                "decided_by": decider.decided_by,
                "settings": decider.settings_text,
                "to_version": proposal.upto,
                "seen": seen,
                "kept": seen - dropped,
                "dropped": dropped,
                "reasons": json.dumps(reasons, sort_keys=True),
                "run_id": run_id,
            }
        ],
    )


def undo(store: "Store", run: "Run", decider_key: str) -> int:
    """Take back every drop of a rule (`filter:refusal`); it will look at everything again. Returns how many.

    Raises RequestError if the rule never decided anything.
    """
    with store.read() as reading:
        known = [row[0] for row in reading.rows("SELECT DISTINCT decider FROM screenings ORDER BY decider")]
    if decider_key not in known:
        raise RequestError(
            f"{decider_key} has decided nothing in this store; there are: {', '.join(known) or 'none yet'}"
        )
    kind, _, name = decider_key.partition(":")
    nothing = Proposal(Decider(kind, name, 0, {"undone": True}), 0, 2**62, drops_table([]))
    with store.write(run.run_id) as writing:
        taken_back = _take_back(writing, nothing, run.run_id)
        row = {"decider": decider_key, "decided_by": nothing.decider.decided_by, "to_version": 0}
        counts = {"seen": 0, "kept": 0, "dropped": 0, "reasons": "{}"}
        writing.append(
            "screenings",
            [{**row, **counts, "settings": nothing.decider.settings_text, "run_id": run.run_id}],
        )
    return taken_back
