"""Ranking and pairing at the size of Xwin-Set, each step beside its alternatives in the same run.

Run: python benchmarks/bench_rank.py [PATH] [--prompts 96277] [--rounds 3] [--memory 6GB]
The store is made by `make_response_sets.py` at PATH (a temporary one if not given) unless it is there.
Every figure is the best of a few rounds, by the clock and by processor time, all on two threads.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from label.id_columns import uuid_column
from label.pairs.choose import PairSettings, keep_pairs, plan_pairs
from label.pairs.rules import PairRule, Pairs
from label.ranking.rank import RankSettings, rank_report
from label.ranking.scores import Scoring, read_scores
from store.db import Reading, Store
from store.named_sql import named_sql
from store.selections import selection_named

PROMPTS = 96_277
MODEL = {"reward_model": "rm-70b", "revision": "bench"}
DRAWS = {"policy": "sft-70b", "n": 64, "samplings": ['{"max_tokens": 2048, "temperature": 0.7}']}
WITH_TEXTS = "with-texts"
"""All as make_response_sets.py writes them."""
THREADS = 2
WINDOW = 500
"""Prompts of which a run that resumes asks at once."""

BEST_AND_WORST = """
SELECT prompt_id, arg_max(response_id, value), max(value), arg_min(response_id, value), min(value)
FROM {rewards}
WHERE state = 'done'
GROUP BY prompt_id
"""
BY_WINDOW = """
SELECT prompt_id, response_id, value, place
FROM (
    SELECT *, row_number() OVER (PARTITION BY prompt_id ORDER BY value DESC, response_id) AS place
    FROM rewards
    WHERE state = 'done'
)
WHERE place IN (1, {rank})
"""
TEXTS_FIRST = """
SELECT prompt_id, max(content) FILTER (WHERE place = 1) AS chosen, max(content) FILTER (WHERE place = worst) AS rejected
FROM (
    SELECT
        rewards.prompt_id,
        messages.content,
        row_number() OVER (PARTITION BY rewards.prompt_id ORDER BY rewards.value DESC, rewards.response_id) AS place,
        count(*) OVER (PARTITION BY rewards.prompt_id) AS worst
    FROM rewards
    JOIN messages
        ON messages.message_id = rewards.response_id
)
GROUP BY prompt_id
"""


def main() -> None:
    """Make the store unless it is there, then measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", nargs="?", type=Path)
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="6GB", help="what DuckDB may use")
    asked = parser.parse_args()
    os.environ["PREFERABLY_MEMORY"] = asked.memory
    with tempfile.TemporaryDirectory() as folder:
        store = Store(asked.path or Path(folder) / "sets.duckdb")
        if not store.path.exists():
            script = Path(__file__).with_name("make_response_sets.py")
            made = [sys.executable, script, str(store.path), "--prompts", str(asked.prompts)]
            subprocess.run(made, check=True)
        report_sizes(store, Path(folder))
        time_ends(store, asked.rounds)
        time_ranks(store, asked.rounds)
        time_texts(store, asked.rounds)
        time_commands(store)
        time_resume(store, asked.rounds)
    print(f"peak memory {peak_mb():,.0f} MB")


def peak_mb() -> float:
    """The most this process held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(what: str, rounds: int, job: Callable[[], object]) -> float:
    """Print and return the best seconds of JOB."""
    best = best_cpu = float("inf")
    for _ in range(rounds):
        started, cpu = time.perf_counter(), time.process_time()
        job()
        best, best_cpu = min(best, time.perf_counter() - started), min(best_cpu, time.process_time() - cpu)
    print(f"  {what:58} {best:7.2f} s  {best_cpu:7.2f} CPU s", flush=True)
    return best


def start(reading: Reading) -> None:
    """What every figure is measured under."""
    reading.con.execute(f"SET threads = {THREADS}")
    reading.con.execute("SET arrow_lossless_conversion = true")


def report_sizes(store: Store, folder: Path) -> None:
    """The store on disk beside Parquet files of the same rows, each compressed by zstd."""
    total = 0
    with store.read() as reading:
        start(reading)
        for table in ("messages", "samples", "rewards"):
            path = folder / f"{table}.parquet"
            reading.con.execute(
                f"COPY (SELECT * FROM {table}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"
            )
            (count,) = reading.rows(f"SELECT count(*) FROM {table}")[0]
            total += path.stat().st_size
            print(f"  {table}: {count:,} rows, {path.stat().st_size / 1e6:,.0f} MB as Parquet")
            path.unlink()
    size = store.path.stat().st_size
    print(f"the store {size / 1e6:,.0f} MB on disk, Parquet {total / 1e6:,.0f} MB: {size / total:.2f}")


def ours(reading: Reading, rule: PairRule) -> Pairs:
    """Pairs as `label pairs` makes them, ties and replaced rewards looked after."""
    from label.pairs.rules import Drops, pairs_by

    scores = read_scores(reading, Scoring())
    return pairs_by(rule, scores.sets, 1e-4, Drops())


def time_ends(store: Store, rounds: int) -> None:
    """Best and worst response of every prompt."""
    print("best and worst of each prompt")
    with store.read() as reading:
        start(reading)
        timed("label pairs", rounds, lambda: ours(reading, PairRule()))
        timed(
            "DuckDB arg_max, arg_min; ties by chance, all rows current",
            rounds,
            lambda: reading.arrow(BEST_AND_WORST.format(rewards="rewards")),
        )
        timed(
            "the same over the view current_rewards",
            1,
            lambda: reading.arrow(BEST_AND_WORST.format(rewards="current_rewards")),
        )
        frame = pl.from_arrow(reading.arrow("SELECT hash(prompt_id) AS prompt, value FROM rewards"))
        assert isinstance(frame, pl.DataFrame)
        timed(
            "Polars group_by, rows in memory, ids left out",
            rounds,
            lambda: frame.group_by("prompt").agg(
                pl.col("value").arg_max().alias("best"), pl.col("value").arg_min().alias("worst")
            ),
        )
        values = frame["value"].to_numpy()
        width = len(values) // frame["prompt"].n_unique()
        matrix = values[: len(values) // width * width].reshape(-1, width)
        timed(
            f"NumPy argmax, argmin of a matrix {width} wide, in memory",
            rounds,
            lambda: (matrix.argmax(axis=1), matrix.argmin(axis=1)),
        )


def time_ranks(store: Store, rounds: int) -> None:
    """The best response and the one at a rank in the middle."""
    with store.read() as reading:
        start(reading)
        (most,) = reading.rows("SELECT min(n) FROM (SELECT count(*) AS n FROM rewards GROUP BY prompt_id)")[0]
        rank = max(2, min(32, most))
        print(f"rank 1 and rank {rank} of each prompt")
        timed("label pairs", rounds, lambda: ours(reading, PairRule("best-rank-k", rank=rank)))
        timed("window function", rounds, lambda: reading.arrow(BY_WINDOW.format(rank=rank)))


def time_texts(store: Store, rounds: int) -> None:
    """The texts of the selected, ids first."""
    print("texts of best and worst")
    with store.read() as reading:
        start(reading)
        (megabytes,) = reading.rows("SELECT sum(strlen(content)) / 1e6 FROM messages")[0]
        pairs = ours(reading, PairRule())
        scan = timed(
            f"scan of all texts, {megabytes:,.0f} MB",
            rounds,
            lambda: reading.rows("SELECT sum(strlen(content)) FROM messages"),
        )
        ids = timed("texts by the ids of the pairs", rounds, lambda: selected_texts(reading, pairs))
        timed("window over texts", 1, lambda: reading.arrow(TEXTS_FIRST))
        print(f"  ids over scan {ids / scan:.2f}")


def selected_texts(reading: Reading, pairs: Pairs) -> int:
    """Fetch the texts of both sides; returns how many."""
    import pyarrow as pa

    asked = pa.table({"message_id": uuid_column(np.concatenate([pairs.chosen, pairs.rejected]))})
    reading.con.register("asked_texts", asked)
    found = reading.arrow(
        "SELECT message_id, content FROM messages WHERE message_id IN (SELECT message_id FROM asked_texts)"
    )
    reading.con.unregister("asked_texts")
    return int(found.num_rows)


def time_commands(store: Store) -> None:
    """Whole commands, as a user meets them, opening the store included."""
    print("commands")
    settings = PairSettings()
    timed("label pairs --dry-run, with the audit", 1, lambda: plan_pairs(store, settings))
    narrow = PairSettings(scoring=Scoring(prompts=WITH_TEXTS))
    timed(
        "label pairs of the prompts with texts, kept",
        1,
        lambda: keep_pairs(store, "bench", narrow, plan_pairs(store, narrow)),
    )
    with store.read() as reading:
        count = selection_named(reading, "bench").row_count
    with tempfile.TemporaryDirectory() as folder:
        timed(f"train export dpo of these {count:,} pairs", 1, lambda: export(store, Path(folder) / "dpo"))
    timed("label rank", 1, lambda: rank_report(store, RankSettings()))


def export(store: Store, path: Path) -> None:
    """The pairs as a training file."""
    from store.console import run_command
    from train.cli import cli

    arguments = [
        "export",
        "dpo",
        "--pairs",
        "bench",
        "--store",
        str(store.path),
        "--out",
        str(path),
        "--json",
    ]
    assert run_command(cli, arguments) == 0


def time_resume(store: Store, rounds: int) -> None:
    """What a run of sampling or scoring that resumes has to know first."""
    print(f"resume: what is there for {WINDOW} prompts")
    with store.read() as reading:
        start(reading)
        prompts = [
            str(prompt)
            for (prompt,) in reading.rows(
                f"SELECT DISTINCT prompt_id FROM rewards USING SAMPLE reservoir({WINDOW} ROWS) REPEATABLE (1)"
            )
        ]
        asked = {"prompt_ids": prompts, **DRAWS}
        timed("draws (label sample)", rounds, lambda: reading.rows(named_sql("label", "sample_known"), asked))
        timed(
            "rewards of their responses",
            rounds,
            lambda: reading.arrow(
                "SELECT response_id FROM rewards WHERE reward_model = $reward_model AND revision = $revision"
                " AND state = 'done' AND prompt_id IN (SELECT unnest(CAST($prompt_ids AS UUID[])))",
                {**MODEL, "prompt_ids": prompts},
            ),
        )


if __name__ == "__main__":
    main()
