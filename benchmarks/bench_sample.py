"""Tokens a second of `label sample` over one server, beside a bare client that sends the same requests.

Run: python benchmarks/bench_sample.py [--server vllm|stand-in] [--prompts 32] [--n 64] [--tokens 64] [--rounds 3]

`vllm` starts a real vLLM on the CPU from .venv-vllm (made by `scripts/setup vllm`) with a tiny random Llama.
`stand-in` answers at once from a process of its own: what is measured then is our own part. The bare client
keeps as many requests under way over the same HTTP library, reads every answer and stores nothing.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from label.engine.prices import PriceTag
from label.sampler import SamplerChoice, open_sampler
from label.samplers.server import ServerSampler
from label.sampling.sample import plan_samples, sample_store
from label.sampling.sampling_job import SampleSettings
from label.sampling.sampling_plan import read_windows
from store.db import Store
from store.ids import conversation_digest, path_digests, uuid_text

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
STARTED_WITHIN_S = 300
FREE = PriceTag(0, 0, 0, "own machine", "")
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def main() -> None:
    """Start a server, then let both draw, turn and turn about."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--server", choices=["vllm", "stand-in"], default="vllm" if PYTHON.exists() else "stand-in"
    )
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        serve = vllm_server if asked.server == "vllm" else stand_in_server
        with serve(Path(folder)) as url:
            compare(Path(folder), url, asked)


def compare(folder: Path, url: str, asked: argparse.Namespace) -> None:
    """Print the rates of both, each round with seeds of its own, and the median of their ratios."""
    store = conversations(folder / "bench.duckdb", asked.prompts)
    settings = SampleSettings(n=asked.n, max_new_tokens=asked.tokens)
    asyncio.run(draw_bare(url, bodies_of(store, url, settings)))  # the first requests warm the server
    ratios = []
    for number in range(asked.rounds):
        ours_first = number % 2 == 0
        rates = {}
        for is_ours in (ours_first, not ours_first):
            rates[is_ours] = (
                time_ours(store, url, settings, number) if is_ours else time_bare(store, url, settings)
            )
        ratios.append(rates[True] / rates[False])
        print(
            f"label sample {rates[True]:10,.0f} tokens/s   bare client {rates[False]:10,.0f} tokens/s"
            f"   ratio {ratios[-1]:.3f}",
            flush=True,
        )
    print(
        f"{asked.server}: label sample / bare client, median of {asked.rounds}: {statistics.median(ratios):.3f}"
    )


def time_ours(store: Store, url: str, settings: SampleSettings, number: int) -> float:
    """Tokens a second of a run, from planning to the last row in the store."""
    sampler = open_sampler(SamplerChoice(f"vllm:{url}#tiny"))
    started = time.perf_counter()
    named = SampleSettings(n=settings.n, max_new_tokens=settings.max_new_tokens, policy=f"round-{number}")
    plan = plan_samples(store, named, f"round-{number}")
    report = sample_store(store, sampler, FREE, named, plan, advance=_no_progress)
    assert report.tally.fresh["done"] == plan.requested, report.reasons()
    return report.tally.completion_tokens / (time.perf_counter() - started)


def time_bare(store: Store, url: str, settings: SampleSettings) -> float:
    """Tokens a second of the same requests without us."""
    bodies = bodies_of(store, url, settings)
    started = time.perf_counter()
    tokens = asyncio.run(draw_bare(url, bodies))
    return tokens / (time.perf_counter() - started)


def bodies_of(store: Store, url: str, settings: SampleSettings) -> list[dict[str, object]]:
    """The requests that a run with these settings sends, for a policy without any draws yet."""
    sampler = open_sampler(SamplerChoice(f"vllm:{url}#tiny"))
    assert isinstance(sampler, ServerSampler)
    plan = plan_samples(store, settings, "nobody")
    return [
        dict(sampler.body(ask, None))
        for window in read_windows(store, plan, "nobody", sampler.draws_per_ask)
        for prompt in window
        for ask in prompt.asks
    ]


async def draw_bare(url: str, bodies: list[dict[str, object]]) -> int:
    """Send them all, as many at once as we do; returns the tokens that came."""
    import httpx2

    places = asyncio.Semaphore(64)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(base_url=url, timeout=600, limits=limits, trust_env=False) as client:

        async def ask(body: dict[str, object]) -> int:
            async with places:
                response = await client.post("/chat/completions", json=body)
                response.raise_for_status()
                return int(response.json()["usage"]["completion_tokens"])

        return sum(await asyncio.gather(*map(ask, bodies)))


def _no_progress(_amount: float = 1, *, words: str = "") -> None:
    del words


def conversations(path: Path, count: int) -> Store:
    """A store with COUNT prompts."""
    store = Store(path)
    messages, rows = [], []
    for number in range(count):
        turns = [("user", f"Question {number}: what can you tell me? " * 3), ("assistant", "Little.")]
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
        rows.append(
            {
                "conversation_id": uuid_text(conversation_digest("bench", str(number), digests[-1], "m", 0)),
                "leaf_id": ids[-1],
                "message_ids": ids,
                "source_id": ids[-1],
                "record_numbers": [number],
                "line": number,
                "byte_offset": 0,
                "reader": "bench",
                "external_id": str(number),
                "model": "m",
                "occurrence": 0,
            }
        )
    with store.write() as writing:
        writing.append("messages", messages)
        writing.append("conversations", rows)
    return store


@contextmanager
def vllm_server(folder: Path) -> Iterator[str]:
    """A vLLM server of a tiny random Llama."""
    model = make_model(folder / "tiny")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = folder / "server.log"
    quiet = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    with log.open("w") as file:
        process = subprocess.Popen(
            [
                *(PYTHON, "-P", "-m", "vllm.entrypoints.openai.api_server", "--model", model),
                *("--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port)),
                *("--dtype", "float32", "--enforce-eager", "--max-model-len", "512"),
                *("--no-enable-chunked-prefill", "--disable-uvicorn-access-log"),
            ],
            env={**os.environ, **quiet},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(1)
    raise SystemExit(f"the server did not come up:\n{log.read_text()[-3000:]}")


def make_model(folder: Path) -> Path:
    """A two-layer Llama with random weights, a tokenizer of bytes and a chat template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    raw.train_from_iterator([page.read_text() for page in (ROOT / "docs").glob("*.md")], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=1024, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, bos_token_id=0, eos_token_id=1, pad_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@contextmanager
def stand_in_server(_folder: Path) -> Iterator[str]:
    """A server in a process of its own that answers any request at once."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_serve_at_once, args=(sender,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{receiver.recv()}/v1"
    finally:
        process.terminate()
        process.join()


class _AtOnce(asyncio.Protocol):
    """Answers every request with as many choices as it asks for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self.received) < end + 4 + length:
                return
            body = json.loads(self.received[end + 4 : end + 4 + length])
            self.received = self.received[end + 4 + length :]
            self.transport.write(_answer(body))


def _answer(body: dict[str, object]) -> bytes:
    if "n" not in body:  # the question what the server's template writes
        return b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
    n, seed, tokens = body["n"], body["seed"], body["max_tokens"]
    assert isinstance(n, int)
    assert isinstance(seed, int)
    assert isinstance(tokens, int)
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": f"answer {seed + index} " * (tokens // 4)},
            "finish_reason": "stop",
            "token_ids": list(range(tokens)),
        }
        for index in range(n)
    ]
    usage = {"prompt_tokens": 20, "completion_tokens": n * tokens}
    content = json.dumps({"model": "tiny", "choices": choices, "usage": usage}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


def _serve_at_once(sender: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_AtOnce, "127.0.0.1", 0)
        sender.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
