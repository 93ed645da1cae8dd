"""OpenAI's chat completions, and every server that speaks the same interface."""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from label.chat import CallError, ChatReply, ChatRequest, Json, ModelChoice
from label.chat_models.openai_bodies import body_of, reply_of, told
from label.chat_models.wire import (
    EXCERPT_CHARACTERS,
    NO_KEY,
    checked_url,
    connection_error,
    garbage,
    hidden,
    provider_keys,
    rate_limits,
)
from label.comparing.label_probability import MOST_TOKENS
from store.errors import BadSettings, MissingExtra

if TYPE_CHECKING:
    import httpx2
    import openai

    from label.chat_models.openai_batches import OpenAIBatches

Sent = TypeVar("Sent")

OPENAI_URL = "https://api.openai.com/v1"
API_VERSION = "chat.completions/v1"
REASONING_MODEL = re.compile(r"(?:o[1-9]|gpt-[5-9])(?:[-.]|$)")
"""Models that take `max_completion_tokens` and no temperature."""

WITHOUT_SCHEMA = re.compile(r"gpt-3\.5|gpt-4(?:-|$)")
"""Models from before structured output; their names say so at every server."""


class OpenAIModel:
    """One model behind a chat-completions interface."""

    provider = "openai"
    api_version = API_VERSION
    most_at_once = None

    def __init__(self, model: str, base_url: str) -> None:
        self.model = model
        self.takes_schema = WITHOUT_SCHEMA.match(model) is None
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

    def label_sampling(self, labels: Sequence[str]) -> dict[str, Json] | None:
        """One token with its likeliest alternatives, at a temperature that changes no probability."""
        if REASONING_MODEL.match(self.model):
            return None
        return {
            "temperature": 1.0,
            "top_p": 1.0,
            "max_tokens": 1,
            "logprobs": True,
            "top_logprobs": MOST_TOKENS,
        }

    def check(self) -> None:
        """Make the client; raises MissingExtra, or BadSettings if OpenAI is asked without a key."""
        self._client()

    async def complete(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        """One request, one attempt: the SDK's own retries are off."""
        import httpx2

        response = await self.exchange(
            lambda client: client.post(
                "/chat/completions",
                cast_to=httpx2.Response,
                body=body_of(request),
                options={"timeout": timeout_s, "max_retries": 0},
            )
        )
        return self._reply(response)

    async def exchange(self, send: "Callable[[openai.AsyncOpenAI], Awaitable[Sent]]") -> Sent:
        """What SEND brings in one attempt; every error of the SDK becomes a CallError."""
        import httpx2
        import openai

        try:
            return await send(self._client())
        except openai.APIStatusError as error:
            raise self._status_error(error) from None  # the original shows headers, and with them the key
        except (openai.APIConnectionError, httpx2.HTTPError) as error:  # the latter while a body is read
            raise connection_error(error, self._secret) from None

    def batches(self) -> "OpenAIBatches":
        """The batch interface beside this one."""
        from label.chat_models.openai_batches import OpenAIBatches

        return OpenAIBatches(self)

    def hidden(self, text: str) -> str:
        """TEXT without the key, should the server repeat it."""
        return hidden(text, self._secret)

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
            body = json.loads(hidden(response.text, self._secret))
            return reply_of(body, response.headers.get("x-request-id") or "", limits)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise garbage("a chat completion", response.text, self._secret, limits) from error

    def _status_error(self, error: "openai.APIStatusError") -> CallError:
        headers = error.response.headers
        body = error.body if isinstance(error.body, dict) else {}
        message, code = told(body)
        return CallError(
            hidden(message or error.response.text[:EXCERPT_CHARACTERS] or error.message, self._secret),
            status=error.status_code,
            code=code,
            retry_after=headers.get("retry-after"),
            limits=rate_limits(headers),
        )


def open_openai(choice: ModelChoice) -> OpenAIModel:
    """A model at OpenAI, or at the server the user named."""
    return OpenAIModel(choice.model, checked_url(choice.base_url or OPENAI_URL))


def open_vllm(choice: ModelChoice) -> OpenAIModel:
    """A model named as `vllm:http://host:8000/v1#name`."""
    url, separator, name = choice.model.partition("#")
    if not separator or not name or choice.base_url is not None:
        raise BadSettings(f"write --model vllm:http://host:8000/v1#name, not vllm:{choice.model}")
    return OpenAIModel(name, checked_url(url))


def _key_for(base_url: str) -> str:
    """The key from the environment; only OpenAI itself insists on one."""
    key = provider_keys().openai_api_key
    if key is None and base_url == OPENAI_URL:
        raise BadSettings("no key for OpenAI; put it into the environment as OPENAI_API_KEY")
    return "" if key is None else key.get_secret_value()


def _open_client(key: str, base_url: str) -> "openai.AsyncOpenAI":
    try:
        import openai
    except ModuleNotFoundError as error:
        raise MissingExtra.of("openai", "judge") from error
    return openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0)
