"""Makes a large ShareGPT file out of a small one, the same one every time.

Copy 0 of every conversation is the conversation itself. In later copies about one word in twelve is drawn
from the vocabulary of the whole file, so that texts differ while lengths, turns and the use of words stay.
A twentieth of the later copies are exact duplicates under another id, a tenth are near duplicates in
which about one word in fifty differs. The kind is told by the end of the id: `-c7`, `-c7-exact`,
`-c7-near`. Without an input file the conversations are made up from a small vocabulary.

    python benchmarks/make_sharegpt_corpus.py --input sharegpt.json --factor 50 --output big.json
"""

import argparse
import gzip
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

EXACT_SHARE = 0.05
NEAR_SHARE = 0.10
EDITED_WORDS = 0.08
NEAR_EDITED_WORDS = 0.02
POOL_WORDS = 1 << 16
MADE_CONVERSATIONS = 700

Conversation = dict[str, Any]


def load(path: Path) -> list[Conversation]:
    """The conversations of a ShareGPT array, perhaps gzipped."""
    data = path.read_bytes()
    found: list[Conversation] = msgspec.json.decode(
        gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    )
    return found


def made_up(rng: random.Random) -> list[Conversation]:
    """Conversations of made-up words, long-tailed in turns and lengths like real ones."""
    syllables = [a + b for a in "bdfgklmnprst" for b in ("a", "e", "i", "o", "u", "an", "er", "is")]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(8_000)]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    return [_made_up_one(rng, number, words, weights) for number in range(MADE_CONVERSATIONS)]


def _made_up_one(rng: random.Random, number: int, words: list[str], weights: list[float]) -> Conversation:
    turns = []
    for turn in range(2 * max(1, round(rng.lognormvariate(1.0, 0.7)))):
        is_user = turn % 2 == 0
        length = max(1, round(rng.lognormvariate(3.0 if is_user else 5.0, 0.9)))
        text = " ".join(rng.choices(words, weights, k=length))
        turns.append({"from": "human" if is_user else "gpt", "value": text})
    return {"id": f"made{number}", "conversations": turns}


def word_pool(conversations: list[Conversation], rng: random.Random) -> list[str]:
    """Words as frequent as they are in the conversations."""
    words = [
        word
        for conversation in conversations
        for turn in conversation["conversations"]
        for word in turn["value"].split(" ")
        if word and len(word) < 30
    ]
    return rng.choices(words, k=POOL_WORDS)


def edited(text: str, share: float, pool: list[str], rng: random.Random) -> str:
    """TEXT with SHARE of its words replaced."""
    words = text.split(" ")
    count = min(len(words), round(share * len(words) + rng.random()))
    for place in rng.sample(range(len(words)), count):
        words[place] = rng.choice(pool)
    return " ".join(words)


def variant(
    conversation: Conversation, suffix: str, share: float, pool: list[str], rng: random.Random
) -> Conversation:
    """A copy under another id with SHARE of its words replaced."""
    turns = [
        {**turn, "value": edited(turn["value"], share, pool, rng) if share else turn["value"]}
        for turn in conversation["conversations"]
    ]
    return {**conversation, "id": f"{conversation['id']}-{suffix}", "conversations": turns}


def corpus(conversations: list[Conversation], factor: int, seed: int) -> Iterator[Conversation]:
    """FACTOR copies of every conversation, each different in the way the module says."""
    rng = random.Random(seed)
    pool = word_pool(conversations, rng)
    yield from conversations
    for copy in range(1, factor):
        for conversation in conversations:
            draw = rng.random()
            if draw < EXACT_SHARE:
                yield variant(conversation, f"c{copy}-exact", 0.0, pool, rng)
            elif draw < EXACT_SHARE + NEAR_SHARE:
                yield variant(conversation, f"c{copy}-near", NEAR_EDITED_WORDS, pool, rng)
            else:
                yield variant(conversation, f"c{copy}", EDITED_WORDS, pool, rng)


def write(records: Iterator[Conversation], path: Path, *, is_lines: bool) -> int:
    """Stream RECORDS to PATH; returns how many."""
    count = 0
    with path.open("wb") as file:
        file.write(b"" if is_lines else b"[")
        for count, record in enumerate(records, start=1):
            line = msgspec.json.encode(record)
            separator = b"" if is_lines or count == 1 else b","
            file.write(separator + (b"" if is_lines else b"\n") + line + (b"\n" if is_lines else b""))
        file.write(b"" if is_lines else b"\n]\n")
    return count


def main() -> None:
    """Make one corpus and say how large it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--input", type=Path, help="a ShareGPT array, perhaps gzipped; made-up text if not given"
    )
    parser.add_argument("--factor", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--lines", action="store_true", help="JSON Lines instead of an array")
    asked = parser.parse_args()
    started = time.perf_counter()
    conversations = load(asked.input) if asked.input else made_up(random.Random(asked.seed))
    count = write(corpus(conversations, asked.factor, asked.seed), asked.output, is_lines=asked.lines)
    size = asked.output.stat().st_size / 1e6
    print(f"{asked.output}: {count:,} conversations, {size:.0f} MB in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
