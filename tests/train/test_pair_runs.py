"""Training on pairs: reward models, DPO and KTO, from files to a model that others can read."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="training needs the extra train")

from label.exchange import Exchange
from label.reward_model import RewardChoice, open_reward_model
from store.errors import BadInput, BadSettings, UnknownName
from train.commands.run import _settings
from train.running.launch import command_of, environment, run_recipe
from train.running.presets import PRESETS, scaled_lr
from train.running.run_settings import RunFiles, RunSettings

PAIRS = [
    ("What is the capital of France?", "The capital of France is Paris.", "I think it is Lyons, maybe."),
    ("How many legs has a spider?", "A spider has eight legs.", "It has six legs, I think."),
    ("Name a primary colour.", "Red is a primary colour.", "Brown, maybe?"),
]


def message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Each question with its better and its worse answer, in the layout `pairs`."""
    rows = [
        {
            "prompt": [message("user", question)],
            "chosen": [message("assistant", better)],
            "rejected": [message("assistant", worse)],
        }
        for question, better, worse in PAIRS
    ]
    return write(tmp_path / "pairs.jsonl", rows * 4)


@pytest.fixture(scope="session")
def policy(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights, saved."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("policy")
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model_dir)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(model_dir).save_pretrained(folder)
    return folder


def settings(recipe: str, model: Path, **changes: Any) -> RunSettings:
    common = {
        "template": "tulu",
        "steps": 20,
        "lr": 1e-3,
        "schedule": "constant",
        "warmup": 0.0,
        "batch_size": 6,
        "accumulation": 1,
        "max_length": 128,
        "log_every": 1,
    }
    return RunSettings("", str(model), recipe, **{**common, **changes})


def metrics(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in RunFiles(out).metrics.read_text().splitlines()]
    return [line for line in lines if "loss" in line]


@pytest.mark.slow
def test_a_reward_model_learns_and_label_reward_reads_the_same_numbers(
    pairs: Path, policy: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    report = run_recipe(pairs, tmp_path / "rm", settings("rm", policy))
    assert (report.rows, report.dropped) == (12, 0)
    assert metrics(tmp_path / "rm")[-1]["accuracy"] == 1.0
    model = open_reward_model(RewardChoice(str(report.model)))
    exchanges = [Exchange((("user", question),), text) for question, *texts in PAIRS for text in texts]
    found = dict(model.score(exchanges))
    values = [found[place].value or 0.0 for place in range(len(exchanges))]
    assert all(better > worse for better, worse in zip(values[::2], values[1::2], strict=True))
    tokenizer = AutoTokenizer.from_pretrained(report.model)
    assert tokenizer.pad_token not in (tokenizer.eos_token, None)
    scorer = AutoModelForSequenceClassification.from_pretrained(report.model).eval()
    rows = [
        tokenizer.apply_chat_template(
            [message("user", question), message("assistant", better)], return_dict=False
        )
        for question, better, _ in PAIRS
    ]
    with torch.inference_mode():
        plain = [float(scorer(torch.tensor([row])).logits[0, 0]) for row in rows]
    assert plain == pytest.approx(values[::2], abs=1e-4)


@pytest.mark.slow
def test_dpo_starts_at_the_reference_and_moves_towards_the_better_answers(
    pairs: Path, policy: Path, tmp_path: Path
) -> None:
    run_recipe(pairs, tmp_path / "dpo", settings("dpo", policy))
    lines = metrics(tmp_path / "dpo")
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert lines[-1]["loss"] < 0.3
    assert lines[-1]["rewards/accuracies"] == 1.0


@pytest.mark.slow
def test_the_reference_of_dpo_is_the_one_named_not_the_start(
    pairs: Path, policy: Path, tmp_path: Path
) -> None:
    first = run_recipe(pairs, tmp_path / "one", settings("dpo", policy, steps=5))
    run_recipe(
        pairs, tmp_path / "two", settings("dpo", first.model, template="own", steps=1, reference=str(policy))
    )
    [line] = metrics(tmp_path / "two")
    assert line["loss"] < math.log(2) - 0.01


@pytest.mark.slow
def test_adapters_are_merged_into_a_model_that_needs_no_peft(
    pairs: Path, policy: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    report = run_recipe(pairs, tmp_path / "dpo", settings("dpo", policy, steps=3, lora_rank=4))
    assert not list(report.model.glob("adapter*"))
    assert list(report.model.glob("*.safetensors"))
    before = AutoModelForCausalLM.from_pretrained(policy).state_dict()
    after = AutoModelForCausalLM.from_pretrained(report.model).state_dict()
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not before[name].equal(after[name])
    assert before["model.layers.0.input_layernorm.weight"].equal(
        after["model.layers.0.input_layernorm.weight"]
    )
    assert metrics(tmp_path / "dpo")[0]["loss"] == pytest.approx(math.log(2), abs=1e-4)


@pytest.mark.slow
def test_kto_trains_on_labelled_answers(policy: Path, tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [message("user", question)],
            "completion": [message("assistant", text)],
            "label": is_good,
        }
        for question, better, worse in PAIRS
        for text, is_good in ((better, True), (worse, False))
    ]
    data = write(tmp_path / "kto.jsonl", rows * 2)
    report = run_recipe(data, tmp_path / "kto", settings("kto", policy, steps=3))
    assert (report.rows, report.steps) == (12, 3)


@pytest.mark.slow
def test_a_preference_model_is_trained_as_a_language_model(policy: Path, tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [message("user", f"A or B? {number}")],
            "completion": [message("assistant", "AB"[number % 2])],
        }
        for number in range(6)
    ]
    report = run_recipe(write(tmp_path / "pm.jsonl", rows), tmp_path / "pm", settings("pm", policy, steps=2))
    assert (report.rows, report.steps) == (6, 2)


def test_faults_and_files_of_another_kind_are_refused(pairs: Path, policy: Path, tmp_path: Path) -> None:
    row = json.loads(pairs.read_text().splitlines()[0])
    same = write(tmp_path / "same.jsonl", [{**row, "rejected": row["chosen"]}])
    with pytest.raises(BadInput, match="chosen equals rejected"):
        run_recipe(same, tmp_path / "a", settings("dpo", policy))
    talk = write(tmp_path / "talk.jsonl", [{"messages": [*row["prompt"], *row["chosen"]]}])
    with pytest.raises(BadInput, match="this recipe trains on pairs"):
        run_recipe(talk, tmp_path / "b", settings("rm", policy))
    with pytest.raises(BadInput, match="this recipe trains on conversations"):
        run_recipe(pairs, tmp_path / "c", settings("sft", policy))
    with pytest.raises(BadInput, match=r"no config\.json"):
        run_recipe(pairs, tmp_path / "d", settings("dpo", policy, reference="nowhere"))


def test_what_is_too_long_is_left_out_and_counted(pairs: Path, policy: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no row of"):
        run_recipe(pairs, tmp_path / "rm", settings("rm", policy, max_length=8))


def options(**given: Any) -> dict[str, Any]:
    return {"preset": None, "batch_size": 4, "processes": 1, **given}


def test_a_preset_fills_in_what_is_not_said_and_the_rate_follows_the_batch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = _settings("dpo", "m", options(preset="xwin-7b-dpo"))
    assert (whole.lr, whole.batch, whole.beta, whole.warmup, whole.epochs) == (5e-7, 32, 0.1, 100, 2.0)
    assert capsys.readouterr().err == ""
    small = _settings("dpo", "m", options(preset="xwin-7b-dpo", accumulation=2))
    assert small.lr == pytest.approx(scaled_lr(5e-7, 8, 32)) == pytest.approx(2.5e-7)
    assert "scaled with the root" in capsys.readouterr().err
    assert _settings("dpo", "m", options(lr=1e-6, accumulation=2)).lr == 1e-6
    assert _settings("crlft", "m", options()).adam_beta2 == 0.95
    with pytest.raises(BadSettings, match="is for sft, not for dpo"):
        _settings("dpo", "m", options(preset="tulu-7b"))
    with pytest.raises(UnknownName, match="did you mean 'tulu-7b'"):
        _settings("sft", "m", options(preset="tulu7b"))
    with pytest.raises(UnknownName, match="no recipe named 'spt'"):
        _settings("spt", "m", options())


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_makes_settings(name: str) -> None:
    preset = PRESETS[name]
    made = _settings(preset.recipe, "m", options(preset=name, batch_size=preset.batch))
    assert made.batch == preset.batch
    assert made.lr == preset.settings["lr"]


def test_the_child_finds_our_packages_first() -> None:
    first = Path(environment()["PYTHONPATH"].split(os.pathsep)[0])
    assert all((first / room / "__init__.py").is_file() for room in ("store", "train"))


def test_the_processes_of_an_accelerate_file_count_into_the_batch(tmp_path: Path) -> None:
    told = tmp_path / "four.yaml"
    told.write_text("distributed_type: MULTI_GPU\nnum_processes: 4\n", encoding="utf-8")
    by_file = _settings("dpo", "m", options(accelerate=told, processes=None))
    assert by_file.processes == 4
    assert by_file == _settings("dpo", "m", options(accelerate=told, processes=4))
    assert _settings("dpo", "m", options(accelerate=told, processes=1)).processes == 1
    told.write_text("mixed_precision: bf16\n", encoding="utf-8")
    with pytest.raises(BadInput, match="does not say how many processes"):
        _settings("dpo", "m", options(accelerate=told, processes=None))


def test_an_accelerate_file_starts_the_run_through_accelerate(tmp_path: Path) -> None:
    plain = settings("dpo", tmp_path)
    assert command_of(plain, tmp_path)[2:] == ["-m", "train.trainers.dpo", str(tmp_path)]
    several = command_of(replace(plain, processes=4, accelerate="zero3.yaml"), tmp_path)
    assert several[2:] == [
        *("-m", "accelerate.commands.launch", "--config_file", "zero3.yaml", "--num_processes", "4"),
        *("-m", "train.trainers.dpo", str(tmp_path)),
    ]
