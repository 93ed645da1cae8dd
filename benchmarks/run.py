"""Every benchmark, one after the other, each beside its alternatives in the same run.

Usage: python benchmarks/run.py [SHAREGPT_FILE] [--quick]

Without a ShareGPT file the corpus is made up. Figures are ratios wherever the machine's mood would
show in a plain number; `--quick` takes sizes that end within minutes.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Run them all; stop at the first that fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sharegpt", nargs="?", type=Path, help="a ShareGPT file to make the corpus from")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    time_help()
    with tempfile.TemporaryDirectory() as scratch:
        for name, arguments in plan(asked.sharegpt, Path(scratch), is_quick=asked.quick):
            print(f"\n=== {name} {' '.join(arguments)}", flush=True)
            command = [sys.executable, "-P", str(HERE / f"{name}.py"), *arguments]
            subprocess.run(command, check=True, env=beside_one_another())


def beside_one_another() -> dict[str, str]:
    """The environment in which one benchmark may import another's corpus."""
    folders = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def plan(sharegpt: Path | None, scratch: Path, *, is_quick: bool) -> list[tuple[str, list[str]]]:
    """(benchmark, arguments) in the order to run; a quick run takes sizes that only show that it runs."""
    corpus = [str(sharegpt)] if sharegpt else []
    store = str(scratch / "review.duckdb")
    short = ["--steps", "1", "--length", "256", "--batch", "2"]
    if is_quick:
        return [
            ("bench_ingest", [*corpus, "--factor", "1", "--rounds", "1"]),
            ("bench_cleaning", [*corpus, "--answers", "200", "--rounds", "1"]),
            ("bench_filters", [*corpus, "--factor", "1", "--rounds", "1"]),
            ("bench_duplicates", [*corpus, "--factor", "2"]),
            ("bench_decontamination", [*corpus, "--factor", "2"]),
            ("bench_labels", ["--stored", "20000", "--labels", "2000", "--calls", "100"]),
            ("bench_review", [store, "--conversations", "5000", "--draws", "12800", "--writer-seconds", "2"]),
            ("bench_votes", ["--votes", "5"]),
            ("bench_rank", ["--prompts", "1925", "--rounds", "1"]),
            ("bench_rewards", ["--responses", "40", "--rounds", "1"]),
            ("bench_sample", ["--server", "stand-in", "--prompts", "8", "--rounds", "1"]),
            ("bench_crlft", ["--steps", "2"]),
            ("bench_rows", [*corpus, "--factor", "1", "--talks", "200", "--rounds", "1", *short]),
            ("bench_trainers", ["--size", "tiny", "--steps", "1", "--batch", "2", "--length", "64"]),
        ]
    return [
        ("bench_ingest", corpus),
        ("bench_cleaning", corpus),
        ("bench_filters", corpus),
        ("bench_duplicates", corpus),
        ("bench_decontamination", corpus),
        ("bench_labels", []),
        ("bench_review", [store]),
        ("bench_votes", []),
        ("bench_rank", []),
        ("bench_rewards", []),
        ("bench_sample", []),
        ("bench_crlft", []),
        ("bench_rows", corpus),
        *([("bench_trainers", ["--size", "1b"])] if shutil.which("nvidia-smi") else []),
    ]


def time_help() -> None:
    """The best of five `--help` of each command, in seconds."""
    print("=== help")
    with tempfile.TemporaryDirectory() as folder:
        for command, module in (
            ("curate", "curate"),
            ("label", "label"),
            ("train", "train"),
            ("review", "tui"),
        ):
            code = f"import sys; sys.argv = ['{command}', '--help']; from {module}.cli import main; main()"
            best = min(_timed([sys.executable, "-c", code], folder) for _ in range(5))
            print(f"{command} --help  {best:.2f} s")


def _timed(command: list[str], folder: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
