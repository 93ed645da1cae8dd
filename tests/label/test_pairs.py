"""`label pairs`: every rule, the audit, and a selection that is the same every time."""

import json
from random import Random

import pytest

from label.cli import cli
from label.comparing.pairing import Split
from label.id_columns import ids_of_texts
from label.pairs.choose import PairSettings, keep_pairs, plan_pairs
from label.pairs.judged import Judged
from label.pairs.rules import PairRule
from label.ranking.scores import Scoring
from store.console import run_command
from store.db import Store
from store.errors import BadSettings, RequestError, UnknownName
from store.selections import selection_named, selections
from store.verify import verify

SET = [("best", 8.0), ("good", 6.0), ("fair", 3.0), ("poor", 1.0)]


@pytest.fixture
def filled(response_sets):
    response_sets.add("one", SET)
    response_sets.add("two", [("worse", -1.0), ("better", 2.0)])
    response_sets.add("three", [("only", 1.0)])
    response_sets.add("four", [("tied", 1.0), ("level", 1.00002)])
    return response_sets


def texts_of(sets, plan):
    """(prompt, chosen, rejected) in words."""
    with sets.store.read() as reading:
        words = dict(reading.rows("SELECT CAST(message_id AS VARCHAR), content FROM messages"))
    from label.id_columns import uuid_texts

    columns = (uuid_texts(ids) for ids in (plan.pairs.prompts, plan.pairs.chosen, plan.pairs.rejected))
    return sorted(tuple(words[one] for one in row) for row in zip(*columns, strict=True))


def planned(sets, rule, **scoring):
    return plan_pairs(sets.store, PairSettings(rule=rule, scoring=Scoring(**scoring)))


def dropped(plan):
    return {step.name: dict(step.dropped) for step in plan.steps if step.dropped}


def test_the_best_against_the_worst(filled) -> None:
    plan = planned(filled, PairRule())
    assert texts_of(filled, plan) == [("one", "best", "poor"), ("two", "better", "worse")]
    assert dropped(plan) == {"prompts": {"too_few_responses": 1}, "pairs": {"tied": 1}}
    assert sorted(plan.pairs.rank_rejected.tolist()) == [2, 4]


def test_the_best_against_a_rank(filled) -> None:
    plan = planned(filled, PairRule("best-rank-k", rank=3))
    assert texts_of(filled, plan) == [("one", "best", "fair")]
    assert dropped(plan) == {"prompts": {"too_few_responses": 3}}


def test_the_best_against_a_draw_that_the_seed_decides(filled) -> None:
    found = {
        texts_of(filled, planned(filled, PairRule("best-random", seed=seed)))[0][2] for seed in range(20)
    }
    assert found == {"good", "fair", "poor"}
    assert dropped(planned(filled, PairRule("best-random")))["prompts"]["all_tied"] == 1


def test_all_pairs_above_a_gap(filled) -> None:
    plan = planned(filled, PairRule("all-above-gap", min_gap=2.5))
    assert texts_of(filled, plan) == [
        ("one", "best", "fair"),
        ("one", "best", "poor"),
        ("one", "good", "fair"),
        ("one", "good", "poor"),
        ("two", "better", "worse"),
    ]
    assert dropped(plan)["pairs"] == {"below_min_gap": 2, "tied": 1}


def test_at_most_so_many_pairs_of_a_prompt(filled) -> None:
    every = set(texts_of(filled, planned(filled, PairRule("all-above-gap", min_gap=0.1))))
    few = planned(filled, PairRule("all-above-gap", min_gap=0.1, max_per_prompt=2))
    assert few.audit.most_per_prompt == 2
    assert set(texts_of(filled, few)) < every
    assert dropped(few)["pairs"] == {"over_max_per_prompt": 4, "tied": 1}
    drawn = {
        tuple(
            texts_of(
                filled, planned(filled, PairRule("all-above-gap", min_gap=0.1, max_per_prompt=2, seed=n))
            )
        )
        for n in range(10)
    }
    assert len(drawn) > 3


def test_pairs_on_two_sides_of_a_threshold(filled) -> None:
    plan = planned(filled, PairRule("threshold", chosen_min=6.0, rejected_max=3.0))
    assert texts_of(filled, plan) == [("one", "best", "poor"), ("one", "good", "poor")]


def test_shps_rule_takes_ratios_of_positive_scores(filled) -> None:
    plan = planned(filled, PairRule("shp"))
    assert texts_of(filled, plan) == [
        ("one", "best", "fair"),
        ("one", "best", "poor"),
        ("one", "fair", "poor"),
        ("one", "good", "poor"),
    ]
    assert dropped(plan)["pairs"] == {"ratio_too_small": 2, "score_not_positive": 1, "tied": 1}
    assert PairRule("shp").most == 5


def test_the_penalised_order_decides_who_is_chosen(response_sets) -> None:
    response_sets.add("one", [("long " * 400, 2.0), ("short", 1.5), ("bad", 0.0)])
    plan = planned(response_sets, PairRule(), length_penalty=0.001)
    assert texts_of(response_sets, plan)[0][1] == "short"
    best_last = planned(response_sets, PairRule("all-above-gap", min_gap=0.01), length_penalty=0.001)
    assert (best_last.pairs.score_chosen > best_last.pairs.score_rejected).all()
    assert ("short", "long " * 400) in {pair[1:] for pair in texts_of(response_sets, best_last)}


def test_equal_texts_are_never_paired(response_sets) -> None:
    response_sets.add("one", [("same", 5.0), ("same ", 1.0)])
    response_sets.add("two", [("same", 5.0), (" same\n", 3.0), ("other", 4.0)])
    plan = planned(response_sets, PairRule())
    assert texts_of(response_sets, plan) == []
    assert dropped(plan)["texts"] == {"equal_text": 2}
    trimmed = planned(response_sets, PairRule(), trims=True)
    assert texts_of(response_sets, trimmed) == [("two", "same", "other")]
    assert dropped(trimmed)["responses"] == {"equal_text": 2}


def test_the_order_in_which_responses_were_stored_changes_nothing(response_sets, tmp_path) -> None:
    rows = [(f"text {place}", float(place // 2)) for place in range(8)]
    response_sets.add("one", rows)
    other = type(response_sets)(tmp_path / "other.duckdb")
    other.add("one", rows[::-1])
    rules = [
        PairRule(),
        PairRule("best-rank-k", rank=4),
        PairRule("best-random"),
        PairRule("all-above-gap", min_gap=1.0, max_per_prompt=3),
    ]
    for rule in rules:
        assert texts_of(response_sets, planned(response_sets, rule)) == texts_of(other, planned(other, rule))


def test_every_step_adds_up_and_the_audit_says_what_the_pairs_are_like(filled) -> None:
    plan = planned(filled, PairRule("all-above-gap", min_gap=0.5))
    for step in plan.steps:
        assert step.read == step.kept + sum(step.dropped.values())
    assert [(step.name, step.read, step.kept) for step in plan.steps] == [
        ("responses", 9, 9),
        ("prompts", 4, 3),
        ("pairs", 8, 7),
        ("texts", 7, 7),
    ]
    audit = plan.audit
    assert (audit.pairs, audit.prompts, audit.most_per_prompt) == (7, 2, 6)
    assert (audit.score_gap["least"], audit.score_gap["half"], audit.score_gap["most"]) == (2.0, 3.0, 7.0)
    assert audit.characters_chosen == pytest.approx((4 * 5 + 4 + 6) / 7)
    assert (audit.chosen_longer, audit.shared_texts, audit.without_text) == (pytest.approx(1 / 7), 0, 0)


def test_a_text_chosen_under_several_prompts_is_counted(response_sets) -> None:
    for prompt in ("one", "two", "three"):
        response_sets.add(prompt, [("constant", 5.0), (f"honest {prompt}", 1.0)])
    assert planned(response_sets, PairRule()).audit.shared_texts == 3


def test_ratings_rank_too(filled) -> None:
    filled.rate("one", "poor", {"helpfulness": 5.0, "honesty": 5.0})
    filled.rate("one", "best", {"helpfulness": 1.0, "honesty": 2.0})
    plan = planned(filled, PairRule(), ratings="gpt-4")
    assert texts_of(filled, plan) == [("one", "poor", "best")]
    assert plan.pairs.score_chosen.tolist() == [5.0]


def test_many_prompts_come_out_as_a_plain_loop_has_them(response_sets) -> None:
    random = Random(7)
    expected = []
    for number in range(16):
        scores = [(f"{number} {place}", random.randrange(6) / 2) for place in range(random.randrange(1, 9))]
        response_sets.add(f"p{number}", scores)
        by_rank = sorted(
            scores,
            key=lambda row: (-row[1], ids_of_texts([response_sets.response(f"p{number}", row[0])]).tolist()),
        )
        if len(by_rank) >= 3 and by_rank[0][1] > by_rank[2][1]:
            expected.append((f"p{number}", by_rank[0][0], by_rank[2][0]))
    plan = planned(response_sets, PairRule("best-rank-k", rank=3))
    assert texts_of(response_sets, plan) == sorted(expected)
    assert len(expected) > 5


def judged_plan(sets, judged=None, rule=None, split=None, **scoring):
    settings = PairSettings(
        rule or PairRule("judged"), Scoring(**scoring), judged or Judged(), split or Split()
    )
    return plan_pairs(sets.store, settings)


def test_judged_pairs_are_what_every_verdict_agrees_on(filled) -> None:
    filled.compare("one", "good", "best", [1.0, 0.5])
    filled.compare("one", "good", "best", [0.5, 0.5], labeler="judge-b")
    filled.compare("one", "fair", "poor", [1.0, 1.0])
    filled.compare("one", "fair", "poor", [-1.0, -1.0], labeler="judge-b")
    filled.compare("one", "best", "poor", [1.0, -1.0])
    filled.compare("one", "best", "fair", [0.5, 0.0])
    filled.compare("two", "worse", "better", [0.0, 0.0])
    filled.compare("two", "better", "worse", [1.0], template="pair-seen", labeler="ann")
    plan = judged_plan(filled)
    assert texts_of(filled, plan) == [("one", "good", "best")]
    assert list(plan.pairs.strength) == ["slightly better"]
    assert dropped(plan)["verdicts"] == {
        "conflict": 1,
        "labelers_disagree": 2,
        "said_again": 1,
        "tie": 1,
        "weak": 1,
    }
    assert plan.steps[0].read == 7
    one = judged_plan(filled, Judged(by=("judge-b",)))
    assert texts_of(filled, one) == [("one", "good", "best"), ("one", "poor", "fair")]
    weak = judged_plan(filled, Judged(by=("judge-a",), with_weak=True, min_margin=0.25))
    assert ("one", "best", "fair") in texts_of(filled, weak)
    strong = judged_plan(filled, Judged(by=("judge-a",), min_margin=0.9))
    assert texts_of(filled, strong) == [("one", "fair", "poor")]


def test_judged_pairs_can_be_held_against_their_scores(filled) -> None:
    filled.compare("one", "good", "best", [1.0, 0.5])
    filled.compare("one", "fair", "poor", [1.0, 1.0])
    plan = judged_plan(filled, Judged(drops_contradicted=True), reward_models=("rm",))
    assert texts_of(filled, plan) == [("one", "fair", "poor")]
    assert dropped(plan)["pairs"] == {"contradicted": 1}
    assert plan.pairs.score_chosen.tolist() == [3.0]
    assert plan.pairs.rank_rejected.tolist() == [4]
    with pytest.raises(BadSettings, match="add --reward-model or --ratings"):
        PairSettings(PairRule("judged"), judged=Judged(drops_contradicted=True))


def test_asking_again_writes_nothing_and_a_new_state_a_new_version(filled) -> None:
    settings = PairSettings(split=Split.parse("train=0.5,validation=0.5"))
    plan = plan_pairs(filled.store, settings)
    first = keep_pairs(filled.store, "mine", settings, plan)
    again = keep_pairs(filled.store, "mine", settings, plan_pairs(filled.store, settings))
    assert (first.is_new, again.is_new, again.selection_id) == (True, False, first.selection_id)
    filled.add("five", [("up", 2.0), ("down", 1.0)])
    third = keep_pairs(filled.store, "mine", settings, plan_pairs(filled.store, settings))
    assert third.is_new
    with filled.store.read() as reading:
        assert [one.row_count for one in selections(reading)] == [2, 3]
        old = selection_named(reading, f"mine@v{first.version}", "pairs")
        assert old.at_version == plan.at_version
        assert old.steps["prompts"] == {
            "unit": "prompts",
            "in": 4,
            "kept": 3,
            "dropped": {"too_few_responses": 1},
        }
        assert old.settings["score"] == "rm@1"
        parts = reading.rows("SELECT DISTINCT part FROM selection_pairs")
    assert {part for (part,) in parts} <= {"train", "validation"}
    assert verify(filled.store).is_ok


def test_a_snapshot_gives_the_pairs_of_its_time(filled) -> None:
    with filled.store.read() as reading:
        before = reading.version
    filled.add("one", [("poor", 100.0)], policy=None)
    then = plan_pairs(Store(filled.store.path, at=f"v{before}"), PairSettings())
    assert texts_of(filled, then)[0] == ("one", "best", "poor")
    assert texts_of(filled, planned(filled, PairRule()))[0] == ("one", "poor", "fair")
    assert then.at_version == before


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"rule": "best-rank-k"}, "give both or neither"),
        ({"rule": "best-worst", "rank": 3}, "give both or neither"),
        ({"rule": "best-rank-k", "rank": 1}, "2 or more"),
        ({"rule": "threshold"}, "--chosen-min"),
        ({"rule": "threshold", "chosen_min": 1.0, "rejected_max": 2.0}, "could be both"),
        ({"rule": "all-above-gap"}, "needs --min-gap"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(rule, words) -> None:
    with pytest.raises(BadSettings, match=words):
        PairRule(**rule)


def test_the_command_prints_the_audit_first_and_keeps_the_pairs(filled, capsys) -> None:
    where = ["--store", str(filled.store.path)]
    assert run_command(cli, ["pairs", "mine", "--dry-run", *where]) == 0
    shown = capsys.readouterr().out
    for words in ("too_few_responses", "score gap", "length gap", "dry run: nothing was written"):
        assert words in shown
    with filled.store.read() as reading:
        assert selections(reading) == []
    assert run_command(cli, ["pairs", "mine", "--json", *where]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["pairs"], found["is_new"]) == (2, True)
    assert found["steps"]["pairs"] == {"unit": "pairs", "in": 3, "kept": 2, "dropped": {"tied": 1}}
    assert run_command(cli, ["pairs", "mine", *where]) == 0
    assert f"nothing new: these are the pairs of mine@v{found['version']}" in capsys.readouterr().out


def test_a_name_that_could_be_a_version_is_refused_before_anything_is_read(tmp_path, capsys) -> None:
    assert run_command(cli, ["pairs", "v3", "--store", str(tmp_path / "none.duckdb")]) == 2
    assert "cannot name a selection" in capsys.readouterr().err


def test_several_reward_models_need_the_word(filled, capsys) -> None:
    filled.add("one", SET, policy=None, model="other")
    where = ["--store", str(filled.store.path), "--reward-model", "rm", "--reward-model", "other"]
    assert run_command(cli, ["pairs", "mine", *where]) == 2
    assert "--together" in capsys.readouterr().err
    assert run_command(cli, ["pairs", "mine", "--together", *where]) == 0


def test_nothing_to_choose_from_is_said(store) -> None:
    with pytest.raises(RequestError, match="label compare"):
        plan_pairs(store, PairSettings(PairRule("judged")))
    with pytest.raises(UnknownName, match="no labeler with ratings named 'gpt-4'"):
        plan_pairs(store, PairSettings(scoring=Scoring(ratings="gpt-4")))
