"""A real vLLM on the CPU, as a server and as an engine: sampling and judging with a tiny random Llama."""

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
from store.verify import verify

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
CONTEXT = 4096
STARTED_WITHIN_S = 400
SETTINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
"""Like OpenChat's it puts a space before every response, and none after the prompt."""

CONVERSATIONS = [
    ("gpt-4", [("user", "What is a fjord?"), ("assistant", "A long sea inlet between cliffs.")]),
    ("gpt-4", [("user", "Name a prime."), ("assistant", "Seven.")]),
    ("gpt-4", [("user", "Hello"), ("assistant", "Hi!"), ("user", "Sort 3, 1, 2."), ("assistant", "1, 2, 3")]),
    ("gpt-4", [("user", "word " * 4 * CONTEXT), ("assistant", "That is long.")]),
]
LONG = 1
"""Prompts, of five, that no model of this length takes."""

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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama with random weights, a BPE tokenizer of 1,024 tokens and a chat template."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator([page.read_text() for page in (ROOT / "docs").glob("*.md")], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=1024,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    path = tmp_path_factory.mktemp("models") / "tiny"
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a vLLM server that serves the model as `tiny`."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("vllm") / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [
                *(PYTHON, "-P", "-m", "vllm.entrypoints.openai.api_server", "--model", folder),
                *("--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port)),
                *("--dtype", "float32", "--enforce-eager", "--no-enable-chunked-prefill"),
                *("--max-model-len", str(CONTEXT)),
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
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise AssertionError(f"the server did not come up:\n{log.read_text()[-3000:]}")


def sample(store, *options: str) -> int:
    draws = ["--max-new-tokens", "48", "--json", "--store", str(store.path)]
    return run_command(cli, ["sample", *draws, *options])


def contents(store, policy: str = "tiny") -> dict[tuple, str]:
    with store.read() as reading:
        rows = reading.rows(
            "SELECT CAST(prompt_id AS VARCHAR), sample_index, seed, content FROM samples"
            " JOIN messages ON message_id = response_id WHERE policy = ?",
            [policy],
        )
    assert len({row[:2] for row in rows}) == len(rows)
    return {row[:3]: row[3] for row in rows}


def share_of_equal(some: dict[tuple, str], others: dict[tuple, str]) -> float:
    assert some.keys() == others.keys()
    return sum(some[key] == others[key] for key in some) / len(some)


def problems_of(store) -> dict[str, int]:
    return {name: n for name, n in verify(store).problems.items() if name != "conversation_source"}


def test_a_server_draws_what_is_missing_and_no_more_and_refuses_what_is_too_long(
    served, write, tmp_path, capsys
) -> None:
    store = write(tmp_path / "s.duckdb", CONVERSATIONS)
    assert sample(store, "--model", f"vllm:{served}#tiny", "--n", "3") == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["requested"], first["done"], first["failed"]) == (15, 12, 3)
    assert set(first["finish_reasons"]) <= {"stop", "length"}
    before = contents(store)
    assert sample(store, "--model", f"vllm:{served}#tiny", "--n", "9") == 0
    second = json.loads(capsys.readouterr().out)
    assert (second["requested"], second["reused"], second["done"], second["failed"]) == (45, 12, 24, 9)
    after = contents(store)
    assert before.items() <= after.items()
    assert len(set(after.values())) > 30
    with store.read() as reading:
        rejects = reading.rows("SELECT state, reason FROM sample_rejects")
        tokens = reading.rows("SELECT min(n_tokens), max(n_tokens) FROM samples")
    assert len(rejects) == LONG
    assert "context length" in rejects[0][1]
    assert tokens[0][0] >= 1
    assert tokens[0][1] == 48
    assert problems_of(store) == {}

    again = write(tmp_path / "again.duckdb", CONVERSATIONS)
    assert sample(again, "--model", f"vllm:{served}#tiny", "--n", "9", "--draws-per-request", "5") == 0
    assert share_of_equal(after, contents(again)) > 0.9  # all but the last bits of a sum in another order
    other = write(tmp_path / "other.duckdb", CONVERSATIONS)
    assert sample(other, "--model", f"vllm:{served}#tiny", "--n", "9", "--seed", "1") == 0
    assert set(contents(other).values()).isdisjoint(after.values())


def test_a_dead_server_s_share_goes_to_the_one_that_lives(served, write, tmp_path, capsys) -> None:
    conversations = [("m", [("user", f"Question {n}?"), ("assistant", "Yes.")]) for n in range(12)]
    store = write(tmp_path / "s.duckdb", conversations)
    options = ["--n", "2", "--concurrency", "4", "--base-url", "http://127.0.0.1:9/v1"]
    assert sample(store, "--model", f"vllm:{served}#tiny", *options) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["done"], counts["failed"]) == (24, 0)


def test_the_server_s_own_template_makes_a_space_and_exactly_one_is_taken_off(
    served, write, tmp_path, capsys
) -> None:
    """The random policy seldom draws a space; what it draws first is compared with what was stored."""
    store = write(tmp_path / "s.duckdb", CONVERSATIONS[1:2])
    assert sample(store, "--model", f"vllm:{served}#tiny", "--n", "64", "--draws-per-request", "64") == 0
    with store.read() as reading:
        ((seed,),) = reading.rows("SELECT min(seed) FROM samples")
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Name a prime."}],
        **{"n": 64, "seed": seed, "temperature": 0.7, "top_p": 1.0, "top_k": 0, "max_tokens": 48},
    }
    request = urllib.request.Request(
        f"{served}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as response:
        choices = json.load(response)["choices"]
    raw = {seed + choice["index"]: choice["message"]["content"] for choice in choices}
    stored = {key[2]: text for key, text in contents(store).items()}
    spaced = [one for one in raw if raw[one].startswith(" ")]
    assert spaced
    assert sum(stored[one] == raw[one][1:] for one in spaced) >= 0.9 * len(spaced)
    plain = [one for one in raw if one not in spaced]
    assert sum(stored[one] == raw[one] for one in plain) >= 0.9 * len(plain)


def test_our_template_is_rendered_here_and_the_server_continues_it(
    served, folder, write, tmp_path, capsys
) -> None:
    """A template with a space before every response: exactly one is taken off what the policy draws."""
    store = write(tmp_path / "s.duckdb", CONVERSATIONS[:3])
    server = ["--model", f"vllm:{served}#tiny", "--n", "8"]
    assert sample(store, *server, "--template", "vicuna", "--tokenizer", str(folder)) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 32
    with store.read() as reading:
        (sampling,) = reading.rows("SELECT DISTINCT sampling FROM samples")
    assert json.loads(sampling[0])["template"] == "vicuna"


def test_the_engine_finishes_a_set_that_the_server_began_and_draws_the_same(
    served, folder, write, tmp_path, capsys
) -> None:
    store = write(tmp_path / "s.duckdb", CONVERSATIONS)
    whole = write(tmp_path / "whole.duckdb", CONVERSATIONS)
    assert sample(store, "--model", f"vllm:{served}#tiny", "--n", "2") == 0
    assert sample(whole, "--model", f"vllm:{served}#tiny", "--n", "12") == 0
    capsys.readouterr()
    engine = ["max_model_len=4096", "dtype=float32", "enforce_eager=true"]
    done = subprocess.run(
        [
            *(PYTHON, "-P", "-c", "from label.cli import main; main()", "sample"),
            *("--model", f"vllm:{folder}", "--n", "12", "--max-new-tokens", "48", "--json"),
            *("--store", store.path, *(word for one in engine for word in ("--engine", one))),
        ],
        env={**os.environ, **SETTINGS, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=STARTED_WITHIN_S,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts = json.loads(done.stdout)  # the engine's own words stay off stdout
    assert (counts["requested"], counts["reused"], counts["done"], counts["failed"]) == (60, 8, 40, 12)
    assert share_of_equal(contents(store), contents(whole)) > 0.9
    with store.read() as reading:
        reasons = [reason for (reason,) in reading.rows("SELECT reason FROM sample_rejects")]
    assert len(reasons) == 2
    assert sum("the engine takes 4096 in all" in reason for reason in reasons) == 1
    assert problems_of(store) == {}


def test_a_real_vllm_judges_turns_and_the_counts_reconcile(served, write, tmp_path, capsys) -> None:
    store = write(tmp_path / "s.duckdb", CONVERSATIONS[:3])
    asked = ["--model", f"vllm:{served}#tiny", "--max-tokens", "64", "--temperature", "0.7"]
    assert (
        run_command(cli, ["judge", *asked, "--max-unparsed", "1", "--json", "--store", str(store.path)]) == 0
    )
    counts = json.loads(capsys.readouterr().out)
    assert counts["requested"] == 4
    assert counts["requested"] == sum(counts[state] for state in ("reused", "done", "unparsed", "refused"))
    with store.read() as reading:
        rows = reading.rows("SELECT state, completion_tokens, model_returned, prompt_tokens FROM completions")
    assert {row[0] for row in rows} == {"done"}
    assert all(0 < row[1] <= 64 and row[2] == "tiny" and row[3] > 100 for row in rows)


def test_a_real_vllm_keeps_to_the_schema_of_a_verdict(served, write, tmp_path, capsys) -> None:
    store = write(tmp_path / "s.duckdb", CONVERSATIONS[:3])
    assert sample(store, "--model", f"vllm:{served}#tiny", "--n", "2") == 0
    capsys.readouterr()
    asked = ["--model", f"vllm:{served}#tiny", "--max-tokens", "200", "--temperature", "1"]
    code = run_command(
        cli,
        [
            *("compare", *asked, "--policies", "tiny,gpt-4", "--scale", "camels5", "--max-unparsed", "1"),
            *("--json", "--store", str(store.path)),
        ],
    )
    assert code == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["requested"] == sum(
        counts[state] for state in ("reused", "done", "unparsed", "refused", "blocked", "failed")
    )
    with store.read() as reading:
        replies = reading.rows("SELECT reply, finish_reason FROM completions")
    assert replies
    for reply, finish_reason in replies:
        assert reply.lstrip().startswith("{")
        if finish_reason == "stop":
            assert "verdict" in json.loads(reply)


def test_a_real_vllm_says_how_probable_each_verdict_is(served, write, tmp_path, capsys) -> None:
    store = write(tmp_path / "s.duckdb", CONVERSATIONS[:3])
    assert sample(store, "--model", f"vllm:{served}#tiny", "--n", "2") == 0
    capsys.readouterr()
    asked = ["--model", f"vllm:{served}#tiny", "--scale", "logprob", "--template", "pair-label/1"]
    code = run_command(cli, ["compare", *asked, "--max-unparsed", "1", "--json", "--store", str(store.path)])
    counts = json.loads(capsys.readouterr().out)
    assert code == 0
    assert counts["requested"] == counts["unparsed"] == 4
    with store.read() as reading:
        said = reading.rows("SELECT explanation FROM comparisons")
    # The numbers came; a random model puts hardly any of them on the two letters.
    assert all("of the probability lies on tokens that are none of" in why for (why,) in said)
