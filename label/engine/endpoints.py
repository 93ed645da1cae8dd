"""Several servers of one model, asked as one.

A request goes to the server that the hash of its key chooses, so that the same one goes to the same server
and finds its prefix there. A server that does not answer is left alone for a while; its share goes to the
others. In request keys the servers are one: the first address that was named stands for all of them.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from label.chat import CallError, ChatModel, ChatReply, ChatRequest, Json, request_key

FAILURES_IN_A_ROW = 3
REST_S = 30.0
"""How long a server that does not answer is left alone before it gets a request again."""


@dataclass(slots=True)
class Endpoint:
    """One server, and whether it has been answering."""

    model: ChatModel
    failures: int = 0
    rests_until: float = float("-inf")


class Endpoints:
    """The chat model that several servers are together."""

    def __init__(self, models: Sequence[ChatModel]) -> None:
        first = models[0]
        self.provider = first.provider
        self.base_url = first.base_url
        self.api_version = first.api_version
        self.model = first.model
        self.labeler = first.labeler
        self.takes_schema = all(model.takes_schema for model in models)
        self._endpoints = [Endpoint(model) for model in models]

    @property
    def most_at_once(self) -> int | None:
        """The sum of what each can do; None if one of them leaves it to the user."""
        each = [endpoint.model.most_at_once for endpoint in self._endpoints]
        return sum(most for most in each if most is not None) if None not in each else None

    def sampling(self, temperature: float | None, max_tokens: int) -> dict[str, Json]:
        """As each of them would send it."""
        return self._endpoints[0].model.sampling(temperature, max_tokens)

    def label_sampling(self, labels: Sequence[str]) -> dict[str, Json] | None:
        """As each of them would send it."""
        return self._endpoints[0].model.label_sampling(labels)

    def check(self) -> None:
        """Raise what any of them raises."""
        for endpoint in self._endpoints:
            endpoint.model.check()

    async def complete(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        """The answer of the server whose turn it is; an error names the server."""
        endpoint = self._choose(request)
        try:
            reply = await endpoint.model.complete(request, timeout_s)
        except CallError as error:
            self._failed(endpoint, error)
            raise _named(error, endpoint.model.base_url) from error
        except asyncio.CancelledError:  # the caller's timeout, or the end of the run
            self._count_failure(endpoint)
            raise
        endpoint.failures = 0
        endpoint.rests_until = float("-inf")
        return replace(reply, answered_by=endpoint.model.base_url)

    async def close(self) -> None:
        """Let go of every connection."""
        for endpoint in self._endpoints:
            await endpoint.model.close()

    def _choose(self, request: ChatRequest) -> Endpoint:
        """The server with the highest hash of request and address that is not resting; if all are, of all."""
        key = request_key(request)
        now = asyncio.get_running_loop().time()
        awake = [endpoint for endpoint in self._endpoints if endpoint.rests_until <= now]
        chosen = max(awake or self._endpoints, key=lambda endpoint: _weight(key, endpoint.model.base_url))
        if chosen.failures >= FAILURES_IN_A_ROW:
            chosen.rests_until = now + REST_S  # one request finds out whether it answers again
        return chosen

    def _failed(self, endpoint: Endpoint, error: CallError) -> None:
        if error.status is None or error.status >= 500:
            self._count_failure(endpoint)

    def _count_failure(self, endpoint: Endpoint) -> None:
        endpoint.failures += 1
        if endpoint.failures >= FAILURES_IN_A_ROW:
            endpoint.rests_until = asyncio.get_running_loop().time() + REST_S


def _weight(key: str, url: str) -> bytes:
    return hashlib.sha256(f"{key} {url}".encode()).digest()


def _named(error: CallError, url: str) -> CallError:
    return CallError(
        f"{error} (at {url})",
        status=error.status,
        code=error.code,
        retry_after=error.retry_after,
        limits=error.limits,
        may_be_charged=error.may_be_charged,
    )
