"""OpenAI's batches: a file of requests is uploaded, a batch refers to it, results come as two more files."""

import json
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from label.batches.provider import CLOCK_SKEW_S, BatchLimits, BatchProgress, BatchResult, Found, Parcel
from label.chat import CallError, ChatReply, ChatRequest, RateLimits
from label.chat_models.openai_bodies import body_of, reply_of, told
from label.chat_models.wire import TRANSFER_TIMEOUT_S, count, garbage_line, whole_body

if TYPE_CHECKING:
    import openai

    from label.chat_models.openai_api import OpenAIModel

ENDPOINT = "/v1/chat/completions"
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
BATCH_KEY = "preferably_batch"
RUN_KEY = "preferably_run"
PAGE = 100
CONTROL_TIMEOUT_S = 60.0


class OpenAIBatches:
    """The batch interface of an OpenAI model."""

    limits = BatchLimits(requests=50_000, n_bytes=200_000_000)

    def __init__(self, model: "OpenAIModel") -> None:
        self._model = model

    def line(self, custom_id: str, request: ChatRequest) -> bytes:
        """A request with its id and where it goes."""
        row = {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body_of(request)}
        return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()

    async def upload(self, parcel: Parcel) -> str:
        """Upload the file of requests, named after the batch."""

        async def send(client: "openai.AsyncOpenAI") -> str:
            with parcel.path.open("rb") as file:
                uploaded = await client.files.create(
                    file=(f"{parcel.batch_id}.jsonl", file), purpose="batch", timeout=TRANSFER_TIMEOUT_S
                )
            return str(uploaded.id)

        return await self._model.exchange(send)

    async def create(self, parcel: Parcel, input_file_id: str) -> BatchProgress:
        """Submit the uploaded file; our own id goes into the metadata."""
        body = {
            "input_file_id": input_file_id,
            "endpoint": ENDPOINT,
            "completion_window": "24h",
            "metadata": {BATCH_KEY: parcel.batch_id, RUN_KEY: parcel.run_id},
        }
        return _progress(await self._post("/batches", body))

    async def find(self, parcel: Parcel, others: Collection[str]) -> Found:
        """Look for our own id in the metadata, newest batches first."""
        since = parcel.intended_at.replace(tzinfo=UTC) - timedelta(seconds=CLOCK_SKEW_S)
        async for batch in self._listed():
            if (batch.get("metadata") or {}).get(BATCH_KEY) == parcel.batch_id:
                return Found(_progress(batch))
            if (count(batch.get("created_at")) or 0) < since.timestamp():
                break
        return Found()

    async def progress(self, provider_batch_id: str) -> BatchProgress:
        """How far the batch is."""
        return _progress(await self._get(f"/batches/{provider_batch_id}"))

    async def download(self, progress: BatchProgress, path: Path) -> None:
        """The output file, then the error file."""
        with path.open("wb") as file:
            for file_id in progress.result_files:
                await self._model.exchange(partial(_copy, file_id=file_id, file=file))
                file.write(b"\n")

    def result(self, line: bytes) -> BatchResult:
        """An answer, or an error with the status it would have had online."""
        text = self._model.hidden(line.decode(errors="replace"))
        row = whole_body(text)
        return BatchResult(str(row["custom_id"]), _outcome(row, text))

    async def cancel(self, provider_batch_id: str) -> BatchProgress:
        """Ask for an early end; the batch is `cancelling` for up to ten minutes."""
        return _progress(await self._post(f"/batches/{provider_batch_id}/cancel", {}))

    async def _listed(self) -> AsyncIterator[dict[str, Any]]:
        after = ""
        while True:
            page = await self._get(f"/batches?limit={PAGE}{after}")
            batches = page.get("data") or []
            for batch in batches:
                yield batch
            if not batches or not page.get("has_more"):
                return
            after = f"&after={batches[-1]['id']}"

    async def _get(self, path: str) -> dict[str, Any]:
        import httpx2

        response = await self._model.exchange(
            lambda client: client.get(path, cast_to=httpx2.Response, options={"timeout": CONTROL_TIMEOUT_S})
        )
        return _body(self._model.hidden(response.text))

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        import httpx2

        response = await self._model.exchange(
            lambda client: client.post(
                path,
                cast_to=httpx2.Response,
                body=body,
                options={"timeout": CONTROL_TIMEOUT_S, "max_retries": 0},
            )
        )
        return _body(self._model.hidden(response.text))


async def _copy(client: "openai.AsyncOpenAI", file_id: str, file: Any) -> None:
    async with client.files.with_streaming_response.content(file_id, timeout=TRANSFER_TIMEOUT_S) as response:
        async for chunk in response.iter_bytes():
            file.write(chunk)


def _body(text: str) -> dict[str, Any]:
    try:
        return whole_body(text)
    except ValueError as error:
        raise garbage_line("a batch", text) from error


def _progress(batch: Mapping[str, Any]) -> BatchProgress:
    try:
        status = str(batch["status"])
        errors = (batch.get("errors") or {}).get("data") or []
        files = (batch.get("output_file_id"), batch.get("error_file_id"))
        return BatchProgress(
            provider_batch_id=str(batch["id"]),
            status=status,
            has_ended=status in ENDED,
            counts={name: number for name, number in (batch.get("request_counts") or {}).items() if number},
            reason="; ".join(str(error.get("message") or error.get("code")) for error in errors),
            result_files=tuple(str(file) for file in files if file),
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise garbage_line("a batch", json.dumps(batch)) from error


def _outcome(row: Mapping[str, Any], text: str) -> ChatReply | CallError:
    response = row.get("response")
    try:
        if response is None:
            message, code = told(row.get("error") or {})
            return CallError(message or code or "no answer", code=code)
        status, body = int(response["status_code"]), response["body"]
        if status >= 400:
            message, code = told((body or {}).get("error") or {})
            return CallError(message or f"status {status}", status=status, code=code)
        return reply_of(body, str(response.get("request_id") or ""), RateLimits())
    except (ValueError, LookupError, TypeError, AttributeError):
        return garbage_line("a chat completion", text)
