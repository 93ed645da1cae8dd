"""Several draws of each turn, and aspects with scales of their own."""

import hashlib
import json
from pathlib import Path

import pytest

from label.chat import open_chat_model
from label.cli import cli
from label.engine.calls import Completion
from label.engine.prices import price_of
from label.judging.judge import JudgeReport, forecast, judge_store
from label.judging.outcome import outcome_of
from label.judging.rating_job import JudgeSettings
from label.judging.rating_scales import ASPECT_SETS, OVERALL, known_scale, scales_of
from label.judging.render import judge_prompt, render
from store.config import Limits
from store.console import run_command
from store.errors import UnknownName

EVERY_SCALE = [OVERALL, *(scale for scales in ASPECT_SETS.values() for scale in scales)]
TURNS = [("user", "What is a fjord?"), ("assistant", "A long sea inlet.")]


def run_judge(store, server, **settings) -> JudgeReport:
    def advance(_amount: float = 1, *, words: str = "") -> None:
        del words

    settings.setdefault("limits", Limits(concurrency=1))
    model = open_chat_model("gpt-4", server.url)
    return judge_store(
        store, model, price_of("gpt-4", server.url), JudgeSettings(**settings), advance=advance
    )


def rows(store, sql: str) -> list[tuple]:
    with store.read() as reading:
        return reading.rows(sql)


def text_of(body: dict[str, object]) -> str:
    return json.dumps(body["messages"], sort_keys=True)


def noisy(reply, lowest: int = 1, highest: int = 10):
    """A judge whose draws differ by at most one around what the turn deserves."""
    seen: dict[str, int] = {}

    def rule(body):
        text = text_of(body)
        seen[text] = seen.get(text, -1) + 1
        base = hashlib.sha256(text.encode()).digest()[0] % (highest - lowest)
        return reply(text=f"So.\nRating: [[{lowest + base + (seen[text] == 1)}]]")

    return rule


def test_each_draw_is_asked_once_and_stored_with_its_number(store, server, reply) -> None:
    server.rule = noisy(reply)
    report = run_judge(store, server, draws=3)
    assert report.tally.counts()["requested"] == report.tally.fresh["done"] == 12
    assert len(server.bodies) == 12
    assert rows(store, "SELECT draw_index, count(*) FROM ratings GROUP BY ALL ORDER BY ALL") == [
        (0, 4),
        (1, 4),
        (2, 4),
    ]
    assert rows(store, "SELECT count(DISTINCT request_key) FROM ratings") == [(12,)]
    assert run_judge(store, server, draws=3).tally.reused == 12
    assert len(server.bodies) == 12


def test_more_draws_ask_only_for_what_is_missing(store, server) -> None:
    run_judge(store, server)
    report = run_judge(store, server, draws=3)
    assert (report.tally.reused, report.tally.fresh["done"]) == (4, 8)
    assert run_judge(store, server, draws=2).tally.reused == 8


def test_a_conversations_rating_is_the_mean_over_its_draws(store, server, reply) -> None:
    seen: set[str] = set()

    def rule(body):
        is_again = text_of(body) in seen
        seen.add(text_of(body))
        return reply(text=f"So.\nRating: [[{4 if is_again else 2}]]")

    server.rule = rule
    run_judge(store, server, draws=2)
    means = [mean for (mean,) in rows(store, "SELECT mean FROM conversation_ratings")]
    assert means == [3.0, 3.0, 3.0]


def test_the_report_says_how_far_the_draws_agree(tmp_path, server, write, reply) -> None:
    conversations = [("gpt-4", [("user", f"Question {n}"), ("assistant", f"Answer {n}")]) for n in range(40)]
    store = write(tmp_path / "s.duckdb", conversations)
    server.rule = noisy(reply)
    (draws,) = run_judge(store, server, draws=3).draws
    assert (draws.aspect, draws.draws, draws.turns) == ("overall", 3, 40)
    assert draws.all_equal == 0
    assert 0.9 < draws.icc_one < draws.icc_mean < 1
    assert run_judge(store, server).draws == ()


def test_draws_that_are_all_alike_have_no_icc_and_no_warning(store, server, reply) -> None:
    server.rule = lambda _body: reply(text="Rating: [[7]]")
    (draws,) = run_judge(store, server, draws=2).draws
    assert (draws.all_equal, draws.icc_one, draws.icc_mean) == (1.0, None, None)


@pytest.mark.parametrize("aspects", ASPECT_SETS)
def test_every_aspect_is_rated_on_its_own_scale(store, server, reply, aspects) -> None:
    scales = scales_of(aspects)
    server.rule = noisy(reply, scales[0].lowest, scales[0].highest)
    report = run_judge(store, server, aspects=aspects)
    assert report.tally.fresh == {"done": 4 * len(scales)}
    found = rows(store, "SELECT aspect, template, scale, count(*) FROM ratings GROUP BY ALL ORDER BY ALL")
    assert found == sorted((one.aspect, one.template, one.scale, 4) for one in scales)
    assert {(one.name, one.aspect) for one in report.classes} == {
        (name, scale.aspect) for name in ("GPT3", "GPT4") for scale in scales
    }
    assert run_judge(store, server).tally.reused == 0


def test_a_rating_outside_its_own_scale_is_none() -> None:
    zero = Completion("", "done", "Rating: [[0]]")
    five = Completion("", "done", "Rating: [[5]]")
    helpsteer, ultrafeedback = ASPECT_SETS["helpsteer"][0], ASPECT_SETS["ultrafeedback"][0]
    assert outcome_of(zero, helpsteer).value == 0
    assert outcome_of(five, helpsteer).state == "unparsed"
    assert outcome_of(zero, ultrafeedback).state == "unparsed"
    assert outcome_of(five, ultrafeedback).value == 5
    assert outcome_of(zero).state == "unparsed"


def test_a_set_of_aspects_that_is_none_gets_the_nearest(store, server) -> None:
    with pytest.raises(UnknownName, match="did you mean 'helpsteer'"):
        JudgeSettings(aspects="helpster")


def test_a_dry_run_counts_draws_and_aspects(store, server) -> None:
    model = open_chat_model("gpt-4", server.url)
    settings = JudgeSettings(draws=2, aspects="helpsteer")
    assert forecast(store, model, price_of("gpt-4", server.url), settings).calls == 4 * 2 * 5


@pytest.mark.parametrize("scale", EVERY_SCALE, ids=lambda scale: scale.template)
def test_a_scale_and_its_prompt_name_the_same_range(scale) -> None:
    (_, system), (_, user) = render(judge_prompt(scale.template), TURNS)
    assert f"a whole number from {scale.lowest} (" in system
    assert f"to {scale.highest} (" in system
    assert "RESPONSE TO RATE" in user
    assert known_scale(scale.template, scale.scale, scale.aspect) == scale


@pytest.mark.parametrize("scale", EVERY_SCALE[1:], ids=lambda scale: scale.template)
def test_the_prompt_of_an_aspect_is_the_recorded_one(scale, rewrite_golden) -> None:
    golden = Path(__file__).parent / "golden" / f"{scale.template.replace('/', '.')}.txt"
    shown = render(judge_prompt(scale.template), TURNS)
    rendered = "\n".join(f"--- {role}\n{content}" for role, content in shown) + "\n"
    if rewrite_golden:
        golden.write_text(rendered, encoding="utf-8")
    assert rendered == golden.read_text(encoding="utf-8")


def test_the_command_prints_mean_and_icc(store, server, reply, capsys) -> None:
    server.rule = noisy(reply)
    arguments = ["judge", "--model", "gpt-4", "--base-url", server.url, "--store", str(store.path)]
    assert run_command(cli, [*arguments, "--draws", "2", "--concurrency", "1"]) == 0
    shown = capsys.readouterr().out
    assert "overall: 2 draws of 4 turns, mean " in shown
    assert "ICC " in shown
    assert run_command(cli, [*arguments, "--draws", "2", "--json"]) == 0
    (draws,) = json.loads(capsys.readouterr().out)["draws"]
    assert (draws["draws"], draws["turns"]) == (2, 4)


@pytest.mark.parametrize("aspects", ASPECT_SETS)
def test_the_offline_judge_keeps_to_the_scale_it_is_asked_for(tmp_path, write, aspects) -> None:
    from label.offline_world import CREATURES, PLACES

    creature = next(iter(CREATURES.values()))
    turns = [
        ("user", f"Where does the {creature.name} live?"),
        ("assistant", f"The {creature.name} lives {PLACES[creature.home]}."),
    ]
    store = write(tmp_path / "world.duckdb", [("gpt-4", turns)])

    def advance(_amount: float = 1, *, words: str = "") -> None:
        del words

    settings = JudgeSettings(aspects=aspects)
    report = judge_store(
        store, open_chat_model("offline"), price_of("offline", ""), settings, advance=advance
    )
    assert report.tally.fresh == {"done": len(scales_of(aspects))}
