import asyncio

import pytest

from label.engine.budget import Budget
from label.engine.prices import is_loopback, price_of
from store.config import Price, load_config
from store.errors import BadSettings, BudgetReached


def test_a_request_that_could_pass_the_cap_is_not_sent() -> None:
    async def spend() -> None:
        budget = Budget(1.0)
        await budget.reserve(0.6)
        budget.settle(0.6, 0.5)
        await budget.reserve(0.5)
        budget.settle(0.5, 0.4)
        with pytest.raises(BudgetReached, match=r"\$0.9000 spent.*--max-cost 1"):
            await budget.reserve(0.2)
        assert budget.spent_usd == pytest.approx(0.9)

    asyncio.run(spend())


def test_a_request_waits_for_those_under_way_before_it_gives_up() -> None:
    async def spend() -> None:
        budget = Budget(1.0)
        await budget.reserve(0.8)
        waiting = asyncio.create_task(budget.reserve(0.5))
        await asyncio.sleep(0)
        assert not waiting.done()
        budget.settle(0.8, 0.1)
        await waiting
        assert budget.reserved_usd == pytest.approx(0.5)

    asyncio.run(spend())


def test_without_a_cap_everything_is_sent() -> None:
    async def spend() -> None:
        budget = Budget()
        await budget.reserve(1e9)
        budget.settle(1e9, 1e9)

    asyncio.run(spend())


def test_a_given_price_wins_over_every_other() -> None:
    tag = price_of("gpt-4", "https://api.openai.com/v1", Price(1.0, 2.0), {"gpt-4": Price(5.0, 6.0)})
    assert (tag.input, tag.cached, tag.output, tag.source) == (1.0, 1.0, 2.0, "given")
    assert tag.cost_usd(1_000_000, 500_000) == pytest.approx(2.0)


def test_the_settings_file_wins_over_the_table() -> None:
    tag = price_of("gpt-4", "https://api.openai.com/v1", None, {"gpt-4": Price(5.0, 6.0, 1.0)})
    assert (tag.input, tag.cached, tag.output, tag.source) == (5.0, 1.0, 6.0, "settings file")


def test_the_table_knows_gpt_4_and_says_where_from() -> None:
    tag = price_of("gpt-4", "https://api.openai.com/v1")
    assert (tag.input, tag.output) == (30.0, 60.0)
    assert tag.source.startswith("genai-prices ")
    assert len(tag.date) == len("2026-11-21")


def test_cached_tokens_cost_what_the_table_says() -> None:
    tag = price_of("gpt-4o", "https://api.openai.com/v1")
    assert tag.cached < tag.input
    assert tag.cost_usd(1000, 0, 1000) == pytest.approx(tag.cached / 1000)


def test_a_batch_costs_half_and_keeps_what_a_cache_saves() -> None:
    tag = price_of("claude-haiku-4-5", "https://api.anthropic.com")
    batch = tag.for_batch()
    assert batch.input == pytest.approx(tag.input / 2)
    assert batch.output == pytest.approx(tag.output / 2)
    assert batch.cached == pytest.approx(tag.cached / 2)
    assert batch.cache_written == pytest.approx((tag.cache_written or 0) / 2)
    assert batch.source == f"{tag.source}, in a batch"
    assert price_of("m", "", Price(4.0, 8.0)).for_batch().output == 4.0


def test_the_settings_file_may_say_what_a_batch_costs(tmp_path) -> None:
    file = tmp_path / "preferably.toml"
    file.write_text('[prices."m"]\ninput = 4\noutput = 8\ncached = 1\nbatch_input = 3\nbatch_output = 0\n')
    tag = price_of("m", "https://judges.example/v1", None, load_config(file).prices).for_batch()
    assert (tag.input, tag.cached, tag.output) == (3.0, 0.75, 0.0)


def test_an_unknown_model_is_refused_unless_it_runs_here() -> None:
    with pytest.raises(BadSettings, match="no price is known for 'my-judge'"):
        price_of("my-judge", "https://judges.example/v1")
    assert price_of("my-judge", "http://127.0.0.1:8000/v1").cost_usd(10**9, 10**9) == 0
    assert price_of("offline", "").source == "no server"


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("http://127.0.0.1:1/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:8000", True),
        ("http://127.0.0.1.example.com/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, is_here: bool) -> None:
    assert is_loopback(url) is is_here
