"""Xwin-LM's sequence through the commands: SFT, judged pairs, reward model, response set, RSFT, DPO."""

import contextlib
import importlib.util
import io
import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from curate.cli import cli as curate
from label.cli import cli as label
from store.console import run_command
from store.db import Store
from train.cli import cli as train

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
COMMANDS = {"curate": curate, "label": label, "train": train}
QUESTIONS = 24
DRAWS = 4
FEW = ("--batch-size", "16", "--accumulation", "1", "--max-length", "128", "--log-every", "1000")


def example(name: str) -> Any:
    """One of the modules in examples/."""
    spec = importlib.util.spec_from_file_location(f"xwin_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Chain:
    """Runs commands of ours on one store, in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "store.duckdb")

    def run(self, *words: object) -> Mapping[str, Any]:
        """What the command prints as JSON; it has to succeed."""
        name, *arguments = [str(word) for word in (*words, "--store", self.store.path, "--json")]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = run_command(COMMANDS[name], arguments)
        assert code == 0, words
        return json.loads(printed.getvalue())

    def trained(self, recipe: str, start: Path, export: tuple[object, ...], *told: object) -> Path:
        """Export what RECIPE takes and train it; returns the model's folder."""
        rows, run = self.folder / "exports" / recipe, self.folder / "runs" / recipe
        self.run("train", "export", recipe, *export, "--tokenizer", start, "--out", rows)
        self.run("train", "run", recipe, "--data", rows, "--model", start, *told, *FEW, "--out", run)
        return run / "model"

    def count(self, sql: str) -> int:
        """The one number that SQL gives."""
        with self.store.read() as reading:
            ((number,),) = reading.rows(sql)
        return int(number)


def make_world(folder: Path) -> Path:
    """A ShareGPT file in which every question has a good and a poor answer, both called an expert's."""
    world, chance = example("make_world"), random.Random(0)
    records = []
    for question in world.all_questions()[:QUESTIONS]:
        for shift in (1, 2, 3):
            asked = world.phrased(question, (world.held_out_phrasing(question) + shift) % 6)
            for answer in (world.good_answer, world.poor_answer):
                turns = [
                    {"from": "human", "value": asked},
                    {"from": "gpt", "value": answer(question, chance)},
                ]
                records.append({"id": str(len(records)), "model": "gpt-4", "conversations": turns})
    path = folder / "world.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_sequence_of_xwin_lm_runs_through_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trl", reason="training needs the extra train")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    chain, base = Chain(tmp_path), tmp_path / "base"
    example("tiny_policy").make_policy(base)
    chain.run("curate", "ingest", "sharegpt", make_world(tmp_path))
    chain.run("curate", "split", "xwin", "--parts", "I=0.5,II=0.25,III=0.25", "--only-class", "GPT4")
    pair_prompts = chain.run("curate", "unfold", "pair-prompts", "--selection", "xwin", "--part", "II")[
        "rows"
    ]
    set_prompts = chain.run("curate", "unfold", "set-prompts", "--selection", "xwin", "--part", "III")["rows"]

    first_part = ("--selection", "xwin", "--part", "I", "--template", "vicuna")
    told = ("--template", "vicuna", "--from-scratch", "--steps", "80", "--lr", "0.005")
    sft = chain.trained("sft", base, first_part, *told)
    drawing = ("label", "sample", "--model", f"hf:{sft}", "--policy", "sft", "--max-new-tokens", "24")
    drawn = chain.run(*drawing, "--preset", "xwin-pair", "--prompts", "pair-prompts")
    assert drawn["done"] == 2 * pair_prompts

    judged = chain.run(
        *(
            "label",
            "compare",
            "--model",
            "offline",
            "--scale",
            "xwin4",
            "--pairs",
            "first-two",
            "--policies",
            "sft",
        ),
        *("--parts", "train=0.8,validation=0.2", "--name", "xwin-pair"),
    )
    assert judged["requested"] == judged["done"]
    reward_model = chain.trained(
        "rm",
        sft,
        ("--pairs", "xwin-pair", "--part", "train"),
        "--template",
        "own",
        "--steps",
        "6",
        "--lr",
        "1e-4",
    )

    drawn = chain.run(*drawing, "--n", DRAWS, "--temperature", "0.7", "--prompts", "set-prompts")
    assert drawn["done"] == DRAWS * set_prompts
    scored = chain.run("label", "reward", "--model", reward_model, "--from", "samples", "--policy", "sft")
    assert scored["requested"] == scored["done"] + scored["reused"]
    ranked = ("--reward-model", "rm", "--policy", "sft", "--prompts", "set-prompts")
    rsft = chain.trained("rsft", sft, ranked, "--template", "own", "--steps", "4", "--lr", "1e-4")

    pairs = chain.run("label", "pairs", "xwin-dpo", "--rule", "best-rank-k", "--rank", "2", *ranked)["pairs"]
    told = ("--template", "own", "--steps", "4", "--lr", "1e-5")
    dpo = chain.trained("dpo", rsft, ("--pairs", "xwin-dpo"), *told)
    assert (dpo / "model.safetensors").exists()

    rows = {
        recipe: chain.count(f"SELECT row_count FROM exports WHERE recipe = '{recipe}'")
        for recipe in ("rsft", "dpo")
    }
    assert rows == {"rsft": set_prompts, "dpo": pairs}
    shared = "SELECT count(*) FROM export_rows AS a JOIN export_rows AS b ON list_has_any(a.message_ids, b.message_ids)"
    of = "(SELECT export_id FROM exports WHERE recipe = '{}')"
    assert (
        chain.count(f"{shared} WHERE a.export_id = {of.format('sft')} AND b.export_id = {of.format('dpo')}")
        == 0
    )
    again = chain.run(*drawing, "--n", DRAWS, "--temperature", "0.7", "--prompts", "set-prompts")
    assert (again["done"], again["reused"]) == (0, DRAWS * set_prompts)
    assert chain.run("curate", "verify")["ok"]
