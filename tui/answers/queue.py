"""An annotator's queue and standing, read from a store."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from store.named_sql import named_sql
from store.selections import selection_named
from tui.answers.candidates import Candidates, ids_of
from tui.judging.blind import Act, BlindPair, Vote
from tui.judging.history import History
from tui.judging.protocols import Choice
from tui.judging.queue import (
    QueueSettings,
    Standing,
    Triple,
    pairs_of_triples,
    upright_of,
    with_known,
)
from tui.judging.session import REDONE, Trace, told

if TYPE_CHECKING:
    from store.db import Reading, Store


class StoreQueue:
    """What one annotator is to judge, and how their votes stand among the others'."""

    def __init__(self, store: "Store", annotator: str, settings: QueueSettings) -> None:
        self._store = store
        self._annotator = annotator
        self._settings = settings
        self._scale = settings.protocol.scale
        self._standing = Standing()
        self._followed_to = -1
        self._pairs: list[BlindPair] = []
        self._judged: set[tuple[str, ...]] = set()

    def queue(self) -> list[BlindPair]:
        """Pairs this annotator has neither judged nor skipped."""
        pairs = Candidates(self._store, self._annotator, self._settings).pairs()
        with self._store.read() as reading:
            self._follow(reading)
            known = self._known(reading)
            skipped = ids_of(reading, "skipped_pairs", {"annotator": self._annotator})
            revealed = ids_of(reading, "revealed_pairs", {"annotator": self._annotator, "scale": self._scale})
        self._pairs = with_known(pairs, known, self._annotator)
        left = [pair for pair in self._pairs if self._key(pair) not in self._judged]
        if not skipped and not revealed:
            return left
        ids = [pair.comparison_id for pair in left]
        return [
            replace(pair, was_revealed=one in revealed)
            for pair, one in zip(left, ids, strict=True)
            if one not in skipped
        ]

    def judged(self) -> History[Act]:
        """What the annotator did and took back, told from the rows that it left."""
        who = {"annotator": self._annotator, "scale": self._scale}
        with self._store.read() as reading:
            rows = reading.dicts(named_sql("tui", "own_judging"), who)
        pairs = {row["comparison_id"]: self._pair_of(row) for row in rows if row["prompt_id"]}
        unknown = {row["comparison_id"] for row in rows} - set(pairs)
        if unknown:
            pairs |= {pair.comparison_id: pair for pair in self._pairs if pair.comparison_id in unknown}
        return told(self._traces(rows, pairs))

    def _traces(self, rows: list[dict[str, Any]], pairs: dict[str, BlindPair]) -> Iterator[Trace]:
        """Rows as acts; a mark on a pair of another scale or queue is none of ours."""
        labels = {choice.native_label: choice for choice in self._settings.protocol.choices.values()}
        for row in rows:
            one, state = row["comparison_id"], row["state"]
            if one not in pairs:
                continue
            if state in ("undone", "unskip"):
                yield Trace(one, None)
            elif state == "skip":
                yield Trace(one, Act(pairs[one]), is_redo=row["explanation"] == REDONE)
            elif row["native_label"] in labels:
                pair = self._pair_of(row)
                yield Trace(one, Act(pair, _vote_of(row, pair, labels[row["native_label"]])))

    def _pair_of(self, row: dict[str, Any]) -> BlindPair:
        """The pair of a vote as it was shown; its protocol has the version of the guidelines of then."""
        protocol = self._settings.protocol
        return BlindPair(
            row["prompt_id"],
            row["response_a_id"],
            row["response_b_id"],
            self._annotator,
            was_revealed=row["template"] == protocol.template_after_reveal,
            protocol=replace(protocol, guideline_version=row["guideline_version"] or ""),
        )

    def _known(self, reading: "Reading") -> list[BlindPair]:
        """The pairs with a known answer, which the standing is told."""
        if self._settings.calibration is None:
            return []
        selection = selection_named(reading, self._settings.calibration, "pairs")
        rows = reading.rows(
            "SELECT CAST(prompt_id AS VARCHAR), CAST(chosen_id AS VARCHAR), CAST(rejected_id AS VARCHAR)"
            " FROM selection_pairs WHERE selection_id = CAST(? AS UUID) ORDER BY ALL",
            [selection.selection_id],
        )
        for row in rows:
            key, answer = upright_of((row[0], row[1], row[2]), 1.0)
            self._standing.known[key] = answer
        triples = [(row[0], row[1], row[2]) for row in rows]
        pairs = pairs_of_triples(triples, self._annotator, self._settings.protocol)
        return sorted(pairs, key=lambda pair: pair.comparison_id)

    def _key(self, pair: BlindPair) -> tuple[str, ...]:
        return upright_of(triple_of(pair), 0.0)[0]

    def take(self, pair: BlindPair, vote: Vote | None) -> None:
        """Note a vote of this session; None takes it back. One cast after the authors were shown agrees with nobody."""
        if vote is None:
            self._judged.discard(self._key(pair))
        else:
            self._judged.add(self._key(pair))
        is_blind = vote is not None and not pair.was_revealed
        self._standing.take(triple_of(pair), vote.choice.signed_margin if vote and is_blind else None)

    def progress(self, reading: "Reading") -> str:
        """How the annotator stands, with what others voted meanwhile."""
        self._follow(reading)
        return self._standing.words()

    def _follow(self, reading: "Reading") -> None:
        """Take newer votes in; this session's own are known before the store has them."""
        is_first = self._followed_to < 0
        found = reading.rows(
            named_sql("tui", "annotators_votes"), {"scale": self._scale, "after": self._followed_to}
        )
        for _, prompt_id, first, second, labeler, stands, margin in found:
            triple = (prompt_id, first, second)
            if labeler != self._annotator:
                self._standing.take(triple, margin, labeler)
            elif is_first and stands:
                self._judged.add(upright_of(triple, 0.0)[0])
                self._standing.take(triple, margin)
        self._followed_to = reading.version


def _vote_of(row: dict[str, Any], pair: BlindPair, choice: Choice) -> Vote:
    return Vote(
        pair,
        choice,
        row["acceptable_a"],
        row["acceptable_b"],
        row["explanation"] or "",
        row["seconds"] or 0.0,
        row["shown_text_hash"] or "",
    )


def triple_of(pair: BlindPair) -> Triple:
    """A pair without its sides' names."""
    return pair.prompt_id, pair.response_a_id, pair.response_b_id
