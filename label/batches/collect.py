"""Results of batches: taken into the store once, under the keys they have online, and turned into labels."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from label.batches.job import StoredJob, stored_job
from label.batches.provider import BatchProgress, batch_interface
from label.batches.results import Taken, take_in
from label.batches.rows import Batch, batch_folder, batches_alone, note_batch, read_batches, requests_path
from label.batches.submit import PATIENCE, Courier, Patience, progress_columns
from label.chat import CallError, ChatModel
from label.engine.clock import Clock
from label.engine.prices import PriceTag
from label.engine.sigterm import ending_on_sigterm
from label.judging.rating_job import JudgeSettings
from label.reasons import commonest
from store.db import Store
from store.errors import PreferablyError, TryLater, UnknownName
from store.runs import run_of

if TYPE_CHECKING:
    from label.comparing.compare import CompareReport
    from label.judging.judge import JudgeReport
    from store.console import Advance
    from store.runs import Run

POLL_S = 30.0
"""How long between two looks at batches that somebody waits for."""

GONE = 404

FREE = PriceTag(0, 0, 0, "stored answers", "")


@dataclass(frozen=True, slots=True)
class CollectReport:
    """Which batches were collected, and the labels that came of it."""

    taken: Taken
    collected: tuple[Batch, ...]
    open: tuple[Batch, ...]
    """Batches that have not ended, or not arrived."""
    labels: "tuple[JudgeReport | CompareReport, ...]"
    commands: tuple[str, ...]
    """Commands whose requests were not all answered: repeated, they ask for the rest."""
    problems: tuple[str, ...] = ()
    """What kept us from asking about some batches."""

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        return {
            **self.taken.counts(),
            "collected": [batch.as_json() for batch in self.collected],
            "open": [batch.as_json() for batch in self.open],
            "labels": [report.as_json() for report in self.labels],
            "repeat": list(self.commands),
            "problems": list(self.problems),
        }

    def reasons(self) -> list[str]:
        """The most frequent reasons for requests without an answer, with their counts."""
        return commonest(self.taken.reasons)


def refresh_batches(store: Store, patience: Patience = PATIENCE) -> tuple[list[Batch], list[str]]:
    """Every batch as its provider sees it now, and what kept us from asking some."""
    if not any(batch.is_open for batch in read_batches(store)):
        return read_batches(store), []
    problems: list[str] = []
    with batches_alone(store), run_of(store, "label batch status", {}) as run:
        for batch in (batch for batch in read_batches(store) if batch.is_open):
            try:
                _asked(run, batch, patience)
            except PreferablyError as error:
                problems.append(f"{batch.batch_id}: {error}")
    return read_batches(store), problems


def collect_batches(
    store: Store, patience: Patience = PATIENCE, *, advance: "Advance", only: Sequence[str] = ()
) -> CollectReport:
    """Take in the results of every batch that has ended, and make the labels they were asked for.

    ONLY names batches; none names all.
    Repeating it changes nothing: each request of a batch comes to its end once.
    """
    wanted = _wanted(store, only)
    taken = Taken()
    if not any(batch.is_open or batch.state == "collected" for batch in wanted):
        return CollectReport(taken, (), (), (), ())
    ids = {batch.batch_id for batch in wanted}
    with batches_alone(store), run_of(store, "label batch collect", {"only": sorted(only)}) as run:
        try:
            with ending_on_sigterm():
                problems = _collect_ended(run, ids, taken, patience, advance)
                labels = _make_labels(run, ids, advance)
        finally:
            run.finish(
                taken.counts(),
                prompt_tokens=taken.prompt_tokens,
                completion_tokens=taken.completion_tokens,
                cost_usd=taken.cost_usd,
            )
    after = {batch.batch_id: batch for batch in read_batches(store) if batch.batch_id in ids}
    collected = tuple(
        after[batch.batch_id]
        for batch in wanted
        if batch.state != "labelled" and not after[batch.batch_id].is_open
    )
    return CollectReport(
        taken,
        collected,
        tuple(batch for batch in after.values() if batch.is_open),
        tuple(labels),
        _unfinished_commands(collected),
        problems,
    )


def cancel_batches(store: Store, only: Sequence[str], patience: Patience = PATIENCE) -> list[Batch]:
    """Have these batches end early, and give up those that never arrived; what is answered can be collected."""
    with batches_alone(store), run_of(store, "label batch cancel", {"only": sorted(only)}) as run:
        wanted = [batch for batch in _wanted(store, only) if batch.is_open]
        for batch in wanted:
            asyncio.run(_cancel(run, batch, patience))
    ids = {batch.batch_id for batch in wanted}
    return [batch for batch in read_batches(store) if batch.batch_id in ids]


def _wanted(store: Store, only: Sequence[str]) -> list[Batch]:
    batches = read_batches(store)
    known = [batch.batch_id for batch in batches]
    for name in only:
        if name not in known:
            raise UnknownName.of("batch", name, known)
    return [batch for batch in batches if not only or batch.batch_id in only]


def _unfinished_commands(batches: Sequence[Batch]) -> tuple[str, ...]:
    lacking = [batch for batch in batches if batch.outcomes.get("again") or batch.outcomes.get("failed")]
    commands = (stored_job(batch.task, batch.settings).command for batch in lacking)
    return tuple(dict.fromkeys(commands))


def _collect_ended(
    run: "Run", ids: set[str], taken: Taken, patience: Patience, advance: "Advance"
) -> tuple[str, ...]:
    """Take in what has ended, as long as the user waits; what kept us from asking about some batches at last."""
    waited_s = 0.0
    while True:
        problems = []
        for batch in _open(run.store, ids):
            try:
                _collect(run, batch, taken, patience, advance)
            except PreferablyError as error:  # another batch may well be collected
                problems.append(f"{batch.batch_id}: {error}")
        rest_s = patience.wait_batch_s - waited_s
        if rest_s <= 0 or not _open(run.store, ids):
            return tuple(problems)
        pause_s = min(POLL_S, rest_s)
        asyncio.run(_pause(patience.clock, pause_s))
        waited_s += pause_s


def _open(store: Store, ids: set[str]) -> list[Batch]:
    return [batch for batch in read_batches(store) if batch.batch_id in ids and batch.is_open]


async def _pause(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)


def _asked(run: "Run", batch: Batch, patience: Patience) -> BatchProgress | None:
    """What the provider says of a batch, noted if it is news; None for one that has not arrived."""
    model = _model_of(batch)

    async def ask() -> BatchProgress | None:
        try:
            return await _progress(_courier(run, model, patience), run, batch)
        finally:
            await model.close()

    return asyncio.run(ask())


async def _progress(courier: Courier, run: "Run", batch: Batch) -> BatchProgress | None:
    provider_batch_id = batch.provider_batch_id
    if batch.state == "intended":
        return None
    if batch.state == "sending" or provider_batch_id is None:
        if await courier.look_up(batch) != "submitted":
            return None
        (batch,) = (one for one in read_batches(run.store) if one.batch_id == batch.batch_id)
        provider_batch_id = batch.provider_batch_id or ""
    progress = await courier.ask(lambda: courier.interface.progress(provider_batch_id))
    said = progress_columns(progress)
    if (said["provider_status"], said["provider_counts"]) != (batch.provider_status, batch.provider_counts):
        note_batch(run, batch.batch_id, "submitted", reason=progress.reason, **said)
    return progress


def _courier(run: "Run", model: ChatModel, patience: Patience) -> Courier:
    others = [batch.provider_batch_id for batch in read_batches(run.store) if batch.provider_batch_id]
    return Courier(run, batch_interface(model), patience, others=others)


def _model_of(batch: Batch) -> ChatModel:
    model = stored_job(batch.task, batch.settings).job.open_model()
    model.check()
    return model


def _collect(run: "Run", batch: Batch, taken: Taken, patience: Patience, advance: "Advance") -> None:
    """Take in one batch, if it has ended."""
    progress = _asked(run, batch, patience)
    if progress is None or not progress.has_ended:
        return
    model = _model_of(batch)
    path = batch_folder(run.store) / f"{batch.batch_id}.results"
    path.parent.mkdir(parents=True, exist_ok=True)

    async def fetch() -> None:
        courier = _courier(run, model, patience)
        try:
            await courier.ask(lambda: courier.interface.download(progress, path))
        finally:
            await model.close()

    asyncio.run(fetch())
    (batch,) = (one for one in read_batches(run.store) if one.batch_id == batch.batch_id)
    for part in take_in(run, batch, batch_interface(model), progress, path):
        taken += part
        advance(part.outcomes.total(), words=f"${taken.cost_usd:.4f}")
    path.unlink()


def _make_labels(run: "Run", ids: set[str], advance: "Advance") -> "list[JudgeReport | CompareReport]":
    """Turn the answers of collected batches into labels, by the very run that would have asked for them."""
    collected = [
        batch for batch in read_batches(run.store) if batch.batch_id in ids and batch.state == "collected"
    ]
    reports = []
    for (task, settings), group in groupby(
        sorted(collected, key=lambda batch: (batch.task, batch.settings)),
        key=lambda batch: (batch.task, batch.settings),
    ):
        reports.append(_label(run.store, stored_job(task, settings), advance))
        for batch in group:
            note_batch(run, batch.batch_id, "labelled")
    return reports


def _label(store: Store, stored: StoredJob, advance: "Advance") -> "JudgeReport | CompareReport":
    """Label what is answered of a job, without a call, on the plan it was made with."""
    from label.comparing.compare import compare_store, pairs_to_judge
    from label.judging.judge import judge_store, plan_turns

    then = store.at_version(stored.planned_at)
    settings, model = stored.job.settings, stored.job.open_model()
    if isinstance(settings, JudgeSettings):
        turns = plan_turns(then, settings)
        return judge_store(store, model, FREE, settings, advance=advance, plan=turns, asks=False)
    pairs = pairs_to_judge(then, settings)
    return compare_store(store, model, FREE, settings, advance=advance, plan=pairs, asks=False)


async def _cancel(run: "Run", batch: Batch, patience: Patience) -> None:
    model = _model_of(batch)
    try:
        courier = _courier(run, model, patience)
        if batch.state == "sending":
            state = await courier.look_up(batch)
            if state == "sending":
                raise TryLater(
                    f"batch {batch.batch_id} may still turn up at the provider; try again in {patience.settle_s:.0f} s"
                )
            (batch,) = (one for one in read_batches(run.store) if one.batch_id == batch.batch_id)
        provider_batch_id = batch.provider_batch_id
        if provider_batch_id is None:
            note_batch(run, batch.batch_id, "abandoned", reason="given up before it was handed over")
            requests_path(run.store, batch.batch_id).unlink(missing_ok=True)
            return
        try:
            progress = await courier.ask(lambda: courier.interface.cancel(provider_batch_id))
        except CallError as error:
            if error.status != GONE:
                raise
            note_batch(run, batch.batch_id, "abandoned", reason=f"the provider does not know it: {error}")
        else:
            note_batch(run, batch.batch_id, "submitted", **progress_columns(progress))
    finally:
        await model.close()
