"""OpenAI's chat completions, and every server that speaks the same interface."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from label.chat import CallError, ChatReply, ChatRequest, Json, ModelChoice, RateLimits, well_formed
from store.errors import BadSettings, MissingExtra

if TYPE_CHECKING:
    import httpx2
    import openai

OPENAI_URL = "https://api.openai.com/v1"
API_VERSION = "chat.completions/v1"
NO_KEY = "none"
"""Sent to servers of one's own that ask for no key."""

REASONING_MODEL = re.compile(r"(?:o[1-9]|gpt-[5-9])(?:[-.]|$)")
"""Models that take `max_completion_tokens` and no temperature."""

EXCERPT_CHARACTERS = 200
DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class OpenAIModel:
    """One model behind a chat-completions interface."""

    provider = "openai"
    api_version = API_VERSION

    def __init__(self, model: str, base_url: str) -> None:
        self.model = model
        self.base_url = base_url
        self.labeler = model
        self._opened: openai.AsyncOpenAI | None = None
        self._secret = ""

    def sampling(self, temperature: float | None, max_tokens: int) -> dict[str, Json]:
        """Every parameter is sent, since a server's own defaults may differ."""
        if REASONING_MODEL.match(self.model):
            return {"max_completion_tokens": max_tokens}
        chosen: dict[str, Json] = {} if temperature is None else {"temperature": temperature, "top_p": 1.0}
        return {**chosen, "max_tokens": max_tokens}

    def check(self) -> None:
        """Make the client; raises MissingExtra, or BadSettings if OpenAI is asked without a key."""
        self._client()

    async def complete(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        """One request, one attempt: the SDK's own retries are off."""
        import httpx2
        import openai

        try:
            response = await self._client().post(
                "/chat/completions",
                cast_to=httpx2.Response,
                body=_body(request),
                options={"timeout": timeout_s, "max_retries": 0},
            )
        except openai.APIStatusError as error:
            raise self._status_error(error) from None  # the original shows headers, and with them the key
        except openai.APIConnectionError as error:
            raise CallError(
                self._hidden(f"{error} {error.__cause__ or ''}".strip()), code="connection"
            ) from None
        return self._reply(response)

    async def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    def _client(self) -> "openai.AsyncOpenAI":
        if self._opened is None:
            self._secret = _key_for(self.base_url)
            self._opened = _open_client(self._secret or NO_KEY, self.base_url)
        return self._opened

    def _reply(self, response: "httpx2.Response") -> ChatReply:
        limits = rate_limits(response.headers)
        try:
            body = json.loads(self._hidden(response.text))
            choice = body["choices"][0]
            message = choice["message"]
            text = _text_of(message.get("content"))
            usage = body.get("usage") or {}
            return ChatReply(
                text=well_formed(text),
                finish_reason=str(choice.get("finish_reason") or ""),
                model_returned=str(body.get("model") or ""),
                request_id=response.headers.get("x-request-id") or str(body.get("id") or ""),
                prompt_tokens=_count(usage.get("prompt_tokens")),
                cached_tokens=_count((usage.get("prompt_tokens_details") or {}).get("cached_tokens")) or 0,
                completion_tokens=_count(usage.get("completion_tokens")) or 0,
                refusal=_refusal_of(message),
                limits=limits,
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            shown = self._hidden(response.text[:EXCERPT_CHARACTERS])
            raise CallError(
                f"the server's answer is not a chat completion: {shown!r}", code="garbage", limits=limits
            ) from error

    def _status_error(self, error: "openai.APIStatusError") -> CallError:
        headers = error.response.headers
        body = error.body if isinstance(error.body, dict) else {}
        codes = [str(body[name]) for name in ("code", "type") if body.get(name)]
        message = str(body.get("message") or error.response.text[:EXCERPT_CHARACTERS] or error.message)
        return CallError(
            self._hidden(message),
            status=error.status_code,
            code=" ".join(codes),
            retry_after=headers.get("retry-after"),
            limits=rate_limits(headers),
        )

    def _hidden(self, text: str) -> str:
        """TEXT without the key, should a server repeat it."""
        return well_formed(text.replace(self._secret, "[key]") if self._secret else text)


def open_openai(choice: ModelChoice) -> OpenAIModel:
    """A model at OpenAI, or at the server the user named."""
    return OpenAIModel(choice.model, _checked_url(choice.base_url or OPENAI_URL))


def open_vllm(choice: ModelChoice) -> OpenAIModel:
    """A model named as `vllm:http://host:8000/v1#name`."""
    url, separator, name = choice.model.partition("#")
    if not separator or not name or choice.base_url is not None:
        raise BadSettings(f"write --model vllm:http://host:8000/v1#name, not vllm:{choice.model}")
    return OpenAIModel(name, _checked_url(url))


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadSettings(f"{url!r} is no address of a server; write it as http://host:8000/v1")
    if parts.username or parts.password or parts.query:
        raise BadSettings(
            "a base URL is stored with every label and must hold no key; put it into OPENAI_API_KEY"
        )
    return url.rstrip("/")


def _key_for(base_url: str) -> str:
    """The key from the environment; only OpenAI itself insists on one."""
    try:
        from label.chat_models.keys import ProviderKeys
    except ModuleNotFoundError as error:
        raise MissingExtra.of("pydantic-settings", "judge") from error
    key = ProviderKeys().openai_api_key
    if key is None and base_url == OPENAI_URL:
        raise BadSettings("no key for OpenAI; put it into the environment as OPENAI_API_KEY")
    return "" if key is None else key.get_secret_value()


def _open_client(key: str, base_url: str) -> "openai.AsyncOpenAI":
    try:
        import openai
    except ModuleNotFoundError as error:
        raise MissingExtra.of("openai", "judge") from error
    return openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0)


def _body(request: ChatRequest) -> dict[str, object]:
    messages = [{"role": role, "content": content} for role, content in request.messages]
    schema = {} if request.response_schema is None else {"response_format": request.response_schema}
    return {"model": request.model, "messages": messages, **schema, **request.sampling}


def _text_of(content: object) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    raise TypeError("the content of a reply is no text")


def _refusal_of(message: Mapping[str, Any]) -> str | None:
    refusal = message.get("refusal")
    return well_formed(refusal) if isinstance(refusal, str) and refusal else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def rate_limits(headers: Mapping[str, str]) -> RateLimits:
    """What the x-ratelimit headers of a response say is left."""
    return RateLimits(
        remaining_requests=_whole(headers.get("x-ratelimit-remaining-requests")),
        remaining_tokens=_whole(headers.get("x-ratelimit-remaining-tokens")),
        reset_requests_s=duration_s(headers.get("x-ratelimit-reset-requests")),
        reset_tokens_s=duration_s(headers.get("x-ratelimit-reset-tokens")),
    )


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch("[0-9]{1,15}", text) else None


def duration_s(text: str | None) -> float | None:
    """Seconds in a text such as `6m0s` or `20ms`; None if it is none."""
    if not text or re.fullmatch(f"(?:{DURATION_PART.pattern})+", text) is None:
        return None
    return sum(float(number) * UNIT_S[unit] for number, unit in DURATION_PART.findall(text))
