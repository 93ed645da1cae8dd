"""One run of rating: a reader that goes ahead, and workers that ask turn by turn."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from label.chat import ChatModel, ChatRequest, request_key
from label.engine.budget import Budget
from label.engine.calls import Caller, Completion
from label.engine.clock import Clock
from label.engine.durable import GroupCommit
from label.engine.pacing import Pace
from label.engine.prices import PriceTag
from label.judging.canary_job import CanaryTally, rate_canaries, rating_requests
from label.judging.outcome import RATING_STATES, Outcome, outcome_of
from label.judging.parse import PARSER_VERSION
from label.judging.rating_scales import OVERALL, scales_of
from label.judging.render import judge_prompt
from label.judging.turns import (
    ConversationTurns,
    Draw,
    JudgedTurn,
    Question,
    Window,
    read_window,
    stored_completions,
    windows,
)
from label.reasons import note_reason
from store.config import Limits
from store.errors import BadReply, PreferablyError

if TYPE_CHECKING:
    from store.console import Advance
    from store.db import Store
    from store.runs import Run

TEMPLATE = OVERALL.template
UNPARSED_WATCHED = 200
"""Replies at the start of a run over which the share of unreadable ones is watched."""


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """What decides the ratings of a run, and how it goes about them; stored with the run."""

    draw: Draw = field(default_factory=Draw)
    """Which conversations, and at most how many of their turns."""
    draws: int = 1
    """How often the judge is asked about each turn, each time anew."""
    aspects: str | None = None
    """A set of aspects, each rated on its own scale, in place of the overall rating."""
    labeler: str | None = None
    """The name the ratings are signed with; None signs with the model's."""
    temperature: float | None = 0.0
    """None sends no temperature."""
    max_tokens: int = 2048
    """The longest reply."""
    max_cost_usd: float | None = None
    limits: Limits = field(default_factory=Limits)
    timeout_s: float = 120.0
    """For one request."""
    max_unparsed: float = 0.02
    """The share of the first UNPARSED_WATCHED replies that may be unreadable."""
    canaries: int = 0
    """Questions with a known answer that are asked before the first real one."""
    min_canaries: float | None = None
    """Ask nothing else if a smaller share of them is answered right."""
    seed: int = 0
    """Of the jitter between retries; the draw has its own."""

    def __post_init__(self) -> None:
        scales_of(self.aspects)


@dataclass(slots=True)
class Tally:
    """What a run has come to so far."""

    requested: int = 0
    pending: int = 0
    """Turns left out, and not requested, because their request is in an open batch."""
    unanswered: int = 0
    """Turns left out, and not requested, by a run that asks nobody."""
    reused: int = 0
    fresh: Counter[str] = field(default_factory=Counter)
    """State → turns that got it in this run."""
    earlier: Counter[str] = field(default_factory=Counter)
    """State → turns that had it before."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why turns have no rating, of this run."""
    canaries: CanaryTally = field(default_factory=CanaryTally)
    """No turns; counted apart."""
    cost_usd: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def remaining(self) -> int:
        """Turns that were neither rated before nor came to a state in this run."""
        return self.requested - self.reused - self.fresh.total()

    def counts(self) -> dict[str, object]:
        """The counts that a script reads; they add up to `requested` at the end of a finished run."""
        return {
            "requested": self.requested,
            "reused": self.reused,
            **{state: self.fresh[state] for state in RATING_STATES},
            "pending": self.pending,
            "cost_usd": round(self.cost_usd, 6),
            "states": {state: self.fresh[state] + self.earlier[state] for state in RATING_STATES},
            "canaries": self.canaries.as_json(),
        }

    def leave_out(self, *, is_pending: bool) -> None:
        """Count a turn as one this run is not about."""
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


def questions_of(model: ChatModel, settings: JudgeSettings) -> tuple[Question, ...]:
    """How this run puts a turn to the judge: every aspect, as often as it is to be drawn."""
    sampling = model.sampling(settings.temperature, settings.max_tokens)
    return tuple(
        Question(model, judge_prompt(scale.template), sampling, scale, draw_index)
        for scale in scales_of(settings.aspects)
        for draw_index in range(settings.draws)
    )


def read_windows(
    store: "Store", plan: Sequence[ConversationTurns], questions: Sequence[Question], labeler: str
) -> Iterator[Window]:
    """The planned conversations, a window at a time, each read in a turn of its own."""
    for piece in windows(plan):
        with store.read() as reading:
            window = read_window(reading, piece, questions, labeler)
        yield window


class RatingJob:
    """One run's work: a reader that goes ahead, and as many workers as there are lanes.

    A worker takes a conversation and asks about its turns in order, so that a provider that caches
    prefixes has the previous turn's in its cache.
    """

    def __init__(
        self,
        run: "Run",
        model: ChatModel,
        price: PriceTag,
        settings: JudgeSettings,
        *,
        labeler: str,
        advance: "Advance",
        tally: Tally,
        questions: tuple[Question, ...] | None = None,
        asks: bool = True,
    ) -> None:
        """QUESTIONS are what canaries are asked with, as a rule those of the settings.

        A job that does not ask reads the answers there are, and leaves the other turns out.
        """
        self.tally = tally
        self._asks = asks
        self._run = run
        self._model = model
        self._price = price
        self._settings = settings
        self._labeler = labeler
        self._advance = advance
        self._has_met_canaries = False
        self.questions = questions or questions_of(model, settings)

    async def rate(self, source: Iterator[Window], clock: Clock) -> None:
        """Rate every turn of SOURCE, or raise what stopped the run."""
        commit = GroupCommit(self._run.journal.append)
        pace = Pace(self._settings.limits, clock)
        caller = Caller(
            self._model,
            pace=pace,
            budget=Budget(self._settings.max_cost_usd),
            price=self._price,
            clock=clock,
            record=commit.record,
            run_id=self._run.run_id,
            timeout_s=self._settings.timeout_s,
            chance=random.Random(self._settings.seed),
            asks=self._asks,
        )
        queue: asyncio.Queue[tuple[JudgedTurn, ...] | None] = asyncio.Queue(maxsize=4 * pace.lanes.most)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(source, caller, commit, queue, pace.lanes.most))
                for _ in range(pace.lanes.most):
                    group.create_task(self._work(caller, commit, queue))
        except* PreferablyError as errors:
            raise errors.exceptions[0] from None
        finally:
            self.tally.cost_usd = caller.budget.spent_usd  # with tries that brought no completion
            await self._model.close()
        if caller.stopped is not None:
            raise caller.stopped

    async def _read(
        self,
        source: Iterator[Window],
        caller: Caller,
        commit: GroupCommit,
        queue: asyncio.Queue[tuple[JudgedTurn, ...] | None],
        workers: int,
    ) -> None:
        """Put conversations into the queue, leaving out turns that have their rating."""
        while caller.stopped is None and (window := await asyncio.to_thread(next, source, None)) is not None:
            caller.remember(window.completions)
            for turns in window.conversations:
                unrated = [turn for turn in turns if not self._is_rated(turn, window)]
                rest = tuple(turn for turn in unrated if not self._is_left_out(turn, window))
                if rest:
                    await self._meet_canaries(caller, commit)
                    await queue.put(rest)
        for _ in range(workers):
            await queue.put(None)

    async def _meet_canaries(self, caller: Caller, commit: GroupCommit) -> None:
        """Ask the canaries, once there is something real to ask; too many wrong answers stop the run."""
        if self._has_met_canaries or not self._settings.canaries:
            return
        self._has_met_canaries = True
        asked = rating_requests(self.questions, self._labeler, self._settings.canaries)
        keys = [request_key(request) for _, _, request in asked]
        caller.remember(await asyncio.to_thread(stored_completions, self._run.store, keys))
        try:
            self.tally.canaries = await rate_canaries(
                asked,
                self._labeler,
                lambda request, question: self._answer(request, question, caller),
                commit.record,
                self._run.run_id,
            )
            self.tally.canaries.check(self._settings.min_canaries)
        except PreferablyError as error:
            caller.stop(error)

    def _is_rated(self, turn: JudgedTurn, window: Window) -> bool:
        state = window.rated.get(turn.key)
        if state is None:
            return False
        self.tally.reused += 1
        self.tally.earlier[state] += 1
        self._say_progress()
        return True

    def _is_left_out(self, turn: JudgedTurn, window: Window) -> bool:
        """Whether the turn would need a call that this run must not make."""
        if turn.key in window.pending:
            self.tally.leave_out(is_pending=True)
        elif not self._asks and (turn.key not in window.completions or turn.key in window.broken):
            self.tally.leave_out(is_pending=False)
        else:
            return False
        self._say_progress()
        return True

    async def _work(
        self, caller: Caller, commit: GroupCommit, queue: asyncio.Queue[tuple[JudgedTurn, ...] | None]
    ) -> None:
        while (turns := await queue.get()) is not None:
            for turn in turns:
                if caller.stopped is None:
                    await self._rate_turn(turn, caller, commit)

    async def _rate_turn(self, turn: JudgedTurn, caller: Caller, commit: GroupCommit) -> None:
        try:
            outcome = await self._answer(turn.request(), turn.question, caller)
        except PreferablyError as error:
            caller.stop(error)
            return
        await commit.record("ratings", self._row(turn, outcome))
        self._count(outcome, caller)

    async def _answer(self, request: ChatRequest, question: Question, caller: Caller) -> Outcome:
        """The judge's rating, with one more call if the first reply cannot be read."""
        completion = await caller.complete(request)
        self.tally.pay(completion)
        outcome = outcome_of(completion, question.scale)
        if outcome.state != "unparsed":
            return outcome
        repaired = await caller.complete(question.again(request, completion.reply or ""))
        self.tally.pay(repaired)
        return outcome_of(repaired, question.scale)

    def _count(self, outcome: Outcome, caller: Caller) -> None:
        self.tally.fresh[outcome.state] += 1
        if outcome.state != "done":
            self.tally.note_reason(f"{outcome.state}: {outcome.explanation}")
        self._say_progress()
        answered = self.tally.fresh.total()
        unparsed = self.tally.fresh["unparsed"]
        if answered <= UNPARSED_WATCHED and unparsed > self._settings.max_unparsed * UNPARSED_WATCHED:
            caller.stop(
                BadReply(
                    f"{unparsed} of the first {answered} replies carry no rating, which is over"
                    f" {self._settings.max_unparsed:.0%} of {UNPARSED_WATCHED}; look at the replies"
                    " (curate sql 'SELECT reply FROM completions'), choose another judge or raise --max-unparsed"
                )
            )

    def _say_progress(self) -> None:
        self._advance(1, words=f"${self.tally.cost_usd:.4f}")

    def _row(self, turn: JudgedTurn, outcome: Outcome) -> dict[str, object]:
        scale = turn.question.scale
        return {
            "response_id": turn.message_id,
            "labeler": self._labeler,
            "labeler_kind": "judge",
            "template": scale.template,
            "scale": scale.scale,
            "aspect": scale.aspect,
            "draw_index": turn.question.draw_index,
            "value": None if outcome.value is None else float(outcome.value),
            "explanation": outcome.explanation,
            "state": outcome.state,
            "request_key": turn.key,
            "parser_version": PARSER_VERSION,
            "created_at": datetime.now(UTC).replace(tzinfo=None).isoformat(),
            "run_id": self._run.run_id,
        }
