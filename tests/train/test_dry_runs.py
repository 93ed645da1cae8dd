"""Dry runs of `train export` and `train run`: they say what would come of it, and nothing is written."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from store.console import run_command
from store.db import Store
from store.errors import BadSettings, RequestError
from train.cli import cli as train
from train.exporting.export import ExportSettings, export_store
from train.exporting.plan import plan_export
from train.running.plan import plan_run
from train.running.run_settings import RunFiles, RunSettings


def state_of(folder: Path) -> dict[str, int]:
    """Every file below FOLDER with its size."""
    return {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def version_of(store: Store) -> int:
    with store.read() as reading:
        return reading.version


@pytest.mark.parametrize("has_tokenizer", [True, False])
def test_an_export_comes_to_what_its_dry_run_said(
    mixed_store: Store, tokenizer_dir: Path, tmp_path: Path, *, has_tokenizer: bool
) -> None:
    settings = ExportSettings("messages", "parquet", str(tokenizer_dir) if has_tokenizer else None)
    version, out = version_of(mixed_store), tmp_path / "out" / "rows"
    plan = plan_export(mixed_store, out, settings)
    assert version_of(mixed_store) == version
    assert not out.parent.exists()
    report = export_store(mixed_store, out, settings)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert (plan.rows, plan.dropped, plan.changed) == (report.rows, report.dropped, report.changed)
    assert plan.seen["classes"] == manifest["classes"]
    wanted = sum(one["trained_tokens"] for one in manifest["classes"].values()) if has_tokenizer else None
    assert plan.trained_tokens == wanted
    with pytest.raises(RequestError, match="exists already"):
        plan_export(mixed_store, out, settings)
    assert plan_export(mixed_store, out, settings, overwrite=True).replaces


def test_a_run_is_counted_checked_and_left_alone(mixed_store: Store, model_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="training needs the extra train")
    export_store(mixed_store, tmp_path / "rows", ExportSettings("messages", "parquet", str(model_dir)))
    settings = RunSettings(
        "", str(model_dir), batch_size=2, accumulation=1, epochs=4, warmup=0.25, save_every=5, max_length=256
    )
    before = state_of(tmp_path)
    plan = plan_run(tmp_path / "rows", tmp_path / "run", settings)
    assert state_of(tmp_path) == before
    assert (plan.rows, plan.dropped, plan.steps) == (6, 0, 12)  # 4 passes over 6 rows, 2 a step
    assert (plan.warmup_steps, plan.checkpoints, plan.state) == (3, 2, "new")
    assert plan.trained_tokens
    assert plan_run(tmp_path / "rows", tmp_path / "run", replace(settings, packing=True)).steps is None
    (tmp_path / "run").mkdir()
    files = RunFiles(tmp_path / "run")
    settings.write(files.settings)
    files.write_result({"steps": 1})
    with pytest.raises(BadSettings, match="holds a run with another"):
        plan_run(tmp_path / "rows", tmp_path / "run", settings)


def test_the_rate_of_a_dry_run_is_the_scaled_one(
    mixed_store: Store, model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trl", reason="training needs the extra train")
    export_store(mixed_store, tmp_path / "rows", ExportSettings("messages", "parquet", str(model_dir)))
    typed = [
        *("run", "crlft", "--data", str(tmp_path / "rows"), "--model", str(model_dir), "--out"),
        *(str(tmp_path / "run"), "--batch-size", "16", "--accumulation", "1", "--dry-run"),
    ]
    assert run_command(train, typed) == 0
    out = capsys.readouterr().out
    assert "learning rate 3.35e-05, cosine_with_min_lr" in out  # 6.7e-5 for 64 rows a step
    assert "would be written to" in out
    assert not (tmp_path / "run").exists()
    assert run_command(train, [*typed, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lr"] == pytest.approx(3.35e-5)
