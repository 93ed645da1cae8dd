"""Anthropic's messages.

Its package has no temperature, no top_p and no seed: repeatability comes from the stored answers and from
several draws.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from label.chat import CallError, ChatReply, ChatRequest, Json, ModelChoice, RateLimits
from label.chat_models.anthropic_bodies import body_of, reply_of, told
from label.chat_models.wire import (
    EXCERPT_CHARACTERS,
    NO_KEY,
    checked_url,
    connection_error,
    garbage,
    hidden,
    provider_keys,
    whole,
)
from store.errors import BadSettings, MissingExtra

if TYPE_CHECKING:
    import anthropic
    import httpx2

    from label.chat_models.anthropic_batches import AnthropicBatches

Sent = TypeVar("Sent")

ANTHROPIC_URL = "https://api.anthropic.com"
MESSAGES_VERSION = "2026-10-21"
"""Sent as `anthropic-version` whatever the package's own is, since it is part of every request key."""


class AnthropicModel:
    """One model behind the messages interface."""

    provider = "anthropic"
    api_version = f"messages/{MESSAGES_VERSION}"
    takes_schema = True
    most_at_once = None

    def __init__(self, model: str, base_url: str) -> None:
        self.model = model
        self.base_url = base_url
        self.labeler = model
        self._opened: anthropic.AsyncAnthropic | None = None
        self._secret = ""

    def sampling(self, temperature: float | None, max_tokens: int) -> dict[str, Json]:
        """The bound of the answer, thinking included, is all there is to choose."""
        return {"max_tokens": max_tokens}

    def label_sampling(self, labels: Sequence[str]) -> None:
        """None: the interface tells no log-probabilities."""

    def check(self) -> None:
        """Make the client; raises MissingExtra, or BadSettings if Anthropic is asked without a key."""
        self._client()

    async def complete(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        """One request, one attempt: the SDK's own retries are off."""
        import httpx2

        response = await self.exchange(
            lambda client: client.post(
                "/v1/messages",
                cast_to=httpx2.Response,
                body=body_of(request),
                options={"timeout": timeout_s, "max_retries": 0},
            )
        )
        return self._reply(response)

    async def exchange(self, send: "Callable[[anthropic.AsyncAnthropic], Awaitable[Sent]]") -> Sent:
        """What SEND brings in one attempt; every error of the SDK becomes a CallError."""
        import anthropic
        import httpx2

        try:
            return await send(self._client())
        except anthropic.APIStatusError as error:
            raise self._status_error(error) from None  # the original shows headers, and with them the key
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:  # the latter while a body is read
            raise connection_error(error, self._secret) from None

    def batches(self) -> "AnthropicBatches":
        """The batch interface beside this one."""
        from label.chat_models.anthropic_batches import AnthropicBatches

        return AnthropicBatches(self)

    def hidden(self, text: str) -> str:
        """TEXT without the key, should the server repeat it."""
        return hidden(text, self._secret)

    async def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    def _client(self) -> "anthropic.AsyncAnthropic":
        if self._opened is None:
            self._secret = _key_for(self.base_url)
            self._opened = _open_client(self._secret or NO_KEY, self.base_url)
        return self._opened

    def _reply(self, response: "httpx2.Response") -> ChatReply:
        limits = rate_limits(response.headers, datetime.now(UTC))
        try:
            return reply_of(
                json.loads(hidden(response.text, self._secret)),
                response.headers.get("request-id") or "",
                limits,
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise garbage("a message", response.text, self._secret, limits) from error

    def _status_error(self, error: "anthropic.APIStatusError") -> CallError:
        headers = error.response.headers
        body = error.body if isinstance(error.body, dict) else {}
        inner = body.get("error")
        message, codes = told(inner if isinstance(inner, dict) else {})
        return CallError(
            hidden(message or error.response.text[:EXCERPT_CHARACTERS] or error.message, self._secret),
            status=error.status_code,
            code=codes,
            retry_after=headers.get("retry-after"),
            limits=rate_limits(headers, datetime.now(UTC)),
        )


def open_anthropic(choice: ModelChoice) -> AnthropicModel:
    """A model at Anthropic, or at the server the user named."""
    return AnthropicModel(choice.model, checked_url(choice.base_url or ANTHROPIC_URL))


def _key_for(base_url: str) -> str:
    """The key from the environment; only Anthropic itself insists on one."""
    key = provider_keys().anthropic_api_key
    if key is None and base_url == ANTHROPIC_URL:
        raise BadSettings("no key for Anthropic; put it into the environment as ANTHROPIC_API_KEY")
    return "" if key is None else key.get_secret_value()


def _open_client(key: str, base_url: str) -> "anthropic.AsyncAnthropic":
    try:
        import anthropic
    except ModuleNotFoundError as error:
        raise MissingExtra.of("anthropic", "judge") from error
    return anthropic.AsyncAnthropic(
        api_key=key,
        base_url=base_url,
        max_retries=0,
        default_headers={"anthropic-version": MESSAGES_VERSION},
    )


def rate_limits(headers: Mapping[str, str], now: datetime) -> RateLimits:
    """What the anthropic-ratelimit headers of a response say is left."""
    prefix = "anthropic-ratelimit-"
    return RateLimits(
        remaining_requests=whole(headers.get(f"{prefix}requests-remaining")),
        remaining_tokens=whole(headers.get(f"{prefix}tokens-remaining")),
        reset_requests_s=_seconds_until(headers.get(f"{prefix}requests-reset"), now),
        reset_tokens_s=_seconds_until(headers.get(f"{prefix}tokens-reset"), now),
    )


def _seconds_until(text: str | None, now: datetime) -> float | None:
    """Seconds from NOW to a moment such as `2026-11-21T12:00:00Z`; None if it is none."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())
