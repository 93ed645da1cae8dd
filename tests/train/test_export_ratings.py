"""Weights and classes from stored ratings: joined by id, hand-computed, and nothing unrated slips through."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from store.db import Store
from store.errors import BadSettings, RequestError, UnknownName
from store.ids import path_digests, uuid_text
from store.runs import utc_now
from tests.train.conftest import fill_store
from train.checking.check import CheckSettings, check_export
from train.cli import cli
from train.exporting.export import ExportReport, ExportSettings, export_store
from train.recipes.crlft import CrlftSettings

ASKED, TWICE, SHRUG, PLAIN = (
    [("user", "Name a colour."), ("assistant", "Red.")],
    [("user", "Two turns?"), ("assistant", "Yes."), ("user", "More?"), ("assistant", "No more.")],
    [("user", "And you?"), ("assistant", "As an AI language model, I have no view.")],
    [("user", "Unrated?"), ("assistant", "It is.")],
)
WORLD = [(ASKED, "gpt-4"), (TWICE, "gpt-3.5-turbo"), (SHRUG, "gpt-4"), (PLAIN, "gpt-4")]
Turns = list[tuple[str, str]]
Export = Callable[..., ExportReport]


def rating(turns: Turns, position: int, value: float | None, **changes: Any) -> dict[str, Any]:
    """A stored rating of the answer at POSITION."""
    return {
        "response_id": uuid_text(path_digests(turns)[position]),
        "labeler": "a/judge",
        "labeler_kind": "judge",
        "template": "openchat-g/1",
        "scale": "1-10",
        "aspect": "overall",
        "draw_index": 0,
        "value": value,
        "state": "done" if value is not None else "unparsed",
        "parser_version": "1",
        "created_at": utc_now().isoformat(),
        **changes,
    }


def rate(store: Store, *ratings: dict[str, Any]) -> None:
    with store.write() as writing:
        writing.append("ratings", list(ratings))


@pytest.fixture
def rated(tmp_path: Path) -> Store:
    """Red 10 (after a 2 that no longer counts), two turns 4 and 7, a refusal 1, and one without a rating."""
    store = fill_store(tmp_path / "store.duckdb", WORLD)
    rate(store, rating(ASKED, 1, 2.0))
    rate(store, rating(ASKED, 1, 10.0), rating(TWICE, 1, 4.0), rating(TWICE, 3, 7.0), rating(SHRUG, 1, 1.0))
    return store


@pytest.fixture
def export(rated: Store, tokenizer_dir: Path, tmp_path: Path) -> Export:
    def run(name: str = "out", layout: str = "messages", **changes: Any) -> ExportReport:
        file_format = "parquet" if layout == "tokenized" else "jsonl"
        settings = ExportSettings(layout, file_format, str(tokenizer_dir), recipe=CrlftSettings(**changes))
        return export_store(rated, tmp_path / name, settings)

    return run


def rows_of(report: ExportReport) -> dict[str, dict[str, Any]]:
    """First question → row."""
    lines = (report.manifest.parent / "train-00000.jsonl").read_text().splitlines()
    return {row["messages"][0]["content"]: row for row in map(json.loads, lines)}


def test_a_conversation_weighs_what_the_mean_of_its_latest_ratings_says(export: Export) -> None:
    report = export(weight_by_rating="a/judge")
    rows = rows_of(report)
    assert rows["Name a colour."]["message_weights"] == [0.0, 1.0]
    half = (5.5 - 1) / 9
    assert rows["Two turns?"]["message_weights"] == pytest.approx([0.0, half, 0.0, half])
    assert rows["Two turns?"]["weight"] == pytest.approx(half)
    assert rows["Two turns?"]["chat_template_kwargs"] == {"condition": "GPT3"}
    assert report.dropped == {"no answer rated": 1, "no turn with weight": 1}
    assert report.rows + sum(report.dropped.values()) == len(WORLD)


def test_beta_makes_it_exponential_and_an_answer_may_weigh_by_its_own_rating(export: Export) -> None:
    report = export(weight_by_rating="a/judge/1-10", beta=0.5, rating_of="turn")
    weights = rows_of(report)["Two turns?"]["message_weights"]
    assert weights == pytest.approx([0.0, math.exp((3 / 9 - 1) / 0.5), 0.0, math.exp((6 / 9 - 1) / 0.5)])
    assert rows_of(report)["Name a colour."]["message_weights"] == [0.0, 1.0]


def test_what_is_unrated_may_be_given_a_rating_and_is_counted(export: Export) -> None:
    report = export(weight_by_rating="a/judge", unrated=4.0)
    assert rows_of(report)["Unrated?"]["message_weights"] == pytest.approx([0.0, 3 / 9])
    steps = {step["step"]: step for step in json.loads(report.manifest.read_text())["steps"]}
    assert steps["unrated"] == {"step": "unrated", "before": 4, "after": 4, "changed": 1, "dropped": {}}


def test_half_a_conversation_that_is_rated_is_left_out_or_stays_as_context(
    rated: Store, export: Export
) -> None:
    rate(rated, rating(TWICE, 3, None))  # the latest attempt came to nothing
    assert export(weight_by_rating="a/judge").dropped["not every answer rated"] == 1
    by_turn = rows_of(export("turns", weight_by_rating="a/judge", rating_of="turn"))
    assert by_turn["Two turns?"]["message_weights"] == pytest.approx([0.0, 3 / 9, 0.0, 0.0])


def test_an_answer_that_misses_an_aspect_has_no_rating(rated: Store, export: Export) -> None:
    rate(rated, rating(ASKED, 1, 6.0, aspect="honesty"))
    report = export(weight_by_rating="a/judge")
    assert rows_of(report)["Name a colour."]["message_weights"] == pytest.approx([0.0, (8 - 1) / 9])
    assert report.dropped["no answer rated"] == 3


def test_thresholds_cut_ratings_into_classes_with_conditions_and_weights(export: Export) -> None:
    report = export(class_by_rating="a/judge", thresholds=(4.0, 8.0), class_names=("Poor", "Fair", "Good"))
    rows = rows_of(report)
    assert (rows["Name a colour."]["source_class"], rows["Name a colour."]["weight"]) == ("Good", 1.0)
    fair = rows["Two turns?"]  # 5.5, and its interval's middle is 6
    assert fair["chat_template_kwargs"] == {"condition": "Fair"}
    assert fair["message_weights"] == pytest.approx([0.0, 5 / 8, 0.0, 5 / 8])
    manifest = json.loads(report.manifest.read_text())
    assert [one["at_least"] for one in manifest["ratings"]["classes"]] == [1.0, 4.0, 8.0]
    assert [one["below"] for one in manifest["ratings"]["classes"]] == [4.0, 8.0, None]
    assert manifest["classes"]["Fair"]["weight"] == pytest.approx(5 / 8)
    edge = rows_of(export("edge", class_by_rating="a/judge", thresholds=(5.5,)))
    assert edge["Two turns?"]["source_class"] == "High"  # at a threshold, above it


def test_classes_by_rating_take_given_weights_the_beta_form_and_the_ablations(export: Export) -> None:
    asked: dict[str, Any] = {"class_by_rating": "a/judge", "thresholds": (8.0,)}
    weight = rows_of(export("a", **asked, weights=(("Low", 0.3),)))["Two turns?"]["weight"]
    assert weight == 0.3
    weight = rows_of(export("b", **asked, beta=0.5))["Two turns?"]["weight"]
    assert weight == pytest.approx(math.exp(((4.5 - 1) / 9 - (9 - 1) / 9) / 0.5))
    plain = rows_of(export("c", **asked, no_reward=True, no_condition=True))["Two turns?"]
    assert (plain["weight"], plain["chat_template_kwargs"]) == (1.0, {"condition": "High"})


def test_a_scale_that_says_no_bounds_takes_those_of_its_ratings(rated: Store, export: Export) -> None:
    people = [
        rating(ASKED, 1, 20.0, labeler="Ann", scale="stars"),
        rating(TWICE, 1, 5.0, labeler="Ann", scale="stars"),
    ]
    rate(rated, *people, rating(TWICE, 3, 10.0, labeler="Ann", scale="stars"))
    report = export(weight_by_rating="Ann")
    weight = rows_of(report)["Two turns?"]["weight"]
    assert weight == pytest.approx((7.5 - 5) / 15)
    assert "the bounds of the ratings that are there" in (report.manifest.parent / "README.md").read_text()


def test_the_card_says_how_weights_were_made(export: Export) -> None:
    text = (export(weight_by_rating="a/judge", beta=0.5).manifest.parent / "README.md").read_text()
    assert "weight = exp((reward - 1) / 0.5), reward = (rating - 1) / (10 - 1) of each conversation" in text
    assert "What has no rating is left out." in text
    card = export("cut", class_by_rating="a/judge", thresholds=(4.0, 8.0)).manifest.parent / "README.md"
    assert "| Middle | Middle | 4 | 8 | 0.5556 | 0.625 |" in card.read_text()


def test_a_row_is_traced_to_its_ratings_and_the_class_they_made(export: Export, rated: Store) -> None:
    from curate.looking.trace import trace

    report = export(class_by_rating="a/judge", thresholds=(4.0, 8.0))
    found = trace(rated, f"{report.manifest.parent}:{list(rows_of(report)).index('Two turns?')}")
    assert sorted(one["value"] for one in found.ratings) == [4.0, 7.0]
    assert [one["source_class"] for one in found.export_rows] == ["Middle"]


def test_what_ratings_made_passes_the_check(export: Export, tmp_path: Path) -> None:
    for layout in ("messages", "openchat", "tokenized"):
        export(layout, layout, weight_by_rating="a/judge", beta=0.5, rating_of="turn")
        export(f"{layout}-cut", layout, class_by_rating="a/judge", thresholds=(4.0, 8.0))
        for name in (layout, f"{layout}-cut"):
            assert check_export(tmp_path / name, CheckSettings(max_cut_share=1.0)).faults == {}


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"weight_by_rating": "a/jugde"}, UnknownName, "a/judge"),
        ({"weight_by_rating": "a/judge/1-5"}, UnknownName, "1-10"),
        ({"weight_by_rating": "a/judge", "no_reward": True}, BadSettings, "--no-reward"),
        ({"weight_by_rating": "a/judge", "unrated": 11.0}, BadSettings, "no rating on"),
        ({"weight_by_rating": "a/judge", "class_by_rating": "a/judge"}, BadSettings, "or gives a class"),
        ({"class_by_rating": "a/judge"}, BadSettings, "--thresholds"),
        ({"class_by_rating": "a/judge", "thresholds": (8.0, 5.0)}, BadSettings, "have to rise"),
        ({"class_by_rating": "a/judge", "thresholds": (1.0,)}, BadSettings, "have to rise"),
        ({"class_by_rating": "a/judge", "thresholds": (5.0,), "class_names": ("A",)}, BadSettings, "takes 2"),
        ({"class_by_rating": "a/judge", "thresholds": (5.0,), "rating_of": "turn"}, BadSettings, "one class"),
        ({"class_by_rating": "a/judge", "thresholds": (5.0,), "weights": (("X", 1.0),)}, UnknownName, "Low"),
        ({"thresholds": (5.0,)}, BadSettings, "go with --class-by-rating"),
        ({"unrated": 5.0}, BadSettings, "go with --weight-by-rating"),
    ],
)
def test_what_makes_no_sense_is_refused(
    export: Export, changes: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        export(**changes)


def test_two_scales_of_one_labeler_have_to_be_told_apart(rated: Store, export: Export) -> None:
    rate(rated, rating(ASKED, 1, 3.0, scale="1-5"))
    with pytest.raises(RequestError, match="a/judge/1-10 or a/judge/1-5"):
        export(weight_by_rating="a/judge")
    assert export(weight_by_rating="a/judge/1-5").rows == 1


def test_the_command_takes_thresholds_and_names_as_lists(rated: Store, tmp_path: Path) -> None:
    asked = ["export", "crlft", "--store", str(rated.path), "--format", "jsonl", "--json"]
    words = ["--class-by-rating", "a/judge", "--thresholds", "4,8", "--class-names", "Poor, Fair, Good"]
    result = CliRunner().invoke(cli, [*asked, *words, "--out", str(tmp_path / "cut"), "--unrated", "2"])
    assert result.exit_code == 0, result.output
    manifest = json.loads(Path(json.loads(result.stdout)["manifest"]).read_text())
    assert {name: one["rows"] for name, one in manifest["classes"].items()} == {
        "Fair": 1,
        "Good": 1,
        "Poor": 1,
    }
    assert manifest["dropped"] == {"no turn with weight": 1}


def test_the_loss_is_the_weighted_mean_that_ratings_say(
    export: Export, model_dir: Path, tmp_path: Path
) -> None:
    """By hand: the cross-entropy of both rows' answers, weighed (10 - 1) / 9 and (5.5 - 1) / 9."""
    torch = pytest.importorskip("torch", reason="training needs the extra train")
    from datasets import Dataset
    from pyarrow import parquet
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from train.running.run_settings import RunSettings
    from train.trainers.weighted import make_trainer

    report = export(layout="tokenized", weight_by_rating="a/judge")
    rows = parquet.read_table(report.manifest.parent / "train-00000.parquet").to_pylist()
    config = AutoConfig.from_pretrained(model_dir)
    config.vocab_size += 1  # the end of turn
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    total, weight_sum = 0.0, 0.0
    for row in rows:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1]
        losses = torch.nn.functional.cross_entropy(
            logits, torch.tensor(row["labels"][1:]), reduction="none", ignore_index=-100
        )
        value = 1.0 if row["source_class"] == "GPT4" else (5.5 - 1) / 9
        total += value * float(losses.sum())
        weight_sum += value * sum(label != -100 for label in row["labels"])
    settings = RunSettings(
        "-", str(model_dir), batch_size=1, accumulation=2, steps=1, max_length=96, log_every=1
    )
    dataset = Dataset.from_list(
        [{name: row[name] for name in ("input_ids", "labels", "loss_weights")} for row in rows]
    )
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    trainer = make_trainer(model, tokenizer, dataset, settings, tmp_path / "run")
    trainer.train()
    assert trainer.state.log_history[0]["loss"] == pytest.approx(total / weight_sum, abs=1e-4)
