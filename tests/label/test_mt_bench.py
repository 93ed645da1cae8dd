"""MT-bench: both turns rated, the second one in the context of the model's own first one."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from label.cli import cli
from label.judging.rating_scales import MT_BENCH, MT_BENCH_REFERENCE
from label.judging.render import read_back
from label.measures import Resampling
from label.mt_bench.protocol import BenchAnswer, BenchQuestion, read_questions
from label.mt_bench.report import scores_of
from store.console import run_command
from store.errors import BadInput

QUESTIONS = [
    {"question_id": 1, "category": "writing", "turns": ["Write a line.", "Make it rhyme."]},
    {
        "question_id": 2,
        "category": "math",
        "turns": ["What is 2 + 2? ", "And twice that?"],
        "reference": ["4", "8"],
    },
    {"question_id": 3, "category": "coding", "turns": ["Print 1.", "Print 2."]},
]


def write_lines(path: Path, records) -> Path:
    path.write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def questions(tmp_path) -> Path:
    return write_lines(tmp_path / "question.jsonl", QUESTIONS)


@pytest.fixture
def references(tmp_path) -> Path:
    record = {"question_id": 3, "choices": [{"index": 0, "turns": ["print(1)", "print(2)"]}]}
    return write_lines(tmp_path / "reference.jsonl", [record])


@pytest.fixture
def answered(tmp_path, write):
    """Two models; the better one missed the last question, and both wrote the same line."""

    def said(model: str, question: dict, first: str, second: str):
        one, two = question["turns"]
        return model, [("user", one), ("assistant", first), ("user", two), ("assistant", second)]

    return write(
        tmp_path / "bench.duckdb",
        [
            said("good", QUESTIONS[0], "A line.", "A fine line."),
            said("good", QUESTIONS[1], "4", "8"),
            said("bad", QUESTIONS[0], "A line.", "No."),
            said("bad", QUESTIONS[1], "5", "10"),
            said("bad", QUESTIONS[2], "print 1", "print 2"),
            (
                "other",
                [("user", "Something else"), ("assistant", "Yes"), ("user", "More"), ("assistant", "No")],
            ),
        ],
    )


def bench(store, server, questions, *options: str) -> int:
    words = ["--model", "a-judge", "--base-url", server.url, "--questions", str(questions), "--canaries", "0"]
    return run_command(cli, ["mt-bench", *words, "--store", str(store.path), "--resamples", "50", *options])


def turns_of(body) -> list[tuple[str, str]]:
    return read_back([(message["role"], message["content"]) for message in body["messages"]])


def rates(reply, values: dict[str, int]) -> Callable[[dict[str, object]], object]:
    return lambda body: reply(text=f"So.\nRating: [[{values.get(turns_of(body)[-1][1], 3)}]]")


def test_each_turn_is_rated_in_its_own_context_beside_its_references(
    answered, server, reply, questions, references
) -> None:
    server.rule = rates(reply, {})
    assert bench(answered, server, questions, "--references", str(references), "--draws", "1") == 0
    asked = {(turn[-1][1], tuple(turn[:-1])) for turn in map(turns_of, server.bodies)}
    line = ("user", "Write a line."), ("assistant", "A line."), ("user", "Make it rhyme.")
    assert ("A line.", line[:1]) in asked
    assert ("A fine line.", line) in asked
    first = ("user", "What is 2 + 2? ".strip()), ("reference", "4")
    assert ("5", first) in asked
    assert (
        "10",
        (first[0], ("assistant", "5"), ("user", "And twice that?"), ("reference", "4"), ("reference", "8")),
    ) in asked
    assert any(("reference", "print(2)") in context for said, context in asked if said == "print 2")
    assert len(server.bodies) == 9  # the line that both models wrote is asked about once


def test_the_median_of_three_draws_counts_and_models_are_ranked(
    answered, server, reply, questions, capsys
) -> None:
    ratings = {"A line.": 6, "A fine line.": 9, "4": 10, "8": 10, "No.": 1, "5": 2, "10": 2}
    seen: set[str] = set()

    def rule(body):
        said = turns_of(body)[-1][1]
        is_first_draw = said not in seen
        seen.add(said)
        return reply(text=f"So.\nRating: [[{1 if is_first_draw else ratings.get(said, 3)}]]")

    server.rule = rule
    assert bench(answered, server, questions, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["requested"], result["done"], result["questions"], result["draws"]) == (27, 27, 3, 3)
    good, bad = result["models"]
    assert (good["model"], good["questions"], good["unrated"]) == ("good", 2, 0)
    assert (good["turn_1"]["value"], good["turn_2"]["value"], good["average"]["value"]) == (8.0, 9.5, 8.75)
    assert good["categories"] == {"math": 10.0, "writing": 7.5}
    assert bad["average"]["value"] == pytest.approx((6 + 1 + 2 + 2 + 3 + 3) / 6)
    assert bad["average"]["low"] <= bad["average"]["value"] <= bad["average"]["high"]
    with answered.read() as reading:
        stored = reading.rows("SELECT template, count(*) FROM ratings GROUP BY ALL ORDER BY ALL")
    assert stored == [("mt-bench-reference/1", 12), ("mt-bench/1", 15)]
    assert bench(answered, server, questions, "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["reused"], again["models"]) == (27, result["models"])
    assert len(server.bodies) == 27


def test_a_turn_without_a_rating_in_every_draw_is_in_no_mean(
    answered, server, reply, questions, capsys
) -> None:
    server.rule = lambda body: reply(text="So.\nRating: [[7]]" if turns_of(body)[-1][1] != "8" else "Hm.")
    assert bench(answered, server, questions, "--policies", "good", "--max-unparsed", "1") == 0
    shown = capsys.readouterr().out
    assert "12 ratings: 0 reused, 9 done, 3 unparsed" in shown
    assert shown.splitlines()[-1].split() == ["good", "7.00", "7.00", "7.00", "7.00", "7.00", "2", "1"]


def test_a_dry_run_asks_nothing_and_says_what_is_missing(answered, server, questions, capsys) -> None:
    assert bench(answered, server, questions, "--dry-run") == 0
    shown = capsys.readouterr()
    assert "27 ratings, 0 of them given already: 27 calls" in shown.out
    assert "without the reference answer they ought to have: 1" in shown.err
    assert server.bodies == []


def test_canaries_are_asked_with_the_protocols_own_words(answered, server, reply, questions, capsys) -> None:
    server.rule = rates(reply, {})
    assert bench(answered, server, questions, "--canaries", "2", "--draws", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["canaries"]["asked"] == 2
    with answered.read() as reading:
        assert reading.rows("SELECT DISTINCT template FROM canaries") == [("mt-bench/1",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no question"),
        ("{", ":1: no JSON"),
        ("[]", "no object with a question_id"),
        ('{"question_id": 1, "turns": ["One."]}', "has not two turns"),
        ('{"question_id": 1, "turns": ["One.", 2]}', "has not two turns"),
    ],
)
def test_a_file_that_holds_no_questions_is_refused_by_its_line(tmp_path, text, message) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        read_questions(path)


def test_a_store_without_answers_and_a_misspelt_model_say_so(
    store, answered, server, questions, capsys
) -> None:
    assert bench(store, server, questions) == 2
    assert "holds no answer to both turns" in capsys.readouterr().err
    assert bench(answered, server, questions, "--policies", "goot") == 2
    assert "did you mean 'good'" in capsys.readouterr().err


def test_sampled_turns_count_where_one_policy_drew_both(answered, server, reply, questions, capsys) -> None:
    with answered.read() as reading:
        drawn = reading.rows(
            "SELECT CAST(parent_id AS VARCHAR), CAST(message_id AS VARCHAR) FROM messages"
            " WHERE content IN ('A line.', 'No.', '5', '10')"
        )
    rows = [
        {
            "prompt_id": prompt,
            "response_id": response,
            "sample_index": 0,
            "policy": "drawn" if number else "drawn-first",
            "sampling": "{}",
            "finish_reason": "stop",
        }
        for number, (prompt, response) in enumerate(drawn)
    ]
    with answered.write() as writing:
        writing.append("samples", rows)
    server.rule = rates(reply, {})
    assert bench(answered, server, questions, "--draws", "1", "--json") == 0
    models = {one["model"]: one["questions"] for one in json.loads(capsys.readouterr().out)["models"]}
    assert models["drawn"] == 1
    assert "drawn-first" not in models


def test_scores_rest_on_the_template_that_the_question_asks_for() -> None:
    question = BenchQuestion("1", "math", ("a", "b"), ("x", "y"))
    answer = BenchAnswer("m", question, "first", "second")
    medians = {("first", MT_BENCH_REFERENCE.template): 8.0, ("second", MT_BENCH.template): 1.0}
    (score,) = scores_of([answer], medians, Resampling(10))
    assert (score.turn_1.value, score.turn_2.value, score.average.value, score.unrated) == (8.0, None, 8.0, 1)


def real_files(shared_data: Path) -> tuple[list[dict], dict[str, list[str]], Path]:
    """GPT-4's single judgments, the answers they are about by question, and the folder of the questions."""
    inner = Path("fastchat") / "llm_judge" / "data" / "mt_bench"
    folder = shared_data / "preferences" / "mtbench_judgments" / inner
    with gzip.open(folder / "model_judgment" / "gpt-4_single.jsonl.gz", "rt") as lines:
        judged = [json.loads(line) for line in lines]
    records = map(json.loads, (folder / "model_answer" / "phi-3-dpo.jsonl").read_text().splitlines())
    answers = {str(one["question_id"]): one["choices"][0]["turns"] for one in records}
    return judged, answers, shared_data / "conversations" / "fastchat" / inner


@pytest.mark.data
def test_real_gpt4_judgments_come_out_as_their_authors_scores(bench_of, shared_data, capsys) -> None:
    judged, answers, folder = real_files(shared_data)
    said_of = {(str(one["question_id"]), one["turn"]): one["judgment"] for one in judged}
    turns, by_answer = [], {}
    for question in read_questions(folder / "question.jsonl"):
        (one, two), (first, second) = question.turns, answers[question.question_id]
        turns.append([("user", one), ("assistant", first), ("user", two), ("assistant", second)])
        by_answer[one, first] = said_of[question.question_id, 1]
        by_answer[one, second] = said_of[question.question_id, 2]
    references = folder / "reference_answer" / "gpt-4.jsonl"
    options = ("--references", str(references), "--draws", "1", "--max-unparsed", "1", "--json")
    store = bench_of([("phi-3-dpo", said) for said in turns], by_answer, folder / "question.jsonl", *options)
    (model,) = json.loads(capsys.readouterr().out)["models"]
    for turn in (1, 2):
        scores = [one["score"] for one in judged if one["turn"] == turn]
        assert model[f"turn_{turn}"]["value"] == pytest.approx(sum(scores) / len(scores))
    assert (model["unrated"], model["questions"], model["average"]["value"]) == (0, 50, pytest.approx(8.4))
    with store.read() as reading:
        (count,) = reading.rows("SELECT count(*) FROM ratings WHERE template = 'mt-bench-reference/1'")
    assert count == (sum("math" in one["judge"][1] for one in judged),)


@pytest.fixture
def bench_of(tmp_path, write, server, reply):
    """Judges a store of these conversations by what was said of (first question, answer)."""

    def run(conversations, by_answer, questions, *options: str):
        def rule(body):
            shown = turns_of(body)
            return reply(text=by_answer[shown[0][1], shown[-1][1]])

        server.rule = rule
        store = write(tmp_path / "real.duckdb", conversations)
        assert bench(store, server, questions, *options) == 0
        return store

    return run
