"""A real HTTP server that speaks chat completions and misbehaves on command, and stores to judge."""

import asyncio
import hashlib
import json
import selectors
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from store.db import Store
from store.ids import conversation_digest, digest_of, path_digests, uuid_text

Turns = Sequence[tuple[str, str]]


@dataclass
class Answer:
    """What the server does with one request."""

    status: int = 200
    body: object = None
    """A JSON value, or text sent as it is; None is a good completion."""
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None
    """The reply of a good completion; None rates by a hash of the request."""
    finish_reason: str = "stop"
    refusal: str | None = None
    has_usage: bool = True
    hangs: bool = False
    resets: bool = False


class JudgeServer:
    """An OpenAI-compatible server on the loopback device."""

    def __init__(self) -> None:
        self.script: deque[Answer] = deque()
        """Answers to the next requests; when it is empty, requests are answered well."""
        self.rule: Callable[[dict[str, object]], Answer | None] = lambda _body: None
        """The answer to a request that the script has none for."""
        self.bodies: list[dict[str, object]] = []
        self.authorizations: list[str | None] = []
        self.release = threading.Event()
        """Set when the server is done: requests that hang end."""
        self._lock = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def next_answer(self, body: dict[str, object], authorization: str | None) -> Answer:
        with self._lock:
            self.bodies.append(body)
            self.authorizations.append(authorization)
            self._lock.notify_all()
            if self.script:
                return self.script.popleft()
        return self.rule(body) or Answer()

    def has_seen(self, count: int, within_s: float) -> bool:
        """Whether that many requests have come, waiting for them for a while."""
        with self._lock:
            return self._lock.wait_for(lambda: len(self.bodies) >= count, within_s)

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is part of the tests."""


def rating_of(body: dict[str, object]) -> int:
    """The rating the server gives a request: always the same for the same messages."""
    text = json.dumps(body["messages"], sort_keys=True)
    return 1 + hashlib.sha256(text.encode()).digest()[0] % 10


def _handler_of(judge: JudgeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = judge.next_answer(body, self.headers["authorization"])
            if answer.hangs:
                judge.release.wait()
            if answer.resets:
                self._reset()
            else:
                self._send(answer, body)

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def _send(self, answer: Answer, body: dict[str, object]) -> None:
            content = _completion(answer, body) if answer.body is None else answer.body
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(answer.status)
            self.send_header("content-type", "text/html" if isinstance(content, str) else "application/json")
            self.send_header("content-length", str(len(data)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


def _completion(answer: Answer, body: dict[str, object]) -> dict[str, object]:
    text = f"A fair answer.\nRating: [[{rating_of(body)}]]" if answer.text is None else answer.text
    message = {"role": "assistant", "content": text, "refusal": answer.refusal}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 40}}
    return {
        "id": "chatcmpl-1",
        "model": f"{body['model']}-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        **({"usage": usage} if answer.has_usage else {}),
    }


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    """A judge's server, fresh for each test."""
    judge = JudgeServer()
    yield judge
    judge.close()


@pytest.fixture
def reply() -> type[Answer]:
    """Makes an answer of the server."""
    return Answer


def write_conversations(path: Path, conversations: Sequence[tuple[str, Turns]]) -> Store:
    """A store with these conversations, each a model label and its turns."""
    store = Store(path)
    source_id = uuid_text(digest_of("s1", str(path)))
    messages: dict[str, dict[str, object]] = {}
    rows: list[dict[str, object]] = []
    for number, (model, turns) in enumerate(conversations):
        digests = path_digests(list(turns))
        ids = [uuid_text(digest) for digest in digests]
        for depth, (message_id, (role, content)) in enumerate(zip(ids, turns, strict=True)):
            messages[message_id] = {
                "message_id": message_id,
                "parent_id": ids[depth - 1] if depth else None,
                "role": role,
                "content": content,
                "depth": depth,
            }
        rows.append(
            {
                "conversation_id": uuid_text(
                    conversation_digest("sharegpt", str(number), digests[-1], model, 0)
                ),
                "leaf_id": ids[-1],
                "message_ids": ids,
                "source_id": source_id,
                "record_numbers": [number],
                "line": number + 1,
                "byte_offset": 0,
                "reader": "sharegpt",
                "external_id": str(number),
                "model": model,
                "occurrence": 0,
            }
        )
    with store.write() as writing:
        writing.append("messages", list(messages.values()))
        writing.append("conversations", rows)
    return store


@pytest.fixture
def write() -> Callable[[Path, Sequence[tuple[str, Turns]]], Store]:
    """Makes a store with given conversations."""
    return write_conversations


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two single turns by GPT-4, one conversation of two turns by GPT-3.5."""
    return write_conversations(
        tmp_path / "s.duckdb",
        [
            ("gpt-4", [("user", "What is a fjord?"), ("assistant", "A long sea inlet between cliffs.")]),
            ("gpt-4", [("user", "Name a prime."), ("assistant", "Seven.")]),
            (
                "gpt-3.5-turbo",
                [
                    ("user", "Hello"),
                    ("assistant", "Hi! How can I help?"),
                    ("user", "Sort 3, 1, 2."),
                    ("assistant", "1, 2, 3"),
                ],
            ),
        ],
    )


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose waits pass at once: its time jumps to the next thing that is due."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Leap(self))

    def time(self) -> float:
        return self.now


class _Leap(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits for another one")
        self._loop.now += max(0.0, timeout)
        return super().select(0)


def run_virtually(work: Coroutine[object, object, object]) -> tuple[object, float]:
    """What WORK returns, and how many seconds it would have taken."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        result = runner.run(work)
        return result, runner.get_loop().time()


@pytest.fixture
def virtually() -> Callable[[Coroutine[object, object, object]], tuple[object, float]]:
    """Runs a coroutine in simulated time."""
    return run_virtually


class ResponseSets:
    """A store filled with draws and their rewards; ids are those of the texts."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)

    def add(
        self,
        prompt: str,
        scores: Sequence[tuple[str, float | None]],
        *,
        policy: str | None = "sft",
        model: str = "rm",
        revision: str = "1",
        truncated: Sequence[str] = (),
        finish_reason: str = "stop",
    ) -> None:
        """Add draws of one prompt: texts, each with its reward (None where it failed)."""
        prompt_id = self.prompt(prompt)
        wanted: dict[str, dict[str, object]] = {
            prompt_id: {"parent_id": None, "role": "user", "content": prompt, "depth": 0}
        }
        samples, rewards = [], {}
        for index, (text, value) in enumerate(scores):
            response_id = self.response(prompt, text)
            wanted[response_id] = {"parent_id": prompt_id, "role": "assistant", "content": text, "depth": 1}
            samples.append(
                {
                    "prompt_id": prompt_id,
                    "response_id": response_id,
                    "sample_index": index,
                    "policy": policy,
                    "sampling": "{}",
                    "finish_reason": finish_reason,
                }
            )
            rewards[response_id] = {
                "prompt_id": prompt_id,
                "response_id": response_id,
                "reward_model": model,
                "revision": revision,
                "value": value,
                "is_truncated": text in truncated,
                "state": "failed" if value is None else "done",
            }
        with self.store.write() as writing:
            known = {row[0] for row in writing.rows("SELECT CAST(message_id AS VARCHAR) FROM messages")}
            rows = [{"message_id": one, **row} for one, row in wanted.items() if one not in known]
            writing.append("messages", rows)
            if policy is not None:
                writing.append("samples", samples)
            writing.append("rewards", list(rewards.values()))

    def rate(
        self,
        prompt: str,
        text: str,
        aspects: dict[str, float | None],
        *,
        labeler: str = "gpt-4",
        scale: str = "1-5",
    ) -> None:
        """Add ratings of one response by aspect."""
        rows = [
            {
                "response_id": self.response(prompt, text),
                "labeler": labeler,
                "labeler_kind": "judge",
                "template": "t",
                "scale": scale,
                "aspect": aspect,
                "draw_index": 0,
                "value": value,
                "state": "unparsed" if value is None else "done",
                "parser_version": "1",
                "created_at": "2026-11-01T00:00:00",
            }
            for aspect, value in aspects.items()
        ]
        with self.store.write() as writing:
            writing.append("ratings", rows)

    def compare(
        self,
        prompt: str,
        first: str,
        second: str,
        margins: Sequence[float],
        *,
        labeler: str = "judge-a",
        policies: tuple[str, str] = ("sft", "sft"),
        template: str = "pair-reference/1",
    ) -> None:
        """Add a verdict for each order: margins are positive where FIRST is better."""
        rows = []
        for order, margin in enumerate(margins):
            sides = [(first, policies[0]), (second, policies[1])]
            shown = sides if order == 0 else sides[::-1]
            rows.append(
                {
                    "comparison_id": uuid_text(digest_of("p1", prompt, first, second, labeler, str(order))),
                    "prompt_id": self.prompt(prompt),
                    "response_a_id": self.response(prompt, shown[0][0]),
                    "response_b_id": self.response(prompt, shown[1][0]),
                    "policy_a": shown[0][1],
                    "policy_b": shown[1][1],
                    "labeler": labeler,
                    "labeler_kind": "judge",
                    "template": template,
                    "scale": "xwin4",
                    "draw_index": 0,
                    "signed_margin": margin if order == 0 else -margin,
                    "state": "tie" if margin == 0 else "win",
                    "parser_version": "1",
                    "created_at": "2026-11-01T00:00:00",
                }
            )
        with self.store.write() as writing:
            writing.append("comparisons", rows)

    @staticmethod
    def prompt(text: str) -> str:
        """The id of a prompt."""
        return uuid_text(path_digests([("user", text)])[-1])

    @staticmethod
    def response(prompt: str, text: str) -> str:
        """The id of a response."""
        return uuid_text(path_digests([("user", prompt), ("assistant", text)])[-1])


@pytest.fixture
def response_sets(tmp_path: Path) -> ResponseSets:
    """An empty store to fill with draws and rewards."""
    return ResponseSets(tmp_path / "sets.duckdb")
