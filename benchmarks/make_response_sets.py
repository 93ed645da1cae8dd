"""A store of response sets as large as Xwin-Set: 96,277 prompts with 64 draws and a reward each.

Run: python benchmarks/make_response_sets.py PATH [--prompts 96277] [--responses 64] [--text-share 0.1]
The texts of a tenth of the prompts are there, made of words by a Zipf law, with real ids; the rest have
draws and rewards only, under random ids, so that `curate verify` finds their texts missing. One draw in a
hundred repeats the text of another. Lengths are ours to choose: a prompt has 100 to 1,500 characters, a
response 1,500 on the mean, log-normally. The same arguments give the same rows.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from store.db import Store
from store.ids import ROOT, message_digest
from store.selections import write_selection

PROMPTS = 96_277  # Xwin-LM, table 1: Xwin-Set
RESPONSES = 64  # Xwin-LM, section 5.1
TEXT_SHARE = 0.1
REPEATS = 0.01
"""The share of draws whose text another draw of the prompt has too."""

POLICY = "sft-70b"
REWARD_MODEL = "rm-70b"
REVISION = "bench"
SAMPLING = '{"max_tokens": 2048, "temperature": 0.7}'
WITH_TEXTS = "with-texts"
"""The selection of prompts whose texts are there."""

PIECE = 4_000
"""Prompts of one write."""
POOL_WORDS = 3_000_000
VOCABULARY = 60_000
MEDIAN_CHARACTERS, SPREAD = 1_250, 0.6
SEED = 20_405_20_335


@dataclass(frozen=True)
class Size:
    """How much is made."""

    prompts: int = PROMPTS
    responses: int = RESPONSES
    text_share: float = TEXT_SHARE


def generate(store: Store, size: Size) -> None:
    """Fill an empty store."""
    pool = _pool()
    n_with_texts = round(size.prompts * size.text_share)
    spans = [(0, n_with_texts), (n_with_texts, size.prompts)]
    for has_texts, (begin, end) in zip((True, False), spans, strict=True):
        for first in range(begin, end, PIECE):
            _piece(store, pool if has_texts else None, first, min(end, first + PIECE), size)
    with store.write() as writing:
        write_selection(
            writing,
            WITH_TEXTS,
            "prompts",
            "SELECT message_id AS prompt_id, NULL AS part FROM messages WHERE parent_id IS NULL",
            settings={"made": "by a benchmark"},
            steps={},
            run_id=None,
        )


def _pool() -> bytes:
    """A long text of made-up words, frequent ones short."""
    rng = np.random.default_rng(SEED)
    letters = np.frombuffer(b"etaoinshrdlucmfwypvbgkjqxz", dtype=np.uint8)
    lengths = np.minimum(2 + np.arange(VOCABULARY) // 4_000 + rng.integers(0, 5, VOCABULARY), 14)
    words = [bytes(letters[rng.zipf(1.4, length) % 26]) for length in lengths]
    chosen = rng.zipf(1.2, POOL_WORDS) % VOCABULARY
    return b" ".join(words[number] for number in chosen)


def _piece(store: Store, pool: bytes | None, first: int, last: int, size: Size) -> None:
    rng = np.random.default_rng([SEED, first])
    count = last - first
    source = _drawn_of(rng, count, size.responses)
    if pool is None:
        prompt_ids = rng.bytes(16 * count)
        response_ids = np.frombuffer(rng.bytes(16 * count * size.responses), dtype="V16")
        messages = None
    else:
        prompt_ids, response_ids, messages = _texts(rng, pool, count, size.responses)
    prompts = np.repeat(np.frombuffer(prompt_ids, dtype="V16"), size.responses)
    is_first = source == np.arange(len(source))
    rewards = _rewards(rng, count, size.responses)
    with store.write() as writing:
        if messages is not None:
            used = np.concatenate([np.ones(count, dtype=np.bool_), is_first])
            writing.append("messages", messages.filter(pa.array(used)))
        writing.append("samples", _samples(rng, prompts, response_ids[source], size.responses))
        writing.append(
            "rewards",
            pa.table(
                {
                    "prompt_id": _uuids(prompts[is_first]),
                    "response_id": _uuids(response_ids[is_first]),
                    "reward_model": _same(REWARD_MODEL, int(is_first.sum())),
                    "revision": _same(REVISION, int(is_first.sum())),
                    "value": pa.array(rewards[is_first]),
                    "n_tokens": pa.array(rng.integers(200, 900, int(is_first.sum()), dtype=np.int32)),
                    "is_truncated": pa.array(np.zeros(int(is_first.sum()), dtype=np.bool_)),
                    "state": _same("done", int(is_first.sum())),
                }
            ),
        )


def _drawn_of(
    rng: np.random.Generator, count: int, responses: int
) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    """For each draw the position of the draw whose text it has, mostly its own."""
    own = np.arange(count * responses)
    if responses == 1:
        return own
    repeats = (rng.random(len(own)) < REPEATS) & (own % responses > 0)
    return np.where(repeats, own - own % responses, own)


def _rewards(
    rng: np.random.Generator, count: int, responses: int
) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """How good the prompt's answers are, and how they differ."""
    means, deviations = rng.normal(2.0, 1.5, count), rng.gamma(4.0, 0.3, count)
    draws = rng.normal(size=(count, responses)) * deviations[:, None] + means[:, None]
    return draws.astype(np.float32).reshape(-1)


def _texts(
    rng: np.random.Generator, pool: bytes, count: int, responses: int
) -> "tuple[bytes, np.ndarray[tuple[int], np.dtype[np.void]], pa.Table]":
    """The ids of prompts and responses, and their messages."""
    lengths = np.clip(np.exp(rng.normal(np.log(MEDIAN_CHARACTERS), SPREAD, (count, responses))), 40, 12_000)
    starts = rng.integers(0, len(pool) - 12_000, (count, responses))
    asked = [_text(pool, *span) for span in zip(starts[:, 0], rng.integers(100, 1_500, count), strict=True)]
    prompt_ids = [message_digest(ROOT, "user", text) for text in asked]
    answers = [
        _text(pool, start, length)
        for start, length in zip(
            starts.reshape(-1).tolist(), lengths.astype(int).reshape(-1).tolist(), strict=True
        )
    ]
    parents = [one for one in prompt_ids for _ in range(responses)]
    response_ids = [
        message_digest(parent, "assistant", text) for parent, text in zip(parents, answers, strict=True)
    ]
    messages = pa.table(
        {
            "message_id": pa.array(prompt_ids + response_ids, type=pa.binary(16)).cast(pa.binary(16)),
            "parent_id": pa.array([None] * count + parents, type=pa.binary(16)),
            "role": pa.array(["user"] * count + ["assistant"] * len(answers)),
            "content": pa.array(asked + answers),
            "depth": pa.array([0] * count + [1] * len(answers), type=pa.int32()),
        }
    )
    for name in ("message_id", "parent_id"):
        place = messages.schema.get_field_index(name)
        storage = messages.column(name).combine_chunks()
        messages = messages.set_column(place, name, pa.ExtensionArray.from_storage(pa.uuid(), storage))
    return b"".join(prompt_ids), np.frombuffer(b"".join(response_ids), dtype="V16"), messages


def _text(pool: bytes, start: int, length: int) -> str:
    return pool[start : start + length].strip().decode()


def _samples(
    rng: np.random.Generator,
    prompts: "np.ndarray[tuple[int], np.dtype[np.void]]",
    responses: "np.ndarray[tuple[int], np.dtype[np.void]]",
    per_prompt: int,
) -> pa.Table:
    count = len(prompts)
    return pa.table(
        {
            "prompt_id": _uuids(prompts),
            "response_id": _uuids(responses),
            "sample_index": pa.array(np.arange(count, dtype=np.int32) % per_prompt),
            "policy": _same(POLICY, count),
            "sampling": _same(SAMPLING, count),
            "seed": pa.array(rng.integers(0, 2**31, count)),
            "finish_reason": _same("stop", count),
            "n_tokens": pa.array(rng.integers(100, 800, count, dtype=np.int32)),
        }
    )


def _uuids(ids: "np.ndarray[tuple[int], np.dtype[np.void]]") -> pa.Array:
    storage = pa.Array.from_buffers(pa.binary(16), len(ids), [None, pa.py_buffer(ids.tobytes())])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _same(text: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype=np.int32)), pa.array([text]))


def main() -> None:
    """Make the store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    parser.add_argument("--responses", type=int, default=RESPONSES)
    parser.add_argument("--text-share", type=float, default=TEXT_SHARE)
    asked = parser.parse_args()
    started = time.perf_counter()
    generate(Store(asked.path), Size(asked.prompts, asked.responses, asked.text_share))
    print(f"made in {time.perf_counter() - started:.1f} s, {asked.path.stat().st_size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
