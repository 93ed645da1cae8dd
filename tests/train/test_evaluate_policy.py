"""Policies side by side on held-out prompts: draws, best-of-n, win rates, and outputs for AlpacaEval."""

import contextlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from curate.cli import cli as curate
from label.cli import cli as label
from label.reward_model import RewardChoice, open_reward_model, stored_name
from store.console import run_command
from store.db import Store
from store.errors import BadSettings
from train.cli import cli as train
from train.evaluating.policy import PolicySettings, contestants_of, evaluate_policies, write_alpaca

QUESTIONS = ("What colour is the marlo?", "Where does the tindle live?", "What does the brunt eat?")


def run_here(words: Sequence[str]) -> Mapping[str, Any]:
    """Run one of our commands in this process and read its JSON."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = run_command({"label": label, "train": train}[words[0]], words[1:])
    assert code == 0, words
    outcome: Mapping[str, Any] = json.loads(printed.getvalue())
    return outcome


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """A store with three questions, and the second round of a conversation, as the selection `held-out`."""
    conversations = [[("human", question), ("gpt", "I wonder.")] for question in QUESTIONS]
    conversations[2] += [("human", "And what colour is it?"), ("gpt", "I wonder too.")]
    records = [
        {"id": str(number), "conversations": [{"from": role, "value": text} for role, text in turns]}
        for number, turns in enumerate(conversations)
    ]
    path, store = tmp_path / "questions.json", tmp_path / "store.duckdb"
    path.write_text(json.dumps(records), encoding="utf-8")
    common = ["--store", str(store)]
    assert run_command(curate, ["ingest", "sharegpt", str(path), *common]) == 0
    assert run_command(curate, ["unfold", "held-out", *common]) == 0
    return store


@pytest.fixture(scope="session")
def policies(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two policies with random weights that take a condition."""
    torch = pytest.importorskip("torch", reason="policies are sampled with the extra local")
    from transformers import AutoConfig, AutoModelForCausalLM

    from store.chat_format import ChatFormat

    chat = ChatFormat.load(model_dir, "openchat")
    chat.tokenizer.chat_template = chat.template.text
    found = {}
    for seed, name in enumerate(("ours", "theirs")):
        found[name] = tmp_path_factory.mktemp(name)
        torch.manual_seed(seed)
        config = AutoConfig.from_pretrained(model_dir)
        config.vocab_size = len(chat.tokenizer)
        AutoModelForCausalLM.from_config(config).save_pretrained(found[name])
        chat.tokenizer.save_pretrained(found[name])
    return found


def settings(
    store: Path, names: Sequence[str], conditions: Sequence[str] = (), **changes: Any
) -> PolicySettings:
    reward_name = stored_name(open_reward_model(RewardChoice("offline")))
    common: dict[str, Any] = {"n": 2, "temperature": 1.0, "max_new_tokens": 6}
    return PolicySettings(
        store, contestants_of(names, conditions), "held-out", "offline", reward_name, **{**common, **changes}
    )


def test_policies_are_drawn_scored_and_judged(asked: Path, policies: dict[str, Path]) -> None:
    names = [f"{name}={folder}" for name, folder in policies.items()]
    wanted = settings(asked, names, against="theirs", judge="offline")
    ours, theirs = evaluate_policies(wanted, run_here)
    assert (ours.prompts, ours.draws) == (4, 8)
    assert [point.x for point in ours.best_of] == [1, 2]
    assert (ours.best_of[1].value or 0.0) >= (ours.best_of[0].value or 0.0)
    assert ours.win_rate is not None
    assert 0.0 <= (ours.win_rate.value or 0.0) <= 1.0
    assert ours.win_rate.prompts == 4
    assert theirs.win_rate is None
    with Store(asked).read() as reading:
        before = reading.rows("SELECT count(*) FROM samples")
    assert evaluate_policies(wanted, run_here) == [ours, theirs]
    with Store(asked).read() as reading:
        assert reading.rows("SELECT count(*) FROM samples") == before


def test_one_policy_is_compared_under_each_condition(asked: Path, policies: dict[str, Path]) -> None:
    found = evaluate_policies(settings(asked, [f"c={policies['ours']}"], ["GPT4", "GPT3"]), run_here)
    assert [(one.policy, one.condition) for one in found] == [("c as GPT4", "GPT4"), ("c as GPT3", "GPT3")]
    with Store(asked).read() as reading:
        texts = dict(
            reading.rows(
                "SELECT policy, string_agg(content, '|' ORDER BY response_id) FROM samples"
                " JOIN messages ON message_id = response_id GROUP BY policy"
            )
        )
    assert texts["c as GPT4"] != texts["c as GPT3"]


def test_outputs_are_written_as_alpaca_eval_reads_them(
    asked: Path, policies: dict[str, Path], tmp_path: Path
) -> None:
    evaluate_policies(settings(asked, [f"ours={policies['ours']}"]), run_here)
    written = write_alpaca(Store(asked), "ours", "held-out", tmp_path / "ours.json")
    assert written == (3, 1)
    outputs = json.loads((tmp_path / "ours.json").read_text(encoding="utf-8"))
    assert {one["instruction"] for one in outputs} == set(QUESTIONS)
    assert all(set(one) == {"dataset", "instruction", "output", "generator"} for one in outputs)


def test_what_cannot_be_measured_is_refused(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadSettings, match="--condition decides how draws are made"):
        contestants_of(["sft"], ["GPT4"])
    common = ["evaluate", "policy", "--policy", "a", "--prompts", "held-out", "--store", str(asked)]
    assert run_command(train, common) == 2
    assert "say what is measured" in capsys.readouterr().err
    assert run_command(train, [*common, "--against", "b"]) == 2
    assert "--against b is none of the policies" in capsys.readouterr().err


def test_a_dry_run_prints_the_commands(asked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "evaluate",
        "policy",
        "--policy",
        "a=vllm:models/a",
        "--reward-model",
        "offline",
        "--prompts",
        "held-out",
    ]
    assert run_command(train, [*words, "--dry-run", "--store", str(asked)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["label", "sample"], ["label", "reward"]]
    assert "--model vllm:models/a" in lines[0]
