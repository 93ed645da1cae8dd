"""The Anthropic interface against a loopback server that speaks its wire format."""

import asyncio
import json
import sys
from datetime import UTC, datetime

import pytest

from label.chat import CallError, ChatReply, ChatRequest, open_chat_model
from label.chat_models.anthropic_api import AnthropicModel, rate_limits
from label.engine.failures import BLOCKED, PACE, RETRY, STOP, UNFIT, classify
from label.engine.prices import price_of
from label.judging.judge import judge_store
from label.judging.rating_job import JudgeSettings
from store.config import Limits
from store.errors import BadSettings, MissingExtra, ProviderStopped

KEY = "sk-ant-canary-77e1"
MODEL = "claude-test-1"


def message(text: str = "Fine.\nRating: [[7]]", **changes: object) -> dict[str, object]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": f"{MODEL}-20261101",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "x"},
            {"type": "text", "text": text},
        ],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 30,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 50,
            "output_tokens": 12,
        },
        **changes,
    }


def error(kind: str, text: str, **details: object) -> dict[str, object]:
    told = {"type": kind, "message": text, **({"details": details} if details else {})}
    return {"type": "error", "error": told, "request_id": "req_1"}


@pytest.fixture
def claude(server, reply):
    """The loopback server at its own root, answering as Anthropic does."""
    server.rule = lambda _body: reply(body=message())
    return server


def root(server) -> str:
    return server.url.removesuffix("/v1")


def ask(server, timeout_s: float = 20.0, **changes: object) -> ChatReply:
    async def complete() -> ChatReply:
        model = open_chat_model(MODEL, root(server))
        asked = {"messages": (("system", "You judge."), ("user", "Hi")), "sampling": {"max_tokens": 5}}
        request = ChatRequest("anthropic", root(server), MODEL, **{**asked, **changes})
        try:
            return await model.complete(request, timeout_s)
        finally:
            await model.close()

    return asyncio.run(complete())


def failure_of(server, reply, status: int, body: object, headers: dict[str, str] | None = None) -> CallError:
    server.script.append(reply(status, body, headers or {}))
    with pytest.raises(CallError) as failed:
        ask(server)
    return failed.value


def test_an_answer_carries_text_usage_and_where_it_came_from(claude) -> None:
    answer = ask(claude)
    assert answer.text == "Fine.\nRating: [[7]]"
    assert (answer.prompt_tokens, answer.cached_tokens, answer.cache_written_tokens) == (100, 50, 20)
    assert answer.completion_tokens == 12
    assert (answer.model_returned, answer.request_id) == ("claude-test-1-20261101", "msg_1")
    assert answer.finish_reason == "end_turn"


def test_a_request_holds_what_the_interface_knows_and_nothing_else(claude) -> None:
    ask(claude)
    assert claude.bodies == [
        {
            "model": MODEL,
            "system": "You judge.",
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 5,
        }
    ]
    assert open_chat_model(MODEL).sampling(0.7, 99) == {"max_tokens": 99}


def test_a_schema_goes_out_as_the_format_of_the_output(claude) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    ask(claude, response_schema=schema)
    assert claude.bodies[0]["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


def test_the_key_goes_to_the_server_and_into_no_error(claude, reply, monkeypatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    failed = failure_of(claude, reply, 401, error("authentication_error", f"bad key {KEY}"))
    assert claude.authorizations == [f"Bearer {KEY}"]
    assert str(failed) == "bad key [key]"
    assert failed.__cause__ is None


def test_anthropic_is_not_asked_without_a_key_and_a_server_of_ones_own_is(claude, monkeypatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(BadSettings, match="ANTHROPIC_API_KEY"):
        open_chat_model(MODEL).check()
    ask(claude)


def test_its_name_chooses_the_interface_and_another_can_be_asked_for() -> None:
    assert isinstance(open_chat_model("claude-opus-5-5"), AnthropicModel)
    assert open_chat_model("claude-opus-5-5").base_url == "https://api.anthropic.com"
    assert isinstance(open_chat_model("anthropic:my-own", "http://h:1"), AnthropicModel)
    assert open_chat_model("openai:claude-x", "http://h:1/v1").provider == "openai"


FAILURES = [
    (400, error("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), UNFIT),
    (400, error("invalid_request_error", "Your credit balance is too low to access the API."), STOP),
    (400, error("invalid_request_error", "You have reached your specified API usage limits."), STOP),
    (400, error("invalid_request_error", "Output blocked by content filtering policy"), BLOCKED),
    (401, error("authentication_error", "invalid x-api-key"), STOP),
    (402, error("billing_error", "pay"), STOP),
    (403, error("permission_error", "no"), STOP),
    (404, error("not_found_error", "model: claude-test-1"), STOP),
    (413, error("request_too_large", "too large"), UNFIT),
    (429, error("rate_limit_error", "slow down"), PACE),
    (429, error("rate_limit_error", "limit", error_code="enforced_spend_limit_reached"), STOP),
    (429, error("rate_limit_error", "limit", error_code="contract_spend_limit_reached"), STOP),
    (500, error("api_error", "oops"), RETRY),
    (504, error("timeout_error", "late"), RETRY),
    (529, error("overloaded_error", "Overloaded"), RETRY),
    (529, "<html>overloaded</html>", RETRY),
]


@pytest.mark.parametrize(("status", "body", "failure"), FAILURES)
def test_every_failure_has_its_class_after_exactly_one_request(claude, reply, status, body, failure) -> None:
    failed = failure_of(claude, reply, status, body, {"retry-after": "3"})
    assert (failed.status, failed.retry_after) == (status, "3")
    assert classify(failed) == failure
    assert len(claude.bodies) == 1


@pytest.mark.parametrize("body", ["", "<html>", "[]", '"x"', '{"content": 3}', '{"content": [{}]}', "null"])
def test_garbage_is_an_error_that_may_have_been_charged(claude, reply, body) -> None:
    failed = failure_of(claude, reply, 200, body)
    assert failed.status is None
    assert failed.may_be_charged
    assert "not a message" in str(failed)


def test_a_server_that_says_nothing_may_have_charged_and_one_that_is_not_there_has_not(claude, reply) -> None:
    claude.script.extend([reply(resets=True), reply(hangs=True)])
    for timeout_s in (20.0, 0.3):
        with pytest.raises(CallError) as failed:
            ask(claude, timeout_s)
        assert failed.value.may_be_charged
    claude.close()
    with pytest.raises(CallError) as failed:
        ask(claude)
    assert not failed.value.may_be_charged


def test_a_refusal_is_told_apart_with_its_reason(claude, reply) -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "It could harm."}
    claude.script.append(reply(body=message("", stop_reason="refusal", stop_details=details)))
    assert ask(claude).refusal == "It could harm."
    claude.script.append(reply(body=message("", stop_reason="refusal")))
    assert ask(claude).refusal == "the model refused to answer"


def test_headers_tell_what_is_left_and_until_when() -> None:
    limits = rate_limits(
        {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-tokens-remaining": "9000",
            "anthropic-ratelimit-requests-reset": "2026-11-21T12:00:30Z",
            "anthropic-ratelimit-tokens-reset": "soon",
        },
        datetime(2026, 11, 21, 12, 0, tzinfo=UTC),
    )
    assert (limits.remaining_requests, limits.remaining_tokens) == (0, 9000)
    assert (limits.reset_requests_s, limits.reset_tokens_s) == (30.0, None)


def test_cache_tokens_cost_what_the_price_table_says() -> None:
    tag = price_of("claude-opus-5-5", "https://api.anthropic.com")
    assert tag.cached < tag.input < (tag.cache_written or 0)
    assert tag.cost_usd(100, 0, 50, 20) == pytest.approx(
        (30 * tag.input + 50 * tag.cached + 20 * tag.cache_written) / 1e6
    )
    assert tag.most_usd(100, 10) >= tag.cost_usd(100, 10, 0, 100)


def test_a_missing_library_names_its_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    with pytest.raises(MissingExtra, match=r"preferably\[judge\]"):
        open_chat_model(MODEL, "http://127.0.0.1:1").check()


def test_turns_are_judged_and_a_spend_limit_stops_the_run_after_one_request(store, claude, reply) -> None:
    model = open_chat_model(MODEL, root(claude))
    price = price_of(MODEL, root(claude))
    settings = JudgeSettings(limits=Limits(concurrency=4))

    def advance(_amount: float = 1, *, words: str = "") -> None:
        del words

    spent = error("rate_limit_error", "limit", error_code="enforced_spend_limit_reached")
    claude.script.append(reply(429, spent))
    with pytest.raises(ProviderStopped):
        judge_store(store, model, price, settings, advance=advance)
    assert len(claude.bodies) == 1
    report = judge_store(store, open_chat_model(MODEL, root(claude)), price, settings, advance=advance)
    assert report.tally.fresh == {"done": 4}
    with store.read() as reading:
        provider, api = reading.rows("SELECT DISTINCT provider, model FROM completions")[0]
    assert provider == f"anthropic {root(claude)}"
    assert api == MODEL
    assert json.dumps(claude.bodies[1]).count("temperature") == 0
