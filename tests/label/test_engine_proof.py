"""The engine against a simulated provider in simulated time: fast enough, never too fast, every item once."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from label.chat import CallError, ChatReply, ChatRequest, open_chat_model, request_key
from label.engine.budget import Budget
from label.engine.calls import Caller, Completion
from label.engine.clock import LoopClock
from label.engine.pacing import Pace
from label.engine.prices import PriceTag, price_of
from label.judging.judge import judge_store
from label.judging.rating_job import JudgeSettings
from store.config import Limits
from store.errors import BudgetReached, ProviderStopped

CALLS = 3000
RPM = 500
TPM = 300_000
FREE = PriceTag(0, 0, 0, "test", "2026-11-21")


@dataclass
class Bucket:
    """What a provider allows: so much a second, and at most a burst of it at once."""

    rate: float
    burst_s: float
    level: float = field(init=False)
    seen_at: float = 0.0

    def __post_init__(self) -> None:
        self.level = self.capacity

    @property
    def capacity(self) -> float:
        return self.rate * self.burst_s

    def refill(self, now: float) -> float:
        self.level = min(self.capacity, self.level + (now - self.seen_at) * self.rate)
        self.seen_at = now
        return self.level


class Provider:
    """A model behind a network with jitter and a server that counts requests and tokens as they arrive."""

    provider = "openai"
    base_url = "http://simulated/v1"
    api_version = "v1"
    model = labeler = "m"
    takes_schema = True
    most_at_once = None

    def __init__(self, chance: random.Random, burst_s: float = 60.0) -> None:
        self.chance = chance
        self.requests = Bucket(RPM / 60, burst_s)
        self.tokens = Bucket(TPM / 60, burst_s)
        self.fault: Callable[[ChatRequest], CallError | None] = lambda _request: None
        self.hangs: Callable[[], bool] = lambda: False
        self.statuses: Counter[int | None] = Counter()
        self.arrivals: list[float] = []

    def sampling(self, temperature: float | None, max_tokens: int) -> dict[str, object]:
        return {"max_tokens": max_tokens}

    def check(self) -> None:
        """Nothing is missing."""

    async def close(self) -> None:
        """Nothing is open."""

    def usage(self, request: ChatRequest) -> tuple[int, int]:
        """Prompt tokens (4.2 bytes each, give or take) and an answer of its own length."""
        own = random.Random(request_key(request))
        return int(request.n_bytes / own.uniform(3.6, 5.0)), own.randint(40, 260)

    async def complete(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        await asyncio.sleep(self.chance.uniform(0.01, 0.09))
        self.arrivals.append(asyncio.get_running_loop().time())
        if self.hangs():
            self.statuses[None] += 1
            await asyncio.Event().wait()
        error = self.fault(request) or self._over_limit(request)
        if error is not None:
            self.statuses[error.status] += 1
            raise error
        self.statuses[200] += 1
        await asyncio.sleep(self.chance.uniform(0.6, 3.0))
        prompt_tokens, completion_tokens = self.usage(request)
        return ChatReply(
            "Rating: [[5]]", "stop", "m", prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
        )

    def _over_limit(self, request: ChatRequest) -> CallError | None:
        now = asyncio.get_running_loop().time()
        tokens = sum(self.usage(request))
        if self.requests.refill(now) < 1 or self.tokens.refill(now) < tokens:
            return CallError("slow down", status=429, code="rate_limit_exceeded", retry_after="1")
        self.requests.level -= 1
        self.tokens.level -= tokens
        return None


def requests(
    count: int, chance: random.Random, prompt_bytes: tuple[int, int] = (400, 3200)
) -> list[ChatRequest]:
    return [
        ChatRequest(
            "openai",
            "http://simulated/v1",
            "m",
            (("user", f"{number:06d}" + "x" * chance.randint(*prompt_bytes)),),
            sampling={"max_tokens": 300},
        )
        for number in range(count)
    ]


@dataclass
class Stored:
    """The rows that were made durable."""

    rows: list[dict[str, object]] = field(default_factory=list)

    async def record(self, table: str, row: dict[str, object]) -> None:
        if table == "completions":
            self.rows.append(row)

    @property
    def done(self) -> Counter[str]:
        return Counter(str(row["request_key"]) for row in self.rows if row["state"] == "done")


def caller_of(model: Provider, stored: Stored, limits: Limits, **changes: object) -> Caller:
    clock = LoopClock()
    given: dict[str, object] = {
        "pace": Pace(limits, clock),
        "budget": Budget(),
        "price": FREE,
        "clock": clock,
        "record": stored.record,
        "run_id": "r",
        "timeout_s": 30.0,
        "chance": random.Random(1),
    }
    return Caller(model, **{**given, **changes})


async def ask_all(caller: Caller, asked: list[ChatRequest], workers: int) -> list[Completion]:
    """Every request, by so many workers; what stops the run is raised."""
    rest = iter(asked)
    completions: list[Completion] = []

    async def work() -> None:
        for request in rest:
            completions.append(await caller.complete(request))

    outcomes = await asyncio.gather(*(work() for _ in range(workers)), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return completions


def ideal_s(model: Provider, asked: list[ChatRequest]) -> float:
    """The time the limits allow at best, without counting on any burst."""
    tokens = sum(sum(model.usage(request)) for request in asked)
    return max(len(asked) / (RPM / 60), tokens / (TPM / 60))


@pytest.mark.parametrize("burst_s", [1, 10, 60])
@pytest.mark.parametrize(
    "prompt_bytes", [(100, 900), (400, 3200), (1500, 6000)], ids=["RPM binds", "both", "TPM binds"]
)
def test_3000_calls_take_hardly_more_than_the_ideal_time_and_no_429(virtually, burst_s, prompt_bytes) -> None:
    chance = random.Random(20261121)
    model = Provider(chance, burst_s)
    asked = requests(CALLS, chance, prompt_bytes)
    stored = Stored()

    async def drive() -> None:
        await ask_all(caller_of(model, stored, Limits(rpm=RPM, tpm=TPM, concurrency=64)), asked, 64)

    _, elapsed_s = virtually(drive())
    ratio = elapsed_s / ideal_s(model, asked)
    print(f"burst {burst_s} s: {ratio:.3f} x ideal, {model.statuses[429]} times 429")
    assert model.statuses == {200: CALLS}
    assert ratio <= 1.08
    assert set(stored.done.values()) == {1}


def test_a_provider_that_fails_in_every_way_still_leaves_each_item_one_completion(virtually) -> None:
    """5 % 429, 3 % 500, 1 % hang, 1 % reset."""
    chance = random.Random(7)
    model = Provider(chance)
    faults = [
        (0.05, CallError("slow", status=429, code="rate_limit_exceeded")),
        (0.03, CallError("oops", status=500)),
        (0.01, CallError("reset", code="connection", may_be_charged=True)),
    ]

    def fault(_request: ChatRequest) -> CallError | None:
        dice = chance.random()
        for share, error in faults:
            if dice < share:
                return error
            dice -= share
        return None

    model.fault = fault
    model.hangs = lambda: chance.random() < 0.01
    asked = requests(CALLS, chance)
    stored = Stored()

    async def drive() -> list[Completion]:
        return await ask_all(caller_of(model, stored, Limits(concurrency=64)), asked, 64)

    completions, _ = virtually(drive())
    keys = {request_key(request) for request in asked}
    assert stored.done == dict.fromkeys(keys, 1)
    assert len(stored.rows) == CALLS
    assert {completion.state for completion in completions} == {"done"}
    assert min(model.statuses[status] for status in (429, 500, None)) > 10


NOW = datetime.now(UTC)
HEADERS = {
    "121": ("121", (120, 120)),
    "4e6": ("4e6", (120, 120)),
    "-1": ("-1", (1, 2)),
    "NaN": ("NaN", (1, 2)),
    "empty": ("", (1, 2)),
    "a date to come": (format_datetime(NOW + timedelta(days=400)), (120, 120)),
    "a date gone by": (format_datetime(NOW - timedelta(days=400)), (1, 2)),
}
SLOWEST_ANSWER_S = 0.09 + 0.09 + 3.0


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("header", "bounds"), HEADERS.values(), ids=HEADERS)
def test_whatever_retry_after_says_the_wait_is_bounded(virtually, header, bounds, status) -> None:
    chance = random.Random(3)
    model = Provider(chance)
    waiting = [CallError("slow", status=status, retry_after=header)]
    model.fault = lambda _request: waiting.pop() if waiting else None
    stored = Stored()
    _, elapsed_s = virtually(ask_all(caller_of(model, stored, Limits(concurrency=1)), requests(1, chance), 1))
    assert stored.done.total() == 1
    backoff_s = (1, 2) if status == 429 else (0.25, 0.5)
    least_s, most_s = bounds if bounds[0] > 2 else backoff_s
    assert least_s < elapsed_s < most_s + SLOWEST_ANSWER_S


QUOTA = [
    CallError("no money", status=429, code="insufficient_quota"),
    CallError("limit", status=429, code="enforced_spend_limit_reached rate_limit_error"),
    CallError("Your credit balance is too low", status=400, code="invalid_request_error"),
    CallError("limit", status=400, code="billing_hard_limit_reached"),
    CallError("pay", status=402, code="billing_error"),
    CallError("bad key", status=401),
]


@pytest.mark.parametrize("error", QUOTA, ids=[f"{error.status} {error.code}" for error in QUOTA])
def test_an_error_of_the_account_is_met_exactly_once_and_stops_everything(virtually, error) -> None:
    chance = random.Random(3)
    model = Provider(chance)
    model.fault = lambda _request: error
    with pytest.raises(ProviderStopped) as stopped:
        virtually(ask_all(caller_of(model, Stored(), Limits(concurrency=32)), requests(200, chance), 32))
    assert stopped.value.exit_code == 3
    assert len(model.arrivals) == 1


class Till(Provider):
    """A provider that keeps its own book: what it charges for, whether its answer arrives or not."""

    def __init__(self, chance: random.Random, price: PriceTag) -> None:
        super().__init__(chance)
        self.price = price
        self.charged_usd = 0.0

    def usage(self, request: ChatRequest) -> tuple[int, int]:
        own = random.Random(request_key(request))
        return own.randint(1, request.n_bytes), own.randint(0, request.max_tokens)

    async def complete(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        prompt_tokens, completion_tokens = self.usage(request)
        cached = self.chance.randint(0, prompt_tokens)
        written = self.chance.randint(0, prompt_tokens - cached)
        dice = self.chance.random()
        if dice < 0.05:
            raise CallError("refused", code="connection")
        if dice < 0.10:
            raise CallError("oops", status=500)
        self.charged_usd += self.price.cost_usd(prompt_tokens, completion_tokens, cached, written)
        await asyncio.sleep(self.chance.uniform(0.1, 2.0))
        if dice < 0.16:
            raise CallError("reset", code="connection", may_be_charged=True)
        if dice < 0.20:
            raise CallError("lost", status=504)
        if dice < 0.24:
            await asyncio.Event().wait()
        return ChatReply(
            "x",
            "stop",
            "m",
            prompt_tokens=None if dice < 0.30 else prompt_tokens,
            cached_tokens=cached,
            cache_written_tokens=written,
            completion_tokens=completion_tokens,
        )


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_whatever_prices_and_usage_are_the_cap_is_never_passed(virtually, first) -> None:
    """200 draws of price, cap, usage and failures; the provider's own book is what counts."""
    reached = 0
    for seed in range(first, first + 50):
        chance = random.Random(seed)
        output = 10 ** chance.uniform(-1, 3)
        each = [output * chance.uniform(0, 1.5) for _ in range(3)]
        price = PriceTag(each[0], each[1], output, "test", "2026-11-21", chance.choice([None, each[2]]))
        model = Till(chance, price)
        asked = requests(60, chance, (10, 600))
        dearest = max(price.most_usd(request.n_bytes, request.max_tokens) for request in asked)
        budget = Budget(dearest * chance.uniform(0.5, 60))
        caller_changes = {"budget": budget, "price": price, "timeout_s": 5.0, "chance": chance}

        async def drive(model=model, asked=asked, changes=caller_changes) -> bool:
            caller = caller_of(model, Stored(), Limits(concurrency=8), **changes)
            try:
                await ask_all(caller, asked, 8)
            except BudgetReached:
                return True
            return False

        stopped, _ = virtually(drive())
        reached += bool(stopped)
        assert model.charged_usd <= budget.spent_usd + 1e-9
        assert budget.spent_usd <= (budget.cap_usd or 0) + 1e-9
        assert budget.reserved_usd == 0
    assert 5 < reached < 50


def test_what_is_cut_off_in_the_middle_is_booked_at_its_worst(virtually) -> None:
    chance = random.Random(1)
    price = PriceTag(1, 1, 10, "test", "2026-11-21")
    model = Provider(chance)
    model.hangs = lambda: True
    (asked,) = requests(1, chance)
    budget = Budget(1.0)

    async def drive() -> float:
        caller = caller_of(model, Stored(), Limits(), budget=budget, price=price)
        task = asyncio.create_task(caller.complete(asked))
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.wait([task])
        return caller.worst_case_usd(asked)

    worst, _ = virtually(drive())
    assert budget.spent_usd == pytest.approx(worst)
    assert budget.reserved_usd == 0


def test_a_model_that_works_on_one_request_at_a_time_is_asked_so_and_waiting_is_not_its_time(
    virtually,
) -> None:
    chance = random.Random(1)
    model = Provider(chance)
    model.most_at_once = 1
    stored = Stored()
    asked = requests(100, chance)
    _, elapsed_s = virtually(
        ask_all(caller_of(model, stored, Limits(concurrency=50), timeout_s=4.0), asked, 50)
    )
    assert stored.done.total() == 100
    assert all(row["attempts"] == 1 for row in stored.rows)
    assert elapsed_s > 100 * 0.6


def test_a_server_of_http_that_fails_in_every_way_leaves_each_turn_one_completion(
    tmp_path, server, write, reply
) -> None:
    """The same faults over real sockets, through `label judge`; only the waits between tries are simulated."""
    chance = random.Random(11)

    def rule(_body: dict[str, object]) -> object:
        dice = chance.random()
        if dice < 0.05:
            return reply(429, {"error": {"message": "slow"}}, {"retry-after": "1"})
        if dice < 0.08:
            return reply(500, {"error": {"message": "oops"}})
        if dice < 0.09:
            return reply(hangs=True)
        return reply(resets=True) if dice < 0.10 else None

    class JumpClock:
        now = 0.0

        def time(self) -> float:
            return self.now

        async def sleep(self, seconds: float) -> None:
            self.now += seconds
            await asyncio.sleep(0)

    def advance(_amount: float = 1, *, words: str = "") -> None:
        del words

    server.rule = rule
    conversations = [("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n}")]) for n in range(400)]
    store = write(tmp_path / "faults.duckdb", conversations)
    settings = JudgeSettings(limits=Limits(concurrency=16), timeout_s=1.5)
    model = open_chat_model("gpt-4", server.url)
    price = price_of("gpt-4", server.url)
    report = judge_store(store, model, price, settings, advance=advance, clock=JumpClock())
    assert report.tally.fresh == {"done": 400}
    assert len(server.bodies) > 410
    with store.read() as reading:
        counts = "SELECT count(*), count(DISTINCT request_key) FROM completions WHERE state = 'done'"
        assert reading.rows(counts) == [(400, 400)]
        assert reading.rows("SELECT count(*), count(DISTINCT response_id) FROM ratings") == [(400, 400)]
