"""A server with both batch interfaces, which loses, breaks and mixes up what it is told to."""

import hashlib
import json
import random
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

OPENAI_END = {"cancelled": "cancelled", "expired": "expired", "failed": "failed"}


@dataclass
class ServerBatch:
    """A batch that was accepted."""

    batch_id: str
    kind: str
    requests: dict[str, dict[str, object]]
    """Custom id → what was asked."""
    metadata: dict[str, str]
    created_at: float = field(default_factory=time.time)
    end: str = ""
    """How it ended, empty while it is under way."""

    @property
    def keys(self) -> set[str]:
        return {custom_id.rpartition("-")[2] for custom_id in self.requests}


class BatchServer:
    """OpenAI's files and batches, Anthropic's message batches, and both ways to ask one by one."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, ServerBatch] = {}
        self.creating: deque[str] = deque()
        """What happens to the next submissions: a status, with `after ` in front if the batch is taken all the same."""
        self.faults: deque[int] = deque()
        """Statuses of the next other calls."""
        self.fate: Callable[[int], str] = lambda _number: "done"
        """What becomes of the n-th request of a batch."""
        self.delay: Callable[[], None] = lambda: None
        """Called before and after each answer is made."""
        self.taken: Callable[[], None] = lambda: None
        """Called when a batch is taken, before that is answered."""
        self.ends_at_once = True
        self.is_shuffled = True
        self.online: list[dict[str, object]] = []
        self.seen: Counter[str] = Counter()
        self.authorizations: set[str | None] = set()
        self.changed = threading.Condition()
        server.expect_request(re.compile(".*")).respond_with_handler(self.answer)

    @property
    def openai_url(self) -> str:
        return self.server.url_for("/v1")

    @property
    def anthropic_url(self) -> str:
        return self.server.url_for("").rstrip("/")

    def url_of(self, kind: str) -> str:
        return self.openai_url if kind == "openai" else self.anthropic_url

    def end_all(self, end: str = "completed") -> None:
        for batch in self.batches.values():
            batch.end = batch.end or end

    def has_seen(self, count: int, within_s: float) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.seen.total() >= count, within_s)

    def answer(self, request: Request) -> Response:
        body = request.get_data()
        with self.changed:
            self.seen[f"{request.method} {request.path}"] += 1
            self.authorizations.add(request.headers.get("authorization") or request.headers.get("x-api-key"))
            self.changed.notify_all()
        self.delay()
        with self.changed:
            response = self._route(request, body)
        self.delay()
        return response

    def _route(self, request: Request, body: bytes) -> Response:
        path, method = request.path, request.method
        if path in ("/v1/chat/completions", "/v1/messages"):
            asked = json.loads(body)
            self.online.append(asked)
            return _json(_completion(asked) if path.endswith("completions") else _message(asked))
        if (path, method) in (("/v1/batches", "POST"), ("/v1/messages/batches", "POST")):
            return self._create(path, body)
        if self.faults:
            return _error(self.faults.popleft())
        if (path, method) == ("/v1/files", "POST"):
            upload = request.files["file"]
            assert request.form["purpose"] == "batch"
            file_id = f"file-{len(self.files)}"
            self.files[file_id] = upload.read()
            return _json({"id": file_id, "object": "file", "filename": upload.filename})
        if path in ("/v1/batches", "/v1/messages/batches"):
            return self._listed(request, "openai" if path == "/v1/batches" else "anthropic")
        return self._one(path)

    def _create(self, path: str, body: bytes) -> Response:
        fault = self.creating.popleft() if self.creating else ""
        if fault and not fault.startswith("after"):
            return _error(int(fault))
        batch = self._taken(path, json.loads(body))
        self.batches[batch.batch_id] = batch
        if self.ends_at_once:
            batch.end = "completed"
        self.taken()
        return _error(int(fault.split()[1])) if fault else _json(self._shown(batch))

    def _taken(self, path: str, asked: dict) -> ServerBatch:
        if path == "/v1/batches":
            assert asked["endpoint"] == "/v1/chat/completions"
            assert asked["completion_window"] == "24h"
            lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
            assert all((line["method"], line["url"]) == ("POST", asked["endpoint"]) for line in lines)
            requests = {line["custom_id"]: line["body"] for line in lines}
            assert len(requests) == len(lines)
            return ServerBatch(f"batch_{len(self.batches)}", "openai", requests, asked["metadata"])
        requests = {line["custom_id"]: line["params"] for line in asked["requests"]}
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", custom_id) for custom_id in requests)
        return ServerBatch(f"msgbatch_{len(self.batches)}", "anthropic", requests, {})

    def _listed(self, request: Request, kind: str) -> Response:
        newest_first = [batch for batch in reversed(self.batches.values()) if batch.kind == kind]
        after = request.args.get("after") or request.args.get("after_id")
        ids = [batch.batch_id for batch in newest_first]
        start = ids.index(after) + 1 if after else 0
        page = newest_first[start : start + 2]
        return _json(
            {"data": [self._shown(batch) for batch in page], "has_more": start + 2 < len(newest_first)}
        )

    def _one(self, path: str) -> Response:
        parts = path.removeprefix("/v1/").removeprefix("messages/").split("/")
        if parts[0] == "files":
            return Response(self._file(parts[1]), content_type="application/binary")
        batch = self.batches.get(parts[1])
        if batch is None:
            return _error(404)
        if parts[2:] == ["cancel"]:
            batch.end = batch.end or "cancelled"
        if parts[2:] == ["results"]:
            return Response(self._lines(batch, "results"), content_type="application/binary")
        return _json(self._shown(batch))

    def _file(self, file_id: str) -> bytes:
        which, _, batch_id = file_id.partition("-")
        return self._lines(self.batches[batch_id], which)

    def _lines(self, batch: ServerBatch, which: str) -> bytes:
        rows = []
        for number, (custom_id, asked) in enumerate(batch.requests.items()):
            fate = self.fate(number)
            is_answer = fate in ("done", "unparsed", "garbage", "twice", "strange")
            if fate == "missing" or (which == "output") > is_answer or (which == "error") > (not is_answer):
                continue
            line = _openai_line if batch.kind == "openai" else _anthropic_line
            rows.extend(line(custom_id, asked, fate) for _ in range(2 if fate == "twice" else 1))
            if fate == "strange":
                rows.append(line("pb-0123456789abcdef-" + "0" * 32, asked, "done"))
        if self.is_shuffled:
            random.Random(batch.batch_id).shuffle(rows)
        return "".join(json.dumps(row) + "\n" for row in rows).encode()

    def _shown(self, batch: ServerBatch) -> dict[str, object]:
        if batch.kind == "anthropic":
            counts = {
                "processing": 0,
                "succeeded": len(batch.requests),
                "errored": 0,
                "canceled": 0,
                "expired": 0,
            }
            if not batch.end:
                counts |= {"processing": len(batch.requests), "succeeded": 0}
            return {
                "id": batch.batch_id,
                "type": "message_batch",
                "processing_status": "ended" if batch.end else "in_progress",
                "request_counts": counts,
                "created_at": datetime.fromtimestamp(batch.created_at, UTC).isoformat(),
                "results_url": "http://elsewhere.invalid/results",
            }
        has_files = bool(batch.end) and batch.end != "failed"
        return {
            "id": batch.batch_id,
            "object": "batch",
            "status": batch.end or "in_progress",
            "created_at": int(batch.created_at),
            "metadata": batch.metadata,
            "request_counts": {"total": len(batch.requests), "completed": 0, "failed": 0},
            "output_file_id": f"output-{batch.batch_id}" if has_files else None,
            "error_file_id": f"error-{batch.batch_id}" if has_files else None,
            "errors": {"data": [{"code": "token_limit_exceeded", "message": "too many enqueued tokens"}]}
            if batch.end == "failed"
            else None,
        }


def _json(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status=status, content_type="application/json")


ERRORS = {429: "rate_limit_exceeded", 402: "billing_error"}


def _error(status: int) -> Response:
    return _json({"error": {"message": f"scripted {status}", "code": ERRORS.get(status, "scripted")}}, status)


def _text(asked: dict, fate: str = "done") -> str:
    if fate == "unparsed":
        return "Hard to say, really."
    text = json.dumps(asked["messages"], sort_keys=True)
    number = hashlib.sha256(text.encode()).digest()[0]
    if "response_format" in asked or "output_config" in asked or "verdict" in text:
        side, strength = "ab"[number % 2], ("", "slightly-")[number % 3 == 0]
        return json.dumps({"analysis": "One is better.", "verdict": f"{side}-is-{strength}better"})
    return f"A fair answer.\nRating: [[{1 + number % 10}]]"


def _completion(asked: dict, fate: str = "done") -> dict[str, object]:
    message = {"role": "assistant", "content": _text(asked, fate)}
    return {
        "id": "chatcmpl-1",
        "model": f"{asked['model']}-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
    }


def _message(asked: dict, fate: str = "done") -> dict[str, object]:
    return {
        "id": "msg_1",
        "type": "message",
        "model": asked["model"],
        "content": [{"type": "text", "text": _text(asked, fate)}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 100, "output_tokens": 20},
    }


def _openai_line(custom_id: str, asked: dict, fate: str) -> dict[str, object]:
    row: dict[str, object] = {"id": "batch_req_1", "custom_id": custom_id, "response": None, "error": None}
    if fate in ("done", "unparsed", "twice", "strange"):
        return row | {"response": {"status_code": 200, "request_id": "r", "body": _completion(asked, fate)}}
    if fate == "garbage":
        return row | {"response": {"status_code": 200, "request_id": "r", "body": {"choices": []}}}
    if fate in ("errored", "overloaded"):
        status, code = (400, "invalid_request") if fate == "errored" else (500, "server_error")
        body = {"error": {"message": f"the request {fate}", "code": code}}
        return row | {"response": {"status_code": status, "request_id": "r", "body": body}}
    return row | {"error": {"code": f"batch_{fate}", "message": f"this request {fate}"}}


def _anthropic_line(custom_id: str, asked: dict, fate: str) -> dict[str, object]:
    if fate in ("done", "unparsed", "twice", "strange"):
        return {"custom_id": custom_id, "result": {"type": "succeeded", "message": _message(asked, fate)}}
    if fate == "garbage":
        return {"custom_id": custom_id, "result": {"type": "succeeded", "message": {"content": 1}}}
    if fate in ("errored", "overloaded"):
        kind = "invalid_request_error" if fate == "errored" else "overloaded_error"
        error = {"type": "error", "error": {"type": kind, "message": f"the request {fate}"}}
        return {"custom_id": custom_id, "result": {"type": "errored", "error": error}}
    return {"custom_id": custom_id, "result": {"type": fate}}


@pytest.fixture
def provider() -> Iterator[BatchServer]:
    """Both batch interfaces, fresh for each test."""
    with HTTPServer(threaded=True) as server:
        yield BatchServer(server)
