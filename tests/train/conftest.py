"""A tiny tokenizer and model made in the test itself, and stores to export from."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.chat_format import ChatFormat
from store.chat_template import load_template
from store.db import Store
from store.ids import conversation_digest, digest_of, path_digests, uuid_text
from store.selections import write_selection

# Set before torch is imported: on shared cores several spinning threads are far slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

CORPUS = [
    "GPT4 User: What is the capital of France? GPT4 Assistant: The capital of France is Paris.",
    "GPT3 User: How many legs has a spider? GPT3 Assistant: I think it has six legs, maybe.",
    "User: Name a primary colour. Assistant: Red is a primary colour.",
    "You are a helpful assistant. Answer briefly and correctly; say so when you do not know.",
]


def make_tokenizer() -> Any:
    """A byte-level BPE tokenizer of a few hundred tokens with a beginning and a padding token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        clean_up_tokenization_spaces=False,
    )


def tiny_config(vocab_size: int = 400) -> Any:
    """A two-layer Llama that learns a handful of answers in seconds."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        tie_word_embeddings=False,
    )


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a tokenizer that does not know `<|end_of_turn|>`."""
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a configuration and a tokenizer, no weights: what `--from-scratch` takes."""
    folder = tmp_path_factory.mktemp("model")
    make_tokenizer().save_pretrained(folder)
    tiny_config().save_pretrained(folder)
    return folder


@pytest.fixture
def openchat(tokenizer_dir: Path) -> ChatFormat:
    """OpenChat's template over the tiny tokenizer, its end of turn added."""
    return ChatFormat.load(tokenizer_dir, load_template("openchat").name)


def conversation_rows(
    number: int, turns: list[tuple[str, str]], model: str, **columns: Any
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of `messages` and of `conversations` for one conversation."""
    digests = path_digests(turns)
    parents = [None, *digests]
    messages = [
        {
            "message_id": uuid_text(digest),
            "parent_id": None if parent is None else uuid_text(parent),
            "role": role,
            "content": content,
            "depth": depth,
        }
        for depth, (digest, parent, (role, content)) in enumerate(zip(digests, parents, turns, strict=False))
    ]
    conversation = {
        "conversation_id": uuid_text(conversation_digest("sharegpt", str(number), digests[-1], model, 0)),
        "leaf_id": uuid_text(digests[-1]),
        "message_ids": [message["message_id"] for message in messages],
        "source_id": uuid_text(digest_of("s1", "test")),
        "record_numbers": [number],
        "line": number + 1,
        "byte_offset": 0,
        "reader": "sharegpt",
        "external_id": str(number),
        "model": model,
        "occurrence": 0,
        **columns,
    }
    return messages, conversation


def fill_store(path: Path, conversations: list[tuple[list[tuple[str, str]], str]]) -> Store:
    """A store with one source and these conversations of (turns, model)."""
    store = Store(path)
    made = [conversation_rows(number, *one) for number, one in enumerate(conversations)]
    messages = {row["message_id"]: row for rows, _ in made for row in rows}
    source = {
        "source_id": uuid_text(digest_of("s1", "test")),
        "name": "chats",
        "reader": "sharegpt",
        "path": "chats.json",
        "sha256": "0" * 64,
        "bytes": 1,
        "license": "cc-by-4.0",
        "settings": "{}",
        "state": "done",
        "records_read": len(made),
        "records_kept": len(made),
        "records_rejected": 0,
    }
    with store.write() as writing:
        writing.append("sources", [source])
        writing.append("messages", list(messages.values()))
        writing.append("conversations", [row for _, row in made])
    return store


GOOD = [("user", "What is the capital of France?"), ("assistant", "Paris.")]
BAD = [("user", "How many legs has a spider?"), ("assistant", "Maybe six.")]

MIXED: list[tuple[list[tuple[str, str]], str]] = [
    (GOOD, "gpt-4"),
    ([("system", "Be brief."), *GOOD, ("user", "Thanks"), ("assistant", "Gladly.")], "gpt-4"),
    (BAD, "gpt-3.5-turbo"),
    ([("assistant", "As I said:"), *BAD], "gpt-3.5-turbo"),
    ([*GOOD, ("user", "And then?")], "gpt-4"),
    ([*GOOD, ("user", "Your view?"), ("assistant", "As an AI language model, I have none.")], "gpt-4"),
    ([("user", "Hm"), ("assistant", "I'm sorry, but I cannot say.")], "gpt-3.5-turbo"),
    ([("user", "Only a question")], "gpt-4"),
    ([("user", "Empty"), ("assistant", " ")], "gpt-4"),
    ([("user", "One"), ("user", "Two"), ("assistant", "Three")], "gpt-4"),
    ([("user", "Call"), ("tool_call", "f()"), ("tool", "1"), ("assistant", "One")], "gpt-4"),
    ([("user", "Say </s>"), ("assistant", "</s>")], "gpt-4"),
    (GOOD, ""),
    (GOOD, "mystery-9b"),
]
"""Every kind of conversation the recipe meets: six usable, eight to be left out, one reason each."""


@pytest.fixture
def mixed_store(tmp_path: Path) -> Store:
    """A store with MIXED in it."""
    return fill_store(tmp_path / "store.duckdb", MIXED)


@pytest.fixture
def make_store() -> Callable[..., Store]:
    """Makes a store of (turns, model)."""
    return fill_store


def message_rows(path: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """The rows of `messages` along one path."""
    ids = [uuid_text(digest) for digest in path_digests(path)]
    return [
        {
            "message_id": ids[depth],
            "parent_id": ids[depth - 1] if depth else None,
            "role": role,
            "content": content,
            "depth": depth,
        }
        for depth, (role, content) in enumerate(path)
    ]


Pair = tuple[list[tuple[str, str]], str, str, float | None, float | None, str]
"""(prompt, chosen, rejected, score of chosen, score of rejected, part)."""


def fill_pair_store(path: Path, chosen_pairs: list[Pair]) -> Store:
    """A store with the selection `mine` of these pairs."""
    store = Store(path)
    messages: dict[str, dict[str, Any]] = {}
    pairs = []
    for prompt, chosen, rejected, score_chosen, score_rejected, part in chosen_pairs:
        ids = []
        for answer in (chosen, rejected):
            rows = message_rows([*prompt, ("assistant", answer)])
            messages |= {row["message_id"]: row for row in rows}
            ids.append(rows[-1]["message_id"])
        gap = None if score_chosen is None or score_rejected is None else score_chosen - score_rejected
        pairs.append((message_rows(prompt)[-1]["message_id"], *ids, score_chosen, score_rejected, gap, part))
    values = ", ".join(
        ["(CAST(? AS UUID), CAST(? AS UUID), CAST(? AS UUID), ?, ?, ?, 1, 2, NULL, ?)"] * len(pairs)
    )
    columns = (
        "prompt_id, chosen_id, rejected_id, score_chosen, score_rejected, score_gap, rank_chosen, rank_rejected,"
        " strength, part"
    )
    with store.write() as writing:
        writing.append("messages", list(messages.values()))
        write_selection(
            writing,
            "mine",
            "pairs",
            f"SELECT * FROM (VALUES {values}) AS rows ({columns})",
            [value for pair in pairs for value in pair],
            settings={},
            steps={},
            run_id=None,
        )
    return store


@pytest.fixture
def make_pair_store() -> Callable[..., Store]:
    """Makes a store with the selection `mine` of pairs."""
    return fill_pair_store
