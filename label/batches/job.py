"""`label judge --batch` and `label compare --batch`: what a command would ask, handed over in batches."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from label.batches.plan import Packed, PackedPlan, pack, pair_requests, stored_rows, turn_requests
from label.batches.provider import batch_interface
from label.batches.rows import (
    Batch,
    Task,
    batch_folder,
    batches_alone,
    check_nobody_asks,
    clear_leftovers,
    open_keys,
    read_batches,
    state_row,
)
from label.batches.submit import PATIENCE, Courier, Patience
from label.chat import ChatModel, open_chat_model
from label.comparing.comparison_job import CompareSettings, question_of
from label.comparing.pairing import plan_pairs
from label.engine.prices import PriceTag
from label.engine.sigterm import ending_on_sigterm
from label.judging.judge import labeler_of, plan_turns
from label.judging.rating_job import JudgeSettings, questions_of
from label.judging.turns import known_completions
from store.errors import BudgetReached, TryLater
from store.runs import run_of
from store.turns import command_line

if TYPE_CHECKING:
    from store.db import Store
    from store.runs import Run

CONFIRMED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class BatchJob:
    """Labels to be made by way of batches."""

    model_name: str
    """As the user named it."""
    base_urls: tuple[str, ...]
    settings: JudgeSettings | CompareSettings

    @property
    def task(self) -> Task:
        """Which command it is."""
        return "judge" if isinstance(self.settings, JudgeSettings) else "compare"

    def open_model(self) -> ChatModel:
        """The chat model."""
        return open_chat_model(self.model_name, list(self.base_urls) or None)

    def as_json(self, planned_at: int, command: str) -> str:
        """Everything needed to build it again; PLANNED_AT is the version of the store it was planned on."""
        return json.dumps(
            {
                "model_name": self.model_name,
                "base_urls": self.base_urls,
                "settings": asdict(self.settings),
                "planned_at": planned_at,
                "command": command,
            },
            sort_keys=True,
        )


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as it was stored with its batches."""

    job: BatchJob
    planned_at: int
    command: str


def stored_job(task: Task, text: str) -> StoredJob:
    """The job that a batch belongs to."""
    body: dict[str, Any] = json.loads(text)
    settings: JudgeSettings | CompareSettings
    if task == "judge":
        settings = msgspec.convert(body["settings"], JudgeSettings)
    else:
        settings = msgspec.convert(body["settings"], CompareSettings)
    job = BatchJob(body["model_name"], tuple(body["base_urls"]), settings)
    return StoredJob(job, int(body["planned_at"]), body["command"])


@dataclass(frozen=True, slots=True)
class BatchForecast:
    """What would be handed over."""

    fates: dict[str, int]
    batches: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    cost_usd_at_most: float

    def as_json(self) -> dict[str, object]:
        """The object that `--dry-run --json` prints."""
        rest = asdict(self)
        fates = rest.pop("fates")
        return {"requested": sum(fates.values()), **dict(fates.items()), "calls": fates["asked"], **rest}


@dataclass(frozen=True, slots=True)
class SubmitReport:
    """What was handed over."""

    fates: dict[str, int]
    cost_usd_at_most: float
    batches: tuple[Batch, ...]
    """Those that were made now, and earlier ones that had not arrived."""

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints; counts are of requests."""
        return {
            "requested": sum(self.fates.values()),
            **self.fates,
            "cost_usd_at_most": self.cost_usd_at_most,
            "batches": [batch.as_json() for batch in self.batches],
        }


def forecast_batches(store: "Store", job: BatchJob, price: PriceTag) -> BatchForecast:
    """What `submit_job` would hand over, without a call and without writing."""
    packed, _ = _packed(store, job, writes=False)
    in_batch = price.for_batch()
    expected = packed.expected(in_batch)
    return BatchForecast(
        fates=packed.fates,
        batches=len(packed.batches),
        prompt_tokens=int(expected["prompt_tokens"]),
        completion_tokens=int(expected["completion_tokens"]),
        cost_usd=expected["cost_usd"],
        cost_usd_at_most=packed.most_usd(in_batch),
    )


def submit_job(
    store: "Store",
    job: BatchJob,
    price: PriceTag,
    patience: Patience = PATIENCE,
) -> SubmitReport:
    """Hand over what the job would ask; batches of the same model that have not arrived yet go first.

    Raises BudgetReached, with nothing new handed over, if the worst case could pass the job's cap.
    """
    model = job.open_model()
    batch_interface(model)
    model.check()
    in_batch = price.for_batch()
    settings = {
        **asdict(job.settings),
        "model": model.model,
        "provider": model.provider,
        "base_url": model.base_url,
        "price": asdict(in_batch),
    }
    with batches_alone(store), run_of(store, f"label {job.task} --batch", settings) as run:
        try:
            packed, made = _plan_and_hand_over(run, job, in_batch, patience)
        finally:
            clear_leftovers(store, read_batches(store))
        run.finish({**packed.fates, "batches": len(made)})
    return SubmitReport(packed.fates, packed.most_usd(in_batch), made)


def _plan_and_hand_over(
    run: "Run", job: BatchJob, price: PriceTag, patience: Patience
) -> tuple[PackedPlan, tuple[Batch, ...]]:
    store, model = run.store, job.open_model()
    packed, planned_at = _packed(store, job, writes=True)
    earlier = [batch for batch in _waiting(store) if _is_of(batch, model)]
    _check_budget(job, packed.most_usd(price), sum(batch.most_usd for batch in earlier))
    stored = job.as_json(planned_at, command_line())
    with ending_on_sigterm():
        for batch in packed.batches:
            _intend(run, model, batch, price, task=job.task, settings=stored)
        handed = [one.batch_id for one in earlier] + [one.batch_id for one in packed.batches]
        asyncio.run(_hand_over(run, model, handed, patience))
    return packed, tuple(batch for batch in read_batches(store) if batch.batch_id in handed)


def submit_waiting(store: "Store", patience: Patience = PATIENCE) -> tuple[Batch, ...]:
    """Hand over every batch that was made and has not arrived; those batches, as they are then."""
    with batches_alone(store), run_of(store, "label batch submit", {}) as run:
        waiting = _waiting(store)
        with ending_on_sigterm():
            for batch in waiting:
                model = stored_job(batch.task, batch.settings).job.open_model()
                model.check()
                asyncio.run(_hand_over(run, model, [batch.batch_id], patience))
        ids = {batch.batch_id for batch in waiting}
        after = tuple(batch for batch in read_batches(store) if batch.batch_id in ids)
        run.finish({"batches": len(after), "submitted": sum(batch.state == "submitted" for batch in after)})
    return after


def _packed(store: "Store", job: BatchJob, *, writes: bool) -> tuple[PackedPlan, int]:
    """The job's plan in batches, and the version of the store it was made on."""
    model, settings = job.open_model(), job.settings
    labeler = labeler_of(model, settings.labeler)
    folder = batch_folder(store) if writes else None
    with store.read() as reading:
        planned_at = reading.version
    if isinstance(settings, JudgeSettings):
        turns = plan_turns(store, settings)
        planned = turn_requests(store, turns, questions_of(model, settings), labeler)
    else:
        with store.read() as reading:
            pairs = plan_pairs(reading, settings.pairing)
        planned = pair_requests(store, pairs, question_of(model, settings, labeler))
    return pack(planned, batch_interface(model), folder), planned_at


def _waiting(store: "Store") -> list[Batch]:
    return [batch for batch in read_batches(store) if batch.state in ("intended", "sending")]


def _is_of(batch: Batch, model: ChatModel) -> bool:
    return (batch.provider, batch.base_url) == (model.provider, model.base_url)


def _check_budget(job: BatchJob, new_usd: float, waiting_usd: float) -> None:
    cap = job.settings.max_cost_usd
    if cap is None or new_usd + waiting_usd <= cap:
        return
    waiting = f" beside ${waiting_usd:.4f} of batches that have not arrived yet" if waiting_usd else ""
    raise BudgetReached(
        f"these requests could cost ${new_usd:.4f} in batches{waiting}, which would pass --max-cost {cap:g};"
        " nothing was handed over; raise it, ask for less with --limit or --sample, or lower --max-tokens"
    )


def _intend(
    run: "Run", model: ChatModel, packed: Packed, price: PriceTag, *, task: Task, settings: str
) -> None:
    """Store a batch with its requests before anything is sent, unless somebody else asks or asked them."""
    rows = stored_rows(batch_folder(run.store), packed, run.run_id)
    keys = [key for key, _, _ in packed.requests]
    with run.store.write(run.run_id) as writing:
        check_nobody_asks(writing, run.store, model.model, model.base_url)
        for start in range(0, len(keys), CONFIRMED_AT_ONCE):
            piece = keys[start : start + CONFIRMED_AT_ONCE]
            if open_keys(writing, piece) or known_completions(writing, piece):
                raise TryLater("another command asked some of these requests meanwhile; repeat this command")
        intent = {
            "provider": model.provider,
            "base_url": model.base_url,
            "model": model.model,
            "task": task,
            "settings": settings,
            "price": price.as_json(),
            "n_requests": len(keys),
            "n_bytes": packed.n_bytes,
            "most_usd": packed.most_usd(price),
        }
        writing.append("batches", [state_row(run, packed.batch_id, "intended", intent)])
        writing.append("batch_requests", _members(packed))
        writing.append("requests", rows)


def _members(packed: Packed) -> list[dict[str, object]]:
    return [
        {"batch_id": packed.batch_id, "request_key": key, "n_bytes": n_bytes, "max_tokens": max_tokens}
        for key, n_bytes, max_tokens in packed.requests
    ]


async def _hand_over(run: "Run", model: ChatModel, batch_ids: Sequence[str], patience: Patience) -> None:
    """Bring these batches to the provider, one after the other."""
    batches = {batch.batch_id: batch for batch in read_batches(run.store)}
    others = [batch.provider_batch_id for batch in batches.values() if batch.provider_batch_id]
    courier = Courier(run, batch_interface(model), patience, others=others)
    try:
        for batch_id in batch_ids:
            await courier.hand_over(batches[batch_id])
    finally:
        await model.close()


def next_step(batches: Sequence[Batch]) -> str:
    """What to type next."""
    if any(batch.state in ("intended", "sending") for batch in batches):
        return "next: label batch submit"
    return "next: label batch status, and label batch collect once they have ended"
