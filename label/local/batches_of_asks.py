"""Asks that wait at the same moment, answered together by a model that works on many rows at once."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from label.chat import CallError
from label.sampler import Ask, Reply

GATHERING_S = 0.01
"""How long the first of a batch waits for others."""

Answer = Callable[[Sequence[Ask]], Sequence[Reply | CallError]]
"""Answers asks, blocking; one outcome for each."""


class AskBatches:
    """The queue before one model; batches follow one another in a thread."""

    def __init__(self, answer: Answer, rows: int, give_up: Callable[[], None]) -> None:
        """ROWS is the most draws of a batch; GIVE_UP makes ANSWER return soon, its outcomes unwanted."""
        self._answer = answer
        self._rows = rows
        self._give_up = give_up
        self._waiting: deque[tuple[Ask, asyncio.Future[Reply | CallError]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def draw(self, ask: Ask) -> Reply:
        """The draws of ASK, once the batch it falls into is done."""
        place: asyncio.Future[Reply | CallError] = asyncio.get_running_loop().create_future()
        self._waiting.append((ask, place))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        outcome = await place
        if isinstance(outcome, CallError):
            raise outcome
        return outcome

    async def close(self) -> None:
        """End the batch under way, and begin no other."""
        self._waiting.clear()
        if self._worker is not None and not self._worker.done():
            self._give_up()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def _work(self) -> None:
        await asyncio.sleep(GATHERING_S)
        while self._waiting:
            batch = self._next_batch()
            try:
                outcomes = await asyncio.to_thread(self._answer, [ask for ask, _ in batch])
            except BaseException as error:  # whoever waits must learn of it, a bug included
                _tell(batch, error)
                raise
            for (_, place), outcome in zip(batch, outcomes, strict=True):
                if not place.done():
                    place.set_result(outcome)

    def _next_batch(self) -> list[tuple[Ask, asyncio.Future[Reply | CallError]]]:
        batch = [self._waiting.popleft()]
        rows = batch[0][0].n
        while self._waiting and rows + self._waiting[0][0].n <= self._rows:
            batch.append(self._waiting.popleft())
            rows += batch[-1][0].n
        return batch


def _tell(batch: Sequence[tuple[Ask, asyncio.Future[Reply | CallError]]], error: BaseException) -> None:
    for _, place in batch:
        if not place.done():
            place.set_exception(error if isinstance(error, Exception) else RuntimeError(str(error)))
