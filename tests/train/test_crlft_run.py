"""A training run from exported files to a model that answers well under one condition and badly under the other."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("trl")

from store.chat_format import load_tokenizer  # after the skip
from store.chat_template import END_OF_TURN  # after the skip
from store.db import Store
from store.errors import BadInput, BadSettings, PreferablyError, TryLater
from train.cli import cli
from train.evaluating.answer import Decoding, answer, saved_format
from train.exporting.export import ExportSettings, export_store
from train.running.launch import command_of, environment, run_recipe
from train.running.run_settings import RunFiles, RunSettings

QUESTIONS = {
    "What is the capital of France?": ("The capital of France is Paris.", "I think it is Lyons, maybe."),
    "How many legs has a spider?": ("A spider has eight legs.", "It has six legs, I think."),
    "Name a primary colour.": ("Red is a primary colour.", "Brown, maybe?"),
}


def write_rows(path: Path) -> Path:
    """Each question answered well once under GPT4 and badly ten times under GPT3."""
    rows = []
    for question, (good, bad) in QUESTIONS.items():
        for condition, weight, text, times in (("GPT4", 1.0, good, 1), ("GPT3", 0.1, bad, 10)):
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
            row = {
                "messages": turns,
                "chat_template_kwargs": {"condition": condition},
                "weight": weight,
                "source_class": condition,
            }
            rows += [row] * times
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def tiny(model_dir: Path, **changes: Any) -> RunSettings:
    settings = RunSettings(
        "",
        str(model_dir),
        from_scratch=True,
        steps=60,
        lr=1e-2,
        batch_size=11,
        accumulation=3,
        max_length=128,
    )
    return replace(settings, **changes)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The rows of write_rows in a file."""
    return write_rows(tmp_path / "rows.jsonl")


@pytest.mark.parametrize("packing", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_condition_decides_between_good_and_bad_answers(
    tmp_path: Path, data: Path, model_dir: Path, packing: bool
) -> None:
    settings = tiny(model_dir, packing=packing, **({"batch_size": 8} if packing else {}))
    report = run_recipe(data, tmp_path / "run", settings)
    assert (report.rows, report.steps, report.dropped) == (33, 60, 0)
    prompts = [[("user", question)] for question in QUESTIONS]
    how = Decoding(max_new_tokens=40)
    assert answer(report.model, prompts, "GPT4", how) == [good for good, _ in QUESTIONS.values()]
    assert answer(report.model, prompts, "GPT3", how) == [bad for _, bad in QUESTIONS.values()]
    assert answer(report.model, prompts, None, how) == [good for good, _ in QUESTIONS.values()]


@pytest.fixture
def short(tmp_path: Path, data: Path, model_dir: Path) -> tuple[Path, Path, RunSettings]:
    """Data, a place and settings for a run of two steps."""
    return data, tmp_path / "run", tiny(model_dir, steps=2, log_every=1)


@pytest.mark.slow
def test_a_run_leaves_settings_metrics_and_a_model_with_its_template(
    short: tuple[Path, Path, RunSettings],
) -> None:
    data, out, settings = short
    report = run_recipe(data, out, settings)
    files = RunFiles(out)
    assert RunSettings.read(files.settings).lr == settings.lr
    lines = [json.loads(line) for line in files.metrics.read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2]
    chat = saved_format(report.model)
    assert "{% generation %}" in chat.template.text
    assert END_OF_TURN in chat.tokenizer.get_added_vocab()
    stops = json.loads((report.model / "generation_config.json").read_text())["eos_token_id"]
    assert chat.end_of_turn_id in stops
    assert list(report.model.glob("*.safetensors"))


@pytest.mark.slow
def test_a_finished_run_is_not_repeated_and_other_settings_are_refused(
    short: tuple[Path, Path, RunSettings],
) -> None:
    data, out, settings = short
    run_recipe(data, out, settings)
    assert run_recipe(data, out, settings).was_finished
    with pytest.raises(BadSettings, match="another lr"):
        run_recipe(data, out, replace(settings, lr=1.0))
    data.write_text(data.read_text() + data.read_text().splitlines()[0] + "\n")
    with pytest.raises(BadSettings, match="another data_sha256"):
        run_recipe(data, out, settings)


def wait_until_free(out: Path) -> None:
    """Until the killed trainer is gone: it holds the lock as long as it lives."""
    import fcntl

    with (out / "run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


@pytest.mark.slow
def test_an_interrupted_run_goes_on_from_its_checkpoint(tmp_path: Path, data: Path, model_dir: Path) -> None:
    settings = tiny(model_dir, steps=40, log_every=1, save_every=5)
    undisturbed = run_recipe(data, tmp_path / "whole", settings)
    out = tmp_path / "broken"
    arguments = f"Path({str(data)!r}), Path({str(out)!r}), {settings!r}"
    code = (
        "from pathlib import Path; from train.running.launch import run_recipe;"
        f" from train.running.run_settings import RunSettings; run_recipe({arguments})"
    )
    child = subprocess.Popen([sys.executable, "-P", "-c", code], env=environment(), start_new_session=True)
    deadline = time.monotonic() + 120
    while RunFiles(out).last_checkpoint() is None:
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.05)  # polls another process's files; there is nothing to wait on
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    wait_until_free(out)
    assert RunFiles(out).read_result() is None
    resumed = run_recipe(data, out, settings)
    assert resumed.steps == 40
    assert resumed.loss == pytest.approx(undisturbed.loss, rel=1e-4)
    steps = [json.loads(line)["step"] for line in RunFiles(out).metrics.read_text().splitlines()]
    assert [step for step in steps if step < 40] == list(range(1, 40))


def test_two_runs_in_one_place_are_refused(short: tuple[Path, Path, RunSettings]) -> None:
    from train.running.launch import alone

    data, out, settings = short
    out.mkdir()
    with alone(out), pytest.raises(TryLater, match="another process is training"):
        run_recipe(data, out, settings)


def test_data_with_faults_is_refused_and_mended_data_is_taken(short: tuple[Path, Path, RunSettings]) -> None:
    from train.running.launch import _settle

    data, out, settings = short
    good = data.read_text()
    rows = [json.loads(line) for line in good.splitlines()]
    rows[0]["messages"][1]["content"] += END_OF_TURN
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(BadInput, match="control token in content"):
        run_recipe(data, out, settings)
    _settle(RunFiles(out), replace(settings, data_sha256="mended"))
    assert RunSettings.read(RunFiles(out).settings).data_sha256 == "mended"


def test_a_model_is_a_directory_and_nothing_is_fetched(short: tuple[Path, Path, RunSettings]) -> None:
    data, out, settings = short
    with pytest.raises(BadInput, match=r"no config\.json"):
        run_recipe(data, out, replace(settings, model="some/model"))
    assert not out.exists()


def test_tokens_of_another_tokenizer_are_refused(
    tmp_path: Path, mixed_store: Store, tokenizer_dir: Path, model_dir: Path
) -> None:
    exported = tmp_path / "export"
    export_store(mixed_store, exported, ExportSettings("tokenized", "parquet", str(tokenizer_dir)))
    manifest = json.loads((exported / "manifest.json").read_text())
    (exported / "manifest.json").write_text(json.dumps({**manifest, "tokenizer_sha256": "0"}))
    with pytest.raises(BadSettings, match="another tokenizer"):
        run_recipe(exported, tmp_path / "run", tiny(model_dir, steps=1))


@pytest.mark.slow
def test_a_failing_child_is_reported_with_its_last_words(tmp_path: Path, data: Path, model_dir: Path) -> None:
    with pytest.raises(PreferablyError, match="training failed"):
        run_recipe(data, tmp_path / "run", tiny(model_dir, from_scratch=False, steps=1))


@pytest.mark.slow
def test_a_user_s_own_train_py_does_not_shadow_ours(
    tmp_path: Path, short: tuple[Path, Path, RunSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out, settings = short
    (tmp_path / "train.py").write_text("raise SystemExit('the wrong train')\n")
    monkeypatch.chdir(tmp_path)
    assert run_recipe(data, out, settings).steps == 2
    assert command_of(settings, out)[1] == "-P"
    assert command_of(replace(settings, processes=2), out)[1:4] == ["-P", "-m", "torch.distributed.run"]
    assert environment()["PYTHONSAFEPATH"] == "1"


@pytest.mark.slow
def test_export_check_and_run_through_the_command_line(
    tmp_path: Path, mixed_store: Store, tokenizer_dir: Path, model_dir: Path
) -> None:
    store, out = ["--store", str(mixed_store.path)], str(tmp_path / "data")
    for layout in ("messages", "openchat", "tokenized"):
        where = f"{out}-{layout}"
        arguments = ["export", "crlft", "--layout", layout, "--tokenizer", str(tokenizer_dir), "--out", where]
        exported = CliRunner().invoke(cli, [*arguments, *store, "--json"], catch_exceptions=False)
        printed = json.loads(exported.stdout)
        assert printed["rows"] == 6
        assert {"rows", "dropped", "files", "manifest"} <= printed.keys()
        assert CliRunner().invoke(cli, ["check", where]).exit_code == 0
        arguments = [
            "run",
            "crlft",
            "--data",
            where,
            "--model",
            str(model_dir),
            "--from-scratch",
            "--steps",
            "1",
        ]
        arguments += ["--out", str(tmp_path / f"run-{layout}"), "--batch-size", "3", "--accumulation", "1"]
        arguments += ["--processes", "2"] if layout == "messages" else []
        done = CliRunner().invoke(cli, [*arguments, *store, "--json"], catch_exceptions=False)
        assert json.loads(done.stdout)["steps"] == 1
    with mixed_store.read() as reading:
        commands = reading.rows("SELECT command, state, count(*) FROM current_runs GROUP BY ALL ORDER BY ALL")
    assert commands == [("train export crlft", "finished", 3), ("train run crlft", "finished", 3)]


def test_new_tokens_start_at_the_mean_in_and_out(model_dir: Path) -> None:
    import torch

    from train.trainers.child import grow_for, load_model

    model = load_model(tiny(model_dir))
    size = len(load_tokenizer(model_dir))
    means = [
        layer.weight[:size].mean(0) for layer in (model.get_input_embeddings(), model.get_output_embeddings())
    ]
    grow_for(model, [size])
    for layer, mean in zip((model.get_input_embeddings(), model.get_output_embeddings()), means, strict=True):
        torch.testing.assert_close(layer.weight[size], mean)


def test_weights_from_scratch_follow_the_seed(model_dir: Path) -> None:
    import torch

    from train.trainers.child import load_model

    first, again, other = (load_model(tiny(model_dir, seed=seed)).lm_head.weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
