from collections.abc import Iterator
from pathlib import Path

import pytest

from store import engines
from store.db import Store
from store.engines import Thrift, be_thrifty
from store.errors import NeedsMemory

SPILLING = "SELECT count(*) FROM (SELECT repeat(md5(range::VARCHAR), 12) AS m FROM range(200_000) ORDER BY m)"


@pytest.fixture(autouse=True)
def without_thrift() -> Iterator[None]:
    """No thrift and no instance is left to other tests."""
    be_thrifty(None)
    yield
    be_thrifty(None)


def test_an_instance_that_spilled_for_one_store_is_not_used_for_another(tmp_path: Path):
    be_thrifty(Thrift("64MB", 1, 2**60))
    for name in ("one", "two", "one"):
        store = Store(tmp_path / f"{name}.duckdb")
        with store.write() as writing:
            assert writing.rows(SPILLING) == [(200_000,)]
            (spill,) = writing.rows("SELECT current_setting('temp_directory')")[0]
        assert spill == str(tmp_path / f"{name}.duckdb.d" / "spill")
        assert Path(spill).exists(), "nothing was spilled, so that nothing was tried"


def test_a_thrifty_process_closes_an_instance_that_has_grown_and_keeps_one_that_has_not(tmp_path: Path):
    store = Store(tmp_path / "s.duckdb")
    for growth, kept in ((2**40, 1), (-(2**40), 0)):
        be_thrifty(Thrift("200MB", 1, growth))
        with store.write() as writing:
            assert writing.rows("SELECT current_setting('threads')") == [(1,)]
        assert len(engines._idle) == kept


def test_what_does_not_fit_the_memory_is_an_error_that_names_the_setting(tmp_path: Path):
    be_thrifty(Thrift("30MB", 1, 2**40))
    store = Store(tmp_path / "s.duckdb")
    with pytest.raises(NeedsMemory, match="PREFERABLY_MEMORY"), store.write() as writing:
        writing.rows("SELECT len(list(range)) FROM range(20_000_000)")
    be_thrifty(None)
    with store.read() as reading:
        assert reading.rows("SELECT len(list(range)) FROM range(1_000_000)") == [(1_000_000,)]
