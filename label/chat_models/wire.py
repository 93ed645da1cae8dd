"""What every provider's HTTP interface has: an address, a key that must not leak, counts, limits in headers."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from label.chat import CallError, RateLimits, well_formed
from store.errors import BadSettings, MissingExtra

if TYPE_CHECKING:
    from label.chat_models.keys import ProviderKeys

NO_KEY = "none"
"""Sent to servers of one's own that ask for no key."""

EXCERPT_CHARACTERS = 200
TRANSFER_TIMEOUT_S = 600.0
"""For one read or write while a file of requests or results travels."""

DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

NEVER_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ProxyError")
"""Errors of the HTTP library that come before the request has left."""


def checked_url(url: str) -> str:
    """URL as it is stored and hashed.

    Raises BadSettings if it is none, or holds a key.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadSettings(f"{url!r} is no address of a server; write it as http://host:8000/v1")
    if parts.username or parts.password or parts.query:
        raise BadSettings(
            "a base URL is stored with every label and must hold no key; put it into OPENAI_API_KEY"
            " or ANTHROPIC_API_KEY"
        )
    return url.rstrip("/")


def provider_keys() -> "ProviderKeys":
    """The keys from the environment."""
    try:
        from label.chat_models.keys import ProviderKeys
    except ModuleNotFoundError as error:
        raise MissingExtra.of("pydantic-settings", "judge") from error
    return ProviderKeys()


def hidden(text: str, secret: str) -> str:
    """TEXT without the key, should a server repeat it."""
    return well_formed(text.replace(secret, "[key]") if secret else text)


def connection_error(error: Exception, secret: str) -> CallError:
    """A request that brought no response at all; it may have been answered if it was sent."""
    cause = error.__cause__
    was_sent = type(cause).__name__ not in NEVER_SENT
    return CallError(
        hidden(f"{error} {cause or ''}".strip(), secret), code="connection", may_be_charged=was_sent
    )


def garbage(what: str, text: str, secret: str, limits: RateLimits) -> CallError:
    """A success that cannot be read: what it answered is paid for all the same."""
    shown = hidden(text[:EXCERPT_CHARACTERS], secret)
    return CallError(
        f"the server's answer is not {what}: {shown!r}", code="garbage", limits=limits, may_be_charged=True
    )


def count(value: object) -> int | None:
    """VALUE if it is a count."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def rate_limits(headers: Mapping[str, str]) -> RateLimits:
    """What the x-ratelimit headers of a response say is left."""
    return RateLimits(
        remaining_requests=whole(headers.get("x-ratelimit-remaining-requests")),
        remaining_tokens=whole(headers.get("x-ratelimit-remaining-tokens")),
        reset_requests_s=duration_s(headers.get("x-ratelimit-reset-requests")),
        reset_tokens_s=duration_s(headers.get("x-ratelimit-reset-tokens")),
    )


def whole(text: str | None) -> int | None:
    """The number in a header that holds one."""
    return int(text) if text is not None and re.fullmatch("[0-9]{1,15}", text) else None


def duration_s(text: str | None) -> float | None:
    """Seconds in a text such as `6m0s` or `20ms`; None if it is none."""
    if not text or re.fullmatch(f"(?:{DURATION_PART.pattern})+", text) is None:
        return None
    return sum(float(number) * UNIT_S[unit] for number, unit in DURATION_PART.findall(text))


def whole_body(text: str) -> dict[str, Any]:
    """The JSON object in TEXT; raises ValueError if it is none."""
    body = json.loads(text)
    if not isinstance(body, dict):
        raise ValueError("not an object")  # noqa: TRY004 - for the reader it is one kind of garbage
    return body


def garbage_line(what: str, text: str) -> CallError:
    """A part of an answer that cannot be read, its key hidden already; it is paid for all the same."""
    return CallError(
        f"the server's answer is not {what}: {text[:EXCERPT_CHARACTERS]!r}",
        code="garbage",
        may_be_charged=True,
    )
