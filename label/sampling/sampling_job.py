"""One run of sampling: a reader that goes ahead, and workers that ask and store each draw as it comes."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from label.engine.budget import Budget
from label.engine.clock import Clock
from label.engine.durable import GroupCommit
from label.engine.prices import PriceTag
from label.reasons import note_reason
from label.sampler import Ask, Drawn, Reply, Sampler
from label.sampling.draw_calls import Drawer, GivenUp
from label.sampling.sampling_plan import Plan, Prompt, PromptChoice, read_windows
from store.errors import PreferablyError
from store.ids import message_digest, uuid_text

if TYPE_CHECKING:
    from store.console import Advance
    from store.runs import Run

SAMPLE_STATES = ("done", "unparsed", "refused", "blocked", "failed")
NO_ANSWER = "the prompt ends with the assistant's turn, and there is nothing to answer"


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """What decides the draws of a run, and how it goes about them; stored with the run."""

    choice: PromptChoice = field(default_factory=PromptChoice)
    n: int = 64  # Xwin-LM, section 5.1
    """Draws under each prompt."""
    temperatures: tuple[float, ...] = (0.7,)
    """The draw of index i has the i-th of these, counted round and round."""
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 2048  # RLHF Workflow, section 3
    template: str | None = None
    """One of our chat templates in place of the policy's own."""
    condition: str | None = None
    policy: str | None = None
    """The name the draws bear; None is the sampler's own."""
    seed: int = 0
    """Of every draw, together with its prompt and its index."""
    draws_per_ask: int | None = None
    """The most draws that one request asks for; None leaves it to the sampler."""
    concurrency: int | None = None
    """Requests at once; None leaves it to the sampler."""
    timeout_s: float = 600.0
    """For one request."""
    max_cost_usd: float | None = None


@dataclass(slots=True)
class SampleTally:
    """What a run has come to so far, in draws."""

    requested: int = 0
    reused: int = 0
    fresh: Counter[str] = field(default_factory=Counter)
    """State → draws that came to it in this run."""
    finish_reasons: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why draws were not made."""
    unanswerable: int = 0
    """Draws, part of the failed ones, under prompts that this policy cannot take."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0

    @property
    def has_only_failed(self) -> bool:
        """Whether the run made nothing, for reasons that may pass or that meet every prompt."""
        failed = self.fresh["failed"]
        return 0 < failed == self.fresh.total() and (self.reused == 0 or failed > self.unanswerable)

    @property
    def remaining(self) -> int:
        """Draws that were neither there before nor came to a state in this run."""
        return self.requested - self.reused - self.fresh.total()

    def counts(self) -> dict[str, object]:
        """The counts that a script reads; they add up to `requested` at the end of a finished run."""
        return {
            "requested": self.requested,
            "reused": self.reused,
            **{state: self.fresh[state] for state in SAMPLE_STATES},
            "cost_usd": round(self.cost_usd, 6),
            "states": {state: self.fresh[state] for state in SAMPLE_STATES},
            "finish_reasons": dict(sorted(self.finish_reasons.items())),
        }

    def note_reason(self, why: str, count: int) -> None:
        """Count a reason."""
        note_reason(self.reasons, why, count)


@dataclass(frozen=True, slots=True)
class Refused:
    """A draw that is no response."""

    state: str
    reason: str


def refusal_in(drawn: Drawn) -> Refused | None:
    """Why a draw is no response, if it is none."""
    if drawn.refusal is not None:
        return Refused("refused", drawn.refusal)
    if drawn.finish_reason == "content_filter":
        return Refused("blocked", "the provider's content filter held the response back")
    return None


class SamplingJob:
    """One run's work. The reader puts the asks of a prompt behind one another, so that a server that keeps
    prefixes has the prompt at hand."""

    def __init__(
        self,
        run: "Run",
        sampler: Sampler,
        price: PriceTag,
        settings: SampleSettings,
        *,
        policy: str,
        advance: "Advance",
        tally: SampleTally,
    ) -> None:
        self.tally = tally
        self._run = run
        self._sampler = sampler
        self._price = price
        self._settings = settings
        self._policy = policy
        self._advance = advance

    async def draw(self, plan: Plan, clock: Clock) -> None:
        """Make every missing draw, or raise what stopped the run."""
        commit = GroupCommit(self._run.journal.append)
        drawer = Drawer(
            self._sampler,
            budget=Budget(self._settings.max_cost_usd),
            price=self._price,
            clock=clock,
            timeout_s=self._settings.timeout_s,
            chance=random.Random(self._settings.seed),
        )
        workers = self._settings.concurrency or self._sampler.asks_at_once
        queue: asyncio.Queue[tuple[Prompt, Ask] | None] = asyncio.Queue(maxsize=2 * workers)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(plan, drawer, queue, workers))
                for _ in range(workers):
                    group.create_task(self._work(drawer, commit, queue))
        except* PreferablyError as errors:
            raise errors.exceptions[0] from None
        finally:
            self.tally.cost_usd = drawer.budget.spent_usd
            await self._sampler.close()
        if drawer.stopped is not None:
            raise drawer.stopped

    async def _read(
        self, plan: Plan, drawer: Drawer, queue: asyncio.Queue[tuple[Prompt, Ask] | None], workers: int
    ) -> None:
        """Put the asks of every prompt that lacks draws into the queue."""
        per_ask = self._settings.draws_per_ask or self._sampler.draws_per_ask
        windows = read_windows(self._run.store, plan, self._policy, per_ask)
        while drawer.stopped is None and (window := await asyncio.to_thread(next, windows, None)) is not None:
            for prompt in window:
                if prompt.turns[-1][0] == "assistant":
                    prompt.hopeless = ("failed", NO_ANSWER)
                for ask in prompt.asks:
                    await queue.put((prompt, ask))
        for _ in range(workers):
            await queue.put(None)

    async def _work(
        self, drawer: Drawer, commit: GroupCommit, queue: asyncio.Queue[tuple[Prompt, Ask] | None]
    ) -> None:
        while (task := await queue.get()) is not None:
            if drawer.stopped is not None:
                continue
            try:
                await self._answer(*task, drawer, commit)
            except PreferablyError as error:
                drawer.stop(error)

    async def _answer(self, prompt: Prompt, ask: Ask, drawer: Drawer, commit: GroupCommit) -> None:
        """Ask until every draw is there; a server may give fewer at a time than it was asked for."""
        while ask.n > 0:
            if prompt.hopeless is not None:
                await self._reject(prompt, ask, *prompt.hopeless, commit)
                self.tally.unanswerable += ask.n
                return
            reply = await drawer.draw(ask)
            if isinstance(reply, GivenUp):
                if reply.is_about_prompt:
                    prompt.hopeless = (reply.state, reply.reason)
                    continue
                await self._reject(prompt, ask, reply.state, reply.reason, commit)
                return
            await self._store(prompt, ask, reply, commit)
            ask = ask.after(len(reply.draws))

    async def _store(self, prompt: Prompt, ask: Ask, reply: Reply, commit: GroupCommit) -> None:
        """Keep what came: draws as responses, and of what is none the reason."""
        rows: list[tuple[str, dict[str, object]]] = []
        for number, drawn in enumerate(reply.draws):
            refused = refusal_in(drawn)
            if refused is None:
                rows += self._rows(prompt, ask, number, drawn)
            else:
                rows += self._reject_rows(prompt, ask, refused.state, refused.reason)
        await commit.record_all(rows)
        for drawn in reply.draws:
            self._count(drawn)
        self.tally.prompt_tokens += reply.prompt_tokens or 0
        self.tally.completion_tokens += reply.completion_tokens
        self._say_progress(len(reply.draws))

    def _count(self, drawn: Drawn) -> None:
        refused = refusal_in(drawn)
        if refused is None:
            self.tally.fresh["done"] += 1
            self.tally.finish_reasons[drawn.finish_reason] += 1
        else:
            self.tally.fresh[refused.state] += 1
            self.tally.note_reason(f"{refused.state}: {refused.reason}", 1)

    async def _reject(self, prompt: Prompt, ask: Ask, state: str, reason: str, commit: GroupCommit) -> None:
        await commit.record_all(self._reject_rows(prompt, ask, state, reason))
        self.tally.fresh[state] += ask.n
        self.tally.note_reason(f"{state}: {reason}", ask.n)
        self._say_progress(ask.n)

    def _say_progress(self, draws: int) -> None:
        self._advance(draws, words=f"{self.tally.completion_tokens:,} tokens")

    def _rows(
        self, prompt: Prompt, ask: Ask, number: int, drawn: Drawn
    ) -> Sequence[tuple[str, dict[str, object]]]:
        """The message first, so that no draw is ever stored without its text."""
        text = drawn.text[1:] if self._sampler.makes_space and drawn.text.startswith(" ") else drawn.text
        parent = bytes.fromhex(prompt.prompt_id.replace("-", ""))
        response_id = uuid_text(message_digest(parent, "assistant", text))
        message: dict[str, object] = {
            "message_id": response_id,
            "parent_id": prompt.prompt_id,
            "role": "assistant",
            "content": text,
            "depth": prompt.depth + 1,
        }
        sample: dict[str, object] = {
            "prompt_id": prompt.prompt_id,
            "response_id": response_id,
            "sample_index": ask.first_index + number,
            "policy": self._policy,
            "sampling": ask.sampling.as_json(),
            "seed": ask.first_seed + number,
            "finish_reason": drawn.finish_reason,
            "n_tokens": drawn.n_tokens,
            "run_id": self._run.run_id,
        }
        return [("messages", message), ("samples", sample)]

    def _reject_rows(
        self, prompt: Prompt, ask: Ask, state: str, reason: str
    ) -> Sequence[tuple[str, dict[str, object]]]:
        """The row that says why, unless it is there already."""
        sampling = ask.sampling.as_json()
        if (sampling, state, reason) in prompt.rejects:
            return []
        prompt.rejects.add((sampling, state, reason))
        return [
            (
                "sample_rejects",
                {
                    "prompt_id": prompt.prompt_id,
                    "policy": self._policy,
                    "sampling": sampling,
                    "state": state,
                    "reason": reason,
                    "run_id": self._run.run_id,
                },
            )
        ]
