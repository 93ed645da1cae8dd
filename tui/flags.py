"""What rules flagged for a person to decide: evidence, and what it means to allow it.

Nothing here knows a store or a screen.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.contamination.allowing import SHOWN_CHARS
from tui.excerpts import span_marked
from tui.review_data import Turn
from tui.transcript_blocks import Block


@dataclass(frozen=True, slots=True)
class Flag:
    """A conversation that waits for a person."""

    conversation_id: str
    decider: str
    verdict: str
    """`undecided`, or `drop` for what a rule dropped as nearly the same as another."""
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def duplicate_of(self) -> str | None:
        """The conversation that was kept in its place, as the evidence names it."""
        return self.evidence.get("duplicate_of")

    @property
    def allow_line(self) -> str | None:
        """The line of a file for `decontaminate --allow` that makes this find go away.

        A run of words is allowed by itself; what an item says nearly or in other words, by the item.
        """
        if "benchmark" not in self.evidence:
            return None
        found = " ".join(str(self.evidence.get("found", "")).split())
        is_whole = len(str(self.evidence.get("found", ""))) < SHOWN_CHARS
        if self.evidence.get("method") == "ngram" and found and is_whole and found[0] not in "#":
            return found
        return f"item: {self.evidence['benchmark']}/{self.evidence['item']}"

    @property
    def cells(self) -> tuple[str, ...]:
        """The line of the list."""
        score = self.evidence.get("score")
        return (
            "dropped" if self.verdict == "drop" else "flagged",
            self.reason.removeprefix("contaminated: "),
            str(self.evidence.get("method", "")),
            "–" if score is None else f"{score:.2f}",
            str(self.evidence.get("found", self.evidence.get("duplicate_of", ""))),
        )


def flag_of(row: Sequence[str]) -> Flag:
    """A row of the query of flags."""
    conversation_id, decider, verdict, reason, evidence = row
    said = json.loads(evidence) if evidence else {}
    return Flag(conversation_id, decider, verdict, reason, said if isinstance(said, dict) else {})


def evidence_blocks(flag: Flag, turns: Sequence[Turn]) -> list[Block]:
    """The turn that holds what was found, the find between marks; every turn where none holds it."""
    found, start = str(flag.evidence.get("found", "")), flag.evidence.get("start")
    place = flag.evidence.get("position")
    about = f"{flag.evidence.get('benchmark', flag.decider)}/{flag.evidence.get('item', '')}"
    for number in _likely(place, len(turns)):
        turn = turns[number]
        at = (
            start
            if isinstance(start, int) and turn.content.startswith(found, start)
            else turn.content.find(found)
        )
        if found and at >= 0:
            heading = f"turn {number + 1} of {len(turns)} · {turn.role} · found in {about}"
            return [Block(heading, span_marked(turn.content, at, len(found)), _kind(turn))]
    return [Block(f"{number} {turn.role}", turn.content, _kind(turn)) for number, turn in enumerate(turns, 1)]


def _likely(place: object, count: int) -> list[int]:
    """The turns, that of the evidence first."""
    first = [place - 1] if isinstance(place, int) and 0 < place <= count else []
    return first + [number for number in range(count) if number not in first]


def _kind(turn: Turn) -> str:
    return turn.role if turn.role in ("user", "assistant") else "other"
