"""From a store to files: what is taken, what is left out and why, and that it can be traced back."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from store.db import Store
from store.errors import BadSettings, RequestError, UnknownName
from store.ids import to_uuid
from store.snapshots import take_snapshot
from train.exporter import Target
from train.exporting.export import ExportReport, ExportSettings, export_store
from train.exporting.shards import write_shards
from train.exporting.steps import alternates
from train.recipes.crlft import CrlftSettings, is_refusal

DROPPED = {
    "class unknown": 2,
    "control tokens in content": 1,
    "empty turn": 1,
    "no assistant turn left": 1,
    "no turn with weight": 1,
    "roles do not alternate": 1,
    "tool turns": 1,
}

Export = Callable[..., ExportReport]


@pytest.fixture
def export(mixed_store: Store, tokenizer_dir: Path, tmp_path: Path) -> Export:
    """Export the mixed store to tmp_path / name."""

    def run(
        name: str = "out", layout: str = "messages", file_format: str = "jsonl", **changes: Any
    ) -> ExportReport:
        at, overwrite = changes.pop("at", None), changes.pop("overwrite", False)
        fields = {
            key: changes.pop(key) for key in list(changes) if key in {"max_length", "tokenizer", "template"}
        }
        settings = ExportSettings(layout, file_format, str(tokenizer_dir), recipe=CrlftSettings(**changes))
        store = Store(mixed_store.path, at=at)
        return export_store(store, tmp_path / name, replace(settings, **fields), overwrite=overwrite)

    return run


def read_jsonl(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "train-00000.jsonl").read_text().splitlines()]


def manifest_of(report: ExportReport) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(report.manifest.read_text())
    return manifest


def test_every_conversation_is_a_row_or_has_a_reason(export: Export) -> None:
    report = export()
    assert report.dropped == DROPPED
    assert report.rows + sum(report.dropped.values()) == 14
    assert report.changed == {
        "leading answers cut": 1,
        "trailing questions cut": 2,
        "refusals weigh nothing": 2,
    }


def test_each_step_takes_up_what_the_one_before_left(export: Export) -> None:
    steps = manifest_of(export())["steps"]
    assert steps[0]["before"] == 14
    assert [step["before"] for step in steps[1:]] == [step["after"] for step in steps[:-1]]
    assert all(step["before"] - sum(step["dropped"].values()) == step["after"] for step in steps)


def test_messages_carry_condition_and_weights(export: Export, tmp_path: Path) -> None:
    export()
    rows = {
        row["messages"][0]["content"]: row
        for row in read_jsonl(tmp_path / "out")
        if len(row["messages"]) != 4
    }
    brief = rows["Be brief."]
    assert brief["chat_template_kwargs"] == {"condition": "GPT4"}
    assert brief["message_weights"] == [0.0, 0.0, 1.0, 0.0, 1.0]
    spider = rows["How many legs has a spider?"]
    assert (spider["chat_template_kwargs"], spider["weight"]) == ({"condition": "GPT3"}, 0.1)


def test_a_refusal_stays_as_context_and_weighs_nothing(export: Export, tmp_path: Path) -> None:
    export()
    [row] = [row for row in read_jsonl(tmp_path / "out") if len(row["messages"]) == 4]
    assert row["message_weights"] == [0.0, 1.0, 0.0, 0.0]
    export("kept", refusals="keep")
    [row] = [row for row in read_jsonl(tmp_path / "kept") if len(row["messages"]) == 4]
    assert row["message_weights"] == [0.0, 1.0, 0.0, 1.0]


def test_openchat_s_own_layout(export: Export, tmp_path: Path) -> None:
    assert export(layout="openchat").files == ["train.0.jsonl"]
    rows = [json.loads(line) for line in (tmp_path / "out" / "train.0.jsonl").read_text().splitlines()]
    [row] = [row for row in rows if row["system"]]
    assert row["system"] == "Be brief."
    assert row["condition"] == "GPT4"
    assert row["items"][:2] == [
        {"role": "user", "content": "What is the capital of France?", "weight": 0.0},
        {"role": "assistant", "content": "Paris.", "weight": 1.0},
    ]


def test_tokens_labels_and_weights_are_of_one_length(export: Export, tmp_path: Path, openchat: Any) -> None:
    from pyarrow import parquet

    export(layout="tokenized", file_format="parquet")
    for row in parquet.read_table(tmp_path / "out" / "train-00000.parquet").to_pylist():
        assert len(row["input_ids"]) == len(row["labels"]) == len(row["loss_weights"]) == row["n_tokens"]
        trained = [
            token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100
        ]
        assert openchat.tokenizer.decode(trained).endswith("<|end_of_turn|>")
        [weight] = {weight for weight in row["loss_weights"] if weight}
        assert weight == pytest.approx(1.0 if row["condition"] == "GPT4" else 0.1)


def test_long_rows_are_cut_and_those_without_a_trained_token_dropped(export: Export) -> None:
    assert "length" in export("b", max_length=30).changed
    with_nothing = export("c", max_length=5)
    assert with_nothing.rows == 0
    assert with_nothing.dropped["no trained token within max length"] == 6


def test_the_same_version_and_settings_give_the_same_bytes(
    export: Export, mixed_store: Store, tmp_path: Path
) -> None:
    take_snapshot(mixed_store, "first")
    one, two = export("one", at="first"), export("two", at="first")
    assert one.sha256 == two.sha256
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_snapshot_is_not_touched_by_what_comes_later(export: Export, mixed_store: Store) -> None:
    take_snapshot(mixed_store, "first")
    before = export("before", at="first")
    with mixed_store.write() as writing:
        row = {"name": "GPT3", "condition": "GPT3", "weight": 0.5, "reward": None, "patterns": ["gpt-3.5*"]}
        writing.append("source_classes", [row])
    assert export("after", at="first").sha256 == before.sha256
    assert export("now").sha256 != before.sha256


def test_every_row_is_traced_to_its_conversation(export: Export, mixed_store: Store, tmp_path: Path) -> None:
    report = export()
    with mixed_store.read() as reading:
        traced = reading.rows(
            "SELECT row_number, CAST(conversation_id AS VARCHAR), len(message_ids) FROM export_rows"
            " WHERE export_id = ? ORDER BY row_number",
            [report.export_id],
        )
        [(recorded, path)] = reading.rows("SELECT row_count, path FROM exports")
    rows = read_jsonl(tmp_path / "out")
    assert recorded == report.rows == len(traced) == len(rows)
    assert path == str(tmp_path / "out")
    for row, (number, conversation_id, n_messages) in zip(rows, traced, strict=True):
        assert to_uuid(row["conversation_id"]) == conversation_id
        assert (rows[number], len(row["messages"])) == (row, n_messages)


def test_the_manifest_names_files_by_their_hash(export: Export, tmp_path: Path) -> None:
    manifest = manifest_of(export())
    [file] = manifest["files"]
    content = (tmp_path / "out" / file["name"]).read_bytes()
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert file["bytes"] == len(content)
    assert manifest["classes"]["GPT4"]["rows"] == 4
    assert manifest["classes"]["GPT3"]["weight_sum"] == pytest.approx(
        0.1 * manifest["classes"]["GPT3"]["trained_tokens"]
    )


def test_the_card_counts_rows_and_names_sources_with_licenses(export: Export, tmp_path: Path) -> None:
    export()
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith('---\nlicense: "cc-by-4.0"\n')
    assert "| chats | cc-by-4.0 | 6 |" in card


def test_an_existing_directory_is_replaced_only_when_told(export: Export, tmp_path: Path) -> None:
    export()
    with pytest.raises(RequestError, match="--overwrite"):
        export()
    assert export(overwrite=True).rows == 6
    (tmp_path / "other").mkdir()
    with pytest.raises(RequestError, match="not an export"):
        export("other", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_the_ablations_of_table_2(export: Export, tmp_path: Path) -> None:
    export("a", no_reward=True, no_condition=True)
    rows = read_jsonl(tmp_path / "a")
    assert {row["weight"] for row in rows} == {1.0}
    assert {row["chat_template_kwargs"]["condition"] for row in rows} == {"GPT4"}
    only = export("b", only_classes=("GPT3",))
    assert only.rows == 2
    assert only.dropped["class not chosen"] == 9
    with pytest.raises(UnknownName, match="did you mean 'GPT3'"):
        export("c", only_classes=("GPT3.5",))


def test_control_tokens_may_be_kept(export: Export) -> None:
    assert export(control_tokens="keep").rows == 7


def test_without_a_tokenizer_the_template_s_own_token_is_still_looked_for(export: Export) -> None:
    report = export(tokenizer=None)
    assert "control tokens in content" not in report.dropped
    assert report.rows == 7


def test_settings_that_make_no_sense_are_refused_before_anything_is_written(
    export: Export, tmp_path: Path
) -> None:
    with pytest.raises(UnknownName, match="did you mean 'messages'"):
        export(layout="mesages")
    with pytest.raises(BadSettings, match="needs a tokenizer"):
        export(layout="tokenized", file_format="parquet", tokenizer=None)
    with pytest.raises(BadSettings, match="written as jsonl"):
        export(layout="openchat", file_format="parquet")
    assert not (tmp_path / "out").exists()


def test_a_failed_export_leaves_nothing_behind(export: Export, mixed_store: Store, tmp_path: Path) -> None:
    with mixed_store.write() as writing:
        for name in ("GPT3", "GPT4"):
            row = {"name": name, "condition": None, "weight": None, "reward": None, "patterns": ["gpt*"]}
            writing.append("source_classes", [row])
    with pytest.raises(BadSettings, match="curate classes"):
        export()
    assert {path.name for path in tmp_path.iterdir()} <= {"store.duckdb", "store.duckdb.d"}
    with mixed_store.read() as reading:
        assert reading.rows("SELECT count(*) FROM exports") == [(0,)]
        assert reading.rows("SELECT DISTINCT state FROM current_runs") == [("failed",)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("As an AI language model, I cannot", True),
        ("I’m sorry, but I can’t help with that.", True),
        ("Aristotle, as an airborne observer", False),
        ("Paris.", False),
    ],
)
def test_refusals_are_known_by_their_phrases(text: str, expected: bool) -> None:
    assert is_refusal(text) is expected


def test_roles_alternate_from_question_to_answer() -> None:
    assert alternates(["system", "user", "assistant"])
    assert alternates(["user", "assistant", "user", "assistant"])
    for roles in (
        [],
        ["system"],
        ["user"],
        ["assistant", "user"],
        ["user", "assistant", "user"],
        ["system"] * 2,
    ):
        assert not alternates(roles)


def test_a_large_store_is_read_in_ranges_of_ids_with_the_same_outcome(
    export: Export, mixed_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_snapshot(mixed_store, "first")
    whole = export("whole", at="first")
    monkeypatch.setattr("train.exporting.conversations.MESSAGES_PER_TURN", 3)
    parts = export("parts", at="first")
    assert (parts.sha256, parts.rows, parts.dropped) == (whole.sha256, whole.rows, whole.dropped)


@pytest.mark.parametrize(("rows", "sizes"), [(0, [0]), (4, [2, 2]), (5, [2, 2, 1])])
def test_rows_are_cut_into_shards(tmp_path: Path, rows: int, sizes: list[int]) -> None:
    target = Target(tmp_path, "v1", "jsonl", rows_per_shard=2)
    shards = write_shards(({"number": number} for number in range(rows)), target)
    assert [shard.rows for shard in shards] == sizes
    lines = [line for shard in shards for line in (tmp_path / shard.name).read_text().splitlines()]
    assert [json.loads(line)["number"] for line in lines] == list(range(rows))


def class_weights(report: ExportReport) -> dict[str, float]:
    return {name: one["weight"] for name, one in manifest_of(report)["classes"].items()}


def test_a_class_weighs_what_its_reward_says_and_only_ratios_count(
    export: Export, mixed_store: Store
) -> None:
    row = {"condition": "GPT4", "weight": None, "patterns": ["gpt-4"], "name": "GPT4", "reward": 1.0}
    other = {**row, "name": "GPT3", "condition": "GPT3", "reward": 0.0, "patterns": ["gpt-3.5*"]}
    with mixed_store.write() as writing:
        writing.append("source_classes", [row, other])
    found = class_weights(export("a", beta=0.5))
    assert found == pytest.approx({"GPT4": 1.0, "GPT3": math.exp(-2)})
    with pytest.raises(BadSettings, match="no conversation has a class"):
        export("b")
    with pytest.raises(BadSettings, match="--beta is above 0"):
        export("c", beta=0.0)


def test_a_weight_holds_for_one_export_alone(export: Export) -> None:
    assert class_weights(export("a", weights=(("GPT3", 0.3),))) == {"GPT3": 0.3, "GPT4": 1.0}
    assert class_weights(export("b")) == {"GPT3": 0.1, "GPT4": 1.0}
    with pytest.raises(UnknownName, match="did you mean 'GPT4'"):
        export("c", weights=(("GPT5", 0.3),))
    with pytest.raises(BadSettings, match="weighs -1"):
        export("d", weights=(("GPT3", -1.0),))
