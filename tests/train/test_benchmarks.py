"""`train evaluate benchmarks`: local files, the papers' shots, means within a benchmark first, code only with leave."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from store.console import progress
from store.db import Store
from store.errors import BadInput, BadSettings, UnknownName
from train.benchmarks.evaluate import (
    BenchmarkReport,
    BenchmarkScore,
    BenchmarkSettings,
    evaluate_benchmarks,
)
from train.benchmarks.rows import READERS, read_subjects
from train.benchmarks.run_code import passes
from train.benchmarks.scores import (
    SCORES,
    last_number,
    likeliest,
    likeliest_by_length,
    pass_at,
    share_of_the_true,
    stated_answer,
    word_overlap,
)
from train.benchmarks.suites import SUITES, benchmark_named, suite_named
from train.cli import cli

ADD = {
    "prompt": "def add(a, b):\n",
    "canonical_solution": "    return a + b\n",
    "test": "def check(candidate):\n    assert candidate(2, 3) == 5\n",
    "entry_point": "add",
}


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def write_csv(path: Path, rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def sums(first: int, last: int) -> list[dict[str, Any]]:
    return [
        {"question": f"What is {i} + 1?", "answer": f"One more.\n#### {i + 1}"} for i in range(first, last)
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two benchmarks of few rows: two subjects of unlike size, and sums with examples."""
    folder = tmp_path / "benchmarks"
    letters = [["Which letter?", "w", "x", "y", "z", "ABCD"[i % 4]] for i in range(6)]
    write_csv(folder / "mmlu" / "test" / "letters_test.csv", letters)
    write_csv(folder / "mmlu" / "test" / "signs_test.csv", letters[:2])
    for subject in ("letters", "signs"):
        write_csv(folder / "mmlu" / "dev" / f"{subject}_dev.csv", letters[:5])
    write_lines(folder / "eval_gsm8k" / "train.jsonl.gz", sums(0, 9))
    write_lines(folder / "eval_gsm8k" / "test.jsonl", sums(20, 23))
    return folder


def test_every_benchmark_of_a_suite_has_a_reader_and_a_score() -> None:
    for suite in SUITES.values():
        for name in suite.shots:
            benchmark = benchmark_named(name)
            assert benchmark.reader in READERS
            assert benchmark.score in SCORES


def test_the_suites_have_the_shots_of_their_papers() -> None:
    shown = {"gsm8k": 8, "mmlu": 5, "human_eval": 0, "truthfulqa": 0, "arc": 25, "mbpp": 0}
    assert suite_named("rlhflow").shots == shown
    with pytest.raises(UnknownName, match="did you mean 'camels'"):
        suite_named("camel")


def test_examples_come_from_their_own_file_and_in_its_order(data: Path) -> None:
    (subject,) = read_subjects(data, benchmark_named("gsm8k"), 8)
    assert [row["question"] for row in subject.examples] == [f"What is {i} + 1?" for i in range(8)]
    assert len(subject.test) == 3
    assert not subject.held_out


def test_without_a_file_of_examples_the_first_rows_are_shown_and_not_asked(data: Path) -> None:
    (data / "eval_gsm8k" / "train.jsonl.gz").unlink()
    (subject,) = read_subjects(data, benchmark_named("gsm8k"), 2)
    assert [row["question"] for row in subject.examples] == ["What is 20 + 1?", "What is 21 + 1?"]
    assert [row["question"] for row in subject.test] == ["What is 22 + 1?"]
    assert subject.held_out
    with pytest.raises(BadInput, match="too few rows"):
        read_subjects(data, benchmark_named("gsm8k"), 3)


def test_a_missing_folder_and_a_strange_file_are_named(data: Path) -> None:
    with pytest.raises(BadInput, match="no folder for ARC"):
        read_subjects(data, benchmark_named("arc"), 0)
    write_csv(data / "mmlu" / "test" / "torn_test.csv", [["question", "only one choice"]])
    with pytest.raises(BadInput, match=r"torn_test\.csv is not in the form of MMLU"):
        read_subjects(data, benchmark_named("mmlu"), 0)


def test_the_other_forms_are_read(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "truthfulqa" / "t.csv",
        [
            ["Type", "Question", "Best Answer", "Correct Answers", "Incorrect Answers"],
            ["a", "Is it?", "Yes", "Yes; It is", "No; Never"],
        ],
    )
    (truthful,) = read_subjects(tmp_path, benchmark_named("truthfulqa"), 0)
    assert truthful.test[0]["choices"] == ["Yes", "It is", "No", "Never"]
    assert truthful.test[0]["n_true"] == 2
    stem = {"stem": "Which?", "choices": [{"text": "x", "label": "1"}, {"text": "y", "label": "2"}]}
    write_lines(tmp_path / "arc" / "ARC-Challenge-Test.jsonl", [{"question": stem, "answerKey": "2"}])
    (arc,) = read_subjects(tmp_path, benchmark_named("arc"), 0)
    assert arc.test == [{"question": "Which?", "choices": ["x", "y"], "answer": 1}]
    text = "é. The answer is blue."
    spans = {
        "passage_answer": {"candidate_index": 0},
        "minimal_answer": {"plaintext_start_byte": 18, "plaintext_end_byte": 22},
    }
    record = {
        "document_plaintext": text,
        "question_text": "Which?",
        "language": "french",
        "annotations": [spans],
        "passage_answer_candidates": [{"plaintext_start_byte": 0, "plaintext_end_byte": len(text.encode())}],
    }
    write_lines(tmp_path / "tydiqa" / "dev.jsonl.gz", [record])
    (french,) = read_subjects(tmp_path, benchmark_named("tydiqa"), 0)
    assert french.name == "french"
    assert french.test[0]["answers"] == ["blue"]
    exam = {"passage": None, "question": "Q", "options": ["(A)x", "(B)y"], "label": "B"}
    for subject in ("sat-math", "gaokao-physics"):
        write_lines(tmp_path / "agieval" / f"{subject}.jsonl", [exam, {**exam, "label": ["A", "B"]}])
    (english,) = read_subjects(tmp_path, benchmark_named("agieval"), 0)
    assert (english.name, [row["answer"] for row in english.test]) == ("sat-math", [1])


def test_worked_examples_beside_bbh_take_the_place_of_its_rows(tmp_path: Path) -> None:
    rows = {"examples": [{"input": f"not {i}", "target": "True"} for i in range(4)]}
    path = tmp_path / "bbh" / "negation.json"
    path.parent.mkdir()
    path.write_text(json.dumps(rows), encoding="utf-8")
    (plain,) = read_subjects(tmp_path, benchmark_named("bbh"), 3)
    assert (len(plain.examples), len(plain.test)) == (3, 1)
    (tmp_path / "bbh" / "cot-prompts").mkdir()
    (tmp_path / "bbh" / "cot-prompts" / "negation.txt").write_text(
        "canary\n-----\nQ: x\nA: y", encoding="utf-8"
    )
    (worked,) = read_subjects(tmp_path, benchmark_named("bbh"), 3)
    assert (worked.examples, len(worked.test)) == ([], 4)
    assert worked.test[0]["worked"] == "Q: x\nA: y"


def test_answers_are_scored_by_each_benchmarks_rule() -> None:
    row = {"answer": "so 1,000 and\n#### 1,200"}
    assert last_number(row, [["It is 3, thus $1200."]]) == 1
    assert last_number(row, [["1200, or rather 7"]]) == 0
    assert last_number(row, [["no idea"]]) == 0
    assert stated_answer({"target": "(B)"}, [["Let us see. So the answer is (B)."]]) == 1
    assert stated_answer({"target": "Yes"}, [["No\nthen Yes"]]) == 0
    assert word_overlap({"answers": ["the blue sea", "red"]}, [["Blue sea!"]]) == 1
    assert word_overlap({"answers": ["blue sea"]}, [["sea"]]) == pytest.approx(2 / 3)
    chances = [(-2.0, False), (-3.0, False)]
    assert likeliest({"answer": 0}, chances) == 1
    assert likeliest_by_length({"answer": 1, "choices": ["a", "a much longer one"]}, chances) == 1
    assert share_of_the_true({"n_true": 1}, [(0.0, True), (0.0, False)]) == pytest.approx(0.5)


def test_a_program_passes_only_if_it_reaches_its_end() -> None:
    assert passes("assert 1 + 1 == 2")
    assert not passes("assert 1 + 1 == 3")
    assert not passes("import sys; sys.exit(0)")
    assert not passes("x = 1\0")
    assert passes("#" * 200_000 + "\ud800")
    assert not passes("while True: pass", cpu_s=1)


def test_pass_at_k_is_the_unbiased_estimate() -> None:
    good, bad = "    return a + b\n", "    return a\n"
    assert pass_at(1, ADD, [[good, bad]]) == pytest.approx(0.5)
    assert pass_at(2, ADD, [[good, bad, bad]]) == pytest.approx(2 / 3)
    assert pass_at(10, ADD, [[bad]]) == 0


def test_code_is_not_run_without_leave(data: Path) -> None:
    settings = BenchmarkSettings("nowhere", str(data), "rlhflow", only=("human_eval",))
    with pytest.raises(BadSettings, match="--run-code"):
        evaluate_benchmarks(settings, progress)


def test_a_benchmark_is_the_mean_of_its_subjects_and_the_average_that_of_the_benchmarks() -> None:
    scores = [BenchmarkScore("a", "A", 0, 900, 0.2, ()), BenchmarkScore("b", "B", 0, 10, 0.8, ())]
    assert BenchmarkReport("m", "s", "o", tuple(scores), ()).average == pytest.approx(0.5)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with random weights and a long context."""
    import torch
    from transformers import LlamaForCausalLM

    from tests.train.conftest import make_tokenizer, tiny_config

    folder = tmp_path_factory.mktemp("random")
    torch.manual_seed(0)
    config = tiny_config()
    config.max_position_embeddings = 2048
    make_tokenizer().save_pretrained(folder)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_suite_over_own_rows_is_asked_twice_alike_and_kept_with_a_run(
    data: Path, weights: Path, tmp_path: Path
) -> None:
    pytest.importorskip("lm_eval")
    store = Store(tmp_path / "store.duckdb")
    with store.write():
        pass
    asked = ["evaluate", "benchmarks", "--model", str(weights), "--data", str(data), "--suite", "rlhflow"]
    asked += ["--only", "mmlu", "--only", "gsm8k", "--max-tokens", "8", "--store", str(store.path), "--json"]
    outcomes = [CliRunner().invoke(cli, asked, catch_exceptions=False) for _ in range(2)]
    assert all("%|" not in outcome.stderr for outcome in outcomes), "a library drew its own bar"
    first, second = (json.loads(outcome.stdout) for outcome in outcomes)
    assert first["benchmarks"] == second["benchmarks"]
    gsm8k, mmlu = first["benchmarks"]
    assert (gsm8k["shots"], gsm8k["n"], mmlu["shots"], mmlu["n"]) == (8, 3, 5, 8)
    letters, signs = mmlu["subjects"]
    assert letters["n"] == 6
    assert letters["score"] in [i / 6 for i in range(7)]
    assert mmlu["score"] == pytest.approx((letters["score"] + signs["score"]) / 2)
    assert first["average"] == pytest.approx((gsm8k["score"] + mmlu["score"]) / 2)
    assert first["left_out"] == ["human_eval", "truthfulqa", "arc", "mbpp"]
    with store.read() as reading:
        rows = reading.rows(
            "SELECT counts FROM runs WHERE run_id = ? AND state = 'finished'", [first["run_id"]]
        )
    assert json.loads(rows[0][0])["average"] == first["average"]


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_random_model_is_asked_real_sums_and_real_programs(shared_data: Path, weights: Path) -> None:
    pytest.importorskip("lm_eval")
    settings = BenchmarkSettings(
        str(weights),
        str(shared_data / "benchmarks"),
        "rlhflow",
        only=("gsm8k", "human_eval"),
        limit=3,
        max_tokens=16,
        run_code=True,
    )
    report = evaluate_benchmarks(settings, progress)
    assert [(one.benchmark, one.shots, one.n) for one in report.benchmarks] == [
        ("gsm8k", 8, 3),
        ("human_eval", 0, 3),
    ]
    assert report.benchmarks[1].score == 0
