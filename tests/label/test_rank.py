"""`label rank`: the grid of scores and policies, from draws in a store."""

import json
from itertools import combinations
from statistics import fmean

import pytest

from label.cli import cli
from label.ranking.rank import RankSettings, rank_report
from label.ranking.scores import Scoring
from store.console import run_command
from store.errors import BadSettings, RequestError, UnknownName
from store.selections import write_selection

FIRST = [("a", 1.0), ("b", 4.0), ("c", 2.0), ("b", 4.0)]
SECOND = [("d", 0.0), ("e", 3.0), ("f", 6.0), ("g", 1.0)]


def expected_best(scores, n):
    return fmean(max(choice) for choice in combinations(scores, n))


@pytest.fixture
def filled(response_sets):
    response_sets.add("one", FIRST)
    response_sets.add("two", SECOND)
    return response_sets


def test_best_of_n_is_over_every_choice_of_draws_and_ranks_are_of_texts(filled) -> None:
    (one,) = rank_report(filled.store, RankSettings(sizes=(1, 2, 4, 8))).curves
    assert (one.policy, one.score, one.prompts, one.responses, one.draws) == ("sft", "rm@1", 2, 7, 8)
    for point, n in zip(one.best_of, (1, 2, 4), strict=True):
        expected = fmean(expected_best([score for _, score in draws], n) for draws in (FIRST, SECOND))
        assert point.value == pytest.approx(expected)
    assert [(p.x, p.value, p.prompts) for p in one.by_rank] == [
        (1, 5.0, 2),
        (2, 2.5, 2),
        (3, 1.0, 2),
        (4, 0.0, 1),
    ]
    assert sum(one.distribution.counts) == 8


def test_every_reward_model_and_policy_is_a_cell(filled, capsys) -> None:
    filled.add("one", [("z", 9.0)], policy="rs")
    filled.add("one", [("a", -1.0), ("z", -2.0)], policy=None, model="other")
    assert run_command(cli, ["rank", "--store", str(filled.store.path)]) == 0
    assert "best of 1: expected score (and win rate)" in capsys.readouterr().out
    cells = {(one.score, one.policy): one.draws for one in rank_report(filled.store, RankSettings()).curves}
    assert cells == {("rm@1", "sft"): 8, ("rm@1", "rs"): 1, ("other@1", "sft"): 1, ("other@1", "rs"): 1}


def test_answers_without_a_policy_are_a_set_too(response_sets) -> None:
    response_sets.add("one", [("a", 1.0), ("b", 2.0)], policy=None)
    (one,) = rank_report(response_sets.store, RankSettings()).curves
    assert (one.policy, one.draws) == ("unknown", 2)


def test_a_later_number_replaces_an_earlier_one(filled) -> None:
    filled.add("one", [("a", 10.0)], policy=None)
    filled.add("two", [("f", None)], policy=None)
    report = rank_report(filled.store, RankSettings())
    assert report.curves[0].by_rank[0].value == pytest.approx((10.0 + 3.0) / 2)
    assert report.steps["rm@1"].as_json() == {
        "unit": "responses",
        "in": 7,
        "kept": 6,
        "dropped": {"no_score": 1},
    }


def test_cut_responses_stay_out_unless_asked(response_sets) -> None:
    response_sets.add("one", [("a", 1.0), ("b", 2.0)], truncated=("b",))
    response_sets.add("two", [("c", 3.0)], finish_reason="length")
    response_sets.add("three", [("d", 3.0)], finish_reason="length")
    response_sets.add("three", [("d", 3.0)], finish_reason="stop")
    report = rank_report(response_sets.store, RankSettings())
    assert report.steps["rm@1"].dropped == {"truncated": 2}
    everything = rank_report(response_sets.store, RankSettings(Scoring(with_truncated=True)))
    assert everything.steps["rm@1"].dropped == {}


def test_length_costs_what_is_asked(response_sets) -> None:
    response_sets.add("one", [("x" * 1000, 2.0), ("short", 1.5)])
    plain = rank_report(response_sets.store, RankSettings())
    penalised = rank_report(response_sets.store, RankSettings(Scoring(length_penalty=0.001)))
    assert plain.curves[0].by_rank[0].value == 2.0
    assert [round(p.value, 3) for p in penalised.curves[0].by_rank] == [1.495, 1.0]


def test_several_reward_models_together_are_the_mean_of_their_z_scores(response_sets) -> None:
    response_sets.add("one", [("a", 0.0), ("b", 2.0)], model="small")
    response_sets.add("one", [("a", 100.0), ("b", 300.0), ("c", 999.0)], policy=None, model="large")
    settings = RankSettings(Scoring(reward_models=("small", "large"), together=True))
    report = rank_report(response_sets.store, settings)
    assert [point.value for point in report.curves[0].by_rank] == [1.0, -1.0]
    assert list(report.steps) == ["small@1 + large@1 (mean of z)"]
    assert list(rank_report(response_sets.store, RankSettings(Scoring(together=True))).steps) == [
        "large@1 + small@1 (mean of z)"
    ]
    assert report.steps["small@1 + large@1 (mean of z)"].as_json()["in"] == 3
    assert report.steps["small@1 + large@1 (mean of z)"].dropped == {"no_score": 1}


def test_ratings_can_be_the_score_and_a_missing_aspect_leaves_none(response_sets) -> None:
    response_sets.add("one", [("a", 1.0), ("b", 0.0), ("c", 0.0)])
    response_sets.rate("one", "a", {"helpfulness": 2.0, "honesty": 4.0})
    response_sets.rate("one", "b", {"helpfulness": 5.0, "honesty": 4.0})
    response_sets.rate("one", "c", {"helpfulness": 5.0, "honesty": None})
    report = rank_report(response_sets.store, RankSettings(Scoring(ratings="gpt-4")))
    assert [point.value for point in report.curves[0].by_rank] == [4.5, 3.0]
    assert report.steps["mean rating by gpt-4"].dropped == {"no_score": 1}


def test_ratings_on_two_scales_are_not_mixed(response_sets) -> None:
    response_sets.add("one", [("a", 1.0), ("b", 0.0)])
    response_sets.rate("one", "a", {"helpfulness": 2.0})
    response_sets.rate("one", "a", {"rank": -1.0}, scale="minus-rank")
    response_sets.rate("one", "b", {"rank": -2.0}, scale="minus-rank")
    with pytest.raises(RequestError, match="name one: 1-5, minus-rank"):
        rank_report(response_sets.store, RankSettings(Scoring(ratings="gpt-4")))
    report = rank_report(response_sets.store, RankSettings(Scoring(ratings="gpt-4", scale="minus-rank")))
    assert [point.value for point in report.curves[0].by_rank] == [-1.0, -2.0]


def test_only_prompts_of_a_selection(filled) -> None:
    with filled.store.write() as writing:
        write_selection(
            writing,
            "few",
            "prompts",
            "SELECT message_id AS prompt_id, NULL AS part FROM messages WHERE content = 'two'",
            settings={},
            steps={},
            run_id=None,
        )
    (one,) = rank_report(filled.store, RankSettings(Scoring(prompts="few"))).curves
    assert (one.prompts, one.by_rank[0].value) == (1, 6.0)


def test_win_rates_of_the_best_of_n_stand_beside_the_scores(response_sets, tmp_path, capsys) -> None:
    response_sets.add("one", [("a", 1.0), ("b", 2.0)])
    response_sets.add("one", [("r", 0.0)], policy="reference")
    response_sets.compare("one", "b", "r", [1.0, 0.5], policies=("sft", "reference"))
    response_sets.compare("one", "a", "r", [-1.0, -0.5], policies=("sft", "reference"))
    report = rank_report(response_sets.store, RankSettings(sizes=(1, 2), against="reference"))
    rates = next(one.win_rates for one in report.curves if one.policy == "sft")
    assert [(rate.n, rate.value, rate.judged) for rate in rates] == [(1, 0.5, 1.0), (2, 1.0, 1.0)]
    png = tmp_path / "rates.png"
    assert (
        run_command(cli, ["rank", "--store", str(response_sets.store.path), "--plot", "--png", str(png)]) == 0
    )
    shown = capsys.readouterr().out
    assert "win rate of the best of n against its expected score" in shown
    assert "1.500 (0.50)" in shown
    assert png.stat().st_size > 10_000


def test_the_rank_closest_to_a_policys_mean(response_sets) -> None:
    for number in range(8):
        response_sets.add(f"p{number}", [(f"{place}", float(10 - place)) for place in range(6)], policy="big")
        response_sets.add(f"p{number}", [("own", 7.1)], policy="small")
    settings = RankSettings(policy_rank="small", sample=5)
    found = rank_report(response_sets.store, settings).policy_rank
    assert found is not None
    assert (found.rank, found.rank_mean, found.prompts) == (4, 7.0, 5)
    assert found.mean == pytest.approx(7.1)


def test_what_cannot_be_meant_is_refused(filled) -> None:
    with pytest.raises(UnknownName, match="no reward model named 'rn'"):
        rank_report(filled.store, RankSettings(Scoring(reward_models=("rn",))))
    with pytest.raises(UnknownName, match="did you mean 'sft'"):
        rank_report(filled.store, RankSettings(Scoring(policies=("stf",))))
    with pytest.raises(BadSettings, match="rewards or of ratings"):
        Scoring(reward_models=("rm",), ratings="gpt-4")
    filled.add("one", [("a", 1.0)], policy=None, revision="2")
    with pytest.raises(RequestError, match=r"name one: rm@1, rm@2"):
        rank_report(filled.store, RankSettings(Scoring(reward_models=("rm",))))
    assert rank_report(filled.store, RankSettings(Scoring(reward_models=("rm@2",)))).curves[0].draws == 1


def test_a_store_without_rewards_says_how_to_get_some(store) -> None:
    with pytest.raises(RequestError, match="label reward"):
        rank_report(store, RankSettings())


def test_the_command_prints_tables_json_plots_and_a_picture(filled, tmp_path, capsys) -> None:
    png = tmp_path / "ranks.png"
    assert run_command(cli, ["rank", "--store", str(filled.store.path), "--plot", "--png", str(png)]) == 0
    shown = capsys.readouterr().out
    for words in ("score: rm@1; 7 of 7 responses", "best of", "KL at most", "0.193", "a sft by rm@1"):
        assert words in shown
    assert png.read_bytes().startswith(b"\x89PNG")
    assert run_command(cli, ["rank", "--store", str(filled.store.path), "--json", "--best-of", "1,2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema_version"] == 1
    assert [point["n"] for point in found["curves"][0]["best_of"]] == [1, 2]
    assert found["curves"][0]["best_of"][1]["kl_bound"] == pytest.approx(0.193147, abs=1e-6)


def test_the_past_can_be_ranked(filled) -> None:
    from store.db import Store

    with filled.store.read() as reading:
        before = reading.version
    filled.add("one", [("a", 100.0)], policy=None)
    then = rank_report(Store(filled.store.path, at=f"v{before}"), RankSettings())
    assert then.curves[0].by_rank[0].value == 5.0


def test_sql_sees_prompts_and_ranks(filled) -> None:
    with filled.store.read() as reading:
        prompts = reading.rows(
            "SELECT content, n_responses, n_draws FROM prompts"
            " JOIN messages ON message_id = prompt_id ORDER BY content"
        )
        ranks = reading.rows(
            "SELECT content, rank FROM ranked_responses JOIN messages ON message_id = response_id"
            " WHERE prompt_id = CAST(? AS UUID) ORDER BY rank",
            [filled.prompt("one")],
        )
    assert prompts == [("one", 3, 4), ("two", 4, 4)]
    assert ranks == [("b", 1), ("c", 2), ("a", 3)]


def test_scores_that_are_all_equal_can_be_plotted(response_sets, tmp_path, capsys) -> None:
    response_sets.add("one", [("a", 1.0), ("b", 1.0)])
    where = ["--store", str(response_sets.store.path), "--plot", "--png", str(tmp_path / "flat.png")]
    assert run_command(cli, ["rank", *where]) == 0
    assert "share of all draws" in capsys.readouterr().out
