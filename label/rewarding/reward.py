"""Scores of responses by a reward model: one number each, durable as it comes.

A response drawn several times under one prompt is one response: it is scored once, and its number serves
every draw.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from label.exchange import read_exchanges
from label.reasons import commonest, note_reason
from label.reward_model import Reward, RewardModel, reward_model_name
from label.rewarding.scoring_plan import Ids, Scope, ScoringPlan, plan_scoring
from store.runs import run_of

if TYPE_CHECKING:
    from store.console import Advance
    from store.db import Store
    from store.runs import Run

STATES = ("done", "unparsed", "refused", "blocked", "failed")
"""The counts every labeler prints; a reward model leaves some at 0."""
ROWS_A_WRITE = 200
WRITE_EVERY_S = 0.5
"""Rewards are made durable so many together, or after so many seconds."""


@dataclass(frozen=True, slots=True)
class RewardSettings:
    """What decides the rewards of a run; stored with it."""

    scope: Scope = field(default_factory=Scope)
    reward_model: str | None = None
    """What the rewards are stored under; None takes the model's name."""


@dataclass(slots=True)
class RewardTally:
    """What a run has come to so far."""

    requested: int = 0
    """Responses, each once."""
    draws: int = 0
    """Draws of policies that these responses are."""
    reused: int = 0
    fresh: Counter[str] = field(default_factory=Counter)
    """State → responses that got it in this run."""
    truncated: int = 0
    """Of this run."""
    n_tokens: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def remaining(self) -> int:
        """Responses that neither had a number before nor came to a state in this run."""
        return self.requested - self.reused - self.fresh.total()

    def add(self, reward: Reward) -> None:
        """Count a response that is settled."""
        self.fresh[reward.state] += 1
        self.truncated += reward.is_truncated
        self.n_tokens += reward.n_tokens or 0
        if reward.why:
            note_reason(self.reasons, reward.why)

    def counts(self) -> dict[str, object]:
        """The counts that a script reads; they add up to `requested` at the end of a finished run."""
        return {
            "requested": self.requested,
            "reused": self.reused,
            **{state: self.fresh[state] for state in STATES},
            "cost_usd": 0.0,
            "states": {
                state: self.fresh[state] + (self.reused if state == "done" else 0) for state in STATES
            },
            "draws": self.draws,
            "truncated": self.truncated,
            "n_tokens": self.n_tokens,
        }


@dataclass(frozen=True, slots=True)
class RewardReport:
    """A finished run."""

    run_id: str
    reward_model: str
    revision: str
    tally: RewardTally

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            **self.tally.counts(),
            "run_id": self.run_id,
            "reward_model": self.reward_model,
            "revision": self.revision,
        }

    def reasons(self) -> list[str]:
        """The most frequent reasons for responses without a number, with their counts."""
        return commonest(self.tally.reasons)


def score_store(
    store: "Store",
    model: RewardModel,
    settings: RewardSettings,
    *,
    plan: ScoringPlan,
    advance: "Advance",
    tally: RewardTally | None = None,
) -> RewardReport:
    """Score what PLAN says has no number yet; TALLY says how far a run that could not go on has come."""
    name = reward_model_name(model, settings.reward_model)
    tally = tally or RewardTally()
    tally.requested, tally.reused, tally.draws = plan.requested, plan.reused, plan.draws
    with run_of(store, "label reward", _stored_settings(model, settings, name)) as run:
        advance(plan.reused)
        try:
            _score_plan(run, plan, model, name=name, tally=tally, advance=advance)
        finally:
            model.close()
            run.drain()
            run.finish(tally.counts(), prompt_tokens=tally.n_tokens)
    return RewardReport(run.run_id, name, model.revision, tally)


def responses_to_score(store: "Store", model: RewardModel, settings: RewardSettings) -> ScoringPlan:
    """What a run would be about, scored already or not."""
    if store.path.exists():
        with store.write():
            pass  # takes in what a killed run left in its journal
    return plan_scoring(
        store, settings.scope, reward_model_name(model, settings.reward_model), model.revision
    )


def _score_plan(
    run: "Run", plan: ScoringPlan, model: RewardModel, *, name: str, tally: RewardTally, advance: "Advance"
) -> None:
    signed = {"reward_model": name, "revision": model.revision, "run_id": run.run_id}
    waiting: list[tuple[dict[str, object], Reward]] = []
    settled_at = time.monotonic()
    for window in plan.windows():
        with run.store.read() as reading:
            exchanges = read_exchanges(reading, window)
        for place, reward in model.score(exchanges):
            waiting.append((_row(window[place], reward, signed), reward))
            if len(waiting) == ROWS_A_WRITE or time.monotonic() - settled_at > WRITE_EVERY_S:
                _settle(run, waiting, tally, advance)
                settled_at = time.monotonic()
    _settle(run, waiting, tally, advance)


def _settle(
    run: "Run", waiting: list[tuple[dict[str, object], Reward]], tally: RewardTally, advance: "Advance"
) -> None:
    """Make rewards durable, then count them."""
    run.journal.append("rewards", [row for row, _ in waiting])
    for _, reward in waiting:
        tally.add(reward)
    advance(len(waiting), words=f"{tally.truncated} truncated" if tally.truncated else "")
    waiting.clear()


def _row(ids: Ids, reward: Reward, signed: Mapping[str, object]) -> dict[str, object]:
    prompt_id, response_id = ids
    return {
        "prompt_id": prompt_id,
        "response_id": response_id,
        "value": reward.value,
        "n_tokens": reward.n_tokens,
        "is_truncated": reward.is_truncated,
        "state": reward.state,
        **signed,
    }


def _stored_settings(model: RewardModel, settings: RewardSettings, name: str) -> dict[str, object]:
    return {
        **asdict(settings),
        "reward_model": name,
        "revision": model.revision,
        "described": dict(model.described),
    }
