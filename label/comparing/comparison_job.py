"""One run of comparing: a reader that goes ahead, and workers that ask about one pair of texts at a time."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from label.chat import ChatModel, ChatRequest, Json, request_key
from label.comparing.compared import (
    JudgedPair,
    Known,
    PairQuestion,
    PairWindow,
    ShownOrder,
    read_pairs,
    windows,
)
from label.comparing.comparison_tally import CompareTally
from label.comparing.pair_prompt import PAIR_LABEL, PAIR_REFERENCE, pair_prompt
from label.comparing.pairing import Orders, Pair, Pairing, Split
from label.comparing.scales import scale_of
from label.comparing.stored_verdicts import Side, Verdict, merge_orders
from label.comparing.verdict import VERDICT_PARSER, Opinion, opinion_of
from label.engine.budget import Budget
from label.engine.calls import Caller
from label.engine.clock import Clock
from label.engine.durable import GroupCommit
from label.engine.pacing import Pace
from label.engine.prices import PriceTag
from label.judging.canary_job import compare_canaries, comparison_requests
from label.judging.rating_job import UNPARSED_WATCHED
from label.judging.turns import stored_completions
from store.config import Limits
from store.errors import BadReply, BadSettings, PreferablyError, RequestError
from store.runs import utc_now

if TYPE_CHECKING:
    from store.console import Advance
    from store.db import Store
    from store.runs import Run

LABELER_KIND = "judge"
IDENTICAL = "the responses are identical; nobody was asked"


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """What decides the verdicts of a run, and how it goes about them; stored with the run."""

    pairing: Pairing = field(default_factory=Pairing)
    scale: str = "camels5"
    template: str = PAIR_REFERENCE
    orders: Orders = "both"
    split: Split = field(default_factory=Split)
    labeler: str | None = None
    """The name the verdicts are signed with; None signs with the model's."""
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
    """Of the jitter between retries; the pairing has its own."""

    def __post_init__(self) -> None:
        wants_label = scale_of(self.scale).is_probability
        if pair_prompt(self.template).is_label_only == wants_label:
            return
        if wants_label:
            raise BadSettings(
                f"the scale {self.scale} goes with --template {PAIR_LABEL}, not {self.template}"
            )
        raise BadSettings(f"--template {self.template} asks for one letter; it goes with --scale logprob")


def template_for(scale: str) -> str:
    """The template where none is named."""
    return PAIR_LABEL if scale_of(scale).is_probability else PAIR_REFERENCE


def new_tally(settings: CompareSettings) -> CompareTally:
    """What a run with these settings begins with."""
    return CompareTally(scale_of(settings.scale), settings.split)


def question_of(model: ChatModel, settings: CompareSettings, labeler: str) -> PairQuestion:
    """How this run puts a pair to the judge.

    Raises RequestError for a scale that needs probabilities and a model that tells none.
    """
    return PairQuestion(
        model=model,
        prompt=pair_prompt(settings.template),
        scale=scale_of(settings.scale),
        orders=settings.orders,
        sampling=sampling_of(model, settings),
        labeler=labeler,
    )


def sampling_of(model: ChatModel, settings: CompareSettings) -> dict[str, Json]:
    """What is sent with every request; raises RequestError as `question_of` does."""
    scale = scale_of(settings.scale)
    if not scale.is_probability:
        return model.sampling(settings.temperature, settings.max_tokens)
    found = model.label_sampling(scale.names)
    if found is None:
        raise RequestError(
            f"{model.model} tells no log-probabilities, which the scale {scale.name} is made of; choose another"
            " model, or --scale binary"
        )
    return found


def read_windows(store: "Store", plan: Sequence[Pair], question: PairQuestion) -> Iterator[PairWindow]:
    """The planned pairs, a window at a time, each read in a turn of its own."""
    for piece in windows(plan):
        with store.read() as reading:
            window = read_pairs(reading, piece, question)
        yield window


Task = tuple[tuple[JudgedPair, ...], dict[str, Known]]
"""Pairs of the same two responses, and the verdicts that exist by comparison id."""


class ComparisonJob:
    """One run's work: a reader that goes ahead, and as many workers as there are lanes.

    A worker takes the pairs of the same two responses: where several policies gave them, the answers to
    their requests are shared.
    """

    def __init__(
        self,
        run: "Run",
        question: PairQuestion,
        price: PriceTag,
        settings: CompareSettings,
        *,
        advance: "Advance",
        tally: CompareTally,
        asks: bool = True,
    ) -> None:
        """A job that does not ask reads the answers there are, and leaves the other pairs out."""
        self.tally = tally
        self._asks = asks
        self._run = run
        self._question = question
        self._price = price
        self._settings = settings
        self._advance = advance
        self._has_met_canaries = False

    async def compare(self, plan: Sequence[Pair], clock: Clock) -> None:
        """Judge every planned pair, or raise what stopped the run."""
        commit = GroupCommit(self._run.journal.append)
        pace = Pace(self._settings.limits, clock)
        caller = Caller(
            self._question.model,
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
        queue: asyncio.Queue[Task | None] = asyncio.Queue(maxsize=4 * pace.lanes.most)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(plan, caller, commit, queue, pace.lanes.most))
                for _ in range(pace.lanes.most):
                    group.create_task(self._work(caller, commit, queue))
        except* PreferablyError as errors:
            raise errors.exceptions[0] from None
        finally:
            self.tally.cost_usd = caller.budget.spent_usd  # with tries that brought no completion
            await self._question.model.close()
        if caller.stopped is not None:
            raise caller.stopped

    async def _read(
        self,
        plan: Sequence[Pair],
        caller: Caller,
        commit: GroupCommit,
        queue: asyncio.Queue[Task | None],
        workers: int,
    ) -> None:
        """Put pairs into the queue, leaving out those with a verdict in every order."""
        source = read_windows(self._run.store, plan, self._question)
        while caller.stopped is None and (window := await asyncio.to_thread(next, source, None)) is not None:
            caller.remember(window.completions)
            for group in window.groups:
                unsettled = (pair for pair in group if not self._is_settled(pair, window.known))
                rest = tuple(pair for pair in unsettled if not self._is_left_out(pair, window))
                if rest:
                    await self._meet_canaries(caller, commit)
                    await queue.put((rest, window.known))
        for _ in range(workers):
            await queue.put(None)

    async def _meet_canaries(self, caller: Caller, commit: GroupCommit) -> None:
        """Ask the canaries, once there is something real to ask; too many wrong answers stop the run."""
        if self._has_met_canaries or not self._settings.canaries:
            return
        self._has_met_canaries = True
        asked = comparison_requests(self._question, self._settings.canaries)
        keys = [request_key(request) for _, request in asked]
        caller.remember(await asyncio.to_thread(stored_completions, self._run.store, keys))
        try:
            self.tally.canaries = await compare_canaries(
                asked,
                self._question,
                lambda request: self._ask(request, caller),
                commit.record,
                self._run.run_id,
            )
            self.tally.canaries.check(self._settings.min_canaries)
        except PreferablyError as error:
            caller.stop(error)

    def _is_settled(self, pair: JudgedPair, known: dict[str, Known]) -> bool:
        found = [known.get(order.comparison_id) for order in pair.orders]
        verdicts = [one for one in found if one is not None]
        if len(verdicts) < len(found):
            return False
        self._settle(pair, verdicts, is_reused=True)
        return True

    def _is_left_out(self, pair: JudgedPair, window: PairWindow) -> bool:
        """Whether the pair would need a call that this run must not make."""
        keys = [
            order.key
            for order in pair.orders
            if order.key is not None and order.comparison_id not in window.known
        ]
        if any(key in window.pending for key in keys):
            self.tally.leave_out(is_pending=True)
        elif not self._asks and any(key not in window.completions or key in window.broken for key in keys):
            self.tally.leave_out(is_pending=False)
        else:
            return False
        self._advance(1, words=f"${self.tally.cost_usd:.4f}")
        return True

    async def _work(self, caller: Caller, commit: GroupCommit, queue: asyncio.Queue[Task | None]) -> None:
        while (task := await queue.get()) is not None:
            group, known = task
            answers: dict[str, Opinion] = {}
            for pair in group:
                if caller.stopped is None:
                    await self._judge_pair(pair, known, answers, caller, commit)

    async def _judge_pair(
        self,
        pair: JudgedPair,
        known: dict[str, Known],
        answers: dict[str, Opinion],
        caller: Caller,
        commit: GroupCommit,
    ) -> None:
        verdicts = []
        for order in pair.orders:
            verdict = known.get(order.comparison_id)
            if verdict is None:
                try:
                    opinion = await self._opinion(order, answers, caller)
                except PreferablyError as error:
                    caller.stop(error)
                    return
                await commit.record("comparisons", self._row(pair.pair, order, opinion))
                verdict = Known(opinion.state, opinion.signed_margin)
            verdicts.append(verdict)
        self._settle(pair, verdicts, is_reused=False)

    async def _opinion(self, order: ShownOrder, answers: dict[str, Opinion], caller: Caller) -> Opinion:
        """The judge's verdict; the same request is asked once for all pairs of a group."""
        if order.shown is None or order.key is None:
            return Opinion("tie", self._question.scale.tie, 0.0, IDENTICAL)
        if order.key not in answers:
            answers[order.key] = await self._ask(self._question.first(order.shown), caller)
            self._watch(answers[order.key], caller)
        return answers[order.key]

    async def _ask(self, request: ChatRequest, caller: Caller) -> Opinion:
        """The judge's verdict, with one more call if the first reply cannot be read."""
        completion = await caller.complete(request)
        self.tally.pay(completion)
        opinion = opinion_of(completion, self._question.scale)
        if opinion.state != "unparsed" or self._question.prompt.is_label_only:
            return opinion
        repaired = await caller.complete(self._question.again(request, completion.reply or ""))
        self.tally.pay(repaired)
        return opinion_of(repaired, self._question.scale)

    def _watch(self, opinion: Opinion, caller: Caller) -> None:
        """Note why there is no verdict, and stop the run if too many replies cannot be read."""
        self.tally.answered += 1
        if opinion.signed_margin is not None:
            return
        self.tally.note_reason(f"{opinion.state}: {opinion.explanation}")
        self.tally.unparsed += opinion.state == "unparsed"
        answered, unparsed = self.tally.answered, self.tally.unparsed
        if answered <= UNPARSED_WATCHED and unparsed > self._settings.max_unparsed * UNPARSED_WATCHED:
            caller.stop(
                BadReply(
                    f"{unparsed} of the first {answered} replies carry no verdict, which is over"
                    f" {self._settings.max_unparsed:.0%} of {UNPARSED_WATCHED}; look at the replies"
                    " (curate sql 'SELECT reply FROM completions'), choose another judge or raise --max-unparsed"
                )
            )

    def _settle(self, pair: JudgedPair, verdicts: Sequence[Known], *, is_reused: bool) -> None:
        """Merge the orders of a pair and count it."""
        shown = [
            self._verdict(pair.pair, order, known) for order, known in zip(pair.orders, verdicts, strict=True)
        ]
        (merged,) = merge_orders(shown)
        self.tally.add(merged, is_reused=is_reused)
        self.tally.identical += pair.is_identical
        self._advance(1, words=f"${self.tally.cost_usd:.4f}")

    def _verdict(self, pair: Pair, order: ShownOrder, known: Known) -> Verdict:
        return Verdict(
            prompt_id=pair.prompt_id,
            first=Side(order.first.policy, order.first.response_id),
            second=Side(order.second.policy, order.second.response_id),
            labeler=self._question.labeler,
            labeler_kind=LABELER_KIND,
            template=self._question.prompt.name,
            scale=self._question.scale.name,
            draw_index=0,
            margin=known.signed_margin,
            state=known.state,
            accepts_first=None,
            accepts_second=None,
            created_at=utc_now(),
        )

    def _row(self, pair: Pair, order: ShownOrder, opinion: Opinion) -> dict[str, object]:
        return {
            "comparison_id": order.comparison_id,
            "prompt_id": pair.prompt_id,
            "response_a_id": order.first.response_id,
            "response_b_id": order.second.response_id,
            "policy_a": order.first.policy or None,
            "policy_b": order.second.policy or None,
            "labeler": self._question.labeler,
            "labeler_kind": LABELER_KIND,
            "template": self._question.prompt.name,
            "scale": self._question.scale.name,
            "draw_index": 0,
            "native_label": opinion.native_label,
            "signed_margin": opinion.signed_margin,
            "explanation": opinion.explanation,
            "state": opinion.state,
            "request_key": order.key,
            "parser_version": VERDICT_PARSER,
            "created_at": utc_now().isoformat(),
            "run_id": self._run.run_id,
        }
