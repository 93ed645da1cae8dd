"""The scale `logprob`: P(A) from the probabilities of the first token, over both orders."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from label.chat import open_chat_model
from label.cli import cli
from label.comparing.compare import compare_store, forecast
from label.comparing.comparison_job import CompareSettings, template_for
from label.comparing.label_probability import LEAST_MASS, preference_of
from label.comparing.scales import LOGPROB
from label.comparing.stored_verdicts import load_verdicts, merge_orders
from label.comparing.verdict import opinion_of
from label.engine.calls import Completion
from label.engine.prices import price_of
from label.judging.reparse import reparse_store
from label.trust.win_rates import policy_rates
from store.console import run_command
from store.errors import BadReply, RequestError

SETTINGS = CompareSettings(scale="logprob", template=template_for("logprob"))


def tokens(**probabilities: float) -> tuple[tuple[str, float], ...]:
    return tuple((token, math.log(value)) for token, value in probabilities.items())


def advance(amount: float = 1, *, words: str = "") -> None:
    """No progress bar."""


def test_spaces_around_a_label_are_the_label_and_the_rest_is_told() -> None:
    given_tokens = (
        *tokens(A=0.5, B=0.1),
        (" A", math.log(0.3)),
        ("\nB", math.log(0.05)),
        ("The", math.log(0.05)),
    )
    found = preference_of(given_tokens, ["A", "B"])
    assert found.first == pytest.approx(0.8 / 0.95)
    assert found.outside == pytest.approx(0.05)


@pytest.mark.parametrize("given_tokens", [None, (), tokens(a=0.9), tokens(A=0.3, B=0.1), (("A.", -0.1),)])
def test_a_model_that_would_say_something_else_has_not_judged(given_tokens) -> None:
    with pytest.raises(BadReply):
        preference_of(given_tokens, ["A", "B"])
    opinion = opinion_of(Completion("", "done", "A", first_token=given_tokens), LOGPROB)
    assert (opinion.state, opinion.native_label, opinion.signed_margin) == ("unparsed", None, None)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["A", "B", " A", "B ", "C", "", "AB"]), st.floats(max_value=0, allow_nan=False)
        ),
        max_size=8,
    )
)
def test_whatever_the_tokens_say_swapping_the_labels_mirrors_the_verdict(found) -> None:
    try:
        upright = preference_of(tuple(found), ["A", "B"])
    except BadReply:
        with pytest.raises(BadReply):
            preference_of(tuple(found), ["B", "A"])
        return
    swapped = preference_of(tuple(found), ["B", "A"])
    assert 0 <= upright.first <= 1
    assert upright.first + swapped.first == pytest.approx(1)
    assert upright.outside <= 1 - LEAST_MASS + 1e-9


def weighing(reply, probability_of_a):
    """A server's rule: P(A) by the two responses, on tokens with and without a space."""

    def rule(body):
        p = probability_of_a(body)
        first = [
            {"token": "A", "logprob": math.log(p * 0.9)},
            {"token": " B", "logprob": math.log((1 - p) * 0.9)},
        ]
        top = [*first, {"token": "Well", "logprob": math.log(0.1)}]
        content = [{**first[0], "top_logprobs": top}]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "A"},
            "finish_reason": "length",
            "logprobs": {"content": content},
        }
        usage = {"prompt_tokens": 100, "completion_tokens": 1}
        return reply(body={"id": "1", "model": "m", "choices": [choice], "usage": usage})

    return rule


@pytest.fixture
def two(tmp_path, write):
    """One prompt, two policies."""
    return write(
        tmp_path / "s.duckdb",
        [
            (model, [("user", "Q"), ("assistant", text)])
            for model, text in (("p-one", "AAAA"), ("p-two", "B"))
        ],
    )


def compare(store, server, *, settings=SETTINGS):
    model = open_chat_model("a-judge", server.url)
    return compare_store(store, model, price_of("a-judge", server.url), settings, advance=advance)


def longer_first(body) -> float:
    text = body["messages"][1]["content"]
    return 0.9 if text.index('"AAAA"') < text.index('"B"') else 0.3


def test_both_orders_make_one_margin_and_the_win_rate_is_its_probability(two, server, reply) -> None:
    server.rule = weighing(reply, longer_first)
    report = compare(two, server)
    assert report.tally.states["win"] == 1
    (merged,) = merge_orders(load_verdicts(two))
    assert abs(merged.margin) == pytest.approx((0.8 + 0.4) / 2)
    assert policy_rates([merged]) == pytest.approx({"p-one": 0.8, "p-two": 0.2})
    with two.read() as reading:
        rows = reading.dicts("SELECT native_label, signed_margin, explanation FROM comparisons ORDER BY 2")
    assert [(row["native_label"], round(row["signed_margin"], 6)) for row in rows] == [
        ("B", -0.4),
        ("A", 0.8),
    ]
    assert rows[1]["explanation"] == "P(A) = 0.900000; 0.100000 on other tokens"
    (one, other) = server.bodies
    for body in (one, other):
        assert (body["logprobs"], body["top_logprobs"], body["max_tokens"], body["temperature"]) == (
            True,
            20,
            1,
            1,
        )
        assert "response_format" not in body


def test_probabilities_are_kept_so_that_reading_again_asks_nothing(two, server, reply, monkeypatch) -> None:
    server.rule = weighing(reply, longer_first)
    compare(two, server)
    with two.read() as reading:
        kept = [json.loads(text) for (text,) in reading.rows("SELECT logprobs FROM completions")]
    assert all([token for token, _ in one] == ["A", " B", "Well"] for one in kept)
    assert reparse_store(two).counts()["unchanged"] == 2
    monkeypatch.setattr("label.comparing.label_probability.LEAST_MASS", 0.95)
    assert reparse_store(two).counts()["changes"] == {"A → unparsed": 1, "B → unparsed": 1}
    assert len(server.bodies) == 2


def test_an_answer_that_is_stored_is_read_from_its_probabilities(two, server, reply) -> None:
    server.rule = weighing(reply, longer_first)
    compare(two, server)
    again = CompareSettings(scale="logprob", template=template_for("logprob"), labeler="another")
    assert compare(two, server, settings=again).tally.states["win"] == 1
    assert len(server.bodies) == 2


def test_orders_that_disagree_are_a_conflict_and_still_a_probability(two, server, reply) -> None:
    server.rule = weighing(reply, lambda _body: 0.7)
    assert compare(two, server).tally.states["conflict"] == 1
    (merged,) = merge_orders(load_verdicts(two))
    assert (merged.direction, merged.score) == (0, pytest.approx(0.5))


def test_a_server_that_tells_no_probabilities_leaves_no_verdict_and_is_asked_once(two, server, reply) -> None:
    server.rule = lambda _body: reply(text="A")
    assert compare(two, server).tally.states["unparsed"] == 1
    assert len(server.bodies) == 2


@pytest.mark.parametrize("name", ["claude-haiku-4-5", "o3-mini", "gpt-5"])
def test_a_model_that_tells_none_is_refused_before_anything_is_asked(two, server, name, capsys) -> None:
    model = open_chat_model(name, server.url)
    for work in (forecast, lambda *settings: compare_store(*settings, advance=advance)):
        with pytest.raises(RequestError, match="tells no log-probabilities"):
            work(two, model, price_of(name, server.url), SETTINGS)
    command = ["compare", "--store", str(two.path), "--model", name, "--base-url", server.url]
    assert run_command(cli, [*command, "--scale", "logprob"]) == 2
    assert "--scale binary" in capsys.readouterr().err
    assert server.bodies == []


def test_it_is_refused_before_a_key_is_looked_for(two, monkeypatch, capsys) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    command = ["compare", "--store", str(two.path), "--model", "claude-haiku-4-5", "--scale", "logprob"]
    assert run_command(cli, command) == 2
    assert "tells no log-probabilities" in capsys.readouterr().err


def test_the_offline_judge_weighs_by_its_worlds_rule(tmp_path, write, capsys) -> None:
    good, bad = "The marlo is amber in colour.", "The marlo is blue in colour."
    turns = [("user", "What colour is the marlo?")]
    store = write(
        tmp_path / "s.duckdb", [("one", [*turns, ("assistant", good)]), ("two", [*turns, ("assistant", bad)])]
    )
    command = ["compare", "--store", str(store.path), "--model", "offline", "--scale", "logprob", "--json"]
    assert run_command(cli, command) == 0
    assert json.loads(capsys.readouterr().out)["states"]["win"] == 1
    (merged,) = merge_orders(load_verdicts(store))
    assert merged.direction == 1
    assert merged.margin < 1
