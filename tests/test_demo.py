"""The offline walk-through: the whole main job through the real commands, in child processes."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from store.db import Store

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "examples" / "demo.py"


@pytest.fixture(scope="module")
def demo_module():
    spec = importlib.util.spec_from_file_location("offline_demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def run_demo(*options, cwd):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-P", DEMO, *options],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )


def answer_of(demo_module, condition, rating, *, is_right):
    return demo_module.Answer(condition, "What colour is the marlo?", "amber", "…", is_right, rating, "")


def test_a_model_that_is_right_and_clearly_better_as_the_expert_passes(demo_module, capsys):
    answers = [
        answer_of(demo_module, "GPT4", 9, is_right=True),
        answer_of(demo_module, "GPT3", 3, is_right=True),
    ]
    assert demo_module.verdict(answers) == 0
    assert "better by 6.0 points" in capsys.readouterr().out


@pytest.mark.parametrize(("expert_rating", "is_right"), [(9, False), (5, True)])
def test_a_model_that_is_wrong_or_hardly_better_as_the_expert_fails(
    demo_module, capsys, expert_rating, is_right
):
    answers = [
        answer_of(demo_module, "GPT4", expert_rating, is_right=is_right),
        answer_of(demo_module, "GPT3", 3, is_right=False),
    ]
    assert demo_module.verdict(answers) == 1
    assert capsys.readouterr().err.startswith("error: under GPT4")


def test_a_folder_that_is_not_the_demos_own_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    outcome = run_demo("--fresh", "--folder", ".", cwd=tmp_path)
    assert outcome.returncode == 1
    assert "not a folder of the demo" in outcome.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_fresh_deletes_what_an_earlier_demo_left(demo_module, tmp_path):
    folder = tmp_path / "demo"
    demo_module.make_own(folder, fresh=False)
    (folder / "export").mkdir()
    demo_module.make_own(folder, fresh=False)
    assert (folder / "export").exists()
    demo_module.make_own(folder, fresh=True)
    assert [path.name for path in folder.iterdir()] == [demo_module.MARKER]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_demo_runs_end_to_end_and_running_it_again_adds_nothing(tmp_path):
    first = run_demo(cwd=tmp_path)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    assert "$ curate ingest sharegpt" in first.stdout
    answers = answers_in(tmp_path)
    assert Counter(answer["condition"] for answer in answers) == {"GPT4": 64, "GPT3": 64}
    before = counts(tmp_path / "demo" / "preferably.duckdb")
    second = run_demo(cwd=tmp_path)
    assert second.returncode == 0, second.stdout[-3000:] + second.stderr[-3000:]
    assert counts(tmp_path / "demo" / "preferably.duckdb") == before
    assert answers_in(tmp_path) == answers


def answers_in(folder):
    text = (folder / "demo" / "answers.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def counts(path):
    """How many rows of each kind that must not grow."""
    tables = ("conversations", "messages", "ratings", "completions", "rejects", "snapshots")
    with Store(path).read() as reading:
        return {table: reading.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables}
