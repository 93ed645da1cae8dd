"""Requests, replies and errors as Anthropic's interface writes them, online and in batches."""

from collections.abc import Mapping
from typing import Any

from label.chat import ChatReply, ChatRequest, RateLimits, well_formed
from label.chat_models.wire import count


def body_of(request: ChatRequest) -> dict[str, object]:
    """A request as the interface takes it."""
    system = "\n\n".join(content for role, content in request.messages if role == "system")
    messages = [{"role": role, "content": text} for role, text in request.messages if role != "system"]
    body: dict[str, object] = {"model": request.model, "messages": messages, **request.sampling}
    if system:
        body["system"] = system
    if request.response_schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": request.response_schema}}
    return body


def reply_of(body: Mapping[str, Any], request_id: str, limits: RateLimits) -> ChatReply:
    """A message as a reply; raises whatever a body that is none leads to."""
    usage = body.get("usage") or {}
    cached = count(usage.get("cache_read_input_tokens")) or 0
    written = count(usage.get("cache_creation_input_tokens")) or 0
    fresh = count(usage.get("input_tokens"))
    reason = str(body.get("stop_reason") or "")
    return ChatReply(
        text=well_formed("".join(block["text"] for block in body["content"] if block["type"] == "text")),
        finish_reason=reason,
        model_returned=str(body.get("model") or ""),
        request_id=request_id or str(body.get("id") or ""),
        prompt_tokens=None if fresh is None else fresh + cached + written,
        cached_tokens=cached,
        cache_written_tokens=written,
        completion_tokens=count(usage.get("output_tokens")) or 0,
        refusal=_refusal_of(body) if reason == "refusal" else None,
        limits=limits,
    )


def _refusal_of(body: Mapping[str, Any]) -> str:
    """Why the model stopped, as far as it says."""
    details = body.get("stop_details") or {}
    why = details.get("explanation") or details.get("category") or "the model refused to answer"
    return well_formed(str(why))


def told(error: Mapping[str, Any]) -> tuple[str, str]:
    """An error's message, and its type with the stable code that names its cause."""
    details = error.get("details")
    cause = details.get("error_code") if isinstance(details, dict) else None
    return str(error.get("message") or ""), " ".join(str(word) for word in (cause, error.get("type")) if word)
