"""Responses of a policy: n draws under each prompt, each kept as it comes and never made twice.

Xwin-LM (sections 4 and 5) draws 2 under each prompt for its pairs and 64 for its response sets, RLHF
Workflow (section 3) 8 in each iteration.
"""

import asyncio
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from label.chat import STAND_IN
from label.engine.clock import Clock, LoopClock
from label.engine.prices import PriceTag
from label.engine.sigterm import ending_on_sigterm
from label.reasons import commonest
from label.sampler import Sampler, Sampling
from label.sampling.sampling_job import SampleSettings, SampleTally, SamplingJob
from label.sampling.sampling_plan import Draws, Plan, plan_draws, read_windows
from store.errors import BadSettings, StoreBusy
from store.named_sql import named_sql
from store.runs import run_of
from store.turns import side_folder

if TYPE_CHECKING:
    from store.console import Advance
    from store.db import Store
    from store.runs import Run

COMMAND = "label sample"
EXPECTED_TOKENS_PER_BYTE = 0.25


@dataclass(frozen=True, slots=True)
class Preset:
    """What a paper says about its draws."""

    n: int
    temperatures: tuple[float, ...]
    max_new_tokens: int


PRESETS: Mapping[str, Preset] = {
    "xwin-set": Preset(64, (0.7,), 2048),  # Xwin-LM, section 5.1; the temperature is not given there
    "xwin-pair": Preset(2, (0.7, 0.3), 2048),  # Xwin-LM, section 4.1
    "rlhf-workflow": Preset(8, (1.0, 0.7), 2048),  # RLHF Workflow, section 3
}


@dataclass(frozen=True, slots=True)
class SampleReport:
    """A finished run."""

    run_id: str
    policy: str
    n: int
    prompts: int
    tally: SampleTally
    elapsed_s: float

    @property
    def tokens_per_s(self) -> float:
        """Tokens drawn a second, over the whole run."""
        return self.tally.completion_tokens / self.elapsed_s if self.elapsed_s > 0 else 0.0

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            **self.tally.counts(),
            "run_id": self.run_id,
            "policy": self.policy,
            "n": self.n,
            "prompts": self.prompts,
            "prompt_tokens": self.tally.prompt_tokens,
            "completion_tokens": self.tally.completion_tokens,
            "elapsed_s": round(self.elapsed_s, 3),
            "tokens_per_s": round(self.tokens_per_s, 1),
        }

    def reasons(self) -> list[str]:
        """The most frequent reasons for draws that were not made, with their counts."""
        return commonest(self.tally.reasons)


@dataclass(frozen=True, slots=True)
class SampleForecast:
    """What a run would do."""

    policy: str
    prompts: int
    requested: int
    reused: int
    asks: int
    """Requests to the policy."""
    prompt_tokens: int
    """Expected, at a quarter of a token for a byte, once for each request."""
    completion_tokens_at_most: int
    cost_usd_at_most: float


def draws_of(settings: SampleSettings) -> Draws:
    """How often and how each prompt is answered."""
    samplings = tuple(
        Sampling(
            temperature=temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            max_new_tokens=settings.max_new_tokens,
            template=settings.template,
            condition=settings.condition,
        )
        for temperature in settings.temperatures
    )
    return Draws(settings.n, samplings, settings.seed)


def policy_of(sampler: Sampler, name: str | None) -> str:
    """The name that draws bear; the offline stand-in's is always in it."""
    if name is None or name == sampler.policy:
        return sampler.policy
    return f"{sampler.policy}:{name}" if sampler.provider == STAND_IN else name


def plan_samples(store: "Store", settings: SampleSettings, policy: str) -> Plan:
    """The draws a run would be about, made already or not."""
    with store.read() as reading:
        return plan_draws(reading, settings.choice, draws_of(settings), policy)


@contextmanager
def only_run_of(store: "Store", policy: str) -> Iterator[None]:
    """Keep every other run from drawing from POLICY into this store: both would make the same draws.

    Raises StoreBusy if one does already.
    """
    side = side_folder(store.path)
    side.mkdir(parents=True, exist_ok=True)
    name = hashlib.blake2b(policy.encode(), digest_size=8).hexdigest()
    descriptor = os.open(side / f"sampling-{name}.lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StoreBusy(
            f"another run draws from {policy!r} into this store; wait for it, or give it more servers"
            " with --base-url instead of a second run"
        ) from error
    finally:
        os.close(descriptor)


def sample_store(
    store: "Store",
    sampler: Sampler,
    price: PriceTag,
    settings: SampleSettings,
    plan: Plan,
    *,
    advance: "Advance",
    tally: SampleTally | None = None,
    clock: Clock | None = None,
) -> SampleReport:
    """Make the draws that PLAN lacks.

    Raises ProviderStopped, BudgetReached or BadSettings when the run cannot go on; what was drawn until
    then is kept, and TALLY says how much it is.
    """
    policy = policy_of(sampler, settings.policy)
    refuse_other_weights(store, policy, sampler.weights)
    counted = tally or SampleTally()
    counted.requested, counted.reused = plan.requested, plan.reused
    started = time.monotonic()
    with run_of(store, COMMAND, _stored_settings(sampler, price, settings, policy)) as run:
        job = SamplingJob(run, sampler, price, settings, policy=policy, advance=advance, tally=counted)
        try:
            with ending_on_sigterm():
                asyncio.run(job.draw(plan, clock or LoopClock()))
        finally:
            run.drain()
            _finish(run, counted)
    return SampleReport(run.run_id, policy, plan.draws.n, plan.prompts, counted, time.monotonic() - started)


def refuse_other_weights(store: "Store", policy: str, weights: str | None) -> None:
    """Raise BadSettings if the store has draws by other weights of the same name."""
    if weights is None:
        return
    with store.read() as reading:
        rows = reading.rows(named_sql("label", "sample_weights"), {"policy": policy})
    others = sorted(known for (known,) in rows if known != weights)
    if others:
        raise BadSettings(
            f"this store has draws of other weights under the name {policy!r}; give these a name of their"
            " own with --policy"
        )


def forecast(store: "Store", sampler: Sampler, price: PriceTag, settings: SampleSettings) -> SampleForecast:
    """What `sample_store` would do, without a call and without writing."""
    policy = policy_of(sampler, settings.policy)
    plan = plan_samples(store, settings, policy)
    asks = n_bytes = draws = 0
    for window in read_windows(store, plan, policy, settings.draws_per_ask or sampler.draws_per_ask):
        for ask in (ask for prompt in window for ask in prompt.asks):
            asks += 1
            draws += ask.n
            n_bytes += ask.n_bytes
    most_tokens = draws * settings.max_new_tokens
    return SampleForecast(
        policy=policy,
        prompts=plan.prompts,
        requested=plan.requested,
        reused=plan.reused,
        asks=asks,
        prompt_tokens=round(n_bytes * EXPECTED_TOKENS_PER_BYTE),
        completion_tokens_at_most=most_tokens,
        cost_usd_at_most=price.most_usd(n_bytes, most_tokens),
    )


def _stored_settings(
    sampler: Sampler, price: PriceTag, settings: SampleSettings, policy: str
) -> dict[str, object]:
    return {
        **asdict(settings),
        "policy": policy,
        "provider": sampler.provider,
        "base_url": sampler.base_url,
        "weights": sampler.weights,
        "price": asdict(price),
    }


def _finish(run: "Run", tally: SampleTally) -> None:
    run.finish(
        tally.counts(),
        prompt_tokens=tally.prompt_tokens,
        completion_tokens=tally.completion_tokens,
        cost_usd=tally.cost_usd,
    )
