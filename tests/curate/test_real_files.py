"""The table in docs/real-files.md is what becomes of the files."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("real_files", ROOT / "benchmarks" / "real_files.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["real_files"] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


@pytest.mark.data
@pytest.mark.slow
def test_every_real_file_becomes_what_the_table_says(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["real_files.py", str(shared_data), "--store", str(tmp_path / "s.duckdb")]
    )
    script().main()
    page = (ROOT / "docs" / "real-files.md").read_text(encoding="utf-8").splitlines()
    assert capsys.readouterr().out.splitlines() == [line for line in page if line.startswith(("|", "- "))]


def test_the_table_covers_every_folder_and_its_records_add_up() -> None:
    page = (ROOT / "docs" / "real-files.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")] for line in page if line.startswith("| ")][1:]
    assert {row[1].split("/")[0] for row in rows} == set(script().FOLDERS)
    for row in rows:
        read, kept, rejected, conversations, dropped = (int(cell.replace(",", "")) for cell in row[3:8])
        assert read == kept + rejected
        assert dropped <= conversations
