"""How fast requests go out: buckets for requests and tokens, a pause on request, adaptive concurrency."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from label.chat import ChatReply, ChatRequest, RateLimits
from label.engine.clock import Clock
from store.config import Limits

DEFAULT_CONCURRENCY = 16
BURST_S = 0.5
"""A bucket holds what flows into it in this time: half of what the strictest server allows at once, so that
requests that were sent apart and arrive together do no harm."""

SHARE = 0.96
"""Of a limit that is used: the rest is for estimates that were too low, and keeps the 429 away that costs more."""

FIRST_GUESS_TOKENS_PER_BYTE = 0.3
FIRST_GUESS_COMPLETION = 300
LEARNING_RATE = 0.1
MAX_RESET_S = 60.0


class TokenBucket:
    """Tokens that flow in evenly; taking more than there are waits, using more than was taken leaves a debt."""

    def __init__(self, per_minute: float, clock: Clock, *, least: float = 0.0) -> None:
        """LEAST is what a full bucket holds at any rate."""
        self._rate = per_minute / 60
        self._capacity = max(least, self._rate * BURST_S)
        self._level = self._capacity
        self._clock = clock
        self._seen_at: float | None = None
        self._turn = asyncio.Lock()

    async def take(self, amount: float) -> None:
        """Wait, first come first served, until AMOUNT may be used; more than a full bucket leaves a debt."""
        async with self._turn:
            while (wait_s := self._wait_s(amount)) > 0:
                await self._clock.sleep(wait_s)
            self._level -= amount

    def settle(self, taken: float, used: float) -> None:
        """Correct an estimate by what was really used."""
        self._level = min(self._capacity, self._level + taken - used)

    def observe(self, remaining: float) -> None:
        """Believe a provider that says less is left."""
        self._level = min(self._level, remaining)

    def _wait_s(self, amount: float) -> float:
        now = self._clock.time()
        passed = 0.0 if self._seen_at is None else now - self._seen_at
        self._seen_at = now
        self._level = min(self._capacity, self._level + passed * self._rate)
        missing = min(amount, self._capacity) - self._level
        return missing / self._rate if missing > 1e-9 else 0.0


class Lanes:
    """Requests under way at once. One until the first answer, then as many as allowed; only a 429 cuts them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = 1.0
        self._is_open = False
        self._busy = 0
        self._cut_at = float("-inf")
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait for a free lane."""
        while self._busy >= int(self.limit):
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            await place
        self._busy += 1

    def leave(self) -> None:
        """Give the lane back."""
        self._busy -= 1
        self._call_in()

    def succeeded(self) -> None:
        """An answer came: one more lane for every round of answers."""
        self.limit = min(self.most, self.limit + 1 / self.limit) if self._is_open else self.most
        self._is_open = True
        self._call_in()

    def cut(self, sent_at: float, now: float) -> None:
        """A 429 came: half the lanes, once for all requests that were under way together."""
        if sent_at >= self._cut_at:
            self.limit = max(1.0, self.limit / 2)
            self._cut_at = now

    def _call_in(self) -> None:
        free = int(self.limit) - self._busy
        while free > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1


class Estimate:
    """How many tokens a request will use, learned from those that were answered."""

    def __init__(self) -> None:
        self._per_byte = FIRST_GUESS_TOKENS_PER_BYTE
        self._completion = float(FIRST_GUESS_COMPLETION)

    def tokens(self, request: ChatRequest) -> float:
        """Prompt and completion together."""
        completion = min(self._completion, request.max_tokens or self._completion)
        return request.n_bytes * self._per_byte + completion

    def learn(self, request: ChatRequest, prompt_tokens: int, completion_tokens: int) -> None:
        """Take in what one request really used."""
        self._per_byte += LEARNING_RATE * (prompt_tokens / max(1, request.n_bytes) - self._per_byte)
        self._completion += LEARNING_RATE * (completion_tokens - self._completion)


class Pace:
    """When the next request to one model may go out."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._clock = clock
        self._requests = None if limits.rpm is None else TokenBucket(limits.rpm * SHARE, clock, least=1)
        self._tokens = None if limits.tpm is None else TokenBucket(limits.tpm * SHARE, clock)
        self._estimate = Estimate()
        self._paused_until = float("-inf")
        self.lanes = Lanes(limits.concurrency or DEFAULT_CONCURRENCY)

    @asynccontextmanager
    async def lane(self, request: ChatRequest) -> AsyncIterator[float]:
        """Hold a lane once the request may be sent; gives the tokens taken for it."""
        await self.lanes.enter()
        try:
            taken = self._estimate.tokens(request)
            if self._tokens is not None:
                await self._tokens.take(taken)
            if self._requests is not None:
                await self._requests.take(1)
            await self._wait_out_pause()
            yield taken
        finally:
            self.lanes.leave()

    def answered(self, request: ChatRequest, taken: float, reply: ChatReply) -> None:
        """Learn from an answer."""
        self.lanes.succeeded()
        if reply.prompt_tokens is not None:
            used = reply.prompt_tokens + reply.completion_tokens
            self._estimate.learn(request, reply.prompt_tokens, reply.completion_tokens)
            self._settle(taken, used)
        self.observe(reply.limits)

    def failed(self, taken: float) -> None:
        """An attempt used no tokens that anyone told of."""
        self._settle(taken, 0.0)

    def limited(self, sent_at: float, pause_s: float | None) -> None:
        """A 429 came; PAUSE_S is what the server asked for."""
        now = self._clock.time()
        self.lanes.cut(sent_at, now)
        if pause_s is not None:
            self.pause(pause_s)

    def pause(self, seconds: float) -> None:
        """Send nothing for that long."""
        self._paused_until = max(self._paused_until, self._clock.time() + seconds)

    def observe(self, limits: RateLimits) -> None:
        """Take in what a response's headers say is left."""
        if self._tokens is not None and limits.remaining_tokens is not None:
            self._tokens.observe(limits.remaining_tokens)
        if limits.remaining_requests == 0:
            self.pause(min(limits.reset_requests_s or 0.0, MAX_RESET_S))
        if limits.remaining_tokens == 0:
            self.pause(min(limits.reset_tokens_s or 0.0, MAX_RESET_S))

    def _settle(self, taken: float, used: float) -> None:
        if self._tokens is not None:
            self._tokens.settle(taken, used)

    async def _wait_out_pause(self) -> None:
        while (left_s := self._paused_until - self._clock.time()) > 0:
            await self._clock.sleep(left_s)
