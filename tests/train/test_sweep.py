"""A sweep: its grid and plan, what stops and what does not, its table and plots, and a small one that really runs."""

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from curate.cli import cli as curate
from store.console import run_command
from store.db import Store
from store.errors import BadSettings, PreferablyError, RequestError, TryLater, UnknownName
from store.ids import uuid_text
from store.selections import write_selection
from train.children import Children, last_words, program
from train.cli import cli as train
from train.commands.sweep import _failure, _offers
from train.step_state import StepState
from train.sweeps.asked import Asked, planned
from train.sweeps.grid import Axis, parse_axes, points_of
from train.sweeps.options import Options
from train.sweeps.outcome import Figure, SweepOutcome
from train.sweeps.plan import Measuring, Plan
from train.sweeps.presets import PRESETS
from train.sweeps.run import run_sweep
from train.sweeps.table import counts_of, footnotes, table_of

HELD_OUT = "00000000-0000-0000-0000-000000000001"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EXPORT_ID = uuid_text(bytes(15) + b"\x07")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one held-out prompt."""
    made = Store(tmp_path / "store.duckdb")
    select = f"SELECT '{HELD_OUT}'::UUID AS prompt_id, NULL::VARCHAR AS part"
    with made.write() as writing:
        write_selection(writing, "held-out", "prompts", select, settings={}, steps={}, run_id=None)
    return made


def asked(store: Store, out: Path, **changes: Any) -> Asked:
    common: dict[str, Any] = {
        "name": "s",
        "store": store.path,
        "out": out,
        "measuring": Measuring(validation="held-out", reward_model="offline", n=4),
        "recipe": None,
        "preset": None,
        "grid": (),
        "baseline": (),
        "measure": None,
        "model": Path("models/base"),
        "words": (),
    }
    return Asked(**{**common, **changes})


def plan_of(store: Store, out: Path, **changes: Any) -> Plan:
    return planned(asked(store, out, **changes), _offers())[0]


def words_of(plan: Plan, name: str) -> list[list[str]]:
    return [list(step.words) for step in plan.steps() if step.name == name]


def value_of(words: Sequence[str], flag: str) -> str:
    return words[list(words).index(flag) + 1]


# --- the grid


def test_a_grid_is_every_choice_of_its_values_and_the_last_axis_turns_fastest() -> None:
    points = points_of(parse_axes(["weight=0.1,1", "--seed=0,1,2"]))
    assert [point.label for point in points][:4] == [
        *("weight=0.1 seed=0", "weight=0.1 seed=1", "weight=0.1 seed=2", "weight=1 seed=0"),
    ]
    assert len({point.slug for point in points}) == len(points) == 6
    assert {point.group for point in points} == {(("weight", "0.1"),), (("weight", "1"),)}


@pytest.mark.parametrize("text", ["weight", "weight=", "=1", "weight=1,,2", "weight=1,1"])
def test_an_axis_that_is_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(BadSettings, match="--grid"):
        parse_axes([text])


def test_paths_that_cannot_stand_in_a_file_name_are_told_apart() -> None:
    points = points_of([Axis("model", ("models/a b", "models/a_b", "models/a/b"))])
    assert len({point.slug for point in points}) == 3
    assert all("/" not in point.slug and "=" not in point.slug for point in points)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"grid": ("wieght=1",)}, UnknownName, "did you mean 'weight'"),
        ({"grid": ("rank=1",)}, BadSettings, "--rank is for rsft, not for crlft"),
        ({"grid": ("epochs=many",)}, BadSettings, "--epochs many"),
        ({"grid": ("no-reward=1",)}, BadSettings, "takes no value"),
        ({"grid": ("out=a,b",)}, UnknownName, "'out'"),
        ({"grid": ("lr=1",), "words": ("--lr", "2")}, BadSettings, "--lr varies over the grid"),
        ({"grid": ("lr=1",), "words": ("world.json",)}, BadSettings, "'world.json' is no option"),
        (
            {"grid": ("lr=1",), "words": ("--selection", "a", "--mix-turns", "5")},
            BadSettings,
            "--selection is",
        ),
        ({"grid": ("pairs-rank=2",)}, BadSettings, "pairs- options choose pairs; crlft trains on"),
        ({"grid": ("lr=1,2",), "baseline": ("lr=3",)}, BadSettings, "not on the grid"),
        (
            {"grid": ("lr=1",), "measure": "best of 3"},
            BadSettings,
            "there are: best of 1, best of 2, best of 4",
        ),
        ({"grid": ("lr=1",), "model": None}, BadSettings, "--model"),
        ({}, BadSettings, "name what varies"),
        ({"preset": "openchat-alhpa"}, UnknownName, "openchat-alpha"),
        ({"preset": "xwin-rank"}, BadSettings, "is for rsft, not for crlft"),
        ({"grid": ("lr=1",), "measuring": Measuring(validation="held-out")}, BadSettings, "say who measures"),
        ({"grid": ("lr=1",), "measuring": Measuring(reward_model="offline")}, BadSettings, "--validation"),
        (
            {"grid": ("lr=1",), "measuring": Measuring(validation="held-out", against="nobody")},
            BadSettings,
            "nobody has no draws under held-out",
        ),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_with_the_way_out(
    store: Store, tmp_path: Path, changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        plan_of(store, tmp_path / "out", recipe="crlft", **changes)
    assert not (tmp_path / "out").exists()


def test_options_are_typed_to_the_commands_that_take_them() -> None:
    options = Options("crlft", _offers())
    given = options.parse(
        ("--template=openchat", "--packing", "--source", "a", "--source", "b", "--lr", "1e-3")
    )
    assert options.words("export", given) == ["--template", "openchat", "--source", "a", "--source", "b"]
    assert options.words("run", given) == ["--template", "openchat", "--packing", "--lr", "1e-3"]
    assert options.words("run", [("packing", "no")]) == []
    assert Options("crlft", _offers()).words("export", [("beta", "0.5")]) == ["--beta", "0.5"]
    assert Options("dpo", _offers()).words("run", [("beta", "0.5")]) == ["--beta", "0.5"]
    assert Options("dpo", _offers()).words("export", [("beta", "0.5")]) == []


# --- the plan


def test_seeds_share_an_export_and_nothing_else(store: Store, tmp_path: Path) -> None:
    grid = ("weight=GPT3=0.1,GPT3=1", "seed=0,1,2")
    plan = plan_of(store, tmp_path / "out", recipe="crlft", grid=grid)
    counts = counts_of(plan, StepState(tmp_path / "none", "sweep", "point"))
    assert counts == "6 points, 14 commands (2 export, 6 training, 6 measuring)"
    trained = words_of(plan, "training")
    assert [value_of(words, "--seed") for words in trained] == ["0", "1", "2"] * 2
    assert len({value_of(words, "--data") for words in trained}) == 2
    assert all("--seed" not in words for words in words_of(plan, "export"))
    assert all(value_of(words, "--at") == "v1" for words in words_of(plan, "export"))
    policies = [value_of(words, "--policy") for words in words_of(plan, "measuring")]
    assert policies[0].startswith("s-weight-GPT3-0.1-seed-0=")
    assert policies[0].partition("=")[2] == f"{value_of(trained[0], '--out')}/model"


def test_the_shared_export_of_a_preference_model_is_not_shared_by_seeds(store: Store, tmp_path: Path) -> None:
    measuring = Measuring(files=("bench.json",))
    words = ("--pairs", "judged")
    plan = plan_of(store, tmp_path, recipe="pm", grid=("seed=0,1",), measuring=measuring, words=words)
    assert [value_of(words, "--seed") for words in words_of(plan, "export")] == ["0", "1"]
    assert words_of(plan, "measuring")[0][:6] == [
        *("train", "evaluate", "reward", "bench.json", "--prefer"),
        str(tmp_path / "points" / "seed-0" / "run" / "model"),
    ]


def test_models_that_vary_bring_their_tokenizers(store: Store, tmp_path: Path) -> None:
    plan = plan_of(store, tmp_path, recipe="sft", grid=("model=a,b",), model=None)
    assert [value_of(words, "--tokenizer") for words in words_of(plan, "export")] == ["a", "b"]
    assert [value_of(words, "--model") for words in words_of(plan, "training")] == ["a", "b"]


EXPORTED = {
    "openchat-alpha": ("--weight", ["GPT3=0", "GPT3=0.05", "GPT3=0.1", "GPT3=0.3", "GPT3=1"]),
    "openchat-class-ratio": (
        "--selection",
        [f"s-mix-class-ratio-GPT3-{share}" for share in ("0", "0.2", "0.4", "0.6", "0.8", "1")],
    ),
    "openchat-positions": ("--template", ["openchat", "openchat_assistant", "openchat_beginning"]),
    "camels-sources": ("--source", ["chats"]),
    "xwin-turns": ("--selection", ["s-mix-turns-1", "s-mix-turns-2", "s-mix-turns-4", "s-mix-turns-9"]),
    "xwin-rank": ("--rank", ["1", "2", "4", "8", "16", "32", "64"]),
    "xwin-candidates": ("--candidates", ["1", "2", "4", "8", "16", "32", "64"]),
    "xwin-rejected-rank": ("--pairs", [f"s-pairs-rank-{rank}" for rank in (2, 4, 8, 16, 32, 64)]),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_exports_what_its_figure_compares(store: Store, tmp_path: Path, preset: str) -> None:
    fill(store)
    plan = plan_of(store, tmp_path / "out", preset=preset)
    flag, values = EXPORTED[preset]
    exports = words_of(plan, "export")
    assert [value_of(words, flag) for words in exports] == values
    assert {words[2] for words in exports} == {PRESETS[preset].recipe}


def fill(store: Store) -> None:
    """Eight conversations of one turn, and one that holds a held-out prompt, from another source."""
    from tests.train.conftest import conversation_rows

    sources = [
        {
            "source_id": uuid_text(bytes(15) + bytes([number])),
            "name": name,
            "reader": "sharegpt",
            "path": f"{name}.json",
            "sha256": "0" * 64,
            "bytes": 1,
            "license": None,
            "settings": "{}",
            "state": "done",
            "records_read": 1,
            "records_kept": 1,
            "records_rejected": 0,
        }
        for number, name in enumerate(("chats", "test"))
    ]
    made = [
        conversation_rows(number, [("user", f"Question {number}?"), ("assistant", "Yes.")], "gpt-4")
        for number in range(9)
    ]
    for number, (_, row) in enumerate(made):
        row["source_id"] = sources[number == 8]["source_id"]
    last = made[-1][1]["message_ids"][0]
    with store.write() as writing:
        writing.append("sources", sources)
        writing.append("messages", [row for rows, _ in made for row in rows])
        writing.append("conversations", [row for _, row in made])
        select = f"SELECT '{last}'::UUID AS prompt_id, NULL::VARCHAR AS part"
        write_selection(writing, "held-out", "prompts", select, settings={}, steps={}, run_id=None)


def test_what_a_preset_takes_from_the_store_is_settled_when_the_sweep_begins(
    store: Store, tmp_path: Path
) -> None:
    fill(store)
    plan, state = planned(asked(store, tmp_path, preset="camels-sources"), _offers())
    state.keep("began", value=True)
    with store.write() as writing:
        writing.append_from(
            "sources", "SELECT * EXCLUDE (version, seq) REPLACE ('other' AS name) FROM sources LIMIT 1"
        )
    again, _ = planned(asked(store, tmp_path, preset="camels-sources"), _offers())
    assert again.steps() == plan.steps()


def test_pairs_of_a_rank_are_made_before_they_are_exported(store: Store, tmp_path: Path) -> None:
    grid, words = ("pairs-rank=2,8", "seed=0,1"), ("--pairs-policy", "sft")
    plan = plan_of(store, tmp_path, preset="xwin-rejected-rank", grid=grid, words=words)
    made = words_of(plan, "pairs")
    assert made[1][:9] == [
        *("label", "pairs", "s-pairs-rank-8", "--policy", "sft", "--rule", "best-rank-k", "--rank", "8"),
    ]
    assert [step.name for step in plan.steps()][:4] == ["pairs", "export", "pairs", "export"]
    assert plan.sweep.baseline == (("pairs-rank", "2"),)


# --- running it


class Killed(BaseException):
    """Stands for a process that is gone."""


class Commands:
    """Stands for our commands: answers each from its words, fails or dies where it is told to."""

    def __init__(
        self, *, failing: str = "", error: type[PreferablyError] = RequestError, dying: bool = False
    ):
        self.ran: list[tuple[str, ...]] = []
        self.failing = failing
        self.failing_command = "run"
        self.error = error
        self.dying = dying
        self.is_ended = False

    def run(
        self, words: Sequence[str], *, log: Path | None = None, device: str | None = None
    ) -> Mapping[str, Any]:
        again = tuple(words) in self.ran
        self.ran.append(tuple(words))
        if self.failing and any(self.failing in word for word in words) and words[1] == self.failing_command:
            raise self.error("train run: out of memory")
        if self.dying and not again:
            raise Killed
        return self.printed(words)

    @staticmethod
    def printed(words: Sequence[str]) -> Mapping[str, Any]:
        if words[1] == "export":
            return {"rows": 7, "export_id": f"x1-{EXPORT_ID.replace('-', '')}"}
        if words[1] != "evaluate":
            return {"steps": 1}
        policy = value_of(words, "--policy").partition("=")[0]
        value = float(len(policy)) + float(policy[-1])
        point = {"x": 1, "value": value, "low": value - 1, "high": value + 1, "prompts": 3}
        figures = {"policy": policy, "best_of": [point], "win_rate": None, "characters": 12.0}
        return {"policies": [figures]}

    def end(self) -> None:
        self.is_ended = True


def run(asked_for: Asked, commands: Commands, *, jobs: int = 1) -> SweepOutcome:
    plan, state = planned(asked_for, _offers())
    told: list[SweepOutcome] = []
    outcome = run_sweep(
        plan, state, commands, advance=lambda _=1, /, words="": None, devices=(None,) * jobs, tell=told.append
    )
    assert told[-1] == outcome
    return outcome


GRID = ("lr=1e-3,1e-4", "seed=0,1")


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_point_that_fails_stops_no_other_and_is_tried_again(
    store: Store, tmp_path: Path, jobs: int
) -> None:
    wanted = asked(store, tmp_path / "out", recipe="sft", grid=GRID)
    outcome = run(wanted, Commands(failing="lr-1e-3-seed-1"), jobs=jobs)
    assert [point.label for point in outcome.failed] == ["lr=1e-3 seed=1"]
    assert len(outcome.measured) == 3
    lines = list(footnotes(outcome))
    assert "✗ lr=1e-3 seed=1 failed at training: train run: out of memory" in lines
    assert "1 of 2" in table_of(outcome)
    assert outcome.measured[0].figures["rows"] == Figure(7)
    assert _failure(outcome).exit_code == 1
    commands = Commands()
    assert not run(wanted, commands, jobs=jobs).failed
    assert [words[1] for words in commands.ran] == ["run", "evaluate"]


def test_an_export_that_fails_fails_its_points_and_runs_once(store: Store, tmp_path: Path) -> None:
    commands = Commands(failing="max-length-64", error=TryLater)
    commands.failing_command = "export"
    grid = ("max-length=64,128", "seed=0,1")
    outcome = run(asked(store, tmp_path / "out", recipe="sft", grid=grid), commands)
    assert [point.failed_at for point in outcome.points] == ["export", "export", None, None]
    assert sum(words[1] == "export" for words in commands.ran) == 2
    assert _failure(outcome).exit_code == 3


def test_a_sweep_that_dies_after_every_command_comes_to_the_same_end(store: Store, tmp_path: Path) -> None:
    whole = run(asked(store, tmp_path / "a", recipe="sft", grid=GRID), Commands())
    commands, outcome = Commands(dying=True), None
    while outcome is None:
        with contextlib.suppress(Killed):
            outcome = run(asked(store, tmp_path / "b", recipe="sft", grid=GRID), commands)
    assert outcome == whole
    assert max(map(commands.ran.count, commands.ran)) == 2
    silent = Commands()
    assert run(asked(store, tmp_path / "b", recipe="sft", grid=GRID), silent) == whole
    assert silent.ran == []


def test_a_larger_grid_runs_only_what_is_new(store: Store, tmp_path: Path) -> None:
    run(asked(store, tmp_path / "out", recipe="sft", grid=GRID), Commands())
    with store.write() as writing:
        writing.append_from("sources", "SELECT * EXCLUDE (version, seq) FROM sources")
    commands = Commands()
    outcome = run(asked(store, tmp_path / "out", recipe="sft", grid=("lr=1e-3,1e-4", "seed=0,1,2")), commands)
    assert len(outcome.measured) == 6
    assert sorted(words[1] for words in commands.ran) == ["evaluate", "evaluate", "run", "run"]


def test_a_folder_with_a_sweep_of_other_settings_is_refused(store: Store, tmp_path: Path) -> None:
    run(asked(store, tmp_path / "out", recipe="sft", grid=GRID), Commands())
    commands = Commands()
    with pytest.raises(BadSettings, match="sweep with other settings"):
        run(asked(store, tmp_path / "out", recipe="sft", grid=GRID, words=("--epochs", "9")), commands)
    assert commands.ran == []


def test_whoever_interrupts_a_sweep_ends_its_commands(store: Store, tmp_path: Path) -> None:
    class Interrupted(Commands):
        def run(self, words: Sequence[str], **places: Any) -> Mapping[str, Any]:
            if words[1] == "run":
                raise KeyboardInterrupt
            return super().run(words, **places)

    commands = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        run(asked(store, tmp_path / "out", recipe="sft", grid=GRID), commands, jobs=2)
    assert commands.is_ended


def test_held_out_prompts_that_are_trained_on_are_said(store: Store, tmp_path: Path) -> None:
    row = {
        "export_id": EXPORT_ID,
        "row_number": 0,
        "conversation_id": None,
        "message_ids": [HELD_OUT],
        "source_class": None,
    }
    with store.write() as writing:
        writing.append("export_rows", [row])
    outcome = run(asked(store, tmp_path / "out", recipe="sft", grid=GRID), Commands())
    assert outcome.notes == ("1 of 1 held-out prompts stand in what lr=1e-3 seed=0 is trained on",)


def test_a_command_says_in_its_error_what_its_log_ends_with(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "a.txt"
    with pytest.raises(RequestError, match=r"^train check: .*missing.* does not exist"):
        Children().run(["train", "check", str(tmp_path / "missing"), "--json"], log=log)
    assert log.read_text().startswith("error: ")
    before = log.stat().st_size
    log.write_text(f"{log.read_text()}error: too little memory\nlibrary: 3 things leaked\n")
    assert last_words(log, before) == "too little memory"
    assert last_words(log, log.stat().st_size - 5) == "aked"
    ended = Children()
    ended.end()
    with pytest.raises(KeyboardInterrupt):
        ended.run(["train", "check", "x", "--json"])


# --- as a command


def test_a_dry_run_counts_and_prints_every_command_and_writes_nothing(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        *("--recipe", "sft", "--grid", "lr=1,2", "--model", "m", "--validation", "held-out"),
        *(
            "--reward-model",
            "offline",
            "--out",
            str(tmp_path / "out"),
            "--store",
            str(store.path),
            "--dry-run",
        ),
    ]
    assert run_command(train, ["sweep", "x", *options, "--", "--epochs", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 points, 5 commands (1 export, 2 training, 2 measuring)"
    assert sum("--epochs 2" in line for line in lines) == 2
    assert run_command(train, ["sweep", "x", *options, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["steps"]) == 5
    assert not (tmp_path / "out").exists()


# --- a sweep that really runs


def make_world(folder: Path) -> Path:
    """A store with some of the world's conversations and four held-out questions, and a tiny model's shape."""
    sys.path.append(str(EXAMPLES))
    try:
        import make_world as world
        import tiny_policy
    finally:
        sys.path.remove(str(EXAMPLES))
    draw = world.Draw(random.Random(0))
    records = [
        {
            "id": f"{model}-{number}",
            "model": model,
            "conversations": [
                {"from": who, "value": text} for who, text in world.conversation(draw, answer, 1)
            ],
        }
        for model, answer in (("gpt-4", world.good_answer), ("gpt-3.5-turbo", world.poor_answer))
        for number in range(24)
    ]
    asked_of = [
        {
            "id": str(number),
            "conversations": [{"from": "human", "value": one["prompt"]}, {"from": "gpt", "value": "-"}],
        }
        for number, one in enumerate(world.held_out_records()[:4])
    ]
    common = ["--store", str(folder / "store.duckdb")]
    for name, content in (("world", records), ("held-out", asked_of)):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        assert run_command(curate, ["ingest", "sharegpt", str(path), *common]) == 0
    assert run_command(curate, ["unfold", "held-out", "--source", "held-out.json", *common]) == 0
    tiny_policy.make_policy(folder / "policy")
    return folder / "store.duckdb"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sweep_that_is_killed_goes_on_and_a_point_that_fails_stops_no_other(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="training needs the extra train")
    pytest.importorskip("matplotlib", reason="plots need the extra plots")
    store = make_world(tmp_path)
    typed = [
        *(
            "sweep",
            "alpha",
            "--preset",
            "openchat-alpha",
            "--grid",
            "weight=0.1,-1",
            "--validation",
            "held-out",
        ),
        *(
            "--model",
            str(tmp_path / "policy"),
            "--reward-model",
            "offline",
            "--n",
            "2",
            "--max-new-tokens",
            "12",
        ),
        *("--out", str(tmp_path / "out"), "--store", str(store), "--plot", str(tmp_path / "alpha.png"), "--"),
        *(
            "--source",
            "world.json",
            "--from-scratch",
            "--steps",
            "4",
            "--batch-size",
            "8",
            "--accumulation",
            "1",
            "--max-length",
            "64",
        ),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*program("train"), *typed], stderr=subprocess.PIPE, env=environment, text=True
    ) as killed:
        assert killed.stderr is not None
        for line in killed.stderr:
            if line.startswith("$ train evaluate"):
                break
        killed.kill()
    state = StepState.at(tmp_path / "out" / "sweep.json", kind="sweep", place="point")
    assert [one["step"] for one in state.done] == ["export", "training"]
    ended = subprocess.run(
        [*program("train"), *typed], capture_output=True, env=environment, text=True, check=False, timeout=500
    )
    assert ended.returncode == 1, ended.stderr
    assert "error: 1 of 2 points failed: weight=GPT3=-1" in ended.stderr
    assert "failed at export: train export: class 'GPT3' weighs -1.0" in ended.stdout
    after = StepState.at(tmp_path / "out" / "sweep.json", kind="sweep", place="point")
    assert after.done[:2] == state.done
    assert [one["step"] for one in after.done[2:]] == ["measuring"]
    with Store(store).read() as reading:
        drawn = reading.rows(
            "SELECT policy, count(*), count(DISTINCT (prompt_id, sample_index)) FROM samples GROUP BY 1 ORDER BY 1"
        )
    assert drawn == [("alpha-weight-GPT3-0.1", 8, 8)]
    assert (tmp_path / "alpha.png").exists()
    shown = subprocess.run(
        [*program("train"), "sweep", "alpha", "--show", "--store", str(store)],
        capture_output=True,
        env=environment,
        text=True,
        check=True,
    )
    assert shown.stdout == ended.stdout
