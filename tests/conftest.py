"""Fixtures every room's tests may use."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA}")
    return SHARED_DATA


def start_code(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Python CODE in a process of its own, once it has printed a line to say that it is going."""
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert child.stdout is not None
    child.stdout.readline()
    return child


def kill_after(
    child: subprocess.Popen[bytes], more_s: float, is_time: Callable[[], bool] = lambda: True
) -> bool:
    """Kill CHILD with SIGKILL so many seconds after IS_TIME says so; whether it was still going then."""
    while child.poll() is None and not is_time():
        pass  # IS_TIME waits
    try:
        child.wait(more_s)
    except subprocess.TimeoutExpired:
        child.kill()
    if child.stdout is not None:
        child.stdout.close()
    return child.wait() == -signal.SIGKILL


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables and nothing in them, to be copied: that is quicker than to migrate another."""
    from store.db import Store

    path = tmp_path_factory.mktemp("empty") / "store.duckdb"
    with Store(path).write():
        pass
    return path


@pytest.fixture(scope="session")
def started() -> Callable[..., subprocess.Popen[bytes]]:
    """Starts code in a process of its own."""
    return start_code


@pytest.fixture(scope="session")
def killed_after() -> Callable[..., bool]:
    """Kills a process so many seconds after it is time to."""
    return kill_after


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: a worker that takes one of them last keeps the others waiting."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden", action="store_true", help="write the golden files anew; the diff is the review"
    )


@pytest.fixture
def rewrite_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written instead of compared."""
    return bool(request.config.getoption("--rewrite-golden"))


REWARD_TEMPLATE = "<s>{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}</s>"
"""Writes its own first and last token."""


def make_reward_model(
    folder: Path, *, template: str = REWARD_TEMPLATE, pad: str = "<pad>", **shape: Any
) -> Path:
    """A random two-layer Llama with one output and a byte-level tokenizer, saved in FOLDER."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # on shared cores several spinning threads are far slower
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    tokenizer = make_byte_tokenizer(pad)
    tokenizer.chat_template = template
    torch.manual_seed(shape.pop("seed", 0))
    config = LlamaConfig(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": tokenizer.pad_token_id,
            "num_labels": 1,
            **shape,
        }
    )
    model = LlamaForSequenceClassification(config)
    with torch.no_grad():
        model.score.weight.normal_(std=1.0)  # far enough apart to be told apart
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_byte_tokenizer(pad: str = "<pad>", words: tuple[str, ...] = ()) -> Any:
    """One token a byte, beside `<s>`, `</s>`, `<pad>` and whole WORDS."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>", "<pad>"]
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + len(alphabet) + len(words),
        special_tokens=special,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    raw.train_from_iterator([*words] * 10, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="</s>",
        pad_token=pad,
        clean_up_tokenization_spaces=False,
    )


@pytest.fixture(scope="session")
def reward_model_maker() -> Callable[..., Path]:
    """Makes a tiny random reward model in a folder."""
    return make_reward_model


@pytest.fixture(scope="session")
def reward_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random reward model."""
    return make_reward_model(tmp_path_factory.mktemp("models") / "tiny-rm")


@pytest.fixture(scope="session")
def byte_tokenizer_maker() -> Callable[..., Any]:
    """Makes a tokenizer of bytes and a few words."""
    return make_byte_tokenizer
