"""The figures in docs/filters.md are what the filters do on the labelled messages."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def sample_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("filter_sample", ROOT / "benchmarks" / "filter_sample.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["filter_sample"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def table() -> dict[str, list[str]]:
    """Filter → the cells of its row."""
    text = (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")
    rows = text[text.index("| filter | labelled |") :].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("|")]
    return {row[0]: row[1:] for row in cells}


def pair(first: float | None, second: float | None) -> str:
    return ", ".join("–" if share is None else f"{share:.2f}" for share in (first, second))


@pytest.mark.data
@pytest.mark.slow
def test_the_figures_are_those_of_the_labelled_sample(shared_data: Path) -> None:
    module = sample_module()
    rows = table()
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


def test_labels_hold_ids_and_no_text() -> None:
    labels = sample_module().labels_of("sample")
    assert len(labels) > 300
    assert all(key.startswith("m1-") and len(key) == 35 for key in labels)
    words = {one.lstrip("?").split(":")[0] for given in labels.values() for one in given}
    assert words <= {*sample_module().FILTERS_MEASURED, "secrets"}
