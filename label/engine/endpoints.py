"""Several servers of one model, asked as one.

A request goes to the server that the hash of its key chooses, so that the same one goes to the same server
and finds its prefix there. A server that does not answer is left alone for a while; its share goes to the
others. In request keys the servers are one: the first address that was named stands for all of them.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from label.chat import CallError, ChatModel, ChatReply, ChatRequest, Json, request_key
from label.engine.rotation import Rotation


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
        self._models = {model.base_url: model for model in models}
        self._rotation = Rotation(list(self._models))

    @property
    def most_at_once(self) -> int | None:
        """The sum of what each can do; None if one of them leaves it to the user."""
        each = [model.most_at_once for model in self._models.values()]
        return sum(most for most in each if most is not None) if None not in each else None

    def sampling(self, temperature: float | None, max_tokens: int) -> dict[str, Json]:
        """As each of them would send it."""
        return self._models[self.base_url].sampling(temperature, max_tokens)

    def label_sampling(self, labels: Sequence[str]) -> dict[str, Json] | None:
        """As each of them would send it."""
        return self._models[self.base_url].label_sampling(labels)

    def check(self) -> None:
        """Raise what any of them raises."""
        for model in self._models.values():
            model.check()

    async def complete(self, request: ChatRequest, timeout_s: float) -> ChatReply:
        """The answer of the server whose turn it is; an error names the server."""
        url = self._rotation.choose(request_key(request))
        try:
            reply = await self._models[url].complete(request, timeout_s)
        except CallError as error:
            if is_silence(error):
                self._rotation.fell_silent(url)
            raise named(error, url) from error
        except asyncio.CancelledError:  # the caller's timeout, or the end of the run
            self._rotation.fell_silent(url)
            raise
        self._rotation.answered(url)
        return replace(reply, answered_by=url)

    async def close(self) -> None:
        """Let go of every connection."""
        for model in self._models.values():
            await model.close()


def is_silence(error: CallError) -> bool:
    """Whether a failed attempt says that the server, and not the request, is at fault."""
    return error.status is None or error.status >= 500


def named(error: CallError, url: str) -> CallError:
    """The same error, saying which server it came from."""
    return CallError(
        f"{error} (at {url})",
        status=error.status,
        code=error.code,
        retry_after=error.retry_after,
        limits=error.limits,
        may_be_charged=error.may_be_charged,
    )
