"""The online loop: its plan, its stop rules, and a small one that is stopped after every command."""

import contextlib
import importlib.util
import io
import json
import os
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from store.console import run_command
from store.db import Store
from store.errors import BadSettings
from store.selections import write_selection
from train.cli import cli as train
from train.looping.iterate import Iterate, LoopReport, StopRules, check_apart, plan_of, run_loop, stop_reason
from train.looping.iterations import Explore, LoopSettings

QUESTIONS = 16
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def loop_settings(out: Path, **changes: Any) -> LoopSettings:
    common: dict[str, Any] = {
        "name": "loop",
        "model": "models/sft",
        "reward_model": "offline",
        "reward_name": "offline@example-world/1",
        "prompts": "asked",
        "validation": "held-out",
        "out": out,
        "store": out / "store.duckdb",
    }
    return LoopSettings(**{**common, **changes})


def iterate_of(number: int, reward: float, *, characters: float = 100.0, kl: float | None = None) -> Iterate:
    return Iterate(number, f"m{number}", reward, None, characters, kl, None, None, None, None)


def test_every_iteration_trains_on_all_pairs_so_far_against_the_first_policy(tmp_path: Path) -> None:
    plan = plan_of(loop_settings(tmp_path, seed_pairs="offline"), 2)
    names = [step.name for step in plan if step.iteration == 2]
    assert names == [
        *("draws", "rewards", "pairs", "history", "export", "training"),
        *("validation draws", "validation rewards"),
    ]
    words = {step.name: step.words for step in plan if step.iteration == 2}
    assert words["history"][:6] == (
        "label",
        "gather",
        "loop-history-2",
        "offline",
        "loop-pairs-1",
        "loop-pairs-2",
    )
    training = words["training"]
    assert training[training.index("--reference") + 1] == "models/sft"
    assert training[training.index("--model") + 1].endswith("iteration-1/run/model")


def keep_prompts(store: Store, name: str, parts: Mapping[int, str | None]) -> None:
    """A selection of prompts by number, each with its part."""
    rows = ", ".join(
        f"('00000000-0000-0000-0000-{number:012d}'::UUID, {'NULL' if part is None else repr(part)})"
        for number, part in parts.items()
    )
    with store.write() as writing:
        write_selection(
            writing,
            name,
            "prompts",
            f"SELECT * FROM (VALUES {rows}) AS rows (prompt_id, part)",
            settings={},
            steps={},
            run_id=None,
        )


def test_prompts_that_are_trained_on_validate_nothing(tmp_path: Path) -> None:
    loop = loop_settings(tmp_path)
    store = Store(loop.store)
    keep_prompts(store, "asked", {1: "I", 2: "II"})
    keep_prompts(store, "held-out", {2: None, 3: None})
    with pytest.raises(BadSettings, match="1 prompts are both trained and validated on"):
        check_apart(loop)
    check_apart(loop_settings(tmp_path, parts=("I",)))
    check_apart(loop_settings(tmp_path, parts=("I",), validation=None, validation_part="II"))


def test_two_checkpoints_are_paired_draw_against_draw(tmp_path: Path) -> None:
    plan = plan_of(loop_settings(tmp_path, explore="checkpoint-pair"), 2)
    draws = [step.words for step in plan if step.iteration == 2 and "draws" in step.name.split(" of")[0]]
    policies = [words[words.index("--policy") + 1] for words in draws if "loop-1-validation" not in words]
    assert policies[:2] == ["loop-1", "loop-0"]
    seeds = [words[words.index("--seed") + 1] for words in draws if "loop-1-validation" not in words]
    assert seeds[:2] == ["1", "0"]
    pairs = next(step.words for step in plan if (step.iteration, step.name) == (2, "pairs"))
    assert pairs[pairs.index("--candidates") + 1] == "1"
    assert [pairs[i + 1] for i, word in enumerate(pairs) if word == "--policy"] == ["loop-1", "loop-0"]


def test_parts_take_turns_and_a_part_trained_on_validates_nothing(tmp_path: Path) -> None:
    plan = plan_of(loop_settings(tmp_path, parts=("I", "II")), 3)
    parts = [step.words[step.words.index("--part") + 1] for step in plan if step.name == "draws"]
    assert parts == ["I", "II", "I"]
    with pytest.raises(BadSettings, match="--validation-part I is trained on"):
        loop_settings(tmp_path, parts=("I",), validation=None, validation_part="I")
    with pytest.raises(BadSettings, match="not those trained on"):
        loop_settings(tmp_path, validation=None)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (StopRules(2), "all iterations are done"),
        (StopRules(9, patience=1), "no gain on validation prompts since iterate 1"),
        (StopRules(9, patience=2, min_gain=2.0), "no gain on validation prompts since iterate 0"),
        (StopRules(9, max_length_growth=1.2), "answers grew to 1.50 times"),
        (StopRules(9, max_kl=3.0), "the policy went 4.00 nats"),
    ],
)
def test_a_loop_stops_where_a_rule_says_so(rules: StopRules, words: str) -> None:
    iterates = [iterate_of(0, 5.0), iterate_of(1, 6.0), iterate_of(2, 5.5, characters=150.0, kl=4.0)]
    stopped = stop_reason(iterates, rules)
    assert stopped is not None
    assert words in stopped
    assert stop_reason(iterates, StopRules(9, patience=2, max_length_growth=2.0, max_kl=5.0)) is None


def test_a_dry_run_prints_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--model", "m", "--reward-model", "offline", "--prompts", "p", "--validation", "v"]
    code = run_command(
        train, ["iterate", "x", *options, "--out", str(tmp_path / "x"), "--dry-run", "--", "--lr", "1e-6"]
    )
    assert code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 3 * 8
    assert "--lr 1e-6" in next(line for line in lines if line.startswith("train run dpo"))
    assert not (tmp_path / "x").exists()


# --- a loop that really runs


def commands() -> dict[str, click.Command]:
    from curate.cli import cli as curate
    from label.cli import cli as label

    return {"curate": curate, "label": label, "train": train}


def run_here(words: Sequence[str]) -> Mapping[str, Any]:
    """Run one of our commands in this process and read its JSON."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = run_command(commands()[words[0]], words[1:])
    assert code == 0, words
    outcome: Mapping[str, Any] = json.loads(printed.getvalue())
    return outcome


class Killed(BaseException):
    """Stands for a process that is gone."""


class DyingOften:
    """Runs each command to its end and is gone before anybody has noted that; the second time it lives."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, ...]] = set()

    def __call__(self, words: Sequence[str]) -> Mapping[str, Any]:
        outcome = run_here(words)
        if tuple(words) in self.seen:
            return outcome
        self.seen.add(tuple(words))
        raise Killed


def until_it_lives(loop: LoopSettings, rules: StopRules) -> LoopReport:
    run = DyingOften()
    while True:
        with contextlib.suppress(Killed):
            return run_loop(loop, rules, run)


def example(name: str) -> Any:
    """One of the modules in examples/."""
    spec = importlib.util.spec_from_file_location(f"loop_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def make_world(folder: Path) -> Path:
    """A store with the world's questions as two selections, `asked` and `held-out`."""
    world, chance = example("make_world"), random.Random(0)
    store = folder / "store.duckdb"
    for name, shift in (("asked", 1), ("held-out", 0)):
        records = [
            {
                "id": f"{name}-{number}",
                "model": "gpt-4",
                "conversations": [
                    {
                        "from": "human",
                        "value": world.phrased(question, (world.held_out_phrasing(question) + shift) % 6),
                    },
                    {"from": "gpt", "value": world.good_answer(question, chance)},
                ],
            }
            for number, question in enumerate(world.all_questions()[:QUESTIONS])
        ]
        path = folder / f"{name}.json"
        path.write_text(json.dumps(records), encoding="utf-8")
        common = ("--store", str(store))
        assert run_command(commands()["curate"], ["ingest", "sharegpt", str(path), *common]) == 0
        unfold = ["unfold", name, "--source", path.name, *common]
        assert run_command(commands()["curate"], unfold) == 0
    return store


def make_policy(folder: Path) -> Path:
    """A small policy that has learnt good and poor answers alike."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from store.chat_format import ChatFormat

    world, base, chance = example("make_world"), folder / "base", random.Random(1)
    example("tiny_policy").make_policy(base)
    chat = ChatFormat.load(base, "tulu")
    rows = []
    for question in world.all_questions()[:QUESTIONS]:
        for shift in (1, 2, 3):
            asked = world.phrased(question, (world.held_out_phrasing(question) + shift) % 6)
            for answer in (world.good_answer, world.poor_answer):
                rows.append(chat.render([("user", asked), ("assistant", answer(question, chance))]))
    encoded = [(one.input_ids, one.spans[-1]) for one in chat.encode(rows)]
    longest = max(len(ids) for ids, _ in encoded)
    inputs = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in encoded])
    labels = torch.full_like(inputs, -100)
    for row, (ids, (start, end)) in enumerate(encoded):
        labels[row, start:end] = torch.tensor(ids[start:end])
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(base)
    config.vocab_size = len(chat.tokenizer)
    model = AutoModelForCausalLM.from_config(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    for _ in range(80):
        batch = torch.randint(len(encoded), (24,))
        model(input_ids=inputs[batch], labels=labels[batch]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder / "sft")
    chat.tokenizer.chat_template = chat.template.text
    chat.tokenizer.save_pretrained(folder / "sft")
    return folder / "sft"


TRAINING = (
    "--template",
    "own",
    "--batch-size",
    "8",
    "--accumulation",
    "1",
    "--lr",
    "1e-3",
    "--max-length",
    "128",
)


@pytest.fixture(scope="module")
def sft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The policy that loops start from."""
    pytest.importorskip("trl", reason="training needs the extra train")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return make_policy(tmp_path_factory.mktemp("sft"))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("explore", "differing"),
    [("temperature-pair", "sampling ->> '$.temperature'"), ("checkpoint-pair", "policy")],
)
def test_draws_are_paired_across_what_is_explored(
    explore: Explore, differing: str, sft: Path, tmp_path: Path
) -> None:
    loop = loop_settings(
        tmp_path / "loop",
        store=make_world(tmp_path),
        model=str(sft),
        explore=explore,
        max_new_tokens=24,
        training=(*TRAINING, "--steps", "2"),
    )
    report = run_loop(loop, StopRules(2), run_here)
    assert (report.iterates[2].pairs or 0) > 0
    sides = (
        "SELECT count(*), count(*) FILTER (EXISTS ("
        "FROM samples chosen JOIN samples rejected USING (prompt_id) "
        "WHERE prompt_id = pairs.prompt_id AND chosen.response_id = chosen_id AND rejected.response_id = rejected_id "
        f"AND chosen.{differing} <> rejected.{differing})) "
        "FROM selection_pairs pairs JOIN selections USING (selection_id) WHERE name = ?"
    )
    with Store(loop.store).read() as reading:
        ((pairs, across),) = reading.rows(sides, [loop.pairs(2)])
        drawn = reading.rows(
            "SELECT DISTINCT policy, max(sample_index) + 1 FROM samples "
            "WHERE policy NOT LIKE '%validation' GROUP BY ALL ORDER BY policy"
        )
    assert pairs == across == report.iterates[2].pairs
    assert drawn == [("loop-0", 2), ("loop-1", 2)]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_loop_that_dies_after_every_command_comes_to_the_same_end(sft: Path, tmp_path: Path) -> None:
    reports = {}
    for iterations, run in ((2, run_loop), (1, None)):
        folder = tmp_path / f"{iterations}-iterations"
        folder.mkdir()
        loop = loop_settings(
            folder / "loop",
            store=make_world(folder),
            model=str(sft),
            n=4,
            max_new_tokens=24,
            validation_temperature=0.0,
            training=(*TRAINING, "--steps", "8"),
        )
        rules = StopRules(iterations, max_kl=None if run is None else 50.0)
        reports[iterations] = run(loop, rules, run_here) if run else until_it_lives(loop, rules)
        with Store(loop.store).read() as reading:
            drawn = reading.rows(
                "SELECT policy, count(*), count(DISTINCT (prompt_id, sample_index)) FROM samples GROUP BY policy"
            )
        assert {policy: count for policy, count, _ in drawn} == {
            **{f"loop-{number}": 4 * QUESTIONS for number in range(iterations)},
            **{f"loop-{number}-validation": QUESTIONS for number in range(iterations + 1)},
        }
        assert all(count == distinct for _, count, distinct in drawn)
    whole, died = (
        [(one.reward, one.characters, one.pairs, one.history, one.gap) for one in report.iterates]
        for report in (reports[2], reports[1])
    )
    assert died == whole[:2]
    assert whole[2][3] >= whole[1][3] + 1 > 1
    assert reports[2].iterates[2].kl > 0
    assert reports[2].best.reward == max(one.reward for one in reports[2].iterates)
