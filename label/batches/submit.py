"""Batches on their way to a provider: each arrives at most once, whatever happens on the way.

What is about to be sent is in the store before it is sent. Where nobody saw the end of a submission, the
provider's list of batches decides: a batch that is there is adopted; one that is not there some time after it
was sent off was never taken, and is sent again.
"""

import json
import random
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from label.batches.provider import BatchInterface, BatchProgress, Parcel
from label.batches.rows import Batch, BatchState, note_batch, requests_path
from label.chat import CallError
from label.engine.clock import Clock, LoopClock
from label.engine.failures import TRIES, backoff_s, classify, retry_after_s
from store.errors import ProviderStopped, TryLater
from store.runs import utc_now

if TYPE_CHECKING:
    from store.runs import Run

SETTLE_S = 120.0
"""How long after it was sent off a batch that the provider does not list may still turn up there."""

LOOK_AGAIN_S = 5.0

NO_INTERFACE = frozenset({404, 405})
Sent = TypeVar("Sent")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what."""

    settle_s: float = SETTLE_S
    """Until a batch that the provider does not list certainly never arrived."""
    wait_batch_s: float = 0.0
    """For batches under way to end."""
    clock: Clock = field(default_factory=LoopClock)


PATIENCE = Patience()


class Courier:
    """Brings batches to one provider and asks about them."""

    def __init__(
        self,
        run: "Run",
        interface: BatchInterface,
        patience: Patience,
        *,
        others: Collection[str] = (),
        seed: int = 0,
    ) -> None:
        """OTHERS are the provider's ids of batches that are known already."""
        self.interface = interface
        self._run = run
        self._clock = patience.clock
        self._settle_s = patience.settle_s
        self._others = set(others)
        self._chance = random.Random(seed)

    async def ask(self, send: Callable[[], Awaitable[Sent]]) -> Sent:
        """What SEND brings, tried as often as its failures allow; for calls that change nothing or no harm twice.

        Raises ProviderStopped, or the CallError that remains.
        """
        tries = 0
        while True:
            try:
                return await send()
            except CallError as error:
                tries += 1
                failure = classify(error)
                if failure.remedy == "stop" and error.status not in NO_INTERFACE:
                    raise _stopped(error) from error
                if failure.remedy in ("stop", "give up") or tries == TRIES:
                    raise
                await self._clock.sleep(self._wait_s(error, tries))

    async def hand_over(self, batch: Batch) -> BatchState:
        """Bring a batch to the provider, unless it is there already; the state it is in then.

        Raises ProviderStopped or TryLater if it cannot be brought there now.
        """
        parcel = self._parcel(batch)
        state, sent_at, input_file_id = batch.state, batch.sent_at, batch.input_file_id or ""
        for tries in range(1, TRIES + 1):
            if state == "sending":
                settled = await self._settle(parcel, sent_at or batch.created_at, is_patient=True)
                if settled is not None:
                    return settled
            if not parcel.path.exists():
                return self._note(parcel, "abandoned", reason=f"its file of requests is gone: {parcel.path}")
            input_file_id = input_file_id or await self._uploaded(parcel)
            sent_at = utc_now()
            self._note(parcel, "sending", sent_at=sent_at.isoformat(), input_file_id=input_file_id, reason="")
            try:
                progress = await self.interface.create(parcel, input_file_id)
            except CallError as error:
                state = self._note_failure(parcel, error)
                if state == "rejected":
                    return state
                await self._clock.sleep(self._wait_s(error, tries))
            else:
                return self._note_arrival(parcel, progress)
        raise TryLater(
            f"batch {batch.batch_id} could not be handed over in {TRIES} tries; label batch submit tries again"
        )

    async def look_up(self, batch: Batch) -> BatchState | None:
        """Adopt a batch that was sent off, if the provider has it; None if it certainly has not."""
        return await self._settle(self._parcel(batch), batch.sent_at or batch.created_at, is_patient=False)

    async def _settle(self, parcel: Parcel, sent_at: datetime, *, is_patient: bool) -> BatchState | None:
        while True:
            found = await self.ask(lambda: self.interface.find(parcel, self._others))
            if found.progress is not None:
                return self._note_arrival(parcel, found.progress)
            if found.undecided:
                ids = " or ".join(found.undecided)
                return self._note(parcel, "sending", reason=f"may be {ids}, which shows when they have ended")
            rest_s = self._settle_s - (utc_now() - sent_at).total_seconds()
            if rest_s <= 0:
                return None
            if not is_patient:
                return "sending"
            await self._clock.sleep(min(rest_s, LOOK_AGAIN_S))

    async def _uploaded(self, parcel: Parcel) -> str:
        try:
            return await self.ask(lambda: self.interface.upload(parcel))
        except CallError as error:
            if error.status in NO_INTERFACE:
                raise _without_interface(error) from error
            raise

    def _note_arrival(self, parcel: Parcel, progress: BatchProgress) -> BatchState:
        self._others.add(progress.provider_batch_id)
        state = self._note(parcel, "submitted", reason="", **progress_columns(progress))
        parcel.path.unlink(missing_ok=True)
        return state

    def _note_failure(self, parcel: Parcel, error: CallError) -> BatchState:
        """What is known of a batch after its submission failed.

        Raises ProviderStopped if nothing further may be sent.
        """
        failure = classify(error)
        if _may_have_arrived(error):
            return "sending"
        if failure.remedy == "give up":
            return self._note(parcel, "rejected", reason=str(error))
        state = self._note(parcel, "intended", reason=str(error))
        if error.status in NO_INTERFACE:
            raise _without_interface(error) from error
        if failure.remedy == "stop":
            raise _stopped(error) from error
        return state

    def _note(self, parcel: Parcel, state: BatchState, **changes: object) -> BatchState:
        note_batch(self._run, parcel.batch_id, state, **changes)
        return state

    def _parcel(self, batch: Batch) -> Parcel:
        path = requests_path(self._run.store, batch.batch_id)
        return Parcel(batch.batch_id, batch.run_id or "", path, batch.n_requests, batch.created_at)

    def _wait_s(self, error: CallError, tries: int) -> float:
        asked_s = retry_after_s(error.retry_after, datetime.now(UTC))
        return max(asked_s or 0.0, backoff_s(classify(error), tries, self._chance))


def progress_columns(progress: BatchProgress) -> dict[str, object]:
    """What a provider says of a batch, as columns of its row."""
    return {
        "provider_batch_id": progress.provider_batch_id,
        "provider_status": progress.status,
        "provider_counts": json.dumps(dict(progress.counts), sort_keys=True),
    }


def _may_have_arrived(error: CallError) -> bool:
    """Whether a submission that failed may have made a batch all the same."""
    if error.status is None:
        return error.may_be_charged or error.code != "connection"
    return classify(error).remedy == "retry"


def _stopped(error: CallError) -> ProviderStopped:
    status = f"{error.status} " if error.status else ""
    return ProviderStopped(f"the provider stopped the run: {status}{error}; the same command again continues")


def _without_interface(error: CallError) -> ProviderStopped:
    return ProviderStopped(
        f"the server took no batch: {error.status} {error}; if it has no batch interface, give the batches up with"
        " label batch cancel and ask without --batch"
    )
