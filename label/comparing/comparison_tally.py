"""What a run of comparing has come to: pairs by state, by part of a split, and by strength."""

from collections import Counter
from dataclasses import dataclass, field

from label.comparing.pairing import Split
from label.comparing.scales import Scale
from label.comparing.stored_verdicts import DECIDED, Merged
from label.engine.calls import Completion
from label.judging.canary_job import CanaryTally
from label.reasons import note_reason

PAIR_STATES = (*DECIDED, "unparsed", "refused", "blocked", "error")
COUNTED_AS = {**dict.fromkeys(DECIDED, "done"), "error": "failed"}
"""State of a pair → the count it belongs to; the other states are counts of their own."""


@dataclass(slots=True)
class PartTally:
    """The pairs of one part of a split."""

    pairs: int = 0
    states: Counter[str] = field(default_factory=Counter)
    strengths: Counter[str] = field(default_factory=Counter)
    """Strength of the merged verdict → pairs that were won."""


@dataclass(slots=True)
class CompareTally:
    """What a run has come to so far; an item is a pair, in however many orders it is shown."""

    scale: Scale
    split: Split
    requested: int = 0
    pending: int = 0
    """Pairs left out, and not requested, because one of their requests is in an open batch."""
    unanswered: int = 0
    """Pairs left out, and not requested, by a run that asks nobody."""
    reused: int = 0
    identical: int = 0
    """Pairs whose responses say the same: a tie without a call."""
    fresh: Counter[str] = field(default_factory=Counter)
    """State → pairs that got it in this run."""
    parts: dict[str, PartTally] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why orders have no verdict, of this run."""
    canaries: CanaryTally = field(default_factory=CanaryTally)
    """No pairs; counted apart."""
    answered: int = 0
    unparsed: int = 0
    """Of the orders answered."""
    in_both_orders: int = 0
    """Pairs with a verdict in both orders."""
    cost_usd: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __post_init__(self) -> None:
        self.parts = {name: PartTally() for name in self.split.as_json() or {"all": 1.0}}

    @property
    def states(self) -> dict[str, int]:
        """State → pairs, of this run and before; every state is there."""
        return {state: sum(part.states[state] for part in self.parts.values()) for state in PAIR_STATES}

    @property
    def remaining(self) -> int:
        """Pairs that were neither judged before nor came to a state in this run."""
        return self.requested - self.reused - self.fresh.total()

    @property
    def conflict_rate(self) -> float | None:
        """The share of pairs with a verdict in both orders whose orders disagree."""
        return self.states["conflict"] / self.in_both_orders if self.in_both_orders else None

    def counts(self) -> dict[str, object]:
        """The counts that a script reads; they add up to `requested` at the end of a finished run."""
        fresh: Counter[str] = Counter()
        for state, count in self.fresh.items():
            fresh[COUNTED_AS.get(state, state)] += count
        counted = ("done", "unparsed", "refused", "blocked", "failed")
        return {
            "requested": self.requested,
            "reused": self.reused,
            **{name: fresh[name] for name in counted},
            "pending": self.pending,
            "cost_usd": round(self.cost_usd, 6),
            "states": self.states,
            "identical": self.identical,
            "conflict_rate": self.conflict_rate,
            "canaries": self.canaries.as_json(),
            "parts": [self._part(name) for name in self.parts],
        }

    def _part(self, name: str) -> dict[str, object]:
        part = self.parts[name]
        return {
            "name": name,
            "pairs": part.pairs,
            "states": {state: part.states[state] for state in PAIR_STATES},
            "strengths": {strength: part.strengths[strength] for strength, _ in self.scale.strengths},
        }

    def add(self, merged: Merged, *, is_reused: bool) -> None:
        """Count a pair that is settled."""
        part = self.parts[self.split.part_of(merged.item.prompt_id)]
        part.pairs += 1
        part.states[merged.state] += 1
        if merged.state == "win" and merged.margin is not None:
            part.strengths[self.scale.strength_of(merged.margin)] += 1
        self.in_both_orders += merged.n_orders > 1 and merged.state in DECIDED
        if is_reused:
            self.reused += 1
        else:
            self.fresh[merged.state] += 1

    def leave_out(self, *, is_pending: bool) -> None:
        """Count a pair as one this run is not about."""
        self.requested -= 1
        self.pending += is_pending
        self.unanswered += not is_pending

    def note_reason(self, why: str) -> None:
        """Count a reason."""
        note_reason(self.reasons, why)

    def pay(self, completion: Completion) -> None:
        """Add what a completion cost."""
        self.cost_usd += completion.cost_usd
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
