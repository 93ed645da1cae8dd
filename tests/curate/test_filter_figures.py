"""The figures in docs/filters.md are what the filters do on the labelled messages."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from curate.clean import CleanSettings, clean
from curate.deciding import Caution
from curate.filtering.filter_options import pipeline
from curate.filtering.filter_run import FilterSettings, filter_store
from curate.ingesting.ingest import IngestSettings, ingest_files
from store.db import Store

PIPELINE = [
    *(
        {"filter": "turns"},
        {"filter": "length"},
        {"filter": "language", "keep": ["en"]},
        {"filter": "encoding"},
    ),
    *({"filter": "control-tokens"}, {"filter": "refusal"}, {"filter": "truncated"}, {"filter": "repetition"}),
    *({"filter": "pii"}, {"filter": "secrets"}, {"filter": "same-answer"}),
]
ROOT = Path(__file__).resolve().parents[2]


def sample_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("filter_sample", ROOT / "benchmarks" / "filter_sample.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["filter_sample"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def table(head: str) -> dict[str, list[str]]:
    """First cell → the other cells, of the table in docs/filters.md whose head begins so."""
    text = (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")
    rows = text[text.index(head) :].split("\n\n", 1)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0]: row[1:] for row in cells}


def pair(first: float | None, second: float | None) -> str:
    return ", ".join("–" if share is None else f"{share:.2f}" for share in (first, second))


@pytest.mark.data
@pytest.mark.slow
def test_the_figures_are_those_of_the_labelled_sample(shared_data: Path) -> None:
    module = sample_module()
    rows = table("| filter | labelled |")
    measured = module.measure(shared_data)
    assert {one.name for one in measured} == set(rows)
    found = {
        one.name: [
            str(one.labelled),
            pair(one.precision, one.recall),
            pair(one.weighted_precision, one.weighted_recall),
        ]
        for one in measured
    }
    assert found == {name: [cells[0], *cells[2:4]] for name, cells in rows.items()}
    checked = {name: f"{right} of {n}" for name, (n, right) in module.held_out(shared_data).items()}
    assert {name: cells[4] for name, cells in rows.items() if cells[4] != "–"} == checked


@pytest.mark.data
@pytest.mark.slow
def test_the_counts_are_those_of_the_real_files(shared_data: Path, tmp_path: Path) -> None:
    rows = table("| file | conversations |")
    names = [name for name in rows if name != "together"]
    paths = [next(shared_data.rglob(name)) for name in names]
    store = Store(tmp_path / "s.duckdb")
    # in the order of the first run: of equal records the first one read is the one that is kept
    order = sorted(
        paths, key=lambda path: ("dummy" in path.name, "with_system" in path.name, "raw" in path.name)
    )
    ingest_files(store, "sharegpt", order, IngestSettings())
    clean(store, CleanSettings(("html", "unicode", "boilerplate")))
    report = filter_store(store, pipeline(PIPELINE, "test"), FilterSettings(Caution(is_dry_run=True)))
    found = {
        one.source: [f"{one.seen:,}", f"{one.seen - one.dropped:,}", f"{one.dropped:,}"]
        for one in report.decided.weighed.sources
    }
    weighed = report.decided.weighed
    found["together"] = [f"{weighed.seen:,}", f"{weighed.kept:,}", f"{weighed.dropped:,}"]
    assert found == {name: cells[:3] for name, cells in rows.items()}


def test_labels_hold_ids_and_no_text() -> None:
    labels = sample_module().labels_of("sample")
    assert len(labels) > 300
    assert all(key.startswith("m1-") and len(key) == 35 for key in labels)
    words = {one.lstrip("?").split(":")[0] for given in labels.values() for one in given}
    assert words <= {*sample_module().FILTERS_MEASURED, "secrets"}
