"""Every fault that training would hide is found, and sound data passes."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from store.chat_format import ChatFormat
from store.db import Store
from store.errors import BadInput
from tests.train.conftest import make_tokenizer
from train.checking.check import CheckReport, CheckSettings, check_export
from train.checking.show import show
from train.cli import cli
from train.exporting.export import ExportSettings, export_store

TURNS = [
    ("user", "What is the capital of France?"),
    ("assistant", "Paris."),
    ("user", "Sure?"),
    ("assistant", "Yes."),
]

Row = dict[str, Any]
Check = Callable[..., CheckReport]


@pytest.fixture
def check(tmp_path: Path, tokenizer_dir: Path) -> Check:
    """Check a file of rows."""

    def run(rows: list[Row], **changes: Any) -> CheckReport:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return check_export(path, replace(CheckSettings(tokenizer=str(tokenizer_dir)), **changes))

    return run


def message_row(**changes: Any) -> Row:
    row: Row = {
        "messages": [{"role": role, "content": content} for role, content in TURNS],
        "chat_template_kwargs": {"condition": "GPT4"},
        "message_weights": [0.0, 1.0, 0.0, 1.0],
        "source_class": "GPT4",
    }
    return {**row, **changes}


@pytest.fixture
def token_row(openchat: ChatFormat) -> Row:
    """A sound row of tokens with two answers."""
    from train.supervise import supervise

    [encoded] = openchat.encode([openchat.render(TURNS, "GPT4")])
    tokens = supervise(encoded, [1.0, 1.0], None)
    return {
        "input_ids": tokens.input_ids,
        "labels": tokens.labels,
        "loss_weights": tokens.loss_weights,
        "n_tokens": tokens.n_tokens,
        "condition": "GPT4",
        "source_class": "GPT4",
    }


def changed(row: Row, position: int, *, is_trained: bool) -> Row:
    """The row with one token more or less trained on."""
    labels, weights = list(row["labels"]), list(row["loss_weights"])
    labels[position] = row["input_ids"][position] if is_trained else -100
    weights[position] = 1.0 if is_trained else 0.0
    return {**row, "labels": labels, "loss_weights": weights}


def without(row: Row, position: int) -> Row:
    lists = ("input_ids", "labels", "loss_weights")
    shorter = {name: row[name][:position] + row[name][position + 1 :] for name in lists}
    return {**row, **shorter, "n_tokens": row["n_tokens"] - 1}


def first_span(row: Row) -> tuple[int, int]:
    start = next(position for position, label in enumerate(row["labels"]) if label != -100)
    end = next(position for position in range(start, len(row["labels"])) if row["labels"][position] == -100)
    return start, end


def test_sound_rows_pass(check: Check, token_row: Row) -> None:
    assert check([message_row()]).faults == {}
    assert check([token_row]).faults == {}
    openchat_row = {
        "items": [
            {"role": role, "content": content, "weight": float(role == "assistant")}
            for role, content in TURNS
        ],
        "condition": "GPT4",
        "system": "Be brief.",
    }
    assert check([openchat_row]).faults == {}


def test_the_layouts_are_seen_as_the_same_tokens(check: Check, token_row: Row) -> None:
    text, tokens = check([message_row()], show=1).shown[0], check([token_row], show=1).shown[0]
    assert text.tokens == tokens.tokens


def messages_with(position: int, role: str, content: str) -> list[dict[str, str]]:
    turns = [*TURNS]
    turns[position] = (role, content)
    return [{"role": one, "content": text} for one, text in turns]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"messages": [{"role": "user", "content": "Hm"}], "message_weights": [0.0]},
            "last turn not by the assistant",
        ),
        ({"messages": messages_with(2, "assistant", "x")}, "roles do not alternate"),
        ({"messages": messages_with(2, "tool", "x")}, "roles do not alternate"),
        ({"messages": messages_with(1, "assistant", "  ")}, "empty content"),
        ({"messages": messages_with(1, "assistant", None)}, "empty content"),
        ({"messages": messages_with(0, "user", "a<|end_of_turn|>b")}, "control token in content"),
        ({"messages": messages_with(3, "assistant", "a</s>")}, "control token in content"),
        ({"chat_template_kwargs": None}, "condition missing"),
        ({"message_weights": [0.0, 1.0]}, "weights not as long as the turns"),
        ({"message_weights": [0.0, math.nan, 0.0, 1.0]}, "weight not finite"),
        ({"message_weights": [0.0, None, 0.0, 1.0]}, "weight not finite"),
        ({"message_weights": [0.0, -1.0, 0.0, 1.0]}, "weight below zero"),
        ({"message_weights": [1.0, 1.0, 0.0, 1.0]}, "context trained on"),
        ({"message_weights": [0.0, 0.0, 0.0, 0.0]}, "nothing trained on"),
    ],
)
def test_faults_of_text_rows(check: Check, changes: Row, fault: str) -> None:
    report = check([message_row(), message_row(**changes)])
    assert fault in report.faults
    assert report.first_rows[fault] == 1
    assert not report.is_ok


def test_an_end_of_turn_that_is_not_trained_on(check: Check, token_row: Row) -> None:
    _, end = first_span(token_row)
    assert "end of turn not trained on" in check([changed(token_row, end - 1, is_trained=False)]).faults


def test_an_end_of_turn_that_is_not_there(check: Check, token_row: Row) -> None:
    assert "end of turn missing" in check([without(token_row, len(token_row["labels"]) - 1)]).faults


def test_two_beginnings_and_none(check: Check, token_row: Row) -> None:
    twice = {
        **token_row,
        "input_ids": [0, *token_row["input_ids"]],
        "labels": [-100, *token_row["labels"]],
        "loss_weights": [0.0, *token_row["loss_weights"]],
    }
    assert set(check([twice]).faults) == {"more than one beginning token"}
    assert set(check([without(token_row, 0)]).faults) == {"no beginning token in front"}


def with_template(folder: Path, text: str) -> Path:
    """A tokenizer that brings the template TEXT."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = text
    tokenizer.save_pretrained(folder)
    return folder


OWN = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '</s>' }}{% endfor %}"


def test_a_template_that_drops_a_turn_or_only_a_thought(check: Check, tmp_path: Path) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name a colour."}]
    rows = [
        {"messages": [*asked, {"role": "assistant", "content": "<think>Hm.</think>" + "Red it is. " * 9}]}
    ]
    shown = {"tokenizer": str(with_template(tmp_path / "whole", OWN)), "template": "own"}
    assert "turn not in the trainer's text" not in check(rows, **shown).faults
    thoughtless = OWN.replace("m['content']", "m['content'].split('</think>')[-1]")
    shown["tokenizer"] = str(with_template(tmp_path / "thoughtless", thoughtless))
    assert "turn not in the trainer's text" not in check(rows, **shown).faults
    without_system = OWN.replace(
        "{% for m in messages %}", "{% for m in messages if m['role'] != 'system' %}"
    )
    shown["tokenizer"] = str(with_template(tmp_path / "deaf", without_system))
    assert "turn not in the trainer's text" in check(rows, **shown).faults


def test_a_mask_that_is_empty(check: Check, token_row: Row) -> None:
    size = len(token_row["labels"])
    empty = {**token_row, "labels": [-100] * size, "loss_weights": [0.0] * size}
    assert set(check([empty]).faults) == {"nothing trained on"}


@pytest.mark.parametrize("early", [True, False])
def test_a_mask_that_is_off_by_one(check: Check, token_row: Row, early: bool) -> None:
    start, _ = first_span(token_row)
    row = (
        changed(token_row, start - 1, is_trained=True)
        if early
        else changed(token_row, start, is_trained=False)
    )
    assert set(check([row]).faults) == {"mask off by one"}


def test_labels_that_are_shifted(check: Check, token_row: Row) -> None:
    shifted = {
        **token_row,
        "labels": [*token_row["labels"][1:], -100],
        "loss_weights": [*token_row["loss_weights"][1:], 0.0],
    }
    assert "labels shifted against the tokens" in check([shifted]).faults


def test_user_tokens_that_are_trained_on(check: Check, token_row: Row) -> None:
    size = len(token_row["labels"])
    everything = {**token_row, "labels": token_row["input_ids"], "loss_weights": [1.0] * size}
    assert "context trained on" in check([everything]).faults
    assert "context trained on" in check([changed(token_row, 8, is_trained=True)]).faults


def test_weights_that_do_not_fit_their_tokens(check: Check, token_row: Row) -> None:
    start, _ = first_span(token_row)
    weights = list(token_row["loss_weights"])
    assert (
        "weights or labels not as long as the tokens"
        in check([{**token_row, "loss_weights": weights[:-1]}]).faults
    )
    weights[start] = math.nan
    assert "weight not finite" in check([{**token_row, "loss_weights": weights}]).faults
    weights[start] = 0.0
    assert "weights and labels disagree" in check([{**token_row, "loss_weights": weights}]).faults


def test_rows_longer_than_they_may_be(check: Check, token_row: Row) -> None:
    assert "longer than max length" in check([token_row], max_length=10).faults


def test_a_cut_row_may_stop_without_an_end_of_turn(check: Check, token_row: Row) -> None:
    start, _ = first_span(token_row)
    lists = ("input_ids", "labels", "loss_weights")
    cut = {**token_row, **{name: token_row[name][: start + 1] for name in lists}}
    report = check([cut], max_length=start + 1, max_cut_share=1.0)
    assert (report.faults, report.cut) == ({}, 1)
    assert set(check([cut], max_length=start + 1).faults) == {"too many rows cut at max length"}


def test_long_text_rows_are_cut_as_the_trainer_cuts(check: Check) -> None:
    report = check([message_row()], max_length=35, max_cut_share=1.0)
    assert report.cut == 1
    assert report.classes["GPT4"].tokens == 35


@pytest.fixture
def exported(mixed_store: Store, tokenizer_dir: Path, tmp_path: Path) -> Path:
    """An export with its manifest."""
    out = tmp_path / "export"
    export_store(mixed_store, out, ExportSettings("messages", "jsonl", str(tokenizer_dir)))
    return out


def test_an_export_passes_its_own_check(exported: Path) -> None:
    report = check_export(exported, CheckSettings())
    assert report.faults == {}
    manifest = json.loads((exported / "manifest.json").read_text())
    for name, total in report.classes.items():
        assert total.trained_tokens == manifest["classes"][name]["trained_tokens"]
        assert total.weight_sum == pytest.approx(manifest["classes"][name]["weight_sum"])


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        ({"rows": 7}, "row count not that of the manifest"),
        ({"files": []}, "file not in the manifest"),
        ({"tokenizer_sha256": "0"}, "tokenizer not that of the manifest"),
        ({"template_sha256": "0"}, "template changed since the manifest"),
    ],
)
def test_a_manifest_that_says_something_else(exported: Path, edit: Row, fault: str) -> None:
    path = exported / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **edit}))
    assert fault in check_export(exported, CheckSettings()).faults


def test_files_that_changed_or_went_missing(exported: Path) -> None:
    file = exported / "train-00000.jsonl"
    file.write_text(file.read_text().replace("Paris", "Lyons"))
    assert "file changed since the manifest" in check_export(exported, CheckSettings()).faults
    file.rename(exported / "train-00001.jsonl")
    faults = check_export(exported, CheckSettings()).faults
    assert {"file not in the manifest", "file of the manifest missing"} <= set(faults)


def test_files_that_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n')
    with pytest.raises(BadInput, match="none of the known sets"):
        check_export(path, CheckSettings())
    path.write_text("nonsense\n")
    with pytest.raises(BadInput, match="line 1 is not JSON"):
        check_export(path, CheckSettings())
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"no \.parquet or \.jsonl"):
        check_export(tmp_path / "empty", CheckSettings())
    path.write_text("")
    assert set(check_export(path, CheckSettings()).faults) == {"no rows"}


def test_few_sequences_a_step_are_warned_of(check: Check) -> None:
    assert any("sequences a step" in warning for warning in check([message_row()], batch_size=8).warnings())
    assert check([message_row()], batch_size=64).warnings() == []
    assert check([message_row()], batch_tokens=10).sequences_per_step < 2


def test_a_row_is_shown_with_marks_words_and_weights(check: Check, openchat: ChatFormat) -> None:
    sight = check([message_row(messages=messages_with(0, "user", "bell \x07"))], show=1).shown[0]
    lines = [line for line, _ in show(sight, openchat.tokenizer)]
    assert any("▶ trained" in line and "×1" in line and "<|end_of_turn|>" in line for line in lines)
    assert any("· context" in line and "⟨U+0007⟩" in line for line in lines)


def test_the_command_exits_1_with_the_faults_by_name(exported: Path, tmp_path: Path) -> None:
    from store.console import run_command

    result = CliRunner().invoke(cli, ["check", str(exported), "--json"])
    printed = json.loads(result.stdout)
    assert (result.exit_code, printed["ok"], printed["rows"], printed["faults"]) == (0, True, 6, {})
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(message_row(message_weights=[0.0, math.nan, 0.0, 1.0])))
    assert run_command(cli, ["check", str(path), "--json"]) == 1


def test_the_view_is_plain_where_there_is_no_terminal(exported: Path) -> None:
    result = CliRunner().invoke(cli, ["check", str(exported), "--show", "1"])
    assert "▶ trained" in result.stdout
    assert "\x1b[" not in result.stdout
    assert "✓ no faults" in result.stdout


@pytest.mark.parametrize(("opening", "faults"), [("A:\n\n", 1), ("A:\n", 0)])
def test_a_prompt_that_is_other_tokens_without_its_answer_is_found(
    opening: str, faults: int, tmp_path: Path
) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=260, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(["\n\n"] * 9, trainer)  # two line breaks are one token where nothing follows
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}{{ 'Q:' + m['content'] }}{% else %}{{ "
        f"{opening!r}"
        " }}{% generation %}{{ m['content'] + eos_token }}{% endgeneration %}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ "
        f"{opening!r}"
        " }}{% endif %}"
    )
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    rows = [{"messages": [{"role": role, "content": content} for role, content in TURNS]}]
    (tmp_path / "rows.jsonl").write_text(json.dumps(rows[0]) + "\n")
    settings = CheckSettings(tokenizer=str(tmp_path / "tokenizer"), template="own")
    report = check_export(tmp_path / "rows.jsonl", settings)
    assert report.faults["prompt not a prefix of prompt and answer"] == faults
