import asyncio

import pytest

from label.chat import ChatRequest, open_chat_model
from label.engine.calls import Completion
from label.engine.prices import price_of
from label.judging.judge import JudgeReport, judge_store, labeler_of
from label.judging.outcome import outcome_of
from label.judging.rating_job import JudgeSettings
from label.judging.render import judge_prompt, render
from store.errors import BadSettings


def advance(amount: float = 1, *, words: str = "") -> None:
    """No progress bar."""


def judge_offline(store) -> JudgeReport:
    return judge_store(
        store, open_chat_model("offline"), price_of("offline", ""), JudgeSettings(), advance=advance
    )


def known_fact() -> tuple[str, str]:
    """A question of the example world and its right answer."""
    from label.offline_world import CREATURES, PLACES

    creature = next(iter(CREATURES.values()))
    return f"Where does the {creature.name} live?", f"The {creature.name} lives {PLACES[creature.home]}."


def test_what_the_rule_does_not_know_is_refused_and_says_why(store) -> None:
    report = judge_offline(store)
    counts = report.tally.counts()
    assert (counts["requested"], counts["refused"], counts["cost_usd"]) == (4, 4, 0)
    with store.read() as reading:
        found = reading.rows("SELECT labeler, value, explanation FROM ratings")
    assert all(labeler == "offline" and value is None for labeler, value, _ in found)
    assert all(explanation.startswith("offline judge: ") for *_, explanation in found)


def test_ratings_of_the_example_world_say_that_they_are_offline(tmp_path, write) -> None:
    question, answer = known_fact()
    store = write(tmp_path / "world.duckdb", [("gpt-4", [("user", question), ("assistant", answer)])])
    report = judge_offline(store)
    assert report.tally.counts()["done"] == 1, report.reasons()
    with store.read() as reading:
        ((labeler, value, explanation),) = reading.rows("SELECT labeler, value, explanation FROM ratings")
        ((provider, model, returned),) = reading.rows(
            "SELECT provider, model, model_returned FROM completions"
        )
    assert labeler == provider == model == returned == "offline"
    assert 1 <= value <= 10
    assert "offline" in explanation.lower()


def test_the_offline_judge_reads_what_any_judge_would_be_shown() -> None:
    question, answer = known_fact()
    messages = render(judge_prompt("openchat-g/1"), [("user", question), ("assistant", answer)])
    request = ChatRequest("offline", "", "offline", messages)
    reply = asyncio.run(open_chat_model("offline").complete(request, 1.0))
    assert outcome_of(Completion("", "done", reply.text)).state == "done"


def test_a_request_without_a_response_is_refused() -> None:
    request = ChatRequest("offline", "", "offline", (("user", "Hello"),))
    assert asyncio.run(open_chat_model("offline").complete(request, 1.0)).refusal is not None


def test_the_name_offline_cannot_be_signed_away() -> None:
    model = open_chat_model("offline")
    assert labeler_of(model, None) == "offline"
    assert labeler_of(model, "gpt-4") == "offline:gpt-4"


def test_the_offline_judge_has_no_server() -> None:
    with pytest.raises(BadSettings, match="--base-url"):
        open_chat_model("offline", "http://127.0.0.1:1/v1")
