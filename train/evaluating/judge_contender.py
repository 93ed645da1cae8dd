"""A judge that is prompted about two answers, as a contender: both orders, no answer paid for twice."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from label.chat import ChatModel, ChatRequest, request_key
from label.comparing.compared import PairQuestion
from label.comparing.comparison_job import CompareSettings, question_of
from label.comparing.pair_prompt import show_pair
from label.comparing.stored_verdicts import sign
from label.comparing.verdict import Opinion, opinion_of
from label.engine.budget import Budget
from label.engine.calls import Caller, Completion
from label.engine.clock import LoopClock
from label.engine.durable import GroupCommit
from label.engine.pacing import Pace
from label.engine.prices import PriceTag
from label.engine.sigterm import ending_on_sigterm
from label.judging.turns import known_completions
from label.preference_model import Contest
from store.config import Limits
from store.db import Store
from store.errors import PreferablyError
from store.runs import Run
from train.evaluating.contenders import Advance, Verdicts, contests_of, in_shape, outcome_of
from train.evaluating.gold_items import GoldItem

JUDGE_WINDOW = 100
"""Items whose requests are under way together."""


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How a judge is asked."""

    price: PriceTag
    template: str
    scale: str
    temperature: float | None = 0.0
    max_tokens: int = 2048
    max_cost_usd: float | None = None
    limits: Limits = field(default_factory=Limits)
    timeout_s: float = 120.0


@dataclass(frozen=True)
class JudgeContender:
    """A prompted judge: an answer wins where both orders say so, or one says so and the other ties."""

    model: ChatModel
    settings: JudgeSettings

    @property
    def name(self) -> str:
        """What the judge signs with."""
        return self.model.labeler

    @property
    def revision(self) -> str:
        """How it is asked."""
        return f"{self.settings.template} on {self.settings.scale}"

    def decide(self, items: Sequence[GoldItem], run: Run, advance: Advance) -> Verdicts:
        """Its verdicts; what was answered in an earlier run is read from the store.

        Raises ProviderStopped or BudgetReached when it cannot go on; what was answered is kept.
        """
        with ending_on_sigterm():
            return asyncio.run(self._decide(items, run, advance))

    async def _decide(self, items: Sequence[GoldItem], run: Run, advance: Advance) -> Verdicts:
        commit = GroupCommit(run.journal.append)
        clock = LoopClock()
        caller = Caller(
            self.model,
            pace=Pace(self.settings.limits, clock),
            budget=Budget(self.settings.max_cost_usd),
            price=self.settings.price,
            clock=clock,
            record=commit.record,
            run_id=run.run_id,
            timeout_s=self.settings.timeout_s,
            chance=random.Random(0),
        )
        outcomes = []
        try:
            for start in range(0, len(items), JUDGE_WINDOW):
                window = items[start : start + JUDGE_WINDOW]
                contests = [one for item in window for one in contests_of(item)]
                margins = await self._margins(contests, caller, run.store)
                for item in window:
                    outcomes.append(
                        outcome_of(in_shape(item, [margins[one] for one in contests_of(item)]), 0.0)
                    )
                advance(len(window))
        except* PreferablyError as errors:
            raise errors.exceptions[0] from None
        finally:
            await self.model.close()
        return Verdicts(self.name, "judge", self.revision, tuple(outcomes), cost_usd=caller.budget.spent_usd)

    async def _margins(
        self, contests: Sequence[Contest], caller: Caller, store: Store
    ) -> Mapping[Contest, float]:
        question = self._question
        orders = dict.fromkeys(order for one in contests for order in (one, one.swapped()))
        requests = {
            one: question.first(show_pair(question.prompt.name, one.prompt, one.first, one.second))
            for one in orders
            if one.first.strip() != one.second.strip()
        }
        caller.remember(_known(store, list(requests.values())))
        unique = {request_key(request): request for request in requests.values()}
        async with asyncio.TaskGroup() as group:
            tasks = {
                key: group.create_task(_opinion(request, question, caller, store))
                for key, request in unique.items()
            }
        said = {key: task.result().signed_margin for key, task in tasks.items()}
        found = {one: said[request_key(request)] for one, request in requests.items()}
        is_probability = question.scale.is_probability
        return {one: _margin(found, one, is_probability=is_probability) for one in contests}

    @cached_property
    def _question(self) -> PairQuestion:
        settings = CompareSettings(
            scale=self.settings.scale,
            template=self.settings.template,
            temperature=self.settings.temperature,
            max_tokens=self.settings.max_tokens,
        )
        return question_of(self.model, settings, self.name)

    def check(self) -> None:
        """Raises a RequestError if the judge cannot be asked this way."""
        self.model.check()
        _ = self._question


def _known(store: Store, requests: Sequence[ChatRequest]) -> dict[str, Completion]:
    with store.read() as reading:
        return known_completions(reading, [request_key(request) for request in requests])


async def _opinion(request: ChatRequest, question: PairQuestion, caller: Caller, store: Store) -> Opinion:
    """The judge's verdict, with one more call if the first reply cannot be read."""
    completion = await caller.complete(request)
    opinion = opinion_of(completion, question.scale)
    if opinion.state != "unparsed" or question.prompt.is_label_only:
        return opinion
    again = question.again(request, completion.reply or "")
    caller.remember(_known(store, [again]))
    return opinion_of(await caller.complete(again), question.scale)


def _margin(found: Mapping[Contest, float | None], one: Contest, *, is_probability: bool) -> float:
    """The two orders together, positive where the first wins.

    Verdicts that contradict each other are a tie; probabilities are averaged.
    """
    if one not in found:
        return 0.0  # identical answers
    upright, swapped = found[one], found[one.swapped()]
    if upright is None or swapped is None:
        return float("nan")
    return upright - swapped if is_probability else float(sign(upright) - sign(swapped))
