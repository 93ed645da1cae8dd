"""Policies on MT-bench: the second question under their own first answer, both turns rated by a judge's server."""

import contextlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from label.cli import cli as label
from label.judging.render import read_back
from store.console import run_command
from store.db import Store
from store.errors import RequestError
from tests.label.conftest import Answer, JudgeServer
from tests.train.conftest import conversation_rows
from train.cli import cli as train
from train.evaluating.mt_bench import MtBenchSettings, commands_of, evaluate_mt_bench
from train.evaluating.policy import contestants_of

QUESTIONS = [
    {"question_id": 1, "category": "writing", "turns": ["Write a line.", "Make it rhyme."]},
    {"question_id": 2, "category": "math", "turns": ["What is 2 + 2? ", "And twice that?"]},
]


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    """Rates what follows one user turn 4 and what follows two 8."""

    def rule(body: dict[str, Any]) -> Answer:
        said = read_back([(message["role"], message["content"]) for message in body["messages"]])
        users = sum(role == "user" for role, _ in said)
        return Answer(text=f"So.\nRating: [[{4 * users}]]")

    server = JudgeServer()
    server.rule = rule
    yield server
    server.close()


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "question.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in QUESTIONS), encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """An empty store."""
    path = tmp_path / "store.duckdb"
    with Store(path).write():
        pass
    return path


@pytest.fixture(scope="session")
def policy(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy with random weights."""
    torch = pytest.importorskip("torch", reason="policies are sampled with the extra local")
    from transformers import AutoConfig, AutoModelForCausalLM

    from store.chat_format import ChatFormat

    chat = ChatFormat.load(model_dir, "openchat")
    chat.tokenizer.chat_template = chat.template.text
    folder = tmp_path_factory.mktemp("policy")
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(model_dir)
    config.vocab_size = len(chat.tokenizer)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    chat.tokenizer.save_pretrained(folder)
    return folder


ran: list[Sequence[str]] = []


def run_here(words: Sequence[str]) -> Mapping[str, Any]:
    """Run one of our commands in this process and read its JSON."""
    ran.append(words)
    printed = io.StringIO()
    more = ["--canaries", "0", "--resamples", "20"] if words[1] == "mt-bench" else []
    with contextlib.redirect_stdout(printed):
        code = run_command(label, [*words[1:], *more])
    assert code == 0, words
    outcome: Mapping[str, Any] = json.loads(printed.getvalue())
    return outcome


def test_both_turns_are_answered_in_turn_and_rated(
    store: Path, questions: Path, policy: Path, judge: JudgeServer
) -> None:
    contestants = contestants_of([f"p={policy}"], ["GPT4", "GPT3"])
    settings = MtBenchSettings(
        store, contestants, questions, "a-judge", base_urls=[judge.url], draws=1, max_new_tokens=6
    )
    ran.clear()
    found = evaluate_mt_bench(settings, run_here)
    drawn = [words for words in ran if words[1] == "sample"]
    temperatures = [words[words.index("--temperature") + 1] for words in drawn]
    assert temperatures == ["0.0", "0.7"] * 4  # two categories, two policies, two turns
    for one, condition in zip(
        sorted(found["policies"], key=lambda one: one["policy"]), ("GPT3", "GPT4"), strict=True
    ):
        assert (one["policy"], one["condition"]) == (f"p as {condition}", condition)
        assert (one["turn_1"]["value"], one["turn_2"]["value"], one["average"]["value"]) == (4.0, 8.0, 6.0)
        assert one["by_turn"] == {"math": [4.0, 8.0], "writing": [4.0, 8.0]}
        assert (one["questions"], one["unrated"]) == (2, 0)
    with Store(store).read() as reading:
        seconds = reading.rows(
            "SELECT DISTINCT questions.content, samples.policy = first_draws.policy FROM samples"
            " JOIN messages AS questions ON questions.message_id = samples.prompt_id"
            " JOIN samples AS first_draws ON first_draws.response_id = questions.parent_id"
            " WHERE questions.depth = 2 ORDER BY ALL"
        )
    assert {text for text, _ in seconds} == {"Make it rhyme.", "And twice that?"}
    assert all(is_own for _, is_own in seconds)


def test_the_same_again_draws_and_asks_nothing(
    store: Path, questions: Path, policy: Path, judge: JudgeServer
) -> None:
    contestants = contestants_of([f"p={policy}"], [])
    common = {"base_urls": [judge.url], "draws": 1, "max_new_tokens": 6, "temperature": 1.0}
    settings = MtBenchSettings(store, contestants, questions, "a-judge", **common)
    first = evaluate_mt_bench(settings, run_here)
    with Store(store).read() as reading:
        before = reading.rows("SELECT (SELECT count(*) FROM samples), (SELECT count(*) FROM selections)")
    asked = len(judge.bodies)
    again = evaluate_mt_bench(settings, run_here)
    with Store(store).read() as reading:
        assert (
            reading.rows("SELECT (SELECT count(*) FROM samples), (SELECT count(*) FROM selections)") == before
        )
    assert len(judge.bodies) == asked == 4
    assert again["policies"] == first["policies"]


def test_answers_that_are_there_are_rated_without_a_model(
    store: Path, questions: Path, judge: JudgeServer
) -> None:
    first, second = QUESTIONS[0]["turns"]
    turns = [("user", first), ("assistant", "A line."), ("user", second), ("assistant", "Fine.")]
    messages, conversation = conversation_rows(0, turns, "theirs")
    with Store(store).write() as writing:
        writing.append("messages", messages)
        writing.append("conversations", [conversation])
    settings = MtBenchSettings(
        store, contestants_of(["theirs"], []), questions, "j", base_urls=[judge.url], draws=1
    )
    [one] = evaluate_mt_bench(settings, run_here)["policies"]
    assert (one["policy"], one["condition"], one["by_turn"]) == ("theirs", None, {"writing": [4.0, 8.0]})


def test_a_first_turn_without_an_answer_has_no_second_one(
    store: Path, questions: Path, policy: Path, judge: JudgeServer
) -> None:
    long = {"question_id": 3, "category": "stem", "turns": ["Why? " * 300, "And why not?"]}
    with questions.open("a", encoding="utf-8") as file:
        file.write(json.dumps(long) + "\n")

    def run_on(words: Sequence[str]) -> Mapping[str, Any]:
        # the prompt is longer than the policy's context, and its command says so
        return {} if "temperature 0.1" in words else run_here(words)

    settings = MtBenchSettings(
        store,
        contestants_of([f"p={policy}"], []),
        questions,
        "a-judge",
        base_urls=[judge.url],
        draws=1,
        max_new_tokens=6,
    )
    ran.clear()
    [one] = evaluate_mt_bench(settings, run_on)["policies"]
    assert one["questions"] == 2
    assert sum(words[1] == "sample" for words in ran) == 4, "no second turn at the temperature of the third"
    silent = replace(settings, contestants=contestants_of([f"q={policy}"], []))
    with pytest.raises(RequestError, match="q answered no first turn"):
        evaluate_mt_bench(silent, lambda _words: {})


def test_a_dry_run_prints_every_command(
    store: Path, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "evaluate",
        "mt-bench",
        "--policy",
        "a=vllm:models/a",
        "--questions",
        str(questions),
        "--judge",
        "gpt-4",
    ]
    assert run_command(train, [*asked, "--dry-run", "--json", "--store", str(store)]) == 0
    commands = json.loads(capsys.readouterr().out)["commands"]
    assert [line.split()[1] for line in commands] == ["sample"] * 4 + ["mt-bench"]
    settings = MtBenchSettings(store, contestants_of(["a=vllm:models/a"], []), questions, "gpt-4")
    assert len([*commands_of(settings)]) == 5
