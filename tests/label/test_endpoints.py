"""Several servers asked as one."""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field

import pytest

from label.chat import CallError, ChatReply, ChatRequest, open_chat_model, request_key
from label.cli import cli
from label.engine.endpoints import Endpoints
from label.engine.prices import price_of
from label.engine.rotation import REST_S
from label.judging.judge import judge_store
from label.judging.rating_job import JudgeSettings
from store.config import Limits
from store.console import run_command


@dataclass
class Server:
    """A server of the model that answers, or does not."""

    base_url: str
    error: CallError | None = None
    hangs: bool = False
    asked: list[str] = field(default_factory=list)
    provider: str = "openai"
    api_version: str = "v1"
    model: str = "m"
    labeler: str = "m"
    takes_schema: bool = True
    most_at_once: int | None = None

    def sampling(self, temperature, max_tokens):
        return {"max_tokens": max_tokens}

    def check(self) -> None:
        """Nothing is missing."""

    async def complete(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        self.asked.append(request_key(request))
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return ChatReply("x", "stop", "m")

    async def close(self) -> None:
        """Nothing is open."""


URLS = ("http://a/v1", "http://b/v1", "http://c/v1")


def request(number: int) -> ChatRequest:
    return ChatRequest("openai", URLS[0], "m", (("user", f"Question {number}"),))


async def ask_all(model: Endpoints, numbers: range) -> Counter[str]:
    """Ask one after the other, each until it is answered."""
    answered: Counter[str] = Counter()
    for number in numbers:
        while True:
            try:
                answered[(await model.complete(request(number), 1.0)).answered_by] += 1
                break
            except CallError:
                await asyncio.sleep(0.5)
    return answered


def test_requests_are_spread_evenly_and_the_same_one_goes_to_the_same_server(virtually) -> None:
    servers = [Server(url) for url in URLS]
    answered, _ = virtually(ask_all(Endpoints(servers), range(600)))
    assert all(150 < answered[url] < 250 for url in URLS)
    first = [set(server.asked) for server in servers]
    virtually(ask_all(Endpoints(servers), range(600)))
    assert [set(server.asked) for server in servers] == first


def test_a_server_more_takes_its_share_and_leaves_the_rest_where_it_was(virtually) -> None:
    two = [Server(url) for url in URLS[:2]]
    virtually(ask_all(Endpoints(two), range(300)))
    three = [Server(url) for url in URLS]
    virtually(ask_all(Endpoints(three), range(300)))
    for before, after in zip(two, three, strict=False):
        assert set(after.asked) < set(before.asked)


@pytest.mark.parametrize("error", [CallError("refused"), CallError("busy", status=503)])
def test_the_share_of_a_dead_server_is_taken_over_and_it_is_left_alone_for_a_while(virtually, error) -> None:
    servers = [Server(url) for url in URLS]
    servers[1].error = error
    answered, elapsed_s = virtually(ask_all(Endpoints(servers), range(300)))
    assert answered[URLS[1]] == 0
    assert answered.total() == 300
    assert len(servers[1].asked) == 3
    assert elapsed_s < 2


def test_a_server_that_answers_again_gets_its_share_back_after_one_request_found_out(virtually) -> None:
    servers = [Server(url) for url in URLS[:2]]
    servers[0].error = CallError("refused")
    model = Endpoints(servers)

    async def drive() -> Counter[str]:
        await ask_all(model, range(100))
        await asyncio.sleep(REST_S)
        await ask_all(model, range(100, 140))
        assert len(servers[0].asked) == 4
        servers[0].error = None
        await asyncio.sleep(REST_S)
        return await ask_all(model, range(140, 240))

    answered, _ = virtually(drive())
    assert answered[URLS[0]] > 30


def test_a_server_that_hangs_is_a_dead_one(virtually) -> None:
    servers = [Server(url) for url in URLS[:2]]
    servers[0].hangs = True
    model = Endpoints(servers)

    async def drive() -> None:
        for number in range(60):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await model.complete(request(number), 1.0)

    virtually(drive())
    assert len(servers[0].asked) == 3


def test_when_none_answers_the_error_names_the_server(virtually) -> None:
    servers = [Server(url, error=CallError("busy", status=503, code="x", retry_after="3")) for url in URLS]

    async def drive() -> CallError:
        model = Endpoints(servers)
        for number in range(20):
            with pytest.raises(CallError) as failed:
                await model.complete(request(number), 1.0)
        return failed.value

    error, _ = virtually(drive())
    assert str(error).startswith("busy (at http://")
    assert (error.status, error.code, error.retry_after) == (503, "x", "3")


def test_a_429_does_not_make_a_server_dead(virtually) -> None:
    servers = [Server(url) for url in URLS[:2]]
    servers[0].error = CallError("slow", status=429)
    model = Endpoints(servers)

    async def drive() -> None:
        for number in range(20):
            with contextlib.suppress(CallError):
                await model.complete(request(number), 1.0)

    virtually(drive())
    assert len(servers[0].asked) > 3


def test_several_addresses_are_one_judge_and_answers_stay_when_servers_come_and_go(
    store, server, reply
) -> None:
    """The first address stands for all of them in the keys; the second does not exist."""
    dead = "http://127.0.0.1:9/v1"

    def advance(_amount: float = 1, *, words: str = "") -> None:
        del words

    def judge(*urls: str) -> Counter[str]:
        model = open_chat_model("my-judge", urls)
        price = price_of("my-judge", model.base_url)
        settings = JudgeSettings(limits=Limits(concurrency=2))
        return judge_store(store, model, price, settings, advance=advance).tally

    first = judge(server.url, dead)
    assert first.fresh == {"done": 4}
    assert len(server.bodies) == 4
    assert judge(server.url).reused == 4
    assert judge(server.url, "http://127.0.0.1:7/v1", dead).reused == 4
    assert len(server.bodies) == 4
    with store.read() as reading:
        assert reading.rows("SELECT DISTINCT provider FROM completions") == [(f"openai {server.url}",)]


def test_servers_that_cost_differently_need_a_price(store, server, capsys) -> None:
    """One here costs nothing, one elsewhere is paid for: the first one's price must not stand for both."""
    arguments = ["judge", "--model", "gpt-4o", "--store", str(store.path), "--dry-run"]
    servers = ["--base-url", "https://api.openai.com/v1", "--base-url", "https://api.mistral.ai/v1"]
    mixed = ["--base-url", "http://127.0.0.1:1/v1", "--base-url", "https://judges.example/v1"]
    assert run_command(cli, [*arguments, *servers]) == 0
    unknown = ["judge", "--model", "my-judge", "--store", str(store.path), "--dry-run"]
    assert run_command(cli, [*unknown, *mixed]) == 2
    assert "--price-in" in capsys.readouterr().err
    assert run_command(cli, [*unknown, *mixed, "--price", "1"]) == 0
