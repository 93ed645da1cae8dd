"""The benchmarks run; what they measure at these sizes means nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "benchmarks" / "run.py"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_benchmark_runs_and_prints_its_ratios(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, RUN, "--quick"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name in (
        "curate --help",
        "bench_ingest",
        "FastChat's way",
        "curate filter, the cheap filters",
        "curate dedup --near",
        "curate decontaminate, word runs",
        "bench_labels",
        "bench_review",
        "bench_rank",
        "best and worst of each prompt",
        "bench_rewards",
        "label sample / bare client",
        "bench_crlft",
        "bench_trainers",
        "executemany",
    ):
        assert name in done.stdout
