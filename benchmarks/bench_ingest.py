"""How fast files get into the store, beside the ways people usually do it, in one run.

Every job runs in a child process of its own, one after the other, in several rounds; the best round counts.
Printed are MB of JSON per CPU second (all threads), the peak of memory, and ratios against the bare path
`msgspec -> Arrow -> zstd column` and against `executemany`.

    python benchmarks/bench_ingest.py sharegpt.json --factor 50
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

STORAGE = "STORAGE_VERSION 'v1.5.0', ROW_GROUP_SIZE 20480"
TABLE = "CREATE TABLE store.messages (role VARCHAR, content VARCHAR USING COMPRESSION zstd)"
EXECUTEMANY_MESSAGES = 20_000
LIBRARIES = ("duckdb", "msgspec", "numpy", "pyarrow")


def attached(folder: Path) -> Any:
    """A connection with an empty zstd table of messages in a file."""
    import duckdb

    con = duckdb.connect()
    con.execute(f"ATTACH '{folder / 'bare.duckdb'}' AS store ({STORAGE})")
    con.execute(TABLE)
    return con


def ours(path: Path, folder: Path) -> Path:
    """`curate ingest`: strict, hashed, de-duplicated, a turn per piece."""
    from curate.ingesting.ingest import IngestSettings, ingest_files
    from store.db import Store

    ingest_files(Store(folder / "ours.duckdb"), "sharegpt", [path], IngestSettings())
    return folder / "ours.duckdb"


def bare(path: Path, folder: Path) -> Path:
    """Decode the whole array, hand it over as Arrow, insert it once: no check, no id, no turns."""
    import msgspec
    import pyarrow as pa

    class Turn(msgspec.Struct, rename={"speaker": "from"}):
        speaker: str
        value: str

    class Chat(msgspec.Struct):
        id: str
        conversations: list[Turn]

    chats = msgspec.json.decode(path.read_bytes(), type=list[Chat])
    turns = [turn for chat in chats for turn in chat.conversations]
    rows = pa.table({"role": [turn.speaker for turn in turns], "content": [turn.value for turn in turns]})
    con = attached(folder)
    con.register("rows", rows)
    con.execute("INSERT INTO store.messages SELECT role, content FROM rows")
    con.close()
    return folder / "bare.duckdb"


def many(path: Path, folder: Path) -> Path:
    """`json.load` and `executemany`, on as many messages as are needed to measure it."""
    chats = json.loads(path.read_bytes())
    turns = [(turn["from"], turn["value"]) for chat in chats for turn in chat["conversations"]]
    con = attached(folder)
    con.execute("BEGIN")
    con.executemany("INSERT INTO store.messages VALUES (?, ?)", turns)
    con.execute("COMMIT")
    con.close()
    return folder / "bare.duckdb"


def read_only(path: Path, _folder: Path) -> None:
    """Our reader alone, without a store."""
    from curate.reader import ReaderSettings
    from curate.readers.sharegpt import read_sharegpt

    for _ in read_sharegpt(path, ReaderSettings()):
        pass


def json_load(path: Path, _folder: Path) -> None:
    """`json.load` of the whole array."""
    with path.open("rb") as file:
        json.load(file)


def polars_read(path: Path, _folder: Path) -> None:
    """`polars.read_json`."""
    import polars as pl

    pl.read_json(path)


def datasets_read(path: Path, folder: Path) -> None:
    """`datasets.load_dataset("json")`, without a cache from before."""
    import datasets

    datasets.disable_progress_bars()
    datasets.load_dataset("json", data_files=str(path), cache_dir=str(folder / "cache"))


def part(path: Path, _folder: Path) -> None:
    """Write the first conversations of a corpus to a file: `executemany` is too slow for all of them."""
    import msgspec

    chats = msgspec.json.decode(path.read_bytes())
    kept, count = [], 0
    for chat in chats:
        kept.append(chat)
        count += len(chat["conversations"])
        if count >= EXECUTEMANY_MESSAGES:
            break
    path.with_name(f"{path.stem}-part.json").write_bytes(msgspec.json.encode(kept))


JOBS: dict[str, Callable[[Path, Path], Path | None]] = {
    "part": part,
    "ours": ours,
    "bare": bare,
    "executemany": many,
    "our reader": read_only,
    "json.load": json_load,
    "polars.read_json": polars_read,
    "datasets": datasets_read,
}


def run_job(name: str, path: Path) -> dict[str, float]:
    """Run one job here and measure it."""
    folder = Path(tempfile.mkdtemp(dir=path.parent))
    for library in LIBRARIES:
        import_module(library)  # start-up is not what is measured
    try:
        before = _cpu_s()
        started = time.perf_counter()
        written = JOBS[name](path, folder)
        return {
            "cpu_s": _cpu_s() - before,
            "wall_s": time.perf_counter() - started,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "file_mb": written.stat().st_size / 1e6 if written else 0.0,
        }
    finally:
        shutil.rmtree(folder)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def in_child(name: str, path: Path) -> dict[str, float] | None:
    """Run one job in a process of its own; None if its library is not installed."""
    done = subprocess.run(
        [sys.executable, __file__, str(path), "--job", name], capture_output=True, text=True, check=False
    )
    if "ModuleNotFoundError" in done.stderr:
        return None
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """Make the corpus, measure every job and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sharegpt", nargs="?", type=Path, help="make the corpus from this; made-up text if not given"
    )
    parser.add_argument(
        "--factor", type=int, default=50, help="how many times larger; 1 takes the file as it is"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", nargs="+", default=list(JOBS)[1:], choices=list(JOBS)[1:])
    parser.add_argument("--job", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.job:
        print(json.dumps(run_job(asked.job, asked.sharegpt)))
        return
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.json"
        _make(asked.sharegpt, asked.factor, corpus)
        _report(corpus, asked.jobs, asked.rounds)


def _make(sharegpt: Path | None, factor: int, corpus: Path) -> None:
    if sharegpt and factor == 1:
        shutil.copy(sharegpt, corpus)
        return
    script = Path(__file__).with_name("make_sharegpt_corpus.py")
    given = ["--input", str(sharegpt)] if sharegpt else []
    subprocess.run(
        [sys.executable, script, "--factor", str(factor), "--output", str(corpus), *given], check=True
    )


def _report(corpus: Path, jobs: list[str], rounds: int) -> None:
    small = corpus.with_name(f"{corpus.stem}-part.json")
    in_child("part", corpus)
    best: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name in jobs:
            measured = in_child(name, small if name == "executemany" else corpus)
            if measured and measured["cpu_s"] <= best.get(name, measured)["cpu_s"]:
                best[name] = measured
    sizes = {name: (small if name == "executemany" else corpus).stat().st_size / 1e6 for name in best}
    rates = {name: sizes[name] / measured["cpu_s"] for name, measured in best.items()}
    print(f"{'job':<18}{'MB/CPU s':>10}{'wall s':>8}{'peak MB':>9}{'file/JSON':>11}")
    for name, measured in best.items():
        share = measured["file_mb"] / sizes[name]
        print(
            f"{name:<18}{rates[name]:>10.1f}{measured['wall_s']:>8.1f}{measured['peak_mb']:>9.0f}"
            f"{share if share else '':>11{'.3f' if share else ''}}"
        )
    for peer, target in (("bare", "0.65"), ("executemany", "11")):
        if "ours" in rates and peer in rates:
            print(f"ours / {peer}: {rates['ours'] / rates[peer]:.2f} (target {target})")
    small.unlink()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
