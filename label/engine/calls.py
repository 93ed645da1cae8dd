"""One request from key to completion: paid for once, paced, retried as its failure allows, on disk at the end."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from label.chat import CallError, ChatModel, ChatReply, ChatRequest, request_key
from label.comparing.label_probability import FirstToken
from label.engine.breaker import Breaker
from label.engine.budget import Budget
from label.engine.clock import Clock
from label.engine.failures import TRIES, Failure, backoff_s, classify, may_be_charged, retry_after_s
from label.engine.pacing import Pace
from label.engine.prices import PriceTag
from label.engine.sent import request_row
from store.errors import PreferablyError, ProviderStopped, StoreDamaged

CompletionState = Literal["done", "refused", "blocked", "failed"]

Record = Callable[[str, Mapping[str, object]], Awaitable[None]]
"""Makes a row of a table durable; returns once it is."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What became of a request."""

    request_key: str
    state: CompletionState
    reply: str | None
    error: str | None = None
    first_token: FirstToken | None = None
    """How probable which first tokens were, where that was asked for."""
    cost_usd: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    is_new: bool = False
    """Whether it was asked for now, not found in the store."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """How an answer, or the lack of one, came about."""

    reply: ChatReply | None
    error: CallError | None
    failure: Failure | None
    tries: int
    elapsed_s: float
    cost_usd: float
    """Of all tries: one whose outcome is not known is taken to have cost the most it could."""


class Caller:
    """Asks one model, for one run."""

    def __init__(
        self,
        model: ChatModel,
        *,
        pace: Pace,
        budget: Budget,
        price: PriceTag,
        clock: Clock,
        record: Record,
        run_id: str,
        timeout_s: float,
        chance: random.Random,
        asks: bool = True,
    ) -> None:
        """ASKS is false for a run that reads stored answers only."""
        self._asks = asks
        self.model = model
        self.budget = budget
        self.price = price
        self._pace = pace
        self._clock = clock
        self._record = record
        self._run_id = run_id
        self._timeout_s = timeout_s
        self._chance = chance
        self._breaker = Breaker(clock)
        self._known: dict[str, Completion] = {}
        self._slots = asyncio.Semaphore(model.most_at_once) if model.most_at_once else None
        self.stopped: PreferablyError | None = None
        """Why no further request is sent; those under way still come to their end."""

    def remember(self, completions: Mapping[str, Completion]) -> None:
        """Take in completions of earlier runs, by request key."""
        self._known.update(completions)

    def stop(self, error: PreferablyError) -> None:
        """Send nothing more; the first reason stays."""
        self.stopped = self.stopped or error

    async def complete(self, request: ChatRequest) -> Completion:
        """The completion of REQUEST: a stored one if there is one, else a new one, on disk when it is returned.

        Raises ProviderStopped or BudgetReached if no request may be sent any more.
        """
        key = request_key(request)
        known = self._known.pop(key, None) if self._asks else self._known.get(key)
        if known is not None:
            return known
        if not self._asks:
            raise StoreDamaged(f"the answer to request {key} was to be in the store and is not")
        try:
            return await self._ask(request, key)
        except PreferablyError as error:
            self.stop(error)
            raise

    def worst_case_usd(self, request: ChatRequest) -> float:
        """The most one try of REQUEST can cost: a token for every byte of the prompt, and the longest answer."""
        return self.price.most_usd(request.n_bytes, request.max_tokens)

    async def _ask(self, request: ChatRequest, key: str) -> Completion:
        attempts = await self._attempts(request)
        completion = completion_of(key, attempts)
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()
        answered_by = attempts.reply.answered_by if attempts.reply else ""
        row = completion_row(
            completion,
            attempts,
            self.price,
            provider=f"{self.model.provider} {answered_by or self.model.base_url}".strip(),
            model=self.model.model,
            created_at=now,
            run_id=self._run_id,
        )
        await asyncio.gather(  # one write and one fsync for both
            self._record("requests", request_row(request, key, now, self._run_id)),
            self._record("completions", row),
        )
        self._notice(attempts)
        return completion

    async def _attempts(self, request: ChatRequest) -> Attempts:
        """Try until there is an answer, an error for good, or no try left."""
        started = self._clock.time()
        tries = 0
        cost_usd = 0.0
        while True:
            outcome, cost = await self._paid_attempt(request)
            tries += 1
            cost_usd += cost
            elapsed_s = self._clock.time() - started
            if isinstance(outcome, ChatReply):
                return Attempts(outcome, None, None, tries, elapsed_s, cost_usd)
            failure = classify(outcome)
            if failure.remedy == "stop":
                raise _stopped(outcome)
            if failure.remedy == "give up" or tries == TRIES:
                return Attempts(None, outcome, failure, tries, elapsed_s, cost_usd)
            await self._clock.sleep(self._wait_s(failure, outcome, tries))

    async def _paid_attempt(self, request: ChatRequest) -> tuple[ChatReply | CallError, float]:
        """One try once its turn has come, and what it cost; it costs the most it could until more is known."""
        reserved = self.worst_case_usd(request)
        await self.budget.reserve(reserved)
        cost = 0.0
        try:
            async with self._pace.lane(request) as taken, self._slot():
                if self.stopped is not None:
                    raise self.stopped
                cost, sent_at = reserved, self._clock.time()
                outcome = await self._send(request)
                cost = paid_usd(outcome, self.price, reserved)
                self._note(request, outcome, taken, sent_at)
        finally:
            self.budget.settle(reserved, cost)
        return outcome, cost

    def _slot(self) -> AbstractAsyncContextManager[object]:
        """A place at a model that works on a few requests at once: waiting for it is not the request's time."""
        return nullcontext() if self._slots is None else self._slots

    async def _send(self, request: ChatRequest) -> ChatReply | CallError:
        """Send REQUEST once."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self.model.complete(request, self._timeout_s)
        except TimeoutError:
            return CallError(f"no answer within {self._timeout_s:g} s", code="timeout", may_be_charged=True)
        except CallError as error:
            return error

    def _note(
        self, request: ChatRequest, outcome: ChatReply | CallError, taken: float, sent_at: float
    ) -> None:
        """Let pace and breaker know, while the lane is still held."""
        if isinstance(outcome, CallError):
            self._note_failure(outcome, taken, sent_at)
        else:
            self._breaker.succeeded()
            self._pace.answered(request, taken, outcome)

    def _note_failure(self, error: CallError, taken: float, sent_at: float) -> None:
        self._pace.failed(taken)
        self._pace.observe(error.limits)
        failure = classify(error)
        if failure.remedy == "stop":
            self.stop(_stopped(error))
        elif failure.remedy == "pace":
            self._pace.limited(sent_at, retry_after_s(error.retry_after, datetime.now(UTC)))
        elif failure.remedy == "retry":
            self._breaker.failed(str(error))

    def _wait_s(self, failure: Failure, error: CallError, tries: int) -> float:
        """How long this request waits before its next try; a pause asked for by the server is kept by the pace."""
        asked_s = retry_after_s(error.retry_after, datetime.now(UTC))
        if failure.remedy == "pace" and asked_s is not None:
            return asked_s
        return max(asked_s or 0.0, backoff_s(failure, tries, self._chance))

    def _notice(self, attempts: Attempts) -> None:
        """Tell the breaker of a request that was given up although nothing is wrong with the item."""
        failure, error = attempts.failure, attempts.error
        if failure is None or error is None or failure.is_about_item:
            return
        if failure.remedy in ("give up", "pace"):
            self._breaker.gave_up(str(error))


def paid_usd(outcome: ChatReply | CallError, price: PriceTag, worst_usd: float) -> float:
    """What a try cost; its worst case where nobody can know."""
    if isinstance(outcome, CallError):
        return worst_usd if may_be_charged(outcome) else 0.0
    if outcome.prompt_tokens is None:
        return worst_usd  # a server that tells no usage is assumed to charge the worst case
    return price.cost_usd(
        outcome.prompt_tokens,
        outcome.completion_tokens,
        outcome.cached_tokens,
        outcome.cache_written_tokens,
    )


def completion_row(
    completion: Completion, attempts: Attempts, price: PriceTag, **rest: object
) -> dict[str, object]:
    """The row of `completions` for what became of a request; REST is what only the caller knows."""
    reply = attempts.reply or ChatReply("", "", "")
    return {
        "request_key": completion.request_key,
        "model_returned": reply.model_returned or None,
        "request_id": reply.request_id or None,
        "state": completion.state,
        "reply": completion.reply,
        "error": completion.error,
        "logprobs": None if reply.first_token is None else json.dumps(reply.first_token, ensure_ascii=False),
        "finish_reason": reply.finish_reason or None,
        "prompt_tokens": None if attempts.reply is None else reply.prompt_tokens,
        "cached_tokens": None if attempts.reply is None else reply.cached_tokens,
        "completion_tokens": None if attempts.reply is None else reply.completion_tokens,
        "cost_usd": completion.cost_usd,
        "price": price.as_json(),
        "attempts": attempts.tries,
        "elapsed_s": attempts.elapsed_s,
        **rest,
    }


def completion_of(key: str, attempts: Attempts) -> Completion:
    """What became of the request with this KEY."""
    reply, cost_usd = attempts.reply, attempts.cost_usd
    if reply is None:
        given_up: CompletionState = attempts.failure.state if attempts.failure else "failed"
        return Completion(key, given_up, None, str(attempts.error), cost_usd=cost_usd, is_new=True)
    state, why = _state_of(reply)
    return Completion(
        key,
        state,
        reply.text,
        why,
        reply.first_token,
        cost_usd,
        reply.prompt_tokens or 0,
        reply.completion_tokens,
        is_new=True,
    )


def _state_of(reply: ChatReply) -> tuple[CompletionState, str | None]:
    if reply.refusal is not None:
        return "refused", reply.refusal
    if reply.finish_reason == "content_filter":
        return "blocked", "the provider's content filter held the answer back"
    return "done", None


def _stopped(error: CallError) -> ProviderStopped:
    status = f"{error.status} " if error.status else ""
    return ProviderStopped(f"the provider stopped the run: {status}{error}; the same command again continues")


def known_completion(row: Mapping[str, Any]) -> Completion:
    """A stored completion; it costs nothing any more."""
    blank = Completion(str(row["request_key"]), "done", None)
    return replace(
        blank,
        state=row["state"],
        reply=row["reply"],
        error=row["error"],
        first_token=stored_first_token(row["logprobs"]),
    )


def stored_first_token(text: str | None) -> FirstToken | None:
    """What a completion's row keeps of its first token."""
    return None if text is None else tuple((token, logprob) for token, logprob in json.loads(text))
