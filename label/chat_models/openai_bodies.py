"""Requests, replies and errors as OpenAI's interface writes them, online and in batches."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from label.chat import ChatReply, ChatRequest, RateLimits, well_formed
from label.chat_models.wire import count
from label.comparing.label_probability import FirstToken

SCHEMA_NAME = "reply"


def told(error: Mapping[str, Any]) -> tuple[str, str]:
    """The message of an error, and the provider's words for its kind."""
    codes = [str(error[name]) for name in ("code", "type") if error.get(name)]
    return str(error.get("message") or ""), " ".join(codes)


def reply_of(body: Mapping[str, Any], request_id: str, limits: RateLimits) -> ChatReply:
    """A chat completion as a reply; raises whatever a body that is none leads to."""
    choice = body["choices"][0]
    message = choice["message"]
    usage = body.get("usage") or {}
    return ChatReply(
        text=well_formed(_text_of(message.get("content"))),
        finish_reason=str(choice.get("finish_reason") or ""),
        model_returned=str(body.get("model") or ""),
        request_id=request_id or str(body.get("id") or ""),
        prompt_tokens=count(usage.get("prompt_tokens")),
        cached_tokens=count((usage.get("prompt_tokens_details") or {}).get("cached_tokens")) or 0,
        completion_tokens=count(usage.get("completion_tokens")) or 0,
        refusal=_refusal_of(message),
        first_token=_first_token_of(choice),
        limits=limits,
    )


def body_of(request: ChatRequest) -> dict[str, object]:
    """A request as the interface takes it."""
    messages = [{"role": role, "content": content} for role, content in request.messages]
    return {"model": request.model, "messages": messages, **_format(request), **request.sampling}


def _format(request: ChatRequest) -> dict[str, object]:
    """The schema as OpenAI and vLLM take it."""
    if request.response_schema is None:
        return {}
    schema = {"name": SCHEMA_NAME, "strict": True, "schema": request.response_schema}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _text_of(content: object) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    raise TypeError("the content of a reply is no text")


def _first_token_of(choice: Mapping[str, Any]) -> FirstToken | None:
    """The first token of the answer and its alternatives, each once."""
    places = (choice.get("logprobs") or {}).get("content") or []
    if not places:
        return None
    given = {
        well_formed(str(one["token"])): float(one["logprob"])
        for one in (*(places[0].get("top_logprobs") or ()), places[0])
    }
    return tuple((token, logprob) for token, logprob in given.items() if isfinite(logprob))


def _refusal_of(message: Mapping[str, Any]) -> str | None:
    refusal = message.get("refusal")
    return well_formed(refusal) if isinstance(refusal, str) and refusal else None
