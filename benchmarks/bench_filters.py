"""How fast the cheap filters look at a store, beside the parts they are made of and a loop, in one run.

    python benchmarks/bench_filters.py sharegpt.json --factor 50

Printed are MB of message text per CPU second, all threads, the best of several rounds. The cheap filters are
all but `language` (a model's guess at every turn) and `length` with a tokenizer; `curate filter` reads the
store, judges and writes.
"""

import argparse
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import make_sharegpt_corpus
import polars as pl

from curate.deciding import Caution
from curate.filtering.filter_options import choose
from curate.filtering.filter_run import FilterSettings, filter_store
from curate.ingesting.ingest import IngestSettings, ingest_files
from store.db import Store

CHEAP = (
    "code-only",
    "control-tokens",
    "encoding",
    "length",
    "pii",
    "refusal",
    "repetition",
    "same-answer",
    "secrets",
    "truncated",
    "turns",
)
BY_PHRASE = ("code-only", "control-tokens", "encoding", "length", "refusal", "secrets", "turns")
"""Those that look for phrases and shapes only."""
PHRASES = [
    "i cannot",
    "as an ai language model",
    "i am unable",
    "i'm sorry, but",
    "\ufffd",
    "<|im_end|>",
    "@",
]


def copies(talks: list[dict[str, Any]], factor: int) -> Iterator[dict[str, Any]]:
    """FACTOR copies of every conversation; turns differ in their first letters only, so that they end as they did."""
    for copy in range(factor):
        for talk in talks:
            turns = [
                {**turn, "value": f"({copy}) {turn['value']}" if copy and turn["value"] else turn["value"]}
                for turn in talk["conversations"]
            ]
            yield {**talk, "id": f"{talk['id']}-{copy}", "conversations": turns}


def read_texts(store: Store) -> pl.DataFrame:
    """Role and content of every message."""
    with store.read() as reading:
        found = pl.from_arrow(reading.arrow("SELECT role, content FROM messages"))
    assert isinstance(found, pl.DataFrame)
    return found


def time_it(name: str, megabytes: float, rounds: int, work: Callable[[], object]) -> None:
    """Print the best of ROUNDS."""
    best = 0.0
    for _ in range(rounds):
        started = time.process_time()
        work()
        best = max(best, megabytes / (time.process_time() - started))
    print(f"{name:44} {best:8.0f} MB/CPU s")


def by_sql(store: Store) -> object:
    """A regular expression over the store, in DuckDB."""
    with store.read() as reading:
        return reading.rows(
            "SELECT count(*) FROM messages WHERE regexp_matches(lower(content), ?)",
            ["|".join(re.escape(phrase) for phrase in PHRASES)],
        )


def by_loop(texts: list[str]) -> object:
    """The usual loop."""
    return [any(phrase in text.lower() for phrase in PHRASES) for text in texts]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sharegpt", nargs="?", type=Path, help="a ShareGPT array, perhaps gzipped")
    parser.add_argument("--factor", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    talks = (
        make_sharegpt_corpus.load(asked.sharegpt)
        if asked.sharegpt
        else make_sharegpt_corpus.made_up(random.Random(7))
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "corpus.json"
        make_sharegpt_corpus.write(copies(talks, asked.factor), path, is_lines=False)
        store = Store(Path(scratch) / "s.duckdb")
        ingest_files(store, "sharegpt", [path], IngestSettings())
        measure(store, asked.rounds)


def measure(store: Store, rounds: int) -> None:
    """Print every line."""
    frame = read_texts(store)
    size = frame.get_column("content").str.len_bytes().sum() / 1e6
    texts = frame.get_column("content").to_list()
    print(f"{len(texts):,} messages, {size:.0f} MB of text")
    dry = FilterSettings(Caution(is_dry_run=True))
    phrases = pl.col("content").str.contains_any(PHRASES, ascii_case_insensitive=True)
    time_it("read the texts", size, rounds, lambda: read_texts(store))
    time_it("Polars contains_any, texts in memory", size, rounds, lambda: frame.select(phrases))
    time_it("DuckDB regexp_matches, reading the store", size, rounds, lambda: by_sql(store))
    time_it("loop over texts in memory", size, rounds, lambda: by_loop(texts))
    time_it(
        "curate filter, the cheap filters", size, rounds, lambda: filter_store(store, choose(CHEAP, ()), dry)
    )
    time_it(
        "  those by phrase and shape", size, rounds, lambda: filter_store(store, choose(BY_PHRASE, ()), dry)
    )
    for name in CHEAP:
        time_it(f"  {name} alone", size, 1, lambda name=name: filter_store(store, choose([name], ()), dry))
    started = time.process_time()
    report = filter_store(store, choose(CHEAP, ()), FilterSettings(Caution(is_sure=True)))
    spent = time.process_time() - started
    weighed = report.decided.weighed
    print(
        f"curate filter, decisions written: {size / spent:.0f} MB/CPU s;"
        f" {weighed.seen:,} seen = {weighed.kept:,} kept + {weighed.dropped:,} dropped"
    )


if __name__ == "__main__":
    main()
