"""Anthropic's message batches: one request holds them all; results come in any order, each with its own end."""

import json
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from label.batches.provider import (
    CLOCK_SKEW_S,
    BatchLimits,
    BatchProgress,
    BatchResult,
    Found,
    Parcel,
    split_custom_id,
)
from label.chat import CallError, ChatReply, ChatRequest, RateLimits
from label.chat_models.anthropic_bodies import body_of, reply_of, told
from label.chat_models.wire import TRANSFER_TIMEOUT_S, garbage_line, whole_body

if TYPE_CHECKING:
    import anthropic

    from label.chat_models.anthropic_api import AnthropicModel

PATH = "/v1/messages/batches"
PAGE = 100
CONTROL_TIMEOUT_S = 60.0
STREAMED = {"X-Stainless-Raw-Response": "stream"}
"""Makes the SDK hand out the response unread, as its `with_streaming_response` does."""

STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 500,
    "overloaded_error": 529,
}
"""The status an error has online; none of them is charged for in a batch."""


class AnthropicBatches:
    """The batch interface of an Anthropic model."""

    limits = BatchLimits(requests=100_000, n_bytes=256_000_000)

    def __init__(self, model: "AnthropicModel") -> None:
        self._model = model

    def line(self, custom_id: str, request: ChatRequest) -> bytes:
        """A request with its id."""
        row = {"custom_id": custom_id, "params": body_of(request)}
        return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()

    async def upload(self, parcel: Parcel) -> str:
        """Nothing: the requests travel with the batch."""
        del parcel
        return ""

    async def create(self, parcel: Parcel, input_file_id: str) -> BatchProgress:
        """Submit all requests at once."""
        import httpx2

        del input_file_id
        lines = parcel.path.read_bytes().rstrip(b"\n").replace(b"\n", b",")
        response = await self._model.exchange(
            lambda client: client.post(
                PATH,
                cast_to=httpx2.Response,
                content=b'{"requests":[' + lines + b"]}",
                options={
                    "timeout": TRANSFER_TIMEOUT_S,
                    "max_retries": 0,
                    "headers": {"content-type": "application/json"},
                },
            )
        )
        return _progress(_body(self._model.hidden(response.text)))

    async def find(self, parcel: Parcel, others: Collection[str]) -> Found:
        """Look at batches of the same size, made since: one that has ended shows whose it is by its first result."""
        since = parcel.intended_at.replace(tzinfo=UTC) - timedelta(seconds=CLOCK_SKEW_S)
        undecided = []
        async for batch in self._listed():
            if _created_at(batch) < since:
                break
            same_size = sum((batch.get("request_counts") or {}).values()) == parcel.n_requests
            if str(batch["id"]) in others or not same_size or batch.get("archived_at"):
                continue
            progress = _progress(batch)
            if not progress.has_ended:
                undecided.append(progress.provider_batch_id)
            elif await self._batch_of(progress) == parcel.batch_id:
                return Found(progress)
        return Found(undecided=tuple(undecided))

    async def progress(self, provider_batch_id: str) -> BatchProgress:
        """How far the batch is."""
        return _progress(await self._get(f"{PATH}/{provider_batch_id}"))

    async def download(self, progress: BatchProgress, path: Path) -> None:
        """The results, from the server that was asked: never from an address in its answer."""
        with path.open("wb") as file:
            await self._model.exchange(lambda client: _copy(client, progress.provider_batch_id, file))

    def result(self, line: bytes) -> BatchResult:
        """An answer, or an error with the status it would have had online."""
        text = self._model.hidden(line.decode(errors="replace"))
        row = whole_body(text)
        return BatchResult(str(row["custom_id"]), _outcome(row.get("result"), text))

    async def cancel(self, provider_batch_id: str) -> BatchProgress:
        """Ask for an early end; requests under way may still be answered."""
        import httpx2

        response = await self._model.exchange(
            lambda client: client.post(
                f"{PATH}/{provider_batch_id}/cancel",
                cast_to=httpx2.Response,
                options={"timeout": CONTROL_TIMEOUT_S, "max_retries": 0},
            )
        )
        return _progress(_body(self._model.hidden(response.text)))

    async def _listed(self) -> AsyncIterator[dict[str, Any]]:
        after = ""
        while True:
            page = await self._get(f"{PATH}?limit={PAGE}{after}")
            batches = page.get("data") or []
            for batch in batches:
                yield batch
            if not batches or not page.get("has_more"):
                return
            after = f"&after_id={batches[-1]['id']}"

    async def _batch_of(self, progress: BatchProgress) -> str | None:
        """Our id of a batch that has ended, as its results have it."""
        first = await self._model.exchange(lambda client: _first_line(client, progress.provider_batch_id))
        try:
            split = split_custom_id(str(whole_body(first.decode(errors="replace"))["custom_id"]))
        except (ValueError, LookupError):
            return None
        return split[0] if split else None

    async def _get(self, path: str) -> dict[str, Any]:
        import httpx2

        response = await self._model.exchange(
            lambda client: client.get(path, cast_to=httpx2.Response, options={"timeout": CONTROL_TIMEOUT_S})
        )
        return _body(self._model.hidden(response.text))


async def _pieces(client: "anthropic.AsyncAnthropic", provider_batch_id: str) -> AsyncIterator[bytes]:
    import httpx2

    response = await client.get(
        f"{PATH}/{provider_batch_id}/results",
        cast_to=httpx2.Response,
        options={"timeout": TRANSFER_TIMEOUT_S, "headers": STREAMED},
    )
    try:
        async for chunk in response.aiter_bytes():
            yield chunk
    finally:
        await response.aclose()


async def _copy(client: "anthropic.AsyncAnthropic", provider_batch_id: str, file: Any) -> None:
    async for chunk in _pieces(client, provider_batch_id):
        file.write(chunk)


async def _first_line(client: "anthropic.AsyncAnthropic", provider_batch_id: str) -> bytes:
    read = b""
    pieces = _pieces(client, provider_batch_id)
    try:
        async for chunk in pieces:
            read += chunk
            if b"\n" in read:
                break
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]  # a generator, declared as what it yields
    return read.partition(b"\n")[0]


def _body(text: str) -> dict[str, Any]:
    try:
        return whole_body(text)
    except ValueError as error:
        raise garbage_line("a message batch", text) from error


def _created_at(batch: Mapping[str, Any]) -> datetime:
    try:
        moment = datetime.fromisoformat(str(batch["created_at"]))
    except (ValueError, LookupError) as error:
        raise garbage_line("a message batch", json.dumps(batch)) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _progress(batch: Mapping[str, Any]) -> BatchProgress:
    try:
        status = str(batch["processing_status"])
        return BatchProgress(
            provider_batch_id=str(batch["id"]),
            status=status,
            has_ended=status == "ended",
            counts={name: number for name, number in batch["request_counts"].items() if number},
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise garbage_line("a message batch", json.dumps(batch)) from error


def _outcome(result: Any, text: str) -> ChatReply | CallError:
    try:
        kind = result["type"]
        if kind == "succeeded":
            return reply_of(result["message"], "", RateLimits())
        if kind != "errored":
            return CallError(f"the request was {kind}", code=f"batch_{kind}")
        outer = result.get("error") or {}
        inner: dict[str, Any] = outer["error"] if isinstance(outer.get("error"), dict) else outer
        message, code = told(inner)
        return CallError(message or code, status=STATUS_OF.get(str(inner.get("type"))), code=code)
    except (ValueError, LookupError, TypeError, AttributeError):
        return garbage_line("a message", text)
