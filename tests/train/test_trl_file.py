"""The settings file that TRL's own command line runs."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="training needs the extra train")

from train.checking.file_rows import Export, open_export
from train.running.launch import command_of, environment
from train.running.loss_plot import loss_plot
from train.running.run_settings import RunSettings
from train.running.trl_file import COMMANDS, reason_against, write_trl_file


def message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


ROWS: dict[str, dict[str, Any]] = {
    "messages": {"messages": [message("user", "Hi"), message("assistant", "Hello.")]},
    "prompt-completion": {"prompt": [message("user", "Hi")], "completion": [message("assistant", "Hello.")]},
    "pairs": {
        "prompt": [message("user", "Hi")],
        "chosen": [message("assistant", "Hello.")],
        "rejected": [message("assistant", "No.")],
    },
    "labelled": {
        "prompt": [message("user", "Hi")],
        "completion": [message("assistant", "Hello.")],
        "label": True,
    },
}


def export_of(folder: Path, layout: str) -> Export:
    folder.mkdir()
    (folder / "train-00000.jsonl").write_text(f"{json.dumps(ROWS[layout])}\n" * 4)
    (folder / "manifest.json").write_text(json.dumps({"layout": layout}))
    return open_export(folder)


@pytest.fixture(scope="session")
def trained(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with weights and a chat template of its own."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from store.chat_template import load_template

    folder = tmp_path_factory.mktemp("trained")
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model_dir)).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    tokenizer.chat_template = load_template("tulu").text
    tokenizer.save_pretrained(folder)
    return folder


CASES = [
    ("sft", "messages"),
    ("rsft", "prompt-completion"),
    ("pm", "prompt-completion"),
    ("rm", "pairs"),
    ("dpo", "pairs"),
    ("kto", "labelled"),
]


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated")  # TRL's own default
@pytest.mark.parametrize(("recipe", "layout"), CASES)
def test_trl_knows_every_key_of_the_file(recipe: str, layout: str, trained: Path, tmp_path: Path) -> None:
    export = export_of(tmp_path / "data", layout)
    settings = RunSettings("", str(trained), recipe, template="own", steps=1, lora_rank=4)
    assert write_trl_file(settings, export, tmp_path) is None
    parser = import_module(f"trl.scripts.{COMMANDS[recipe]}").make_parser()
    parsed = parser.parse_args_and_config(
        args=["--config", str(tmp_path / "trl.yaml"), "--use_cpu"], fail_with_unknown_args=True
    )
    assert parsed[1].learning_rate == settings.lr
    assert parsed[1].max_length == settings.max_length


def test_runs_that_trl_alone_cannot_do_say_why(trained: Path, model_dir: Path, tmp_path: Path) -> None:
    talk, pairs = export_of(tmp_path / "talk", "messages"), export_of(tmp_path / "pairs", "pairs")
    settings = RunSettings("", str(trained), "dpo", template="own")
    assert reason_against(settings, pairs) is None
    assert reason_against(replace(settings, recipe="crlft"), talk) == "TRL's loss takes no weights"
    assert "takes no reference" in (reason_against(replace(settings, reference=str(model_dir)), pairs) or "")
    assert "does not read the layout messages" in (reason_against(settings, talk) or "")
    assert "own template only" in (reason_against(replace(settings, template="tulu"), pairs) or "")
    lacking = replace(settings, recipe="sft", template="openchat")
    assert "lacks <|end_of_turn|>" in (reason_against(lacking, talk) or "")
    assert write_trl_file(lacking, talk, tmp_path) is not None
    assert not (tmp_path / "trl.yaml").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "layout"), [case for case in CASES if case[0] != "pm"]
)  # pm's file is rsft's
def test_trl_alone_runs_the_file(recipe: str, layout: str, trained: Path, tmp_path: Path) -> None:
    export = export_of(tmp_path / "data", layout)
    template = "own" if recipe in ("dpo", "kto") else "tulu"
    settings = RunSettings("", str(trained), recipe, template=template, steps=1, batch_size=2, accumulation=1)
    assert write_trl_file(settings, export, tmp_path) is None
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-c", "from trl.cli import main; main()", COMMANDS[recipe]),
            *("--config", str(tmp_path / "trl.yaml"), "--use_cpu", "--bf16", "false"),
        ],
        env={**environment(), "HF_HOME": str(tmp_path / "hub")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert list((tmp_path / "trl").glob("*.safetensors"))


@pytest.mark.parametrize("name", ["zero2", "zero3", "fsdp1", "fsdp2", "multi_gpu"])
def test_accelerate_reads_our_command_with_a_settings_file_of_trl_s(name: str, tmp_path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    path = str(files("trl.accelerate_configs") / f"{name}.yaml")
    command = command_of(RunSettings("", "", "dpo", processes=2, accelerate=path), tmp_path)
    after = command.index("accelerate.commands.launch") + 1
    parsed = launch_command_parser().parse_args(command[after:])
    assert (parsed.config_file, parsed.num_processes, parsed.module) == (path, 2, True)
    assert parsed.training_script == "train.trainers.dpo"
    settings = load_config_from_file(parsed.config_file)
    assert bool(settings.deepspeed_config) == name.startswith("zero")
    assert bool(settings.fsdp_config) == name.startswith("fsdp")


def test_the_loss_is_drawn_once_there_are_two_points(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text('{"step": 1, "loss": 2.0}\n')
    assert loss_plot(metrics) is None
    metrics.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n{"step": 2, "runtime": 3}\n')
    drawn = loss_plot(metrics) or ""
    assert "loss" in drawn
    assert "step" in drawn
    assert "\x1b" not in drawn
