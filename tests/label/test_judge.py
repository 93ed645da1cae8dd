"""`label judge` against a real HTTP server that misbehaves."""

import asyncio
import json
from collections import Counter
from uuid import UUID

import pytest

from label.chat import open_chat_model
from label.engine.prices import price_of
from label.judging.judge import JudgeReport, forecast, judge_store
from label.judging.rating_job import JudgeSettings
from label.judging.turns import Draw
from store.config import Limits, Price
from store.errors import BadReply, BudgetReached, ProviderStopped


class JumpClock:
    """A clock whose sleeps pass at once."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def advance(amount: float = 1, *, words: str = "") -> None:
    """No progress bar."""


def run_judge(store, server, *, clock=None, price=None, **settings) -> JudgeReport:
    settings.setdefault("limits", Limits(concurrency=4))
    model = open_chat_model("gpt-4", server.url)
    tag = price_of("gpt-4", server.url, price)
    return judge_store(
        store, model, tag, JudgeSettings(**settings), advance=advance, clock=clock or JumpClock()
    )


def rows(store, sql: str) -> list[tuple]:
    with store.read() as reading:
        return reading.rows(sql)


def states(report: JudgeReport) -> dict[str, object]:
    counts = report.tally.counts()
    names = ("reused", "done", "unparsed", "refused", "blocked", "failed")
    assert counts["requested"] == sum(counts[name] for name in names)
    return {name: counts[name] for name in names if counts[name]}


def test_every_assistant_turn_is_rated_given_the_turns_before_it(store, server) -> None:
    report = run_judge(store, server)
    assert states(report) == {"done": 4}
    assert len(server.bodies) == 4
    prompts = [body["messages"][1]["content"] for body in server.bodies]
    last = next(prompt for prompt in prompts if "1, 2, 3" in prompt)
    assert last.index("How can I help?") < last.index("Sort 3, 1, 2.") < last.index("1, 2, 3")
    found = rows(
        store, "SELECT labeler, labeler_kind, template, scale, aspect, draw_index, state FROM ratings"
    )
    assert found == [("gpt-4", "judge", "openchat-g/1", "1-10", "overall", 0, "done")] * 4
    assert all(value in range(1, 11) for (value,) in rows(store, "SELECT value FROM ratings"))


def plain(value):
    """A row with its ids as text."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, UUID) else value


def test_an_edited_turn_is_rated_anew_with_those_after_it_and_none_before(tmp_path, server, write) -> None:
    turns = [(role, f"{role} {number}") for number in range(4) for role in ("user", "assistant")]
    store = write(tmp_path / "one.duckdb", [("gpt-4", turns)])
    run_judge(store, server)
    edited = write(tmp_path / "other.duckdb", [("gpt-4", [*turns[:5], ("assistant", "edited"), *turns[6:]])])
    for table, key in (("messages", "message_id"), ("conversations", "conversation_id")):
        known = rows(store, f"SELECT {key} FROM {table}")
        with edited.read() as reading:
            found = list(reading.dicts(f"SELECT * EXCLUDE (version) FROM {table}"))
        with store.write() as writing:
            writing.append(table, [plain(row) for row in found if (row[key],) not in known])
    report = run_judge(store, server)
    assert states(report) == {"reused": 4, "done": 2}
    assert len(server.bodies) == 6


def test_a_conversation_is_rated_by_the_mean_of_its_turns(store, server, reply) -> None:
    def rule(body):
        ratings = {"Hi! How": 4, "1, 2, 3": 9, "Seven.": 7, "fjord": 2}
        text = body["messages"][1]["content"].split("RESPONSE TO RATE")[1]
        value = next((value for words, value in ratings.items() if words in text), 2)
        return reply(text=f"Fine.\nRating: [[{value}]]")

    server.rule = rule
    report = run_judge(store, server)
    assert [(c.name, c.complete, c.partial, c.mean_rating) for c in report.classes] == [
        ("GPT3", 1, 0, 6.5),
        ("GPT4", 2, 0, 4.5),
    ]


def test_a_turn_that_could_not_be_rated_leaves_its_conversation_partial(store, server, reply) -> None:
    server.rule = lambda body: (
        reply(text="No verdict.") if '"1, 2, 3"' in body["messages"][1]["content"] else None
    )
    report = run_judge(store, server)
    assert states(report) == {"done": 3, "unparsed": 1}
    assert ("GPT3", 0, 1, None) in [(c.name, c.complete, c.partial, c.mean_rating) for c in report.classes]


def test_the_same_command_again_asks_nothing_and_writes_no_rating(store, server) -> None:
    run_judge(store, server)
    before = rows(store, "SELECT response_id, value FROM ratings ORDER BY ALL")
    again = run_judge(store, server)
    assert states(again) == {"reused": 4}
    assert len(server.bodies) == 4
    assert again.tally.cost_usd == 0
    assert rows(store, "SELECT response_id, value FROM ratings ORDER BY ALL") == before


NO_PART_OF_THE_KEY = {
    "timeout": {"timeout_s": 7.0},
    "concurrency": {"limits": Limits(concurrency=1)},
    "rate": {"limits": Limits(rpm=60_000, tpm=10**9)},
    "seed of the jitter": {"seed": 99},
    "cap": {"max_cost_usd": 50.0},
    "unparsed share": {"max_unparsed": 0.5},
    "price": {"price": Price(1.0, 2.0)},
    "labeler": {"labeler": "another"},
    "which turns": {"draw": Draw(sample=3, seed=5)},
}


def test_what_does_not_decide_an_answer_leads_to_no_call(store, server) -> None:
    run_judge(store, server)
    for change in NO_PART_OF_THE_KEY.values():
        assert run_judge(store, server, **change).tally.cost_usd == 0
    assert len(server.bodies) == 4


def test_another_labeler_reuses_the_answers_without_a_call(store, server) -> None:
    run_judge(store, server)
    report = run_judge(store, server, labeler="second")
    assert states(report) == {"done": 4}
    assert report.tally.cost_usd == 0
    assert len(server.bodies) == 4


def test_a_node_shared_by_conversations_is_asked_about_once(tmp_path, server, write) -> None:
    opening = [("user", "Hi"), ("assistant", "Hello!")]
    store = write(
        tmp_path / "shared.duckdb",
        [
            ("gpt-4", [*opening, ("user", "A?"), ("assistant", "A.")]),
            ("gpt-3.5-turbo", [*opening, ("user", "B?"), ("assistant", "B.")]),
            ("gpt-4", opening),
        ],
    )
    report = run_judge(store, server)
    assert states(report) == {"done": 3}
    assert len(server.bodies) == 3
    assert sum(c.complete for c in report.classes) == 3


def test_one_added_conversation_is_one_new_call(tmp_path, server, write) -> None:
    first = [("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n}")]) for n in range(5)]
    run_judge(write(tmp_path / "s.duckdb", first), server)
    asked = len(server.bodies)
    store = write(tmp_path / "s.duckdb", [("gpt-4", [("user", "One more"), ("assistant", "Yes")])])
    assert states(run_judge(store, server)) == {"reused": 5, "done": 1}
    assert len(server.bodies) == asked + 1


def test_an_unreadable_reply_is_repaired_by_one_call(store, server, reply) -> None:
    server.script.extend([reply(text="I like it."), reply(text="Short.\nRating: [[6]]")])
    report = run_judge(store, server)
    assert states(report) == {"done": 4}
    assert len(server.bodies) == 5
    repair = next(body for body in server.bodies if len(body["messages"]) == 4)
    assert repair["messages"][2] == {"role": "assistant", "content": "I like it."}
    assert rows(store, "SELECT count(*), count(DISTINCT request_key) FROM completions") == [(5, 5)]


def test_a_reply_that_stays_unreadable_is_unparsed_and_never_asked_again(store, server, reply) -> None:
    server.rule = lambda _body: reply(text="Rating: [[8.5]]")
    assert states(run_judge(store, server)) == {"unparsed": 4}
    assert len(server.bodies) == 8
    assert rows(store, "SELECT DISTINCT value, state FROM ratings") == [(None, "unparsed")]
    assert states(run_judge(store, server)) == {"reused": 4}
    assert len(server.bodies) == 8


def test_too_many_unreadable_replies_abort_the_run(tmp_path, server, write, reply) -> None:
    store = write(
        tmp_path / "many.duckdb",
        [("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n}")]) for n in range(40)],
    )
    server.rule = lambda _body: reply(text="Nice.")
    with pytest.raises(BadReply, match="5 of the first 5 replies carry no rating"):
        run_judge(store, server, limits=Limits(concurrency=1))
    assert len(server.bodies) == 10
    assert rows(store, "SELECT state FROM current_runs") == [("failed",)]
    report = run_judge(store, server, max_unparsed=1.0)
    assert states(report) == {"reused": 5, "unparsed": 35}


def test_refused_and_blocked_answers_keep_their_states(store, server, reply) -> None:
    server.script.extend(
        [
            reply(text="", refusal="I won't judge this."),
            reply(text="I'm sorry, but I can't rate that."),
            reply(text="", finish_reason="content_filter"),
            reply(400, {"error": {"message": "filtered", "code": "content_filter"}}),
        ]
    )
    assert states(run_judge(store, server)) == {"refused": 2, "blocked": 2}
    assert len(server.bodies) == 4


def test_what_passes_is_tried_again(store, server, reply) -> None:
    server.script.extend(
        [
            reply(500, {"error": {"message": "oops"}}),
            reply(503, "<html>busy</html>"),
            reply(resets=True),
            reply(408, {}),
            reply(200, "<html>not json</html>"),
            reply(200, {"choices": []}),
            reply(529, {"error": {"message": "overloaded"}}),
        ]
    )
    assert states(run_judge(store, server)) == {"done": 4}
    assert len(server.bodies) == 11
    assert max(n for (n,) in rows(store, "SELECT attempts FROM completions")) > 1


def test_a_server_that_always_fails_leaves_the_turn_failed_and_it_is_asked_again(
    store, server, reply
) -> None:
    server.rule = lambda body: reply(500, {}) if "Seven." in body["messages"][1]["content"] else None
    assert states(run_judge(store, server)) == {"done": 3, "failed": 1}
    assert len(server.bodies) == 3 + 6
    server.rule = lambda _body: None
    assert states(run_judge(store, server)) == {"reused": 3, "done": 1}
    assert rows(store, "SELECT state, count(*) FROM current_ratings GROUP BY state") == [("done", 4)]


def test_a_request_without_an_answer_is_given_up_in_time_and_tried_again(store, server, reply) -> None:
    server.script.append(reply(hangs=True))
    assert states(run_judge(store, server, timeout_s=0.5)) == {"done": 4}
    assert len(server.bodies) == 5


@pytest.mark.parametrize(
    ("header", "waits_s"), [("7", 7), ("121", 120), ("4e6", 120), ("-1", 2), ("NaN", 2), ("", 2), ("soon", 2)]
)
def test_a_429_waits_as_long_as_it_says_within_bounds(store, server, reply, header, waits_s) -> None:
    clock = JumpClock()
    server.script.append(reply(429, {"error": {"message": "slow"}}, {"retry-after": header}))
    report = run_judge(store, server, clock=clock, limits=Limits(concurrency=1))
    assert states(report) == {"done": 4}
    assert len(server.bodies) == 5
    if waits_s > 2:
        assert clock.now == pytest.approx(waits_s)
    else:
        assert 1 <= clock.now <= 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, {"message": "bad key", "code": "invalid_api_key"}),
        (402, {"message": "pay"}),
        (403, {"message": "no"}),
        (404, {"message": "no such model", "code": "model_not_found"}),
        (429, {"message": "quota", "type": "insufficient_quota", "code": None}),
        (429, {"message": "quota", "type": "x", "code": "insufficient_quota"}),
        (400, {"message": "limit", "code": "billing_hard_limit_reached"}),
    ],
)
def test_what_no_retry_can_cure_stops_the_run_after_exactly_one_request(
    store, server, reply, status, error
) -> None:
    server.rule = lambda _body: reply(status, {"error": error})
    with pytest.raises(ProviderStopped, match=error["message"]) as stop:
        run_judge(store, server)
    assert stop.value.exit_code == 3
    assert len(server.bodies) == 1
    assert rows(store, "SELECT count(*) FROM ratings") == [(0,)]
    server.rule = lambda _body: None
    assert states(run_judge(store, server)) == {"done": 4}


def test_a_stop_in_the_middle_keeps_what_was_answered(tmp_path, server, write, reply) -> None:
    store = write(
        tmp_path / "many.duckdb",
        [("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n}")]) for n in range(30)],
    )
    quota = reply(429, {"error": {"message": "quota", "code": "insufficient_quota"}})
    server.script.extend([reply() for _ in range(10)])
    server.rule = lambda _body: quota
    with pytest.raises(ProviderStopped):
        run_judge(store, server)
    kept = rows(store, "SELECT count(*) FROM ratings")[0][0]
    assert kept == 10
    assert len(server.bodies) <= 10 + 4
    server.rule = lambda _body: None
    asked = len(server.bodies)
    assert states(run_judge(store, server)) == {"reused": 10, "done": 20}
    assert len(server.bodies) == asked + 20


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "too long", "code": "context_length_exceeded"}}),
        (413, {"error": {"message": "too large"}}),
        (422, {"error": {"message": "cannot"}}),
    ],
)
def test_a_request_that_cannot_succeed_is_tried_once_and_the_rest_goes_on(
    store, server, reply, status, body
) -> None:
    server.script.append(reply(status, body))
    assert states(run_judge(store, server)) == {"failed": 1, "done": 3}
    assert len(server.bodies) == 4


def test_a_server_that_turns_everything_down_stops_the_run(tmp_path, server, write, reply) -> None:
    store = write(
        tmp_path / "many.duckdb",
        [("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n}")]) for n in range(40)],
    )
    server.rule = lambda _body: reply(400, {"error": {"message": "unknown parameter"}})
    with pytest.raises(ProviderStopped, match="20 failures in a row, the last: unknown parameter"):
        run_judge(store, server, limits=Limits(concurrency=1))
    assert len(server.bodies) == 20


def test_a_dead_server_stops_the_run(tmp_path, write) -> None:
    import socket

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    store = write(
        tmp_path / "many.duckdb",
        [("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n}")]) for n in range(9)],
    )
    model = open_chat_model("gpt-4", url)
    with pytest.raises(ProviderStopped, match="failures in a row"):
        judge_store(store, model, price_of("gpt-4", url), JudgeSettings(), advance=advance, clock=JumpClock())


def test_money_is_counted_by_usage_and_stored_with_its_price(store, server) -> None:
    report = run_judge(store, server, price=Price(10.0, 100.0, 5.0))
    each = (60 * 10 + 40 * 5 + 20 * 100) / 1e6
    assert report.tally.counts()["cost_usd"] == pytest.approx(4 * each)
    found = rows(
        store, "SELECT cost_usd, price, prompt_tokens, cached_tokens, completion_tokens FROM completions"
    )
    for cost, price, *tokens in found:
        assert cost == pytest.approx(each)
        assert tokens == [100, 40, 20]
        assert json.loads(price)["input"] == 10.0
        assert json.loads(price)["source"] == "given"
        assert json.loads(price)["date"]
    assert rows(store, "SELECT cost_usd, prompt_tokens, completion_tokens FROM current_runs") == [
        (pytest.approx(4 * each), 400, 80)
    ]


def test_a_server_that_tells_no_usage_is_booked_at_the_worst_case(store, server, reply) -> None:
    server.rule = lambda _body: reply(has_usage=False)
    report = run_judge(store, server, price=Price(0.0, 100.0), max_tokens=50)
    assert report.tally.cost_usd == pytest.approx(4 * 50 * 100 / 1e6)


def test_the_cap_is_never_passed_and_a_higher_one_continues(store, server) -> None:
    price = Price(0.0, 1000.0)
    with pytest.raises(BudgetReached, match=r"--max-cost 0\.06") as stop:
        run_judge(store, server, price=price, max_tokens=50, max_cost_usd=0.06)
    assert stop.value.exit_code == 3
    spent = rows(store, "SELECT sum(cost_usd) FROM completions")[0][0]
    assert 0 < spent <= 0.06
    first = len(server.bodies)
    report = run_judge(store, server, price=price, max_tokens=50, max_cost_usd=1.0)
    assert report.tally.reused == first
    assert len(server.bodies) == 4


def test_a_dry_run_tells_calls_tokens_and_cost_and_does_nothing(store, server) -> None:
    model = open_chat_model("gpt-4", server.url)
    tag = price_of("gpt-4", server.url)
    expected = forecast(store, model, tag, JudgeSettings())
    assert (expected.requested, expected.reused, expected.calls) == (4, 0, 4)
    assert 0 < expected.cost_usd < expected.cost_usd_at_most
    assert server.bodies == []
    assert rows(store, "SELECT count(*) FROM runs") == [(0,)]
    run_judge(store, server)
    assert forecast(store, model, tag, JudgeSettings()).calls == 0


def test_a_limit_bounds_the_turns(store, server) -> None:
    assert states(run_judge(store, server, draw=Draw(limit=3))) == {"done": 3}
    assert states(run_judge(store, server)) == {"reused": 3, "done": 1}


def test_a_sample_takes_so_many_of_each_class_and_always_the_same(tmp_path, server, write) -> None:
    conversations = [
        (model, [("user", f"{model} {n}?"), ("assistant", f"{model} {n}.")])
        for model in ("gpt-4", "gpt-3.5-turbo", "mystery")
        for n in range(20)
    ]
    store = write(tmp_path / "classes.duckdb", conversations)
    draw = Draw(sample=5, per="class", seed=7)
    report = run_judge(store, server, draw=draw)
    assert [(c.name, c.complete) for c in report.classes] == [("GPT3", 5), ("GPT4", 5), ("unknown", 5)]
    assert states(run_judge(store, server, draw=draw)) == {"reused": 15}
    other = run_judge(store, server, draw=Draw(sample=5, per="class", seed=8))
    assert other.tally.fresh["done"] > 0
    grown = run_judge(store, server, draw=Draw(sample=6, per="class", seed=7))
    assert grown.tally.requested == 18
    assert grown.tally.reused >= 15


def test_dropped_conversations_are_left_out(store, server) -> None:
    with store.write() as writing:
        target = writing.rows("SELECT conversation_id FROM conversations WHERE model = 'gpt-3.5-turbo'")[0][0]
        decision = {
            "target_kind": "conversation",
            "target_id": str(target),
            "verdict": "drop",
            "reason": "test",
        }
        writing.append("decisions", [{**decision, "decided_by": "t", "decided_at": "2026-11-21T00:00:00"}])
    assert states(run_judge(store, server)) == {"done": 2}


def test_answers_that_were_journalled_before_a_crash_are_not_bought_again(store, server, reply) -> None:
    """A completion without its rating: the crash came between the two; one needed a repair too."""
    server.script.extend([reply(text="Hm."), reply(text="Fine.\nRating: [[3]]")])
    run_judge(store, server, limits=Limits(concurrency=1))
    with store.write() as writing:
        writing.con.execute("DELETE FROM main.ratings")
    report = run_judge(store, server)
    assert states(report) == {"done": 4}
    assert len(server.bodies) == 5
    assert report.tally.cost_usd == 0


def test_turns_of_one_conversation_are_asked_in_order(tmp_path, server, write) -> None:
    turns = [(role, f"{role} {n}") for n in range(10) for role in ("user", "assistant")]
    store = write(tmp_path / "long.duckdb", [("gpt-4", turns)])
    run_judge(store, server, limits=Limits(concurrency=8))
    lengths = [len(body["messages"][1]["content"]) for body in server.bodies]
    assert lengths == sorted(lengths)


def test_every_sampling_parameter_is_sent_and_reasoning_models_get_theirs(store, server) -> None:
    run_judge(store, server, draw=Draw(limit=1))
    assert server.bodies[0]["temperature"] == 0.0
    assert server.bodies[0]["top_p"] == 1.0
    assert server.bodies[0]["max_tokens"] == 2048
    sampling = open_chat_model("gpt-5-mini", server.url).sampling(0.0, 99)
    assert sampling == {"max_completion_tokens": 99}
    assert open_chat_model("gpt-4o", server.url).sampling(None, 99) == {"max_tokens": 99}


def test_a_reply_with_half_a_surrogate_pair_is_stored(store, server, reply) -> None:
    server.rule = lambda _body: reply(text="Half \ud83d and nul \x00.\nRating: [[4]]")
    assert states(run_judge(store, server)) == {"done": 4}
    assert rows(store, "SELECT DISTINCT reply FROM completions")[0][0].startswith("Half \ufffd")


def test_ratings_name_messages_that_exist(store, server) -> None:
    run_judge(store, server)
    found = rows(
        store,
        "SELECT messages.role FROM ratings JOIN messages ON messages.message_id = ratings.response_id",
    )
    assert Counter(role for (role,) in found) == {"assistant": 4}
