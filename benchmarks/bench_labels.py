"""Labels a second journalled and drained into a store that holds millions, and calls a second of a judge's run.

Run: python benchmarks/bench_labels.py [--stored 3000000] [--labels 50000] [--calls 2000]
The stored labels are made by set-based SQL. The alternative is one DuckDB commit per label. The calls
go through the SDK to a server on the loopback device that answers at once, from a process of its own.
"""

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
import uuid
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from label.chat import open_chat_model
from label.engine.prices import price_of
from label.judging.judge import judge_store
from label.judging.parse import PARSER_VERSION
from label.judging.rating_job import TEMPLATE, JudgeSettings
from store.config import Limits
from store.db import Store
from store.ids import conversation_digest, path_digests, uuid_text
from store.named_sql import named_sql
from store.runs import Run, run_of

PIECE = 500_000
GROUP = 64
"""Labels that share an fsync, about what 64 lanes bring together."""
COMMITS_TIMED_S = 3.0
KEYS_OF_A_WINDOW = 5_000
REPLY = "The answer is correct and to the point, and leaves little to wish for. " * 3

STORED_RATINGS = """
SELECT
    md5(concat('r', n))::UUID AS response_id,
    'gpt-4' AS labeler, 'judge' AS labeler_kind, $template AS template, '1-10' AS scale, 'overall' AS aspect,
    0::INTEGER AS draw_index,
    (1 + hash(n) % 10)::DOUBLE AS value,
    concat('reason ', n, repeat(' because', 20)) AS explanation,
    'done' AS state,
    md5(concat('k', n))::UUID AS request_key,
    $parser_version AS parser_version,
    TIMESTAMP '2026-11-01 00:00:00' AS created_at,
    NULL::VARCHAR AS run_id
FROM range($first::BIGINT, $last::BIGINT) AS numbers(n)
"""

STORED_COMPLETIONS = """
SELECT
    md5(concat('k', n))::UUID AS request_key,
    'openai' AS provider, 'gpt-4' AS model, 'gpt-4' AS model_returned, NULL::VARCHAR AS request_id,
    'done' AS state,
    concat('reason ', n, repeat(' because', 20), ' Rating: [[5]]') AS reply,
    NULL::VARCHAR AS error, 'stop' AS finish_reason,
    900::BIGINT AS prompt_tokens, 0::BIGINT AS cached_tokens, 60::BIGINT AS completion_tokens,
    0.03::DOUBLE AS cost_usd, NULL::VARCHAR AS price, 1::INTEGER AS attempts, 1.0::DOUBLE AS elapsed_s,
    TIMESTAMP '2026-11-01 00:00:00' AS created_at,
    NULL::VARCHAR AS run_id
FROM range($first::BIGINT, $last::BIGINT) AS numbers(n)
"""


def main() -> None:
    """Make the store, then measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stored", type=int, default=3_000_000)
    parser.add_argument("--labels", type=int, default=50_000)
    parser.add_argument("--calls", type=int, default=2_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "labels.duckdb")
        fill(store, asked.stored)
        print(f"{asked.stored:,} labels stored, {store.path.stat().st_size / 1e6:,.0f} MB")
        ours = time_journal(store, asked.labels)
        print(f"journalled and drained      {ours:10,.0f} labels/s (each a completion and a rating)")
        theirs = time_commits(store)
        print(f"one DuckDB commit per label {theirs:10,.0f} labels/s, the file held open")
        print(f"ratio                       {ours / theirs:10,.0f}")
        time_lookup(store)
        time_calls(Path(folder) / "calls.duckdb", asked.calls)


def fill(store: Store, count: int) -> None:
    """Store COUNT labels with the answers they were read from."""
    for first in range(0, count, PIECE):
        span: dict[str, object] = {"first": first, "last": min(count, first + PIECE)}
        with store.write() as writing:
            writing.append_from(
                "ratings", STORED_RATINGS, {**span, "template": TEMPLATE, "parser_version": PARSER_VERSION}
            )
            writing.append_from("completions", STORED_COMPLETIONS, span)


def time_journal(store: Store, count: int) -> float:
    """Labels a second from the first append until the store holds them all; the making of them is counted too."""
    with run_of(store, "benchmark", {}) as run:
        started, cpu = time.perf_counter(), time.process_time()
        for group in _groups(run, count):
            run.journal.append("completions", [completion for completion, _ in group])
            run.journal.append("ratings", [rating for _, rating in group])
        run.drain()
        rate = count / (time.perf_counter() - started)
        print(f"journalled and drained      {count / (time.process_time() - cpu):10,.0f} labels a CPU second")
        return rate


def _groups(run: Run, count: int) -> Iterator[list[tuple[dict[str, object], dict[str, object]]]]:
    for first in range(0, count, GROUP):
        yield [_label(run.run_id) for _ in range(min(GROUP, count - first))]


def _label(run_id: str) -> tuple[dict[str, object], dict[str, object]]:
    key, now = str(uuid.uuid4()), "2026-11-21T08:00:00"
    completion = {
        "request_key": key, "provider": "openai", "model": "gpt-4", "model_returned": "gpt-4", "state": "done",
        "reply": f"{REPLY}\nRating: [[5]]", "finish_reason": "stop", "prompt_tokens": 900, "cached_tokens": 0,
        "completion_tokens": 60, "cost_usd": 0.03, "price": "{}", "attempts": 1, "elapsed_s": 1.0,
        "created_at": now, "run_id": run_id,
    }  # fmt: skip
    rating = {
        "response_id": str(uuid.uuid4()), "labeler": "gpt-4", "labeler_kind": "judge", "template": TEMPLATE,
        "scale": "1-10", "aspect": "overall", "draw_index": 0, "value": 5.0, "explanation": REPLY, "state": "done",
        "request_key": key, "parser_version": PARSER_VERSION, "created_at": now, "run_id": run_id,
    }  # fmt: skip
    return completion, rating


def time_commits(store: Store) -> float:
    """Labels a second when each is a transaction of its own."""
    import duckdb

    insert = (
        "INSERT INTO s.main.ratings (response_id, labeler, labeler_kind, template, scale, aspect, draw_index, value,"
        " explanation, state, request_key, parser_version, created_at, run_id, version, seq)"
        " SELECT ?::UUID, 'gpt-4', 'judge', 't', '1-10', 'overall', 0, 5.0, ?, 'done',"
        " ?::UUID, 'rating/1', TIMESTAMP '2026-11-21 08:00:00', NULL, 1000000, 0"
    )
    with duckdb.connect(":memory:") as con:
        con.execute(f"ATTACH '{store.path}' AS s (STORAGE_VERSION 'v1.5.0', ROW_GROUP_SIZE 20480)")
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < COMMITS_TIMED_S:
            con.execute(insert, [str(uuid.uuid4()), REPLY, str(uuid.uuid4())])
            done += 1
        rate = done / (time.perf_counter() - started)
        con.execute("DELETE FROM s.main.ratings WHERE version = 1000000")
    return rate


def time_lookup(store: Store) -> None:
    """Print how long a window of conversations waits to learn what is labelled already."""
    with store.read() as reading:
        keys = [
            str(key) for (key,) in reading.rows("SELECT request_key FROM ratings LIMIT ?", [KEYS_OF_A_WINDOW])
        ]
        started = time.perf_counter()
        found = reading.rows(
            named_sql("label", "known_ratings"),
            {"keys": keys, "labeler": "gpt-4", "parser_version": PARSER_VERSION},
        )
        elapsed_s = time.perf_counter() - started
    print(f"resume: {len(found):,} of {len(keys):,} keys found in {elapsed_s:.2f} s")


def time_calls(path: Path, count: int) -> None:
    """Print calls a second of `label judge` through the SDK."""
    store = _conversations(path, count)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_serve_at_once, args=(sender,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{receiver.recv()}/v1"
    model = open_chat_model("gpt-4", url)
    settings = JudgeSettings(limits=Limits(concurrency=64))
    model.check()
    started, cpu = time.perf_counter(), time.process_time()
    judge_store(store, model, price_of("gpt-4", url), settings, advance=_no_progress)
    elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    process.terminate()
    process.join()
    print(
        f"label judge                 {count / elapsed_s:10,.0f} calls/s through the SDK,"
        f" {1000 * cpu_s / count:.1f} ms of CPU a call, the whole run counted"
    )


def _no_progress(_amount: float = 1, *, words: str = "") -> None:
    del words


def _conversations(path: Path, count: int) -> Store:
    store = Store(path)
    messages, conversations = [], []
    for n in range(count):
        turns = [("user", f"Question {n}?"), ("assistant", f"Answer {n}. " * 20)]
        digests = path_digests(turns)
        ids = [uuid_text(digest) for digest in digests]
        for depth, (role, content) in enumerate(turns):
            parent = ids[depth - 1] if depth else None
            messages.append(
                {
                    "message_id": ids[depth],
                    "parent_id": parent,
                    "role": role,
                    "content": content,
                    "depth": depth,
                }
            )
        conversations.append(
            {
                "conversation_id": uuid_text(conversation_digest("bench", str(n), digests[-1], "gpt-4", 0)),
                "leaf_id": ids[-1],
                "message_ids": ids,
                "source_id": ids[-1],
                "record_numbers": [n],
                "line": n,
                "byte_offset": 0,
                "reader": "bench",
                "external_id": str(n),
                "model": "gpt-4",
                "occurrence": 0,
            }
        )
    with store.write() as writing:
        writing.append("messages", messages)
        writing.append("conversations", conversations)
    return store


class _AtOnce(asyncio.Protocol):
    """Answers every request with the same completion."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self.received) < end + 4 + length:
                return
            self.received = self.received[end + 4 + length :]
            self.transport.write(ANSWER)


COMPLETION = json.dumps(
    {
        "id": "chatcmpl-1",
        "model": "gpt-4",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": f"{REPLY}\nRating: [[7]]"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 500, "completion_tokens": 60},
    }
).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(COMPLETION),
    COMPLETION,
)


def _serve_at_once(sender: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_AtOnce, "127.0.0.1", 0)
        sender.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
