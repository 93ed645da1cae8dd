"""`label reward`: every response once, each number durable, and nothing scored twice."""

import json
import subprocess
import sys
from types import MappingProxyType

import pytest

from label.cli import cli
from label.exchange import Exchange
from label.reward_model import Reward
from label.rewarding.reward import RewardSettings, RewardTally, responses_to_score, score_store
from label.rewarding.scoring_plan import Scope
from store.console import run_command
from store.ids import path_digests, uuid_text
from store.selections import write_selection


class Counting:
    """A reward model that scores by length and remembers what it was asked."""

    name = "by-length"
    revision = "1"
    described = MappingProxyType({})

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: list[Exchange] = []
        self.stop_after = stop_after

    def check(self) -> None:
        pass

    def score(self, exchanges):
        for place, exchange in enumerate(exchanges):
            if self.stop_after is not None and len(self.asked) == self.stop_after:
                raise KeyboardInterrupt
            self.asked.append(exchange)
            yield (
                place,
                Reward("done", float(len(exchange.response)), len(exchange.response), is_truncated=False),
            )

    def close(self) -> None:
        pass


def nothing(_amount: float = 1, /, *, words: str = "") -> None:
    del words


def message_id(turns) -> str:
    return uuid_text(path_digests(turns)[-1])


def add_draws(store, prompt: str, responses: list[str], policy: str = "sft") -> None:
    turns = [("user", prompt)]
    prompt_id = message_id(turns)
    with store.write() as writing:
        known = {row[0] for row in writing.rows("SELECT CAST(message_id AS VARCHAR) FROM messages")}
        wanted = {prompt_id: (None, "user", prompt, 0)}
        wanted |= {
            message_id([*turns, ("assistant", text)]): (prompt_id, "assistant", text, 1) for text in responses
        }
        writing.append(
            "messages",
            [
                {"message_id": one, "parent_id": parent, "role": role, "content": content, "depth": depth}
                for one, (parent, role, content, depth) in wanted.items()
                if one not in known
            ],
        )
        writing.append(
            "samples",
            [
                {
                    "prompt_id": prompt_id,
                    "response_id": message_id([*turns, ("assistant", text)]),
                    "sample_index": index,
                    "policy": policy,
                    "sampling": "{}",
                    "finish_reason": "stop",
                }
                for index, text in enumerate(responses)
            ],
        )


def rewards(store) -> list[tuple]:
    with store.read() as reading:
        return reading.rows(
            "SELECT response_id, reward_model, value, n_tokens, is_truncated, state FROM rewards ORDER BY ALL"
        )


def run(store, model, tally=None, **scope):
    settings = RewardSettings(scope=Scope(**scope))
    plan = responses_to_score(store, model, settings)
    try:
        return score_store(store, model, settings, plan=plan, advance=nothing, tally=tally)
    finally:
        plan.close()


def assert_reconciled(counts) -> None:
    names = ("reused", "done", "unparsed", "refused", "blocked", "failed")
    assert counts["requested"] == sum(counts[name] for name in names)


def test_equal_texts_are_scored_once_and_serve_every_draw(store) -> None:
    add_draws(store, "Name a prime.", ["Seven.", "Two.", "Two.", "Two.", "Three."])
    model = Counting()
    report = run(store, model, policies=("sft",))
    assert sorted(one.response for one in model.asked) == ["Seven.", "Three.", "Two."]
    counts = report.tally.counts()
    assert (counts["requested"], counts["done"], counts["draws"]) == (3, 3, 5)
    assert_reconciled(counts)
    with store.read() as reading:
        served = reading.rows(
            "SELECT count(*) FROM samples JOIN current_rewards USING (prompt_id, response_id) WHERE value IS NOT NULL"
        )
    assert served == [(5,)]


def test_draws_and_answers_of_conversations_are_scored_with_their_history(store) -> None:
    add_draws(store, "Name a prime.", ["Two."])
    model = Counting()
    assert run(store, model).tally.requested == 5
    asked = {one.response: one.prompt for one in model.asked}
    assert asked["1, 2, 3"] == (
        ("user", "Hello"),
        ("assistant", "Hi! How can I help?"),
        ("user", "Sort 3, 1, 2."),
    )
    assert asked["Two."] == asked["Seven."] == (("user", "Name a prime."),)


def test_again_nothing_is_scored_and_a_top_up_scores_only_what_is_new(store) -> None:
    add_draws(store, "Name a prime.", ["Two."])
    run(store, Counting())
    again = Counting()
    report = run(store, again)
    assert (report.tally.reused, again.asked) == (5, [])
    assert_reconciled(report.tally.counts())
    add_draws(store, "Name a prime.", ["Two.", "Eleven."])
    more = Counting()
    run(store, more)
    assert [one.response for one in more.asked] == ["Eleven."]


def test_interrupted_it_keeps_what_was_scored_and_says_what_is_left(store) -> None:
    tally = RewardTally()
    with pytest.raises(KeyboardInterrupt):
        run(store, Counting(stop_after=3), tally)
    assert tally.requested == 4
    assert len(rewards(store)) == tally.fresh.total() == 4 - tally.remaining
    rest = Counting()
    report = run(store, rest)
    assert_reconciled(report.tally.counts())
    assert len(rewards(store)) == 4


def test_the_scope_is_what_the_options_say(store) -> None:
    add_draws(store, "Name a prime.", ["Two."], policy="sft-a")
    add_draws(store, "Name a fruit.", ["Plum.", "Pear."], policy="sft-b")
    prompt = message_id([("user", "Name a fruit.")])
    plum, pear = (message_id([("user", "Name a fruit."), ("assistant", text)]) for text in ("Plum.", "Pear."))
    with store.write() as writing:
        write_selection(
            writing,
            "fruit",
            "prompts",
            f"SELECT CAST('{prompt}' AS UUID) AS prompt_id, NULL AS part",
            settings={},
            steps={},
            run_id=None,
        )
        write_selection(
            writing,
            "pair",
            "pairs",
            f"SELECT CAST('{prompt}' AS UUID) AS prompt_id, CAST('{plum}' AS UUID) AS chosen_id,"
            f" CAST('{pear}' AS UUID) AS rejected_id, NULL AS score_chosen, NULL AS score_rejected, NULL AS score_gap,"
            " NULL AS rank_chosen, NULL AS rank_rejected, NULL AS strength, NULL AS part",
            settings={},
            steps={},
            run_id=None,
        )
        write_selection(
            writing,
            "gpt-3.5",
            "conversations",
            "SELECT conversation_id, NULL AS part FROM conversations WHERE model = 'gpt-3.5-turbo'",
            settings={},
            steps={},
            run_id=None,
        )

    def meant(**scope) -> list[str]:
        model = Counting()
        model.revision = repr(scope)
        run(store, model, **scope)
        return sorted(one.response for one in model.asked)

    assert meant(policies=("sft-a",)) == ["Two."]
    assert meant(policies=("sft-a", "gpt-4")) == ["A long sea inlet between cliffs.", "Seven.", "Two."]
    assert meant(origin="samples") == ["Pear.", "Plum.", "Two."]
    assert meant(selection="fruit") == meant(selection="pair") == ["Pear.", "Plum."]
    assert meant(selection="gpt-3.5") == ["1, 2, 3", "Hi! How can I help?"]
    assert len(meant(sample=1)) < len(meant(sample=5)) == 7
    assert len(meant(limit=2)) == 2


def test_a_failure_is_tried_again_and_a_number_that_is_none_fails(store) -> None:
    class Failing(Counting):
        def score(self, exchanges):
            for place, _ in enumerate(exchanges):
                yield place, Reward("failed", None, 3, is_truncated=False, why="the model's number is nan")

    report = run(store, Failing())
    assert report.tally.counts()["failed"] == 4
    assert report.reasons() == ["4 × the model's number is nan"]
    assert run(store, Counting()).tally.counts()["done"] == 4


START = "import sys; from label.cli import main; sys.argv = ['label', *sys.argv[1:]]; main()"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_only_what_is_missing_is_scored(tmp_path, write, reward_folder) -> None:
    turns = [
        ("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n} " * (n % 40))]) for n in range(1500)
    ]
    store = write(tmp_path / "killed.duckdb", turns)
    arguments = ["reward", "--model", str(reward_folder), "--batch-tokens", "512", "--store", str(store.path)]
    child = subprocess.Popen([sys.executable, "-P", "-c", START, *arguments], stdout=subprocess.DEVNULL)
    journals = tmp_path / "killed.duckdb.d" / "journal"
    while child.poll() is None and not any(path.stat().st_size for path in journals.glob("*.jsonl")):
        try:
            child.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    child.kill()
    assert child.wait() == -9, "finished before it was killed"
    done = subprocess.run(
        [sys.executable, "-P", "-c", START, *arguments, "--json"], capture_output=True, text=True, check=True
    )
    counts = json.loads(done.stdout)
    assert_reconciled(counts)
    assert counts["requested"] == 1500
    assert 0 < counts["reused"] < 1500
    with store.read() as reading:
        assert reading.rows("SELECT count(*), count(DISTINCT response_id), count(value) FROM rewards") == [
            (1500, 1500, 1500)
        ]


def command(store, *options: str) -> int:
    return run_command(cli, ["reward", "--store", str(store.path), *options])


def test_the_command_prints_counts_and_flags_what_was_cut(store, reward_folder, capsys) -> None:
    add_draws(store, "Go on.", ["x" * 600])
    assert command(store, "--model", str(reward_folder)) == 0
    shown = capsys.readouterr().out
    assert (
        "5 responses (1 draws): 0 reused, 5 done, 0 unparsed, 0 refused, 0 blocked, 0 failed; 1 of them cut"
        in shown
    )
    assert "rewards by tiny-rm, revision " in shown
    assert sum(row[4] for row in rewards(store)) == 1
    assert command(store, "--model", str(reward_folder), "--reward-model", "mine", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert_reconciled(result)
    assert (result["reward_model"], result["done"], result["truncated"], result["schema_version"]) == (
        "mine",
        5,
        1,
        1,
    )


def test_a_dry_run_says_how_many_and_writes_nothing(store, reward_folder, capsys) -> None:
    assert command(store, "--model", str(reward_folder), "--dry-run") == 0
    assert "4 responses (0 draws), 0 of them scored already: 4 to score" in capsys.readouterr().out
    assert command(store, "--model", str(reward_folder), "--dry-run", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["described"]["max_length"] == 512
    assert rewards(store) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "nowhere"], "nowhere holds no model"),
        (["--model", "offline", "--policy", "gpt4"], "did you mean 'gpt-4'"),
        (["--model", "offline", "--source", "chats"], "no source named 'chats'"),
        (["--model", "offline", "--selection", "best"], "no selection named 'best'"),
        (["--model", "offline", "--from", "samples"], "no response is meant by these options"),
        (["--model", "offline", "--max-length", "9"], "is one rule"),
    ],
)
def test_what_makes_no_sense_is_refused(store, capsys, options, message) -> None:
    assert command(store, *options) == 2
    assert message in capsys.readouterr().err
    with store.read() as reading:
        assert reading.rows("SELECT count(*) FROM runs") == [(0,)]


def test_the_stand_in_scores_the_example_world(tmp_path, write, capsys) -> None:
    ask = ("user", "What colour is the marlo?")
    store = write(
        tmp_path / "world.duckdb",
        [
            ("gpt-4", [ask, ("assistant", "The marlo is amber.")]),
            ("gpt-3.5-turbo", [ask, ("assistant", "Red.")]),
            ("gpt-4", [("user", "Who are you?"), ("assistant", "A model.")]),
        ],
    )
    assert command(store, "--model", "offline", "--json") == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert (result["done"], result["refused"], result["reward_model"]) == (2, 1, "offline")
    assert "no reward: 1 × the offline reward model has no rule" in captured.err
    assert command(store, "--model", "offline", "--json") == 0
    assert json.loads(capsys.readouterr().out)["reused"] == 2
