"""Selections of pairs as training files: every layout, every reason to leave one out, and the way back."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from curate.cli import cli
from curate.looking.trace import trace
from label.preference_model import Contest
from label.preference_models.pair_tokens import written
from store.console import run_command
from store.db import Store
from store.errors import BadSettings, UnknownName
from store.ids import to_text
from train.checking.check import CheckSettings, check_export
from train.exporting.export import ExportReport, ExportSettings, export_store
from train.exporting.rows import PairRow
from train.recipes.pairs import PairSettings
from train.recipes.pm import PmSettings, is_better_first

Turns = list[tuple[str, str]]

PROMPT: Turns = [
    ("system", "Be brief."),
    ("user", "Name a colour."),
    ("assistant", "Red."),
    ("user", "Another?"),
]

# (prompt, chosen, rejected, score of chosen, score of rejected, part)
PAIRS: list[tuple[Turns, str, str, float | None, float | None, str]] = [
    (PROMPT, "Blue.", "I would rather not say a thing about colours.", 2.0, -1.0, "train"),
    ([("user", "How many legs has a spider?")], "Eight.", "Six.", 1.5, 0.5, "train"),
    ([("user", "Name a fruit.")], "An apple.", "A chair.", None, None, "train"),
    ([("user", "Name a bird.")], "A wren.", "A fish.", 3.0, 1.0, "validation"),
    ([("user", "Say it twice.")], "It, it.", " It, it. ", 2.0, 1.0, "train"),
    ([("user", "Which is it?")], "This.", "That.", 1.0, 1.0, "train"),
    ([("user", "Say nothing.")], "  ", "Nothing.", 2.0, 1.0, "train"),
    ([("user", "Close it.")], "Done</s>", "No.", 2.0, 1.0, "train"),
    ([("user", "Hm"), ("user", "Well?")], "Yes.", "No.", 2.0, 1.0, "train"),
]
"""Three usable pairs of part train, one of validation, five to be left out, one reason each."""

LEFT_OUT = {
    "another part of the selection": 1,
    "chosen equals rejected": 1,
    "chosen scores no higher than rejected": 1,
    "control tokens in content": 1,
    "empty turn": 1,
    "prompt does not alternate and end with the user": 1,
}


@pytest.fixture
def pair_store(make_pair_store: Callable[..., Store], tmp_path: Path) -> Store:
    """A store with the selection `mine` of PAIRS."""
    return make_pair_store(tmp_path / "store.duckdb", PAIRS)


Export = Callable[..., ExportReport]


@pytest.fixture
def export(pair_store: Store, tokenizer_dir: Path, tmp_path: Path) -> Export:
    """Export the selection to tmp_path / name, part train, with the Tülu template."""

    def run(name: str, recipe: str, layout: str, file_format: str = "jsonl", **changes: Any) -> ExportReport:
        settings = ExportSettings(
            layout,
            file_format,
            str(tokenizer_dir),
            template="tulu",
            max_length=changes.pop("max_length", 200),
            recipe=PairSettings(pairs="mine", part=changes.pop("part", "train"), **changes),
            recipe_name=recipe,
        )
        fixed = Store(pair_store.path, at="v1")  # every export is a version of its own
        return export_store(fixed, tmp_path / name, settings)

    return run


def read_jsonl(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "train-00000.jsonl").read_text().splitlines()]


def by_chosen(rows: list[dict[str, Any]], text: Callable[[dict[str, Any]], str]) -> dict[str, dict[str, Any]]:
    return {text(row): row for row in rows}


def test_every_pair_is_a_row_or_has_a_reason(export: Export) -> None:
    report = export("out", "dpo", "pairs")
    assert report.dropped == LEFT_OUT
    assert report.rows == 3
    steps = json.loads(report.manifest.read_text())["steps"]
    assert steps[0]["before"] == len(PAIRS)
    assert all(earlier["after"] == later["before"] for earlier, later in pairwise(steps))


def test_the_layout_with_a_prompt_column(export: Export, tmp_path: Path) -> None:
    export("out", "rm", "pairs")
    row = by_chosen(read_jsonl(tmp_path / "out"), lambda one: str(one["chosen"][0]["content"]))["Blue."]
    assert [(turn["role"], turn["content"]) for turn in row["prompt"]] == PROMPT
    assert row["chosen"] == [{"role": "assistant", "content": "Blue."}]
    assert (row["score_chosen"], row["score_rejected"], row["score_gap"]) == (2.0, -1.0, 3.0)
    assert row["prompt_id"].startswith("m1-")
    assert "margin" not in row


def test_the_layout_of_whole_conversations_has_no_prompt_column(export: Export, tmp_path: Path) -> None:
    export("out", "rm", "pairs-full")
    for row in read_jsonl(tmp_path / "out"):
        assert "prompt" not in row
        assert row["chosen"][:-1] == row["rejected"][:-1]
        assert row["chosen"][-1] != row["rejected"][-1]


def test_llama_factory_finds_its_files_by_their_description(export: Export, tmp_path: Path) -> None:
    export("out", "dpo", "llamafactory-pairs")
    [entry] = json.loads((tmp_path / "out" / "dataset_info.json").read_text()).values()
    assert (entry["file_name"], entry["ranking"]) == ("train-00000.jsonl", True)
    for row in read_jsonl(tmp_path / "out"):
        speakers = [turn["from"] for turn in row["conversations"]]
        assert speakers == (["human", "gpt"] * len(speakers))[: len(speakers)]
        assert speakers[-1] == "human"
        assert row["chosen"]["from"] == row["rejected"]["from"] == "gpt"


def test_kto_gets_two_rows_a_pair(export: Export, tmp_path: Path) -> None:
    report = export("out", "kto", "labelled")
    rows = read_jsonl(tmp_path / "out")
    assert report.rows == len(rows) == 6
    assert [row["label"] for row in rows] == [True, False] * 3
    assert rows[0]["prompt"] == rows[1]["prompt"]


def test_a_preference_model_reads_what_label_prefer_will_write(
    pair_store: Store, tokenizer_dir: Path, tmp_path: Path
) -> None:
    settings = ExportSettings(
        "prompt-completion",
        "jsonl",
        str(tokenizer_dir),
        template="tulu",
        max_length=400,
        recipe=PmSettings("mine", part="train"),
        recipe_name="pm",
    )
    report = export_store(pair_store, tmp_path / "out", settings)
    assert (report.rows, report.dropped) == (3, LEFT_OUT)
    [row] = [row for row in read_jsonl(tmp_path / "out") if "spider" in row["prompt"][0]["content"]]
    shown = {"A": ("Eight.", "Six."), "B": ("Six.", "Eight.")}[row["completion"][0]["content"]]
    asked = (("user", "How many legs has a spider?"),)
    assert row["prompt"] == [user(written(Contest(asked, *shown)))]
    assert check_export(tmp_path / "out", CheckSettings()).faults == {}


def test_the_better_answer_of_half_the_rows_is_shown_first() -> None:
    def row(number: int) -> PairRow:
        return PairRow(f"p{number}", "c", "d", (), (), "x", "y", None, None, None, None, None, None)

    first = sum(is_better_first(row(number), seed=0) for number in range(1000))
    assert 450 < first < 550
    assert any(is_better_first(row(n), seed=0) != is_better_first(row(n), seed=1) for n in range(20))


def test_axolotl_has_room_for_one_question(export: Export) -> None:
    with pytest.raises(BadSettings, match="has 2 questions"):
        export("out", "rm", "axolotl-pairs")


def test_what_the_trainer_would_lose_by_length_is_left_out_by_its_own_rule(export: Export) -> None:
    reward = export("rm", "rm", "pairs", max_length=70)
    assert reward.dropped["longer than max length"] == 1
    dpo = export("dpo", "dpo", "pairs", max_length=70)
    assert "longer than max length" not in dpo.dropped
    assert dpo.changed == {"length": 1}
    assert export("short", "dpo", "pairs", max_length=12).dropped["prompt reaches max length"] >= 1


@pytest.mark.parametrize(
    ("recipe", "layout"),
    [
        ("rm", "pairs"),
        ("rm", "pairs-full"),
        ("dpo", "llamafactory-pairs"),
        ("kto", "labelled"),
        ("dpo", "pairs"),
    ],
)
def test_the_same_settings_give_the_same_bytes_and_no_fault(
    recipe: str, layout: str, export: Export, tmp_path: Path
) -> None:
    first, second = export("a", recipe, layout), export("b", recipe, layout)
    assert first.sha256 == second.sha256
    report = check_export(tmp_path / "a", CheckSettings())
    assert report.faults == {}
    assert report.has_tokens


def test_parquet_and_json_lines_hold_the_same_pairs(export: Export, tmp_path: Path) -> None:
    from pyarrow import parquet

    export("lines", "dpo", "pairs")
    export("columns", "dpo", "pairs", "parquet")
    assert parquet.read_table(tmp_path / "columns" / "train-00000.parquet").to_pylist() == read_jsonl(
        tmp_path / "lines"
    )


def test_a_training_row_leads_back_to_its_messages_and_a_message_to_its_rows(
    export: Export, pair_store: Store, tmp_path: Path
) -> None:
    export("out", "dpo", "pairs")
    rows = read_jsonl(tmp_path / "out")
    number = next(n for n, row in enumerate(rows) if row["chosen"][0]["content"] == "Eight.")
    back = trace(pair_store, f"{tmp_path / 'out'}:{number}")
    assert [row["row_number"] for row in back.export_rows] == [number]
    forward = trace(pair_store, rows[number]["rejected_id"])
    assert [row["row_number"] for row in forward.export_rows] == [number]


@pytest.mark.parametrize(("recipe", "layout"), [("dpo", "pairs"), ("rm", "pairs")])
def test_a_traced_row_says_which_message_was_prompt_chosen_and_rejected(
    recipe: str, layout: str, export: Export, pair_store: Store, tmp_path: Path
) -> None:
    export("out", recipe, layout)
    for number, row in enumerate(read_jsonl(tmp_path / "out")):
        found = trace(pair_store, f"{tmp_path / 'out'}:{number}").row
        assert found is not None
        parts = [one["is"] for one in found.messages]
        assert parts[-3:] == ["prompt", "chosen", "rejected"]
        assert set(parts[:-3]) <= {"history"}
        told = {one["is"]: one["message"] for one in found.messages}
        assert (told["prompt"], told["chosen"], told["rejected"]) == (
            *(row["prompt_id"], row["chosen_id"], row["rejected_id"]),
        )
        assert (found.recipe, found.label, found.row_number) == (recipe, None, number)
        assert found.facts["selection"].startswith("mine@v")
        assert found.facts.get("score_chosen") == row.get("score_chosen")
        assert found.facts["part"] == "train"


def test_a_traced_row_of_kto_says_whether_its_answer_is_desirable(
    export: Export, pair_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export("out", "kto", "labelled")
    rows = read_jsonl(tmp_path / "out")
    for number, row in enumerate(rows):
        found = trace(pair_store, f"{tmp_path / 'out'}:{number}").row
        assert found is not None
        assert found.label is row["label"]
        part = "chosen" if row["label"] else "rejected"
        assert found.messages[-1] == {"message": row["completion_id"], "is": part}
        assert found.facts["other_answer"] == rows[number + (1 if row["label"] else -1)]["completion_id"]
    assert run_command(cli, ["trace", f"{tmp_path / 'out'}:1", "--store", str(pair_store.path)]) == 0
    shown = capsys.readouterr().out
    assert "recipe kto, undesirable" in shown
    assert f"  rejected  {rows[1]['completion_id']}" in shown


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir()
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"prompt": [user("a")], "chosen": [said("b")], "rejected": [said(" b")]}, "chosen equals rejected"),
        (
            {"chosen": [user("a"), said("b")], "rejected": [user("x"), said("c")]},
            "chosen and rejected answer different prompts",
        ),
        (
            {
                "prompt": [user("a")],
                "chosen": [said("b")],
                "rejected": [said("c")],
                "score_chosen": 1.0,
                "score_rejected": 2.0,
            },
            "chosen scores no higher than rejected",
        ),
        (
            {"prompt": [user("a")], "chosen": [said("b")], "rejected": [said("c")], "margin": 1.0},
            "column that trainers consume",
        ),
        (
            {"prompt": [user("a")], "chosen": [user("a"), said("b")], "rejected": [user("a"), said("c")]},
            "prompt column beside whole conversations",
        ),
        ({"prompt": [user("a")], "chosen": [said("")], "rejected": [said("c")]}, "empty content"),
        (
            {"prompt": [user("a</s>")], "chosen": [said("b")], "rejected": [said("c")]},
            "control token in content",
        ),
        (
            {"prompt": [said("a")], "chosen": [said("b")], "rejected": [said("c")]},
            "roles do not alternate",
        ),
    ],
)
def test_a_fault_of_a_pair_is_found(
    row: dict[str, Any], fault: str, tmp_path: Path, tokenizer_dir: Path
) -> None:
    folder = write_rows(tmp_path / "rows", [row])
    report = check_export(folder, CheckSettings(tokenizer=str(tokenizer_dir), template="tulu"))
    assert fault in report.faults


def test_what_cannot_be_meant_is_refused(export: Export, pair_store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'train'"):
        export("out", "dpo", "pairs", part="trian")
    with pytest.raises(BadSettings, match="is not written in the layout messages"):
        export("out", "dpo", "messages")
    settings = ExportSettings("pairs", "jsonl", None, "own", recipe=PairSettings("yours"), recipe_name="dpo")
    with pytest.raises(UnknownName, match="no selection named 'yours'"):
        export_store(pair_store, tmp_path / "out", settings)
    nothing = replace(settings, recipe=PairSettings("mine"))
    report = export_store(pair_store, tmp_path / "plain", nothing)
    assert report.rows == 5  # without a tokenizer nobody knows its control tokens


def test_an_id_is_written_as_people_see_it() -> None:
    row = PairRow("a-b", "c", "d", ("e",), (), "x", "y", None, None, None, None, None, None)
    assert row.origin.message_ids == ("e", "c", "d")
    assert to_text("m1", row.prompt_id) == "m1-ab"
