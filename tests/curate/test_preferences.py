"""The preference sets of a store, in the columns of RLHF Workflow, Table 5."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from curate.cli import cli
from curate.ingesting.ingest import IngestSettings, ingest_files
from curate.reporting.preferences import PreferenceSet, measure_preferences
from store.db import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "s.duckdb")


def take(store: Store, reader: str, file: str, *records: object, **asked: str) -> None:
    path = store.path.parent / file
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    ingest_files(store, reader, [path], IngestSettings(**asked))


def completion(model: str, text: str, helpfulness: str, honesty: str) -> dict[str, object]:
    said = {"helpfulness": helpfulness, "honesty": honesty}
    annotations = {aspect: {"Rating": rating} for aspect, rating in said.items()}
    return {"model": model, "response": text, "annotations": annotations}


def test_pairs_of_verdicts_have_their_lengths_and_who_preferred(store: Store) -> None:
    turns = [
        {"role": "user", "content": "a b"},
        {"role": "assistant", "content": "c"},
        {"role": "user", "content": "d"},
    ]
    pairs = [
        {"prompt": "one two three", "chosen": "x", "rejected": "y z"},
        {"prompt": "one two three", "chosen": "x y z", "rejected": "y z"},
        {"prompt": turns, "chosen": "x y", "rejected": "y", "chosen_model": "m", "rejected_model": "n"},
        {"prompt": "tied", "chosen": "x", "rejected": "y", "status": "tie"},
    ]
    take(store, "pairs", "pairs.jsonl", *pairs, labeler="gpt-4", labeler_kind="judge")
    found = measure_preferences(store)
    assert (found.unit, found.sources) == (
        "words",
        [
            PreferenceSet(
                "pairs.jsonl",
                2,
                (3 + 4) / 2,
                (1 + 3 + 2) / 3,
                (2 + 2 + 1) / 3,
                ["m", "n"],
                ["gpt-4"],
                ["judge"],
                3,
            )
        ],
    )


def test_a_set_that_only_rates_pairs_all_answers_whose_mean_rating_differs(store: Store) -> None:
    completions = [
        completion("m", "a", "5", "3"),
        completion("n", "b b", "4", "4"),
        completion("o", "c c c", "1", "2"),
        completion("p", "d d d d", "N/A", "2"),
    ]
    take(store, "ultrafeedback", "uf.jsonl", {"instruction": "one two", "completions": completions})
    (found,) = measure_preferences(store).sources
    # the means are 4, 4, 1.5 and unknown, for not every aspect could be read: two pairs differ
    assert (found.prompts, found.pairs, found.completers) == (1, 2, ["m", "n", "o", "p"])
    assert found.mean_preferred == pytest.approx((1 + 2) / 2)
    assert found.mean_rejected == 3.0
    assert (found.annotators, found.annotator_kinds) == (["gpt-4"], ["judge"])


def test_length_and_complexity_are_no_merits_of_an_answer(store: Store) -> None:
    same = {"helpfulness": 3, "correctness": 3, "coherence": 3}
    rows = [
        {"prompt": "p", "response": "x", **same, "complexity": 0, "verbosity": 0},
        {"prompt": "p", "response": "y", **same, "complexity": 4, "verbosity": 4},
    ]
    take(store, "helpsteer", "hs.jsonl", *rows)
    assert measure_preferences(store).sources == []
    better = {"prompt": "q", "response": "z", **same, "correctness": 4}
    take(store, "helpsteer", "other.jsonl", better, {**rows[0], "prompt": "q"})
    assert [(one.name, one.pairs) for one in measure_preferences(store).sources] == [("other.jsonl", 1)]


def test_answers_in_several_files_of_one_source_are_paired_unless_each_file_has_its_line(
    store: Store,
) -> None:
    same = {"prompt": "p q", "coherence": 3, "complexity": 0, "verbosity": 0}
    take(store, "helpsteer", "1.jsonl", {**same, "response": "x", "correctness": 3}, name="hs")
    take(store, "helpsteer", "2.jsonl", {**same, "response": "y z", "correctness": 4}, name="hs")
    (found,) = measure_preferences(store).sources
    assert (found.name, found.files, found.prompts, found.pairs, found.path) == ("hs", 2, 1, 1, None)
    assert (found.mean_prompt, found.mean_preferred, found.mean_rejected) == (2.0, 2.0, 1.0)
    assert measure_preferences(store, by_file=True).sources == []
    take(store, "helpsteer", "3.jsonl", {**same, "response": "x y", "correctness": 1}, name="hs")
    take(store, "pairs", "4.jsonl", {"prompt": "p", "chosen": "x", "rejected": "y"}, name="hs")
    (found,) = measure_preferences(store).sources
    assert (found.files, found.pairs) == (4, 1), "a source with verdicts does not only rate"
    (found,) = measure_preferences(store, by_file=True).sources
    assert (found.name, found.files, found.pairs, Path(found.path or "").name) == ("hs", 1, 1, "4.jsonl")


def test_scores_beside_verdicts_are_not_counted_as_pairs_again(store: Store) -> None:
    row = {"history": "p", "human_ref_A": "x", "human_ref_B": "y", "score_A": 9, "score_B": 2, "labels": 1}
    take(store, "shp", "shp.jsonl", row)
    (found,) = measure_preferences(store).sources
    assert (found.pairs, found.annotators) == (1, ["reddit voters"])


def test_the_command_prints_the_table_or_json(store: Store) -> None:
    take(store, "pairs", "pairs.jsonl", {"prompt": "p", "chosen": "x", "rejected": "y"})
    asked = ["stats", "--preferences", "--store", str(store.path)]
    shown = CliRunner().invoke(cli, asked, catch_exceptions=False).output
    assert "completions by" in shown
    told = json.loads(CliRunner().invoke(cli, [*asked, "--json"], catch_exceptions=False).output)
    assert told["unit"] == "words"
    assert told["sources"][0]["pairs"] == 1
