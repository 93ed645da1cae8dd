"""One ask from its first try to its draws, or to the reason why there are none."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime

from label.chat import CallError
from label.engine.breaker import Breaker
from label.engine.budget import Budget
from label.engine.clock import Clock
from label.engine.failures import TRIES, Failure, backoff_s, classify, may_be_charged, retry_after_s
from label.engine.prices import PriceTag
from label.sampler import Ask, Reply, Sampler
from store.errors import PreferablyError, ProviderStopped


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Why an ask brought nothing."""

    state: str
    reason: str
    is_about_prompt: bool
    """Whether asking for more draws under the same prompt would bring nothing either."""


class Drawer:
    """Asks one sampler, for one run: tries again as a failure allows, never past the budget."""

    def __init__(
        self,
        sampler: Sampler,
        *,
        budget: Budget,
        price: PriceTag,
        clock: Clock,
        timeout_s: float,
        chance: random.Random,
    ) -> None:
        self.budget = budget
        self._sampler = sampler
        self._price = price
        self._clock = clock
        self._timeout_s = timeout_s
        self._chance = chance
        self._breaker = Breaker(clock)
        self.stopped: PreferablyError | None = None
        """Why nothing more is asked for; what is under way still comes to its end."""

    def stop(self, error: PreferablyError) -> None:
        """Ask for nothing more; the first reason stays."""
        self.stopped = self.stopped or error

    async def draw(self, ask: Ask) -> Reply | GivenUp:
        """The draws of ASK, or the first of them.

        Raises ProviderStopped or BudgetReached if nothing may be asked for any more.
        """
        tries = 0
        while True:
            outcome = await self._paid_attempt(ask)
            tries += 1
            if isinstance(outcome, Reply):
                self._breaker.succeeded()
                return outcome
            failure = classify(outcome)
            if failure.remedy == "stop":
                raise _stopped(outcome)
            if failure.remedy == "retry":
                self._breaker.failed(str(outcome))
            if failure.remedy == "give up" or tries == TRIES:
                return self._given_up(outcome, failure)
            await self._clock.sleep(self._wait_s(failure, outcome, tries))
            if self.stopped is not None:
                raise self.stopped

    def _given_up(self, error: CallError, failure: Failure) -> GivenUp:
        if not failure.is_about_item and failure.remedy in ("give up", "pace"):
            self._breaker.gave_up(str(error))
        return GivenUp(failure.state, str(error), failure.is_about_item)

    async def _paid_attempt(self, ask: Ask) -> Reply | CallError:
        """One try; it costs the most it could until more is known."""
        reserved = self._price.most_usd(ask.n_bytes, ask.n * ask.sampling.max_new_tokens)
        await self.budget.reserve(reserved)
        cost = 0.0
        try:
            cost = reserved
            outcome = await self._send(ask)
            cost = self._cost_usd(outcome, reserved)
        finally:
            self.budget.settle(reserved, cost)
        return outcome

    def _cost_usd(self, outcome: Reply | CallError, reserved: float) -> float:
        if isinstance(outcome, CallError):
            return reserved if may_be_charged(outcome) else 0.0
        if outcome.prompt_tokens is None:
            return reserved
        return self._price.cost_usd(outcome.prompt_tokens, outcome.completion_tokens)

    async def _send(self, ask: Ask) -> Reply | CallError:
        try:
            return await self._sampler.draw(ask, self._timeout_s)
        except CallError as error:
            return error

    def _wait_s(self, failure: Failure, error: CallError, tries: int) -> float:
        asked_s = retry_after_s(error.retry_after, datetime.now(UTC))
        return max(asked_s or 0.0, backoff_s(failure, tries, self._chance))


def _stopped(error: CallError) -> ProviderStopped:
    status = f"{error.status} " if error.status else ""
    return ProviderStopped(f"the server stopped the run: {status}{error}; the same command again continues")
