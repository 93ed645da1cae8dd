import asyncio
import sys

import pytest

from label.chat import CallError, ChatReply, ChatRequest, open_chat_model
from label.chat_models.openai_api import OpenAIModel
from label.chat_models.wire import duration_s, rate_limits
from store.errors import BadSettings, MissingExtra, UnknownName

KEY = "sk-canary-5f0c1d"


def ask(url: str, timeout_s: float = 20.0) -> ChatReply:
    async def complete() -> ChatReply:
        model = open_chat_model("gpt-4", url)
        request = ChatRequest("openai", url, "gpt-4", (("user", "Hi"),), sampling={"max_tokens": 5})
        try:
            return await model.complete(request, timeout_s)
        finally:
            await model.close()

    return asyncio.run(complete())


def test_an_answer_carries_text_usage_and_where_it_came_from(server) -> None:
    reply = ask(server.url)
    assert reply.text.startswith("A fair answer.")
    assert (reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens) == (100, 40, 20)
    assert (reply.model_returned, reply.request_id, reply.finish_reason) == (
        "gpt-4-2026",
        "chatcmpl-1",
        "stop",
    )


def test_a_server_of_ones_own_is_asked_without_a_key(server, monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    ask(server.url)
    assert server.authorizations == ["Bearer none"]


def test_openai_is_not_asked_without_a_key(monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(BadSettings, match="OPENAI_API_KEY"):
        open_chat_model("gpt-4").check()


def test_the_key_goes_to_the_server_and_into_no_error(server, reply, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.script.append(
        reply(401, {"error": {"message": f"incorrect key {KEY}", "code": "invalid_api_key"}})
    )
    with pytest.raises(CallError) as failed:
        ask(server.url)
    assert server.authorizations == [f"Bearer {KEY}"]
    assert str(failed.value) == "incorrect key [key]"
    assert failed.value.__cause__ is None


def test_a_model_that_repeats_the_key_does_not_get_it_into_the_store(server, reply, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.script.append(reply(text=f"your key is {KEY}"))
    assert ask(server.url).text == "your key is [key]"


@pytest.mark.parametrize("body", ["", "<html>", "[]", '"x"', '{"choices": []}', '{"choices": [{}]}', "null"])
def test_garbage_is_an_error_that_shows_it(server, reply, body) -> None:
    server.script.append(reply(200, body))
    with pytest.raises(CallError, match="not a chat completion") as failed:
        ask(server.url)
    assert failed.value.status is None


def test_one_call_is_one_request_whatever_the_status(server, reply) -> None:
    server.script.append(reply(500, {"error": {"message": "oops"}}, {"retry-after": "3"}))
    with pytest.raises(CallError) as failed:
        ask(server.url)
    assert (failed.value.status, failed.value.retry_after) == (500, "3")
    assert len(server.bodies) == 1


def test_a_server_that_says_nothing_is_an_error_of_the_connection(server, reply) -> None:
    server.script.extend([reply(resets=True), reply(hangs=True)])
    for timeout_s in (20.0, 0.3):
        with pytest.raises(CallError) as failed:
            ask(server.url, timeout_s)
        assert failed.value.status is None


def test_headers_tell_what_is_left() -> None:
    limits = rate_limits(
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-remaining-tokens": "-1",
            "x-ratelimit-reset-requests": "6m0s",
            "x-ratelimit-reset-tokens": "1h2m3.5s",
        }
    )
    assert (limits.remaining_requests, limits.remaining_tokens) == (0, None)
    assert (limits.reset_requests_s, limits.reset_tokens_s) == (360.0, 3723.5)
    assert duration_s("20ms") == 0.02
    assert duration_s("soon") is None


@pytest.mark.parametrize(
    "url", ["ftp://h/v1", "h:8000", "http://", "http://me:secret@h/v1", "http://h/v1?key=x"]
)
def test_an_address_that_is_none_or_holds_a_key_is_refused(url) -> None:
    with pytest.raises(BadSettings) as refused:
        open_chat_model("gpt-4", url)
    assert "secret" not in str(refused.value)


def test_a_vllm_server_is_named_with_its_model() -> None:
    model = open_chat_model("vllm:http://host:8000/v1#my/judge")
    assert isinstance(model, OpenAIModel)
    assert (model.base_url, model.model) == ("http://host:8000/v1", "my/judge")
    with pytest.raises(BadSettings, match="#name"):
        open_chat_model("vllm:http://host:8000/v1")


def test_a_schema_goes_out_strict_and_the_answer_is_left_to_our_parser(server, reply) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    server.script.append(reply(text='{"a": '))

    async def complete() -> ChatReply:
        model = open_chat_model(f"vllm:{server.url}#judge")
        request = ChatRequest("openai", server.url, "judge", (("user", "Hi"),), response_schema=schema)
        try:
            return await model.complete(request, 20.0)
        finally:
            await model.close()

    assert asyncio.run(complete()).text == '{"a": '
    assert server.bodies[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "strict": True, "schema": schema},
    }


@pytest.mark.parametrize(
    ("model", "takes_schema"),
    [("gpt-4", False), ("gpt-4-turbo", False), ("gpt-3.5-turbo", False), ("gpt-4o", True), ("gpt-4.1", True)],
)
def test_models_from_before_structured_output_are_known(model, takes_schema) -> None:
    assert open_chat_model(model, "http://h/v1").takes_schema is takes_schema


def test_a_request_that_was_never_sent_was_not_charged(server) -> None:
    url = server.url
    server.close()
    with pytest.raises(CallError) as failed:
        ask(url)
    assert not failed.value.may_be_charged


def test_a_request_that_was_sent_may_have_been(server, reply) -> None:
    server.script.extend([reply(resets=True), reply(200, "<html>"), reply(hangs=True)])
    for timeout_s in (20.0, 20.0, 0.3):
        with pytest.raises(CallError) as failed:
            ask(server.url, timeout_s)
        assert failed.value.may_be_charged


def test_a_missing_library_names_its_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"preferably\[judge\]"):
        open_chat_model("gpt-4", "http://127.0.0.1:1/v1").check()


def test_every_chat_model_that_is_listed_can_be_loaded() -> None:
    from label.chat import CHAT_MODELS

    for name in CHAT_MODELS.built_in:
        assert callable(CHAT_MODELS.load(name))
    with pytest.raises(UnknownName, match="did you mean 'offline'"):
        CHAT_MODELS.load("ofline")
