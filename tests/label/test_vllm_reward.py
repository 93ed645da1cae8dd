"""A reward model in a real vLLM on the CPU: its numbers are those of transformers, as engine and as server."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from label.cli import cli
from store.console import run_command

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
STARTED_WITHIN_S = 400
SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONPATH": str(ROOT),
}
START = "import sys; from label.cli import main; sys.argv = ['label', *sys.argv[1:]]\nif __name__ == '__main__': main()"

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not any(PYTHON.parents[1].glob(".made-for-vllm-*")),
        reason="no .venv-vllm; make it with: scripts/setup vllm",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, reward_model_maker) -> Path:
    shape = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2}
    return reward_model_maker(tmp_path_factory.mktemp("models") / "rm", **shape)


@pytest.fixture
def answers(tmp_path, write):
    turns = [
        ("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n} " * (1 + 7 * n))]) for n in range(12)
    ]
    return write(tmp_path / "answers.duckdb", turns)


def rewards(store) -> dict[str, list[tuple]]:
    with store.read() as reading:
        rows = reading.rows(
            "SELECT reward_model, value, n_tokens, is_truncated FROM rewards ORDER BY reward_model, response_id"
        )
    names = {row[0] for row in rows}
    return {name: [row[1:] for row in rows if row[0] == name] for name in names}


def assert_alike(store, name: str) -> None:
    found = rewards(store)
    assert len(found["rm"]) == len(found[name]) == 12
    for (value, *read), (other, *read_too) in zip(found["rm"], found[name], strict=True):
        assert read == read_too
        assert other == pytest.approx(value, abs=1e-4)
    assert any(is_truncated for *_, is_truncated in found[name])


def test_the_engines_numbers_are_those_of_transformers(answers, folder) -> None:
    where = ["--store", str(answers.path)]
    assert run_command(cli, ["reward", "--model", str(folder), *where]) == 0
    done = subprocess.run(
        [
            PYTHON,
            "-P",
            "-c",
            START,
            "reward",
            "--model",
            f"vllm:{folder}",
            "--reward-model",
            "engine",
            "--json",
            *where,
        ],
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["done"] == 12
    assert_alike(answers, "engine")


@pytest.fixture
def served(folder: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a vLLM server that serves the model as `rm`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = tmp_path / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [
                *(PYTHON, "-P", "-m", "vllm.entrypoints.openai.api_server", "--model", folder),
                *(
                    "--runner",
                    "pooling",
                    "--served-model-name",
                    "rm",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(port),
                ),
                *("--dtype", "float32", "--enforce-eager"),
            ],
            env={**os.environ, **SETTINGS},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):
            pass
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(log.read_text()[-3000:])


def test_the_servers_numbers_are_those_of_transformers(answers, folder, served) -> None:
    where = ["--store", str(answers.path)]
    assert run_command(cli, ["reward", "--model", str(folder), *where]) == 0
    model = ["--model", f"vllm:{served}#rm", "--tokenizer", str(folder), "--reward-model", "server"]
    assert run_command(cli, ["reward", *model, *where]) == 0
    assert_alike(answers, "server")
