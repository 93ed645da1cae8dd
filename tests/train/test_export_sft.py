"""Conversations as files for supervised fine-tuning."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.db import Store
from store.errors import BadSettings, UnknownName
from store.selections import write_selection
from train.checking.check import CheckSettings, check_export
from train.exporting.export import ExportReport, ExportSettings, export_store
from train.recipes.sft import SftSettings

Export = Callable[..., ExportReport]


@pytest.fixture
def export(mixed_store: Store, tokenizer_dir: Path, tmp_path: Path) -> Export:
    """Export the mixed store to tmp_path / name with the Tülu template."""

    def run(name: str, layout: str, file_format: str = "jsonl", **changes: Any) -> ExportReport:
        settings = ExportSettings(
            layout,
            file_format,
            str(tokenizer_dir),
            template=changes.pop("template", "tulu"),
            max_length=changes.pop("max_length", 200),
            recipe=SftSettings(**changes),
            recipe_name="sft",
        )
        return export_store(mixed_store, tmp_path / name, settings)

    return run


def read_jsonl(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "train-00000.jsonl").read_text().splitlines()]


def test_every_class_is_taken_and_every_conversation_is_a_row_or_has_a_reason(
    export: Export, tmp_path: Path
) -> None:
    report = export("out", "messages")
    assert report.rows + sum(report.dropped.values()) == 14
    assert report.rows == 9
    rows = read_jsonl(tmp_path / "out")
    assert {row["source_class"] for row in rows} == {"GPT4", "GPT3", "unknown"}
    assert not {"weight", "chat_template_kwargs"} & rows[0].keys()


@pytest.mark.parametrize("layout", ["messages", "sharegpt", "tokenized"])
@pytest.mark.parametrize("template", ["tulu", "vicuna", "chatml", "openchat"])
def test_what_is_written_has_no_fault(layout: str, template: str, export: Export, tmp_path: Path) -> None:
    file_format = "parquet" if layout == "tokenized" else "jsonl"
    export("out", layout, file_format, template=template)
    report = check_export(tmp_path / "out", CheckSettings())
    assert report.faults == {}
    assert report.trained_tokens > 0


def test_only_the_last_answer_is_trained_on_where_asked(export: Export, tmp_path: Path) -> None:
    export("out", "prompt-completion", turns="last")
    report = check_export(tmp_path / "out", CheckSettings())
    assert report.faults == {}
    rows = read_jsonl(tmp_path / "out")
    assert all(row["completion"][0]["role"] == "assistant" and len(row["completion"]) == 1 for row in rows)
    assert max(len(row["prompt"]) for row in rows) == 4
    with pytest.raises(BadSettings, match="choose prompt-completion"):
        export("other", "messages", turns="last")
    with pytest.raises(BadSettings, match="add --turns last"):
        export("other", "prompt-completion")


def test_refusals_are_left_out_where_asked(export: Export) -> None:
    assert export("out", "messages", refusals="drop").dropped["refusal"] == 2


def test_a_selection_its_parts_and_a_source_narrow_what_is_taken(export: Export, mixed_store: Store) -> None:
    with mixed_store.write() as writing:
        write_selection(
            writing,
            "some",
            "conversations",
            "SELECT conversation_id, if(external_id < '2', 'train', 'test') AS part FROM conversations"
            " WHERE external_id IN ('0', '1', '2')",
            settings={},
            steps={},
            run_id=None,
        )
    whole = export("whole", "messages", selection="some")
    assert (whole.rows, whole.dropped) == (3, {"not in the selection": 11})
    assert export("part", "messages", selection="some", part="train").rows == 2
    assert export("source", "messages", only_sources=("chats",)).rows == 9
    with pytest.raises(UnknownName, match="no part named 'dev'"):
        export("x", "messages", selection="some", part="dev")
    with pytest.raises(UnknownName, match="no source named 'chots'"):
        export("x", "messages", only_sources=("chots",))
    with pytest.raises(BadSettings, match="name it with --selection"):
        export("x", "messages", part="train")
