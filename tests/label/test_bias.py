"""A judge whose habits are known must be measured with those habits."""

import json
from datetime import datetime

import numpy as np
import pytest

from label.commands.agree import agree
from label.commands.agree import win_rates as win_rates_command
from label.commands.bias import bias, calibrate
from label.comparing.stored_verdicts import Side, Verdict, merge_orders
from label.measures import Resampling
from label.trust.bias import bias_of
from label.trust.bias_report import BiasSettings, bias_report
from label.trust.families import family_of
from label.trust.rating_agreement import Score
from label.trust.rating_length import heatmap_of, length_measures, prompt_lengths
from label.trust.win_rates import Length, fit_logistic, is_rankable, policy_rates, rankings, win_rates
from store.console import run_command
from store.db import Store

NOON = datetime(2026, 1, 1, 12)
FEW = Resampling(resamples=200)
POSITION, SLOPE = 0.6, 0.9
"""The synthetic judge: logit P(first wins) = POSITION + SLOPE * ln(length of first / length of second)."""
PROMPTS = 500


def shown(prompt: str, first: Side, second: Side, margin: float | None, **changes: object) -> Verdict:
    facts: dict[str, object] = {
        "labeler": "gpt-4",
        "labeler_kind": "judge",
        "template": "pair",
        "scale": "xwin4",
        "draw_index": 0,
        "state": "unparsed" if margin is None else "win" if margin else "tie",
        "accepts_first": None,
        "accepts_second": None,
        "created_at": NOON,
        **changes,
    }
    return Verdict(prompt, first, second, margin=margin, **facts)  # type: ignore[arg-type]


def sigmoid(logit):
    return 1 / (1 + np.exp(-logit))


@pytest.fixture(scope="module")
def synthetic():
    """A judge's verdicts in both orders, the lengths, and what ought to be measured."""
    random = np.random.default_rng(7)
    characters = np.maximum(1, np.exp(random.normal(6, 0.8, size=(PROMPTS, 2))).astype(int))
    verdicts, lengths = [], {}
    ratio = np.log(characters[:, 0] / characters[:, 1])
    first_wins, second_order_wins = sigmoid(POSITION + SLOPE * ratio), sigmoid(POSITION - SLOPE * ratio)
    for number in range(PROMPTS):
        sides = [Side(policy, f"{number}-{policy}") for policy in ("gpt-3.5-turbo", "llama")]
        for side, count in zip(sides, characters[number], strict=True):
            lengths[side.response_id] = Length(int(count), int(count) // 6)
        for chance, order in ((first_wins, sides), (second_order_wins, sides[::-1])):
            margin = 1.0 if random.random() < chance[number] else -1.0
            verdicts.append(shown(f"p{number}", *order, margin))
    expected = {
        "position_logit": POSITION,
        "length_slope_logit": SLOPE,
        "flip_rate": float(
            np.mean(first_wins * second_order_wins + (1 - first_wins) * (1 - second_order_wins))
        ),
        "first_slot_rate": float(np.mean((first_wins + second_order_wins) / 2)),
    }
    return verdicts, lengths, expected


def test_known_position_bias_and_length_slope_are_within_their_intervals(synthetic) -> None:
    verdicts, lengths, expected = synthetic
    report = bias_of("gpt-4", verdicts, lengths, FEW)
    for name, value in expected.items():
        found = report.get(name)
        assert found.low <= value <= found.high, name
        assert found.high - found.low < 0.4, name


def test_the_intervals_cover_in_nineteen_of_twenty_runs() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        ratio = random.normal(0, 1, size=200)
        ratio = np.concatenate([ratio, -ratio])
        wins = (random.random(400) < sigmoid(POSITION + SLOPE * ratio)).astype(float)
        prompts = [str(number % 200) for number in range(400)]
        fit = fit_logistic(wins, np.column_stack([np.ones(400), ratio]), prompts)
        covered += sum(
            low <= value <= high for (low, high), value in zip(fit.intervals, (POSITION, SLOPE), strict=True)
        )
    assert 108 <= covered <= 120


def test_longer_answers_are_preferred_more_the_longer_they_are(synthetic) -> None:
    verdicts, lengths, _ = synthetic
    report = bias_of("gpt-4", verdicts, lengths, FEW)
    assert report.value("longer_preferred", "over 2 times as long") > report.value(
        "longer_preferred", "1.1 to 1.25 times as long"
    )
    assert report.get("longer_preferred", "all lengths").low > 0.5


def test_a_fair_judge_shows_no_bias() -> None:
    random = np.random.default_rng(3)
    verdicts, lengths = [], {}
    for number in range(200):
        sides = [Side("x", f"{number}-x"), Side("y", f"{number}-y")]
        for side in sides:
            lengths[side.response_id] = Length(int(random.integers(100, 1000)), 50)
        margin = float(random.choice([-1.0, 1.0]))
        verdicts += [shown(f"p{number}", *sides, margin), shown(f"p{number}", *sides[::-1], -margin)]
    report = bias_of("fair", verdicts, lengths, FEW)
    assert report.value("flip_rate") == 0
    assert report.value("first_slot_rate") == 0.5
    slope = report.get("length_slope_logit")
    assert slope.low < 0 < slope.high


def test_five_lines_say_it(synthetic) -> None:
    verdicts, lengths, _ = synthetic
    lines = bias_of("gpt-4", verdicts, lengths, FEW).lines()
    assert [line.split(":")[0] for line in lines] == [
        "order",
        "length",
        "unique tokens",
        "family",
        "verdicts",
    ]
    assert "conflict" in lines[4]
    assert all("unknown" in line for line in bias_of("none", [], {}, FEW).lines()[:4])


def test_self_preference_is_what_a_judge_gives_its_family_beyond_what_others_give() -> None:
    lengths: dict[str, Length] = {}
    own, others = [], []
    for number in range(20):
        sides = (Side("gpt-3.5-turbo", f"{number}-a"), Side("llama", f"{number}-b"))
        own.append(shown(f"p{number}", *sides, 1.0))
        others.append(
            shown(f"p{number}", *sides, 1.0 if number < 5 else -1.0, labeler="ann", labeler_kind="person")
        )
    report = bias_of("gpt-4", own, lengths, FEW, merge_orders(others))
    assert report.value("own_family_win_rate") == 1.0
    assert report.value("self_preference") == pytest.approx(0.75)
    assert report.get("self_preference").of == "family openai"
    assert bias_of("claude-3", own, lengths, FEW).value("own_family_win_rate") is None


def test_families_follow_from_names() -> None:
    names = [
        "gpt-4-1106",
        "openai/chatgpt",
        "claude-3-opus",
        "vllm:http://h/v1#Llama-3-8B",
        "alpaca",
        "o3-mini",
        "weighted_alpaca_eval_gpt4_turbo",
        "alpaca_eval_cot_gpt4_turbo_fn",
        "text_davinci_003",
        "alpaca-7b_concise",
    ]
    families = ["openai", "openai", "anthropic", "meta", None, "openai", "openai", "openai", "openai", None]
    assert [family_of(name) for name in names] == families


def test_one_text_for_many_prompts_is_flagged() -> None:
    null, good = Length(872, 90, n_prompts=40), Length(500, 80)
    verdicts = [shown(f"p{i}", Side("null", f"{i}-a"), Side("y", f"{i}-b"), 1.0) for i in range(10)]
    lengths = {f"{i}-a": null if i < 4 else good for i in range(10)} | {f"{i}-b": good for i in range(10)}
    assert bias_of("j", verdicts, lengths, FEW).value("repeated_answer_rate") == pytest.approx(0.4)


def test_win_rates_count_ties_and_conflicts_half_and_stand_beside_the_dummy() -> None:
    sides = [(Side("x", f"{i}-x"), Side("y", f"{i}-y")) for i in range(4)]
    verdicts = [
        shown("p0", *sides[0], 1.0),
        shown("p1", *sides[1], 0.0),
        shown("p2", *sides[2], 1.0),
        shown("p2", *sides[2][::-1], 1.0),
        shown("p3", *sides[3], None),
    ]
    lengths = {
        side.response_id: Length(100, 90 if side.policy == "x" else 60) for pair in sides for side in pair
    }
    found = {one.measure: one for one in win_rates(merge_orders(verdicts), lengths, FEW)}
    assert (found["win_rate"].value, found["win_rate"].n) == (pytest.approx(2 / 3), 3)
    assert found["win_rate_more_unique_tokens"].value == 1.0
    assert found["conflict_rate"].value == pytest.approx(1 / 3)
    assert policy_rates(merge_orders(verdicts)) == pytest.approx({"x": 2 / 3, "y": 1 / 3})


def test_a_win_rate_that_is_all_length_goes_to_a_half_when_length_is_controlled() -> None:
    random = np.random.default_rng(5)
    verdicts, lengths = [], {}
    for number in range(400):
        first, second = Side("long", f"{number}-a"), Side("short", f"{number}-b")
        sizes = random.normal(1200, 300), random.normal(800, 300)
        for side, size in zip((first, second), sizes, strict=True):
            lengths[side.response_id] = Length(max(1, int(size)), 1)
        wins = random.random() < sigmoid(2 * np.tanh((sizes[0] - sizes[1]) / 430))
        verdicts.append(shown(f"p{number}", first, second, 1.0 if wins else -1.0))
    found = {one.measure: one for one in win_rates(merge_orders(verdicts), lengths, FEW)}
    assert found["win_rate"].low > 0.6
    controlled = found["win_rate_length_controlled_logistic"]
    assert controlled.low < 0.5 < controlled.high


def test_rankings_order_policies_and_are_unknown_where_one_never_lost() -> None:
    games = [
        ("a", "b", 1.0),
        ("a", "b", 1.0),
        ("b", "c", 1.0),
        ("b", "c", 1.0),
        ("c", "a", 1.0),
        ("a", "c", 1.0),
    ]
    verdicts = [
        shown(f"p{i}", Side(first, f"{i}-{first}"), Side(second, f"{i}-{second}"), margin)
        for i, (first, second, margin) in enumerate(games)
    ]
    found = {one.measure: one.value for one in rankings(merge_orders(verdicts), FEW)}
    strengths = [found[f"bradley_terry {policy}"] for policy in "abc"]
    assert strengths == sorted(strengths, reverse=True)
    assert sum(strengths) == pytest.approx(3000)
    assert not is_rankable(np.array([[0, 1], [1, 2]]), np.array([1, 1]), 3)
    unbeaten = {one.measure: one.value for one in rankings(merge_orders(verdicts[:4]), FEW)}
    assert unbeaten["bradley_terry a"] is None
    assert unbeaten["elo a"] > unbeaten["elo c"]


def test_an_elo_rating_does_not_depend_on_how_verdicts_are_grouped() -> None:
    wins = [("a", "b")] * 60 + [("b", "a")] * 40 + [("a", "c")] * 60 + [("c", "a")] * 40
    verdicts = [
        shown(f"p{i}", Side(winner, f"{i}-{winner}"), Side(loser, f"{i}-{loser}"), 1.0)
        for i, (winner, loser) in enumerate(wins)
    ]
    for order in (verdicts, verdicts[::-1]):
        found = {one.measure: one for one in rankings(merge_orders(order), FEW)}
        best = found["elo a"]
        assert best.low <= best.value <= best.high
        assert best.value > found["elo b"].value
        assert best.value > found["elo c"].value


def test_rating_and_length_are_correlated_prompt_by_prompt() -> None:
    lengths = {f"{prompt}{i}": Length(100 * (i + 1), 10) for prompt in "pq" for i in range(4)}
    scores = [
        Score(f"{prompt}{i}", prompt, "x", "j", "judge", "1-10", "overall", 0, value)
        for prompt, values in {"p": [1, 2, 3, 4], "q": [4, 3, 2, 1]}.items()
        for i, value in enumerate(values)
    ]
    prompts = prompt_lengths(scores, lengths)
    assert sorted(round(one.r, 6) for one in prompts) == [-1, 1]
    assert length_measures(prompts, FEW)[0].value == pytest.approx(0)
    assert sum(map(sum, heatmap_of("j", prompts).counts)) == 2


@pytest.fixture
def judged_store(tmp_path, write) -> Store:
    """Forty prompts, two answers each, judged in both orders by a judge and blind by ann."""
    conversations = []
    for number in range(40):
        question = ("user", f"Question {number}?")
        conversations.append(
            ("gpt-3.5-turbo", [question, ("assistant", f"A long and full answer, {number}.")])
        )
        conversations.append(("llama", [question, ("assistant", f"Short {number}.")]))
    store = write(tmp_path / "judged.duckdb", conversations)
    with store.read() as reading:
        pairs = reading.rows(
            "SELECT CAST(a.parent_id AS VARCHAR), CAST(a.message_id AS VARCHAR), CAST(b.message_id AS VARCHAR)"
            " FROM messages AS a JOIN messages AS b ON a.parent_id = b.parent_id"
            " WHERE a.content LIKE 'A long%' AND b.content LIKE 'Short%' ORDER BY ALL"
        )
    rows = []
    for number, (prompt, long, short) in enumerate(pairs):
        second = 1.0 if number < 4 else -1.0  # the judge contradicts itself on four of them
        rows.append(comparison(f"j{number}", prompt, (long, short), 1.0, "gpt-4"))
        rows.append(comparison(f"k{number}", prompt, (short, long), second, "gpt-4"))
        gold = -1.0 if number in (10, 11) else 1.0
        rows.append(comparison(f"a{number}", prompt, (long, short), gold, "ann"))
    with store.write() as writing:
        writing.append("comparisons", rows)
    return store


def comparison(name, prompt, sides, margin, labeler):
    from store.ids import digest_of, uuid_text

    return {
        "comparison_id": uuid_text(digest_of("p1", name)),
        "prompt_id": prompt,
        "response_a_id": sides[0],
        "response_b_id": sides[1],
        "labeler": labeler,
        "labeler_kind": "person" if labeler == "ann" else "judge",
        "template": "camels5-blind" if labeler == "ann" else "pair",
        "scale": "camels5",
        "draw_index": 0,
        "native_label": "a-is-better" if margin > 0 else "b-is-better",
        "signed_margin": margin,
        "state": "win",
        "parser_version": "1",
        "created_at": "2026-01-01T00:00:00",
    }


def test_the_report_is_kept_with_a_run_and_gates_exit_1(judged_store, capsys) -> None:
    path = str(judged_store.path)
    assert run_command(bias, ["--store", path, "--resamples", "20"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("gpt-4\n  order: flip rate 0.100")
    assert len(out.splitlines()) == 6
    with judged_store.read() as reading:
        (counts,) = reading.rows("SELECT counts FROM current_runs WHERE command = 'label bias'")
    measures = json.loads(counts[0])["gpt-4"]["measures"]
    assert next(one["value"] for one in measures if one["measure"] == "flip_rate") == pytest.approx(0.1)
    assert run_command(bias, ["--store", path, "--max-flip-rate", "0.05", "--json"]) == 1
    found = capsys.readouterr()
    assert "above --max-flip-rate 0.05" in found.err
    assert json.loads(found.out)["labelers"][0]["states"] == {"conflict": 4, "win": 36}
    assert run_command(bias, ["--store", path, "--max-flip-rate", "0.1", "--max-unparsed", "0"]) == 0


def test_policies_come_from_the_conversations_where_the_labels_do_not_say(judged_store, capsys) -> None:
    words = ["--store", str(judged_store.path), "--json", "--resamples", "20"]
    assert run_command(win_rates_command, ["--by", "gpt-4", *words]) == 0
    found = json.loads(capsys.readouterr().out)["measures"]
    rate = next(one for one in found if one["measure"] == "win_rate")
    assert (rate["of"], rate["value"], rate["n"]) == ("gpt-3.5-turbo : llama", 0.95, 40)


def test_a_judge_is_compared_with_people(judged_store, capsys) -> None:
    words = ["--store", str(judged_store.path), "--json", "--resamples", "20"]
    assert run_command(agree, ["--among", "judges", "--against", "people", *words]) == 0
    found = json.loads(capsys.readouterr().out)["measures"]
    raw = next(one for one in found if (one["measure"], one["of"]) == ("raw", "micro"))
    assert (raw["value"], raw["n"]) == (pytest.approx(34 / 40), 40)


def test_one_label_an_item_is_nothing_to_compare_within_one_group(judged_store, capsys) -> None:
    assert run_command(agree, ["--first", "1", "--store", str(judged_store.path)]) == 2
    assert "--against" in capsys.readouterr().err
    assert run_command(agree, ["--store", str(judged_store.path)]) == 0  # rates, but no agreement
    assert "no item has labels enough" in capsys.readouterr().err


def test_a_name_nobody_has_is_refused_with_the_nearest(judged_store, capsys) -> None:
    assert run_command(bias, ["--by", "gpt-5", "--store", str(judged_store.path)]) == 2
    assert "did you mean 'gpt-4'" in capsys.readouterr().err


def test_people_are_one_voice_unless_one_is_named(judged_store, capsys) -> None:
    for who, name in (("people", "people"), ("ann", "ann")):
        words = ["--by", who, "--store", str(judged_store.path), "--resamples", "5"]
        assert run_command(bias, words) == 0
        assert capsys.readouterr().out.splitlines()[0] == name


def test_equal_answers_say_nothing_about_order() -> None:
    same = Side("x", "1"), Side("y", "1")
    other = Side("x", "2"), Side("y", "3")
    verdicts = [shown("p", *same, 0.0), shown("p", *same[::-1], 0.0)]
    verdicts += [shown("q", *other, 1.0), shown("q", *other[::-1], 1.0)]
    flips = bias_of("j", verdicts, {}, FEW).get("flip_rate")
    assert (flips.value, flips.n) == (1.0, 1)


def test_plots_are_drawn_in_the_terminal_and_into_a_file(judged_store, tmp_path, capsys) -> None:
    pytest.importorskip("plotext", reason="plots come with the extra `plots`")
    pytest.importorskip("matplotlib", reason="plots come with the extra `plots`")
    png = tmp_path / "bias.png"
    words = ["--store", str(judged_store.path), "--resamples", "5", "--plot", "--png", str(png)]
    assert run_command(bias, words) == 0
    out = capsys.readouterr().out
    assert "mean unique tokens" in out
    assert "\x1b" not in out
    assert "⟨U+" not in out
    assert png.read_bytes().startswith(b"\x89PNG")


def test_the_past_is_reported_without_a_run(judged_store) -> None:
    past = Store(judged_store.path, at="v2")
    (report,) = bias_report(past, BiasSettings(resampling=FEW))
    assert report.value("flip_rate") == pytest.approx(0.1)
    with judged_store.read() as reading:
        assert reading.rows("SELECT count(*) FROM runs") == [(0,)]


def test_a_judge_is_calibrated_against_people_and_refused_above_the_bound(judged_store, capsys) -> None:
    path = str(judged_store.path)
    assert run_command(calibrate, ["gpt-4", "--store", path, "--max-error", "0.2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["certificate"]
    assert (found["n"], found["errors"], found["is_issued"]) == (36, 2, True)
    assert run_command(calibrate, ["gpt-4", "--store", path, "--max-error", "0.1"]) == 1
    assert "no certificate" in capsys.readouterr().err
    assert run_command(calibrate, ["gpt-4", "--store", path, "--sample", "37"]) == 2
    assert "37 are needed" in capsys.readouterr().err
