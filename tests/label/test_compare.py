"""`label compare` against a real HTTP server."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from itertools import product

import pytest

from label.chat import open_chat_model
from label.comparing.compare import CompareReport, compare_store, forecast
from label.comparing.comparison_job import CompareSettings, template_for
from label.comparing.pairing import Pairing, Split
from label.comparing.scales import SCALES, Scale
from label.comparing.stored_verdicts import load_verdicts, merge_orders
from label.engine.prices import price_of
from label.judging.render import read_back
from store.config import Limits, Price
from store.db import Store
from store.errors import BadReply, BudgetReached, ProviderStopped
from store.ids import uuid_text

STATES = ("win", "weak", "tie", "conflict", "unparsed", "refused", "blocked", "error")


class JumpClock:
    """A clock whose sleeps pass at once."""

    now = 0.0

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def advance(amount: float = 1, *, words: str = "") -> None:
    """No progress bar."""


def responses_of(body: dict) -> tuple[str, str]:
    """The two responses a request shows, A first."""
    messages = [(message["role"], message["content"]) for message in body["messages"]]
    *_, (_, first), (_, second) = read_back(messages)
    return first, second


def scale_of_request(body: dict) -> Scale:
    system = body["messages"][0]["content"]
    return next(scale for scale in SCALES.values() if scale.in_words() in system)


def verdict(label: str) -> str:
    return json.dumps({"analysis": "One is better.", "verdict": label})


def longer_wins(body: dict) -> str:
    """The judge of these tests: the longer response is as much better as can be said, equal lengths tie."""
    first, second = responses_of(body)
    scale = scale_of_request(body)
    if len(first) == len(second):
        return scale.tie or scale.names[0]
    return scale.names[0] if len(first) > len(second) else scale.names[-1]


@pytest.fixture
def judge(server, reply):
    """The server, judging by length."""
    server.rule = lambda body: reply(text=verdict(longer_wins(body)))
    return server


ANSWERS = (("Question 0", "A", "AAAA"), ("Question 1", "BBB", "B"), ("Question 2", "CC", "cc"))


@pytest.fixture
def pairs(tmp_path, write) -> Store:
    return write(tmp_path / "pairs.duckdb", conversations(ANSWERS))


def conversations(answers) -> list:
    return [
        (model, [("user", prompt), ("assistant", text)])
        for prompt, *texts in answers
        for model, text in zip(("gpt-4", "gpt-3.5-turbo"), texts, strict=True)
    ]


def run_compare(store, server, *, model="a-judge", price=None, **settings) -> CompareReport:
    settings.setdefault("limits", Limits(concurrency=4))
    opened = open_chat_model(model, server.url)
    tag = price_of(model, server.url, price)
    return compare_store(store, opened, tag, CompareSettings(**settings), advance=advance, clock=JumpClock())


def rows(store, sql: str) -> list[tuple]:
    with store.read() as reading:
        return reading.rows(sql)


def states(report: CompareReport) -> dict[str, int]:
    counts = report.tally.counts()
    names = ("reused", "done", "unparsed", "refused", "blocked", "failed")
    assert counts["requested"] == sum(counts[name] for name in names) == sum(counts["states"].values())
    return {name: counts[name] for name in names if counts[name]}


def found(report: CompareReport) -> dict[str, int]:
    return {state: count for state, count in report.tally.states.items() if count}


def test_each_pair_is_asked_in_both_orders_and_stored_as_it_was_shown(pairs, judge) -> None:
    report = run_compare(pairs, judge)
    assert states(report) == {"done": 3}
    assert found(report) == {"win": 2, "tie": 1}
    assert sorted(map(responses_of, judge.bodies)) == sorted(
        [("A", "AAAA"), ("AAAA", "A"), ("B", "BBB"), ("BBB", "B"), ("CC", "cc"), ("cc", "CC")]
    )
    stored = rows(
        pairs,
        "SELECT a.content, b.content, native_label, signed_margin, state, explanation, policy_a, policy_b"
        " FROM comparisons"
        " JOIN messages a ON a.message_id = response_a_id JOIN messages b ON b.message_id = response_b_id",
    )
    assert len(stored) == 6
    assert ("A", "AAAA", "b-is-better", -1.0, "win", "One is better.", "gpt-4", "gpt-3.5-turbo") in stored
    assert ("AAAA", "A", "a-is-better", 1.0, "win", "One is better.", "gpt-3.5-turbo", "gpt-4") in stored
    assert ("CC", "cc", "tie", 0.0, "tie", "One is better.", "gpt-4", "gpt-3.5-turbo") in stored
    constant = rows(
        pairs,
        "SELECT DISTINCT labeler, labeler_kind, template, scale, draw_index, parser_version FROM comparisons",
    )
    assert constant == [("a-judge", "judge", "pair-reference/1", "camels5", 0, "verdict/1")]


def test_the_merged_view_names_the_chosen_response(pairs, judge) -> None:
    run_compare(pairs, judge)
    merged = rows(
        pairs,
        "SELECT chosen.content, rejected.content, state, abs(signed_margin), n_orders FROM merged_comparisons"
        " LEFT JOIN messages chosen ON chosen.message_id = chosen_id"
        " LEFT JOIN messages rejected ON rejected.message_id = rejected_id ORDER BY ALL NULLS LAST",
    )
    assert merged == [("AAAA", "A", "win", 1.0, 2), ("BBB", "B", "win", 1.0, 2), (None, None, "tie", 0.0, 2)]


def test_a_judge_that_always_prefers_the_first_slot_makes_conflicts_only(pairs, server, reply) -> None:
    server.rule = lambda _body: reply(text=verdict("a-is-better"))
    report = run_compare(pairs, server)
    assert found(report) == {"conflict": 3}
    assert report.tally.conflict_rate == 1.0
    assert rows(pairs, "SELECT DISTINCT state, signed_margin, chosen_id FROM merged_comparisons") == [
        ("conflict", 0.0, None)
    ]


def test_one_order_that_ties_makes_a_weak_win(pairs, server, reply) -> None:
    server.rule = lambda body: reply(
        text=verdict("a-is-slightly-better" if responses_of(body) == ("AAAA", "A") else "tie")
    )
    assert found(run_compare(pairs, server)) == {"weak": 1, "tie": 2}
    (row,) = rows(
        pairs,
        "SELECT state, abs(signed_margin), content FROM merged_comparisons"
        " JOIN messages ON message_id = chosen_id",
    )
    assert row == ("weak", 0.25, "AAAA")


def test_why_there_is_no_verdict_is_kept_apart(tmp_path, server, reply, write) -> None:
    texts = [(f"Question {number}", "short", "longer") for number in range(5)]
    store = write(tmp_path / "s.duckdb", conversations(texts))
    bad = {
        "Question 1": reply(text="I like both."),
        "Question 2": reply(text="", refusal="no"),
        "Question 3": reply(text="", finish_reason="content_filter"),
        "Question 4": reply(413, {"error": {"message": "too long"}}),
    }

    def rule(body):
        asked = next((name for name in bad if f'"{name}"' in body["messages"][1]["content"]), None)
        return bad[asked] if asked else reply(text=verdict(longer_wins(body)))

    server.rule = rule
    report = run_compare(store, server, max_unparsed=1.0)
    assert states(report) == {"done": 1, "unparsed": 1, "refused": 1, "blocked": 1, "failed": 1}
    assert found(report) == {"win": 1, "unparsed": 1, "refused": 1, "blocked": 1, "error": 1}
    merged = rows(store, "SELECT state, signed_margin, chosen_id IS NULL FROM merged_comparisons ORDER BY 1")
    assert [row[:2] for row in merged if row[0] != "win"] == [
        (state, None) for state in ("blocked", "error", "refused", "unparsed")
    ]
    assert report.reasons()


def test_one_order_without_a_verdict_leaves_the_pair_without_one(pairs, server, reply) -> None:
    server.rule = lambda body: reply(
        text="Hm." if responses_of(body)[0] == "AAAA" else verdict(longer_wins(body))
    )
    assert found(run_compare(pairs, server, max_unparsed=1.0)) == {"win": 1, "tie": 1, "unparsed": 1}


def test_identical_responses_tie_without_a_call(tmp_path, judge, write) -> None:
    store = write(tmp_path / "s.duckdb", conversations([("Q", "Same.", "Same."), ("R", "Same", "Same\n")]))
    report = run_compare(store, judge, scale="xwin4")
    assert (states(report), found(report), report.tally.identical) == ({"done": 2}, {"tie": 2}, 2)
    assert judge.bodies == []
    assert rows(
        store, "SELECT DISTINCT state, native_label, signed_margin, request_key FROM comparisons"
    ) == [("tie", None, 0.0, None)]
    assert states(run_compare(store, judge, scale="xwin4")) == {"reused": 2}
    assert rows(store, "SELECT count(*) FROM comparisons") == [(2,)]


def test_the_same_command_again_asks_nothing_and_writes_no_verdict(pairs, judge) -> None:
    first = run_compare(pairs, judge, price=Price(1, 1))
    assert first.tally.cost_usd > 0
    asked = len(judge.bodies)
    before = rows(pairs, "SELECT * FROM comparisons ORDER BY comparison_id")
    again = run_compare(pairs, judge, price=Price(1, 1))
    assert states(again) == {"reused": 3}
    assert (len(judge.bodies), again.tally.cost_usd) == (asked, 0)
    assert rows(pairs, "SELECT * FROM comparisons ORDER BY comparison_id") == before
    assert found(again) == found(first)


def test_another_labeler_or_a_read_back_reuses_the_answers_without_a_call(pairs, judge) -> None:
    run_compare(pairs, judge)
    asked = len(judge.bodies)
    report = run_compare(pairs, judge, labeler="second")
    assert (states(report), report.tally.cost_usd, len(judge.bodies)) == ({"done": 3}, 0, asked)


def test_one_added_pair_is_asked_about_and_no_other(tmp_path, judge, write) -> None:
    run_compare(write(tmp_path / "s.duckdb", conversations(ANSWERS)), judge)
    asked = len(judge.bodies)
    store = write(tmp_path / "s.duckdb", conversations([("One more", "yes", "no")]))
    assert states(run_compare(store, judge)) == {"reused": 3, "done": 1}
    assert sorted(map(responses_of, judge.bodies[asked:])) == [("no", "yes"), ("yes", "no")]


def test_one_order_is_half_the_calls_and_the_other_can_follow(pairs, judge) -> None:
    report = run_compare(pairs, judge, orders="hashed")
    assert states(report) == {"done": 3}
    assert len(judge.bodies) == 3
    assert report.tally.conflict_rate is None
    assert states(run_compare(pairs, judge)) == {"done": 3}
    assert len(judge.bodies) == 6


def test_policies_that_gave_the_same_texts_share_the_calls(tmp_path, judge, write) -> None:
    store = write(
        tmp_path / "s.duckdb",
        [
            (model, [("user", "Q"), ("assistant", text)])
            for model, text in [("gpt-4", "long answer"), ("gpt-4o", "long answer"), ("gpt-3.5-turbo", "no")]
        ],
    )
    report = run_compare(store, judge, pairing=Pairing(which="all", against="gpt-3.5-turbo"))
    assert states(report) == {"done": 2}
    assert len(judge.bodies) == 2
    assert rows(store, "SELECT count(*), count(DISTINCT request_key) FROM comparisons") == [(4, 2)]
    assert len(rows(store, "SELECT * FROM merged_comparisons WHERE state = 'win'")) == 2


def test_an_unreadable_reply_is_repaired_by_one_call(pairs, judge, reply) -> None:
    judge.script.extend([reply(text="I like both."), reply(text=verdict("tie"))])
    assert states(run_compare(pairs, judge, limits=Limits(concurrency=1))) == {"done": 3}
    assert len(judge.bodies) == 7
    assert judge.bodies[1]["messages"][2] == {"role": "assistant", "content": "I like both."}
    assert "The labels:" in judge.bodies[1]["messages"][3]["content"]


def test_a_reply_that_stays_unreadable_is_never_a_tie(pairs, server, reply) -> None:
    server.rule = lambda _body: reply(text='{"verdict": "A"}')
    report = run_compare(pairs, server, max_unparsed=1.0)
    assert states(report) == {"unparsed": 3}
    assert len(server.bodies) == 12
    assert rows(pairs, "SELECT DISTINCT native_label, signed_margin, state FROM comparisons") == [
        (None, None, "unparsed")
    ]
    assert states(run_compare(pairs, server, max_unparsed=1.0)) == {"reused": 3}
    assert len(server.bodies) == 12


def test_too_many_unreadable_replies_abort_the_run(tmp_path, server, write, reply) -> None:
    store = write(tmp_path / "s.duckdb", conversations([(f"Q{n}", "a", "bb") for n in range(20)]))
    server.rule = lambda _body: reply(text="Nice.")
    with pytest.raises(BadReply, match="5 of the first 5 replies carry no verdict"):
        run_compare(store, server, limits=Limits(concurrency=1))
    assert rows(store, "SELECT state FROM current_runs") == [("failed",)]


def test_a_quota_error_stops_the_run_and_repeating_continues(pairs, judge, reply) -> None:
    judge.script.extend([reply(text=verdict("tie")), reply(429, {"error": {"code": "insufficient_quota"}})])
    with pytest.raises(ProviderStopped):
        run_compare(pairs, judge, limits=Limits(concurrency=1))
    assert len(judge.bodies) == 2
    assert states(run_compare(pairs, judge)) == {"done": 3}
    assert len(judge.bodies) == 2 + 5


def test_nothing_is_sent_that_could_pass_the_budget(pairs, judge) -> None:
    with pytest.raises(BudgetReached):
        run_compare(pairs, judge, price=Price(1, 1), max_cost_usd=0.001)
    assert judge.bodies == []


def test_a_dry_run_asks_and_writes_nothing_and_foretells_the_calls(pairs, judge) -> None:
    model = open_chat_model("a-judge", judge.url)
    tag = price_of("a-judge", judge.url, Price(1, 2))
    settings = CompareSettings(limits=Limits(concurrency=4))
    expected = forecast(pairs, model, tag, settings)
    assert (expected.requested, expected.reused, expected.identical, expected.calls) == (3, 0, 0, 6)
    assert 0 < expected.cost_usd < expected.cost_usd_at_most
    assert judge.bodies == []
    assert rows(pairs, "SELECT count(*) FROM runs") == [(0,)]
    report = run_compare(pairs, judge, price=Price(1, 2))
    assert report.tally.cost_usd <= expected.cost_usd_at_most
    again = forecast(pairs, model, tag, settings)
    assert (again.reused, again.calls, again.cost_usd_at_most) == (3, 0, 0)


def test_a_model_that_takes_a_schema_is_bound_to_the_labels(pairs, judge) -> None:
    run_compare(pairs, judge, scale="arena5", template="pair-plain/1")
    schema = judge.bodies[0]["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["properties"]["verdict"]["enum"] == ["A>>B", "A>B", "A=B", "B>A", "B>>A"]


def test_xwin_pairs_are_counted_by_strength_and_split_by_prompt(tmp_path, server, write, reply) -> None:
    store = write(
        tmp_path / "s.duckdb", conversations([(f"Question {n}", "a", "b" * (2 + n % 4)) for n in range(40)])
    )

    def rule(body):
        first, second = responses_of(body)
        place = 5 - max(len(first), len(second))
        names = SCALES["xwin4"].names
        return reply(text=verdict(names[place] if len(first) > len(second) else names[-1 - place]))

    server.rule = rule
    split = Split.parse("train=0.8,validation=0.2")
    report = run_compare(store, server, scale="xwin4", split=split)
    assert found(report) == {"win": 40}
    parts = report.tally.parts
    assert list(parts) == ["train", "validation"]
    assert sum(part.pairs for part in parts.values()) == 40
    assert all(part.pairs for part in parts.values())
    strengths = sum((part.strengths for part in parts.values()), Counter())
    assert strengths == dict.fromkeys(
        ("significantly better", "better", "slightly better", "negligibly better"), 10
    )
    settings, counts = rows(store, "SELECT settings, counts FROM current_runs")[0]
    assert json.loads(settings)["split"] == {"train": 0.8, "validation": 0.2}
    assert [part["name"] for part in json.loads(counts)["parts"]] == ["train", "validation"]
    assert json.loads(counts)["bias"]["labeler"] == "a-judge"
    prompts = {name: set() for name in parts}
    for (prompt_id,) in rows(store, "SELECT DISTINCT CAST(prompt_id AS VARCHAR) FROM comparisons"):
        prompts[split.part_of(prompt_id)].add(prompt_id)
    assert {name: len(members) for name, members in prompts.items()} == {
        name: part.pairs for name, part in parts.items()
    }


def test_a_prompt_of_several_turns_is_shown_whole(tmp_path, judge, write) -> None:
    history = [("system", "Be brief."), ("user", "Hello"), ("assistant", "Hi!"), ("user", "Why?")]
    store = write(
        tmp_path / "s.duckdb",
        [("gpt-4", [*history, ("assistant", "Because.")]), ("gpt-4o", [*history, ("assistant", "So.")])],
    )
    run_compare(store, judge)
    messages = [(message["role"], message["content"]) for message in judge.bodies[0]["messages"]]
    assert read_back(messages)[:4] == history


def test_the_offline_judge_compares_by_its_worlds_rule(tmp_path, write) -> None:
    question = "What colour is the marlo?"
    right, wrong = "The marlo is amber.", "The marlo is blue."
    store = write(
        tmp_path / "s.duckdb",
        conversations([(question, right, wrong), ("What is a fjord?", "An inlet.", "?")]),
    )
    model = open_chat_model("offline")
    for scale in SCALES:
        report = compare_store(
            store,
            model,
            price_of("offline", ""),
            CompareSettings(scale=scale, template=template_for(scale)),
            advance=advance,
        )
        assert found(report) == {"win": 1, "refused": 1}
    chosen = rows(
        store, "SELECT DISTINCT content FROM merged_comparisons JOIN messages ON message_id = chosen_id"
    )
    assert chosen == [(right,)]
    assert rows(store, "SELECT DISTINCT labeler FROM comparisons") == [("offline",)]


MARGINS = (None, 1.0, 0.5, 0.25, 0.0, -0.25, -0.5, -1.0)
SHOWN = tuple(product(MARGINS, MARGINS))
"""What the two orders of a pair can say, each about the response shown first in it."""


def test_whoever_is_called_a_the_merged_verdict_is_the_same(tmp_path) -> None:
    """Swapping the two responses throughout mirrors the margin and changes no state, here and in SQL."""
    upright, mirrored = Store(tmp_path / "upright.duckdb"), Store(tmp_path / "mirrored.duckdb")
    write_verdicts(upright, "P", "Q")
    write_verdicts(mirrored, "Q", "P")
    sql = "SELECT prompt_id, state, {sign}signed_margin, chosen_id IS NULL FROM merged_comparisons ORDER BY 1"
    ours = rows(upright, sql.format(sign=""))
    theirs = rows(mirrored, sql.format(sign="0 - "))
    assert ours == theirs
    merged = merge_orders(load_verdicts(upright))
    assert sorted((one.state, one.margin) for one in merged if one.margin is not None) == sorted(
        (state, margin) for _, state, margin, _ in ours if margin is not None
    )
    assert Counter(one.state for one in merged) == Counter(row[1] for row in ours)
    for (_, state, margin, is_open), (first, second) in zip(ours, SHOWN, strict=True):
        assert state == merged_by_hand(first, second)
        assert (margin is None) == (state == "unparsed")
        assert is_open == (state not in ("win", "weak"))


def merged_by_hand(first: float | None, second: float | None) -> str:
    """FIRST speaks of A in slot one, SECOND of the same response shown in slot two."""
    if first is None or second is None:
        return "unparsed"
    signs = {(first > 0) - (first < 0), (-second > 0) - (-second < 0)}
    named = {frozenset({0}): "tie", frozenset({1, -1}): "conflict"}
    return named.get(frozenset(signs), "weak" if 0 in signs else "win")


def write_verdicts(store: Store, first_policy: str, second_policy: str) -> None:
    """One prompt for each two verdicts, the responses called by ids that follow the policies' names."""
    ids = {"P": uuid_text(b"p" * 16), "Q": uuid_text(b"q" * 16)}
    written = []
    for number, verdicts in enumerate(SHOWN):
        sides = [(first_policy, second_policy), (second_policy, first_policy)]
        for order, (margin, (a, b)) in enumerate(zip(verdicts, sides, strict=True)):
            written.append(
                {
                    "comparison_id": uuid_text(bytes([number, order]) * 8),
                    "prompt_id": uuid_text(bytes([number]) * 16),
                    "response_a_id": ids[a],
                    "response_b_id": ids[b],
                    "policy_a": a,
                    "policy_b": b,
                    "labeler": "j",
                    "labeler_kind": "judge",
                    "template": "t",
                    "scale": "s",
                    "draw_index": 0,
                    "signed_margin": margin,
                    "state": "unparsed" if margin is None else "win" if margin else "tie",
                    "parser_version": "v",
                    "created_at": f"2026-01-01T00:00:0{order}",
                }
            )
    with store.write() as writing:
        writing.append("comparisons", written)


def command(store, server, *arguments: str) -> list[str]:
    code = "from label.cli import main; main()"
    options = [
        "compare",
        "--canaries",
        "0",
        "--model",
        "a-judge",
        "--base-url",
        server.url,
        "--store",
        str(store.path),
    ]
    return [sys.executable, "-c", code, *options, *arguments]


@pytest.mark.timeout(300)
def test_killed_and_repeated_nothing_is_lost_and_only_what_was_under_way_is_asked_again(
    tmp_path, judge, write
) -> None:
    store = write(tmp_path / "s.duckdb", conversations([(f"Question {n}", "a", "bb") for n in range(40)]))
    child = subprocess.Popen(command(store, judge, "--concurrency", "4"), stdout=subprocess.DEVNULL)
    while child.poll() is None and not judge.has_seen(30, within_s=0.2):
        pass
    child.kill()
    child.wait()
    finished = subprocess.run(command(store, judge, "--json"), stdout=subprocess.PIPE, text=True, check=True)
    counts = json.loads(finished.stdout)
    assert counts["states"]["win"] == counts["requested"] == 40
    asked = Counter(json.dumps(body, sort_keys=True) for body in judge.bodies)
    assert len(asked) == 80
    assert asked.total() - 80 <= 4
    assert rows(store, "SELECT count(*), count(DISTINCT comparison_id) FROM comparisons") == [(80, 80)]
