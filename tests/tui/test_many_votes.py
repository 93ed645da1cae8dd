import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from store.db import Store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bench_votes() -> ModuleType:
    """The benchmark that votes in a real terminal."""
    spec = importlib.util.spec_from_file_location("bench_votes", ROOT / "benchmarks" / "bench_votes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_session_killed_after_many_votes_has_lost_none(tmp_path: Path, bench_votes):
    store = Store(tmp_path / "votes.duckdb")
    bench_votes.generate(store, 13)
    assert bench_votes.in_terminal(store.path, 12) == 12
