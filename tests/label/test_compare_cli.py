"""What `label compare` prints and how it ends."""

import json

import pytest

from label.cli import cli
from label.comparing.scales import SCALES
from label.judging.render import read_back
from store.console import run_command


@pytest.fixture
def pairs(tmp_path, write):
    return write(
        tmp_path / "pairs.duckdb",
        [
            (model, [("user", f"Question {number}"), ("assistant", text)])
            for number in range(4)
            for model, text in (("gpt-4", "A long answer."), ("gpt-3.5-turbo", f"No {number}."))
        ],
    )


@pytest.fixture
def judge(server, reply):
    def rule(body):
        messages = [(message["role"], message["content"]) for message in body["messages"]]
        *_, (_, first), (_, second) = read_back(messages)
        scale = next(scale for scale in SCALES.values() if scale.in_words() in messages[0][1])
        label = scale.names[0] if len(first) > len(second) else scale.names[-1]
        return reply(text=json.dumps({"analysis": "By length.", "verdict": label}))

    server.rule = rule
    return server


def compare(store, server, *options: str) -> int:
    model = ["--model", "a-judge", "--base-url", server.url, "--canaries", "0"]
    return run_command(cli, ["compare", *model, "--store", str(store.path), *options])


def test_compare_prints_counts_that_add_up(pairs, judge, capsys) -> None:
    options = ("--price", "1", "--scale", "xwin4", "--parts", "train=0.5,validation=0.5", "--json")
    assert compare(pairs, judge, *options) == 0
    result = json.loads(capsys.readouterr().out)
    names = ("reused", "done", "unparsed", "refused", "blocked", "failed")
    assert result["requested"] == sum(result[name] for name in names) == 4
    assert sum(result["states"].values()) == 4
    assert result["states"]["win"] == 4
    assert result["cost_usd"] == pytest.approx(8 * 120 / 1e6)
    assert result["split"] == {"train": 0.5, "validation": 0.5}
    assert sum(part["pairs"] for part in result["parts"]) == 4
    assert sum(part["strengths"]["significantly better"] for part in result["parts"]) == 4
    assert (result["scale"], result["template"], result["orders"]) == ("xwin4", "pair-reference/1", "both")
    assert (result["conflict_rate"], result["identical"], result["schema_version"]) == (0.0, 0, 1)


def test_compare_tells_people_how_strong_the_verdicts_are(pairs, judge, capsys) -> None:
    assert compare(pairs, judge, "--policies", "gpt-4, gpt-3.5-turbo") == 0
    shown = capsys.readouterr().out
    assert "4 pairs: 0 reused, 4 done" in shown
    assert "contradict each other in 0.0% of 4 pairs" in shown
    assert "clearly better   4 (100.0%)" in shown
    assert "order: flip rate 0.000" in shown
    assert "verdicts: 4 win" in shown


def test_a_dry_run_prints_calls_tokens_and_cost(pairs, judge, capsys) -> None:
    assert compare(pairs, judge, "--dry-run", "--price-in", "3", "--price-out", "9") == 0
    shown = capsys.readouterr().out
    assert "4 pairs, 0 of them judged already and 0 identical: 8 calls" in shown
    assert "$3 in, $9 out per million tokens, given" in shown
    assert compare(pairs, judge, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["calls"] == 8
    assert judge.bodies == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scale", "xwin"), "no scale named 'xwin'; did you mean 'xwin4'?"),
        (("--scale", "logprob", "--template", "pair-plain/1"), "goes with --template pair-label/1"),
        (("--template", "pair-label/1"), "goes with --scale logprob"),
        (("--template", "pair-plain"), "did you mean 'pair-plain/1'?"),
        (("--parts", "train=0.5"), "is no split"),
        (("--policies", "gpt-4"), "no prompt has two answers to compare"),
        (("--against", "gpt-5"), "no policy named 'gpt-5'; did you mean 'gpt-4'?"),
        (("--temperature", "hot"), "--temperature is a number"),
    ],
)
def test_a_request_that_makes_no_sense_is_one_line_and_exit_2(pairs, judge, capsys, options, message) -> None:
    assert compare(pairs, judge, *options) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert judge.bodies == []


def test_a_judge_that_follows_the_slot_fails_the_gate(pairs, server, reply, capsys) -> None:
    server.rule = lambda _body: reply(text='{"analysis": "First.", "verdict": "a-is-better"}')
    assert compare(pairs, server, "--max-flip-rate", "0.2", "--json") == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["conflict_rate"] == 1.0
    assert "contradict each other in 1.0000 of pairs, above --max-flip-rate 0.2" in shown.err
    assert compare(pairs, server, "--max-flip-rate", "1") == 0
    assert compare(pairs, server, "--max-flip-rate", "1", "--orders", "hashed") == 1
    assert "nothing to go by" in capsys.readouterr().err


@pytest.fixture
def drawn(tmp_path, write):
    """Sixty prompts with two draws of one policy each, one of them longer by one to four letters."""
    turns = [
        ("other", [("user", f"Question {number}"), ("assistant", text)])
        for number in range(60)
        for text in ("a", "b" * (2 + number % 4))
    ]
    store = write(tmp_path / "drawn.duckdb", turns)
    with store.read() as reading:
        pairs = reading.rows(
            "SELECT CAST(parent_id AS VARCHAR), CAST(message_id AS VARCHAR), content FROM messages"
            " WHERE role = 'assistant' ORDER BY ALL"
        )
    rows = [
        {
            "prompt_id": prompt,
            "response_id": response,
            "sample_index": int(text == "a"),
            "policy": "sft-70b",
            "sampling": "{}",
            "finish_reason": "stop",
        }
        for prompt, response, text in pairs
    ]
    with store.write() as writing:
        writing.append("samples", rows)
    return store


@pytest.fixture
def by_strength(server, reply):
    """A judge that says how much longer the longer response is; the longest ones it calls by the slot."""

    def rule(body):
        messages = [(message["role"], message["content"]) for message in body["messages"]]
        *_, (_, first), (_, second) = read_back(messages)
        names = SCALES["xwin4"].names
        longest = max(len(first), len(second))
        place = 5 - longest
        name = names[0] if longest == 5 else names[place] if len(first) > len(second) else names[-1 - place]
        return reply(text=json.dumps({"analysis": "By length.", "verdict": name}))

    server.rule = rule
    return server


def test_xwin_pair_is_one_command_its_pairs_kept_by_strength_and_part(drawn, by_strength, capsys) -> None:
    words = [
        "--scale",
        "xwin4",
        "--pairs",
        "first-two",
        "--parts",
        "train=0.8,validation=0.2",
        "--name",
        "xp",
    ]
    assert compare(drawn, by_strength, *words) == 0
    shown = capsys.readouterr().out
    assert "kept as xp: " in shown
    with drawn.read() as reading:
        kept = reading.rows(
            "SELECT part, strength, count(*), bool_and(length(c.content) > length(r.content)) FROM selection_pairs"
            " JOIN messages AS c ON c.message_id = chosen_id JOIN messages AS r ON r.message_id = rejected_id"
            " GROUP BY ALL ORDER BY ALL"
        )
        (steps,) = reading.rows("SELECT steps FROM selections")
    assert sum(count for _, _, count, _ in kept) == 45
    assert all(is_longer for *_, is_longer in kept)
    assert {part for part, *_ in kept} == {"train", "validation"}
    totals = {strength: sum(row[2] for row in kept if row[1] == strength) for _, strength, *_ in kept}
    assert totals == {"better": 15, "slightly better": 15, "negligibly better": 15}
    assert json.loads(steps[0])["verdicts"]["dropped"] == {"conflict": 15}
    for part in ("train", "validation"):
        won = sum(count for name, _, count, _ in kept if name == part)
        (line,) = [line for line in shown.splitlines() if line.startswith("slightly better")]
        count = next(
            count for name, strength, count, _ in kept if (name, strength) == (part, "slightly better")
        )
        assert f"{count} ({count / won:.1%})" in line


def test_the_same_command_again_keeps_the_same_selection(drawn, by_strength, capsys) -> None:
    words = ["--scale", "xwin4", "--pairs", "first-two", "--name", "xp", "--json"]
    found = []
    for _ in range(2):
        assert compare(drawn, by_strength, *words) == 0
        found.append(json.loads(capsys.readouterr().out)["selection"])
    assert found[0] == found[1]
    assert found[0]["parts"] == {"all": 45}


def test_a_name_that_cannot_be_kept_is_refused_before_anything_is_asked(drawn, by_strength, capsys) -> None:
    assert compare(drawn, by_strength, "--name", "v3") == 2
    assert "cannot name a selection" in capsys.readouterr().err
    assert by_strength.bodies == []


def test_a_selection_holds_the_pairs_of_its_own_run_only(drawn, by_strength, capsys) -> None:
    assert compare(drawn, by_strength, "--scale", "xwin4", "--pairs", "first-two") == 0
    capsys.readouterr()
    few = ["--scale", "xwin4", "--pairs", "first-two", "--sample", "8", "--name", "few", "--json"]
    assert compare(drawn, by_strength, *few) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["reused"] == 8
    assert result["selection"]["parts"] == {"all": result["states"]["win"]}


def test_when_every_request_failed_the_exit_code_says_so(pairs, server, reply, capsys) -> None:
    server.rule = lambda _body: reply(422, {"error": {"message": "cannot"}})
    assert compare(pairs, server) == 1
    assert "all 4 pairs failed" in capsys.readouterr().err


def test_a_stopped_run_says_how_far_it_came_and_exits_3(pairs, server, reply, capsys) -> None:
    server.script.append(reply(text='{"analysis": "Both.", "verdict": "tie"}'))
    server.script.append(reply(text='{"analysis": "Both.", "verdict": "tie"}'))
    server.rule = lambda _body: reply(401, {"error": {"message": "bad key"}})
    assert compare(pairs, server, "--concurrency", "1", "--json") == 3
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert (result["requested"], result["done"], result["remaining"]) == (4, 1, 3)
    assert shown.err.strip().splitlines()[-1].startswith("error: the provider stopped the run: 401 bad key")


@pytest.mark.data
def test_real_conversations_with_one_prompt_and_several_models_are_compared(
    tmp_path, judge, shared_data, capsys
) -> None:
    from curate.cli import cli as curate
    from store.db import Store

    store = Store(tmp_path / "real.duckdb")
    file = shared_data / "conversations" / "derived" / "sharegpt_labeled_from_outputs.json.gz"
    assert run_command(curate, ["ingest", "sharegpt", str(file), "--store", str(store.path)]) == 0
    capsys.readouterr()
    assert compare(store, judge, "--dry-run", "--json") == 0
    expected = json.loads(capsys.readouterr().out)
    assert (expected["requested"], expected["identical"], expected["calls"]) == (1084, 7, 2154)
    assert (
        compare(store, judge, "--policies", "gpt-4-0314,gpt-3.5-turbo-0125", "--sample", "20", "--json") == 0
    )
    result = json.loads(capsys.readouterr().out)
    assert (result["requested"], result["done"]) == (20, 20)
    assert len(judge.bodies) == 40
