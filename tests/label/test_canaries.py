"""Canaries: known answers that a judge is asked beside the real ones, kept and counted apart."""

import json
from collections import Counter

import pytest

from label.cli import cli
from label.comparing.comparison_job import CompareSettings
from label.judging.canaries import BAD, canaries
from label.judging.judge import forecast as judge_forecast
from label.judging.rating_job import JudgeSettings
from label.judging.render import read_back
from label.offline_world import rate
from store.console import run_command
from store.verify import verify


@pytest.fixture
def pairs(tmp_path, write):
    return write(
        tmp_path / "s.duckdb",
        [
            (model, [("user", "Q"), ("assistant", text)])
            for model, text in (("p-one", "One."), ("p-two", "Two."))
        ],
    )


def rows(store, sql: str) -> list[tuple]:
    with store.read() as reading:
        return reading.rows(sql)


def shown(body) -> list[tuple[str, str]]:
    return read_back([(message["role"], message["content"]) for message in body["messages"]])


def run(store, server, command, *options: str) -> int:
    model = ["--model", "a-judge", "--base-url", server.url, "--max-unparsed", "1"]
    return run_command(cli, [command, *model, "--store", str(store.path), *options])


def adds_up(text: str) -> bool:
    words = text.rstrip(".").split()
    return len(words) == 5 and words[1] == "plus" and int(words[0]) + int(words[2]) == int(words[4])


def reading_judge(reply):
    """A judge that reads: right sums win and are rated 9, everything else ties and is rated 2."""

    def rule(body):
        *_, (_, first), (_, second) = [("", ""), *shown(body)]
        if '"verdict"' in body["messages"][0]["content"]:
            label = {(True, False): "a-is-better", (False, True): "b-is-better"}
            said = label.get((adds_up(first), adds_up(second)), "tie")
            return reply(text=json.dumps({"analysis": "By the sum.", "verdict": said}))
        return reply(text=f"Read.\nRating: [[{9 if adds_up(second) else 2}]]")

    return rule


def test_canaries_have_a_right_answer_in_either_slot_and_every_fault() -> None:
    drawn = canaries(10, "seed", "sums")
    assert drawn == canaries(10, "seed", "sums") != canaries(10, "another", "sums")
    assert Counter(one.name for one in drawn) == dict.fromkeys(BAD, 2)
    assert Counter(one.is_right_first for one in drawn) == {True: 5, False: 5}
    assert all(adds_up(one.right) and not adds_up(one.bad) for one in drawn)


def test_the_offline_judge_gets_canaries_of_its_own_world() -> None:
    for one in canaries(10, "seed", "world"):
        turns = [("user", one.question)]
        assert rate(turns, one.right)[0] > 5 > rate(turns, one.bad)[0]


def test_a_judge_that_reads_passes_and_nothing_of_it_is_a_label(pairs, server, reply, capsys) -> None:
    server.rule = reading_judge(reply)
    assert run(pairs, server, "compare", "--canaries", "5", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["canaries"] == {"asked": 5, "passed": 5, "failed": []}
    assert (result["requested"], result["done"], result["states"]["tie"]) == (1, 1, 1)
    assert len(server.bodies) == 7
    assert rows(pairs, "SELECT count(*) FROM comparisons") == [(2,)]
    assert rows(pairs, "SELECT count(*), count(DISTINCT canary), bool_and(is_passed) FROM canaries") == [
        (5, 5, True)
    ]
    assert rows(pairs, "SELECT count(*) FROM messages WHERE content LIKE '%plus%'") == [(0,)]
    assert "canary_completion" not in verify(pairs).problems


def test_the_same_command_again_meets_no_canary(pairs, server, reply) -> None:
    server.rule = reading_judge(reply)
    for _ in range(2):
        assert run(pairs, server, "compare") == 0
    assert len(server.bodies) == 6
    assert rows(pairs, "SELECT count(*) FROM canaries") == [(4,)]


def test_on_one_day_they_are_paid_for_once(pairs, server, reply) -> None:
    server.rule = reading_judge(reply)
    assert run(pairs, server, "compare", "--orders", "hashed") == 0
    assert run(pairs, server, "compare") == 0
    assert len(server.bodies) == 6
    assert rows(pairs, "SELECT count(*), count(DISTINCT request_key) FROM canaries") == [(8, 4)]


@pytest.mark.parametrize("verdict", ["a-is-better", "tie", "neither"])
def test_a_judge_that_follows_the_slot_or_takes_no_side_fails(pairs, server, reply, capsys, verdict) -> None:
    server.rule = lambda _body: reply(text=json.dumps({"analysis": "First.", "verdict": verdict}))
    assert run(pairs, server, "compare", "--canaries", "6") == 0
    passed = 3 if verdict == "a-is-better" else 0
    assert f"canaries passed {passed} of 6 (failed: " in capsys.readouterr().out


def test_a_gate_stops_the_run_before_anything_real_is_asked(pairs, server, reply, capsys) -> None:
    server.rule = lambda _body: reply(text=json.dumps({"analysis": "First.", "verdict": "a-is-better"}))
    assert run(pairs, server, "compare", "--min-canaries", "0.75", "--json") == 1
    said = capsys.readouterr()
    assert "below --min-canaries 0.75; nothing else was asked" in said.err
    assert json.loads(said.out)["canaries"]["passed"] == 2
    assert len(server.bodies) == 4
    assert rows(pairs, "SELECT count(*) FROM comparisons") == [(0,)]
    server.rule = reading_judge(reply)
    assert run(pairs, server, "compare", "--min-canaries", "0.5") == 0


def test_ratings_have_canaries_too_right_answers_above_the_middle(pairs, server, reply, capsys) -> None:
    server.rule = reading_judge(reply)
    assert run(pairs, server, "judge", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["canaries"] == {"asked": 4, "passed": 4, "failed": []}
    assert (result["requested"], result["done"]) == (2, 2)
    assert rows(pairs, "SELECT count(*) FROM ratings") == [(2,)]
    assert (
        rows(pairs, "SELECT expected, given FROM canaries ORDER BY ALL")
        == [("high", "9")] * 2 + [("low", "2")] * 2
    )
    server.rule = lambda _body: reply(text="Fine.\nRating: [[4]]")
    assert (
        run(pairs, server, "judge", "--labeler", "kind", "--aspects", "helpsteer", "--min-canaries", "0.9")
        == 1
    )
    assert "canaries passed 4 of 8 (failed: " in capsys.readouterr().err


def test_a_dry_run_foretells_them(pairs, server, capsys) -> None:
    assert run(pairs, server, "compare", "--dry-run") == 0
    assert "2 calls, and 4 canaries" in capsys.readouterr().out
    assert run(pairs, server, "judge", "--dry-run", "--canaries", "0") == 0
    assert "canaries" not in capsys.readouterr().out
    assert (CompareSettings().canaries, JudgeSettings().canaries) == (0, 0)
    assert judge_forecast.__doc__


def test_a_provider_that_stops_at_a_canary_stops_the_run(pairs, server, reply, capsys) -> None:
    server.rule = lambda _body: reply(401, {"error": {"message": "bad key"}})
    assert run(pairs, server, "compare") == 3
    assert "1 not done" in capsys.readouterr().out


def test_the_bias_report_tells_of_canaries_and_has_a_gate(pairs, server, reply, capsys) -> None:
    server.rule = lambda _body: reply(text=json.dumps({"analysis": "First.", "verdict": "a-is-better"}))
    assert run(pairs, server, "compare") == 0
    assert "canaries passed 2 of 4" in capsys.readouterr().out.splitlines()[-2]
    command = ["bias", "--store", str(pairs.path), "--resamples", "10"]
    assert run_command(cli, [*command, "--min-canaries", "0.9"]) == 1
    said = capsys.readouterr()
    assert "canaries passed 2 of 4" in said.out
    assert "a-judge has a canary_pass_rate of 0.5000, below --min-canaries 0.9" in said.err
    assert run_command(cli, [*command, "--min-canaries", "0.5"]) == 0


def test_when_the_budget_ends_among_canaries_what_was_answered_is_kept(pairs, server, reply, capsys) -> None:
    server.rule = reading_judge(reply)
    price = ("--price-in", "0", "--price-out", "1000", "--concurrency", "1")  # $0.02 a reply, $2.048 at most
    assert run(pairs, server, "compare", *price, "--max-cost", "2.08") == 3
    assert "--max-cost" in capsys.readouterr().err
    assert len(server.bodies) == 2
    assert rows(pairs, "SELECT (SELECT count(*) FROM completions), count(*) FROM canaries") == [(2, 2)]
    assert run(pairs, server, "compare", *price) == 0
    assert len(server.bodies) == 6
