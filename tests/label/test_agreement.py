"""Measures of agreement, against published examples and by their laws; and the Camels figures."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label.comparing.stored_verdicts import Side, Verdict, merge_orders, set_upright
from label.measures import Measure, Resampling, macro_of, mean_of, measured
from label.trust.agree import chosen
from label.trust.rating_agreement import Score, intraclass_correlations, pearson_over_models, rating_agreement
from label.trust.verdict_agreement import (
    AgreementSettings,
    agreement_of,
    alpha_of,
    fleiss_of,
    kappa_of,
    leave_one_out,
    one_group,
    rates_of,
    tie_discounted,
    two_groups,
)

NOON = datetime(2026, 1, 1, 12)
FEW = Resampling(resamples=50)


def rows_of(values) -> np.ndarray:
    return np.arange(len(values))


def verdict(
    prompt: str = "p",
    margin: float | None = 1.0,
    labeler: str = "ann",
    *,
    is_turned: bool = False,
    minute: int = 0,
    state: str | None = None,
    kind: str = "person",
    accepts: tuple[bool | None, bool | None] = (None, None),
    policies: tuple[str, str] = ("x", "y"),
) -> Verdict:
    """ANN's verdict as she saw it: MARGIN is for the side shown first."""
    first, second = (Side(policy, f"{prompt}-{policy}") for policy in policies)
    if is_turned:
        first, second = second, first
    return Verdict(
        prompt,
        first,
        second,
        labeler,
        kind,
        "camels5-blind",
        "camels5",
        0,
        margin,
        state or ("win" if margin else "tie"),
        *accepts,
        NOON + timedelta(minutes=minute),
    )


def measure_of(measures: list[Measure], name: str, of: str) -> Measure:
    return next(one for one in measures if (one.measure, one.of) == (name, of))


def test_krippendorff_alpha_is_that_of_his_own_example() -> None:
    nan = np.nan
    # Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), the example with missing data.
    data = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
            [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
        ]
    )
    found = {name: alpha_of(data, name)(np.arange(12)) for name in ("nominal", "ordinal", "interval")}
    assert found == pytest.approx({"nominal": 0.743, "ordinal": 0.815, "interval": 0.849}, abs=0.0006)


def test_cohen_and_fleiss_kappa_are_those_of_textbook_examples() -> None:
    first = np.repeat([1.0, 1.0, 0.0, 0.0], [20, 5, 10, 15])
    second = np.repeat([1.0, 0.0, 1.0, 0.0], [20, 5, 10, 15])
    assert kappa_of(first, second)(rows_of(first)) == pytest.approx(0.4)
    # Fleiss 1971 as worked out in most textbooks: 10 things, 14 raters, 5 categories, kappa 0.210.
    counts = [
        (0, 0, 0, 0, 14),
        (0, 2, 6, 4, 2),
        (0, 0, 3, 5, 6),
        (0, 3, 9, 2, 0),
        (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0),
        (3, 2, 6, 3, 0),
        (2, 5, 3, 2, 2),
        (6, 5, 2, 1, 0),
        (0, 2, 2, 3, 7),
    ]
    labels = np.array([np.repeat(np.arange(5.0), row) for row in counts])
    assert fleiss_of(labels)(np.arange(10)) == pytest.approx(0.210, abs=0.0005)


def test_weighted_kappa_forgives_near_misses() -> None:
    first = np.array([-2.0, -1.0, 0.0, 1.0, 2.0] * 4)
    second = np.roll(first, 1)
    near = np.clip(first + 1, -2, 2)
    rows = rows_of(first)
    assert kappa_of(first, near, "quadratic")(rows) > kappa_of(first, near)(rows)
    assert kappa_of(first, first, "linear")(rows) == 1
    assert kappa_of(first, second, "linear")(rows) < kappa_of(first, near, "linear")(rows)


def test_intraclass_correlations_are_those_of_shrout_and_fleiss() -> None:
    # Shrout and Fleiss (1979), table 2: six targets, four judges; the results are in their table 4.
    ratings = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
    )
    expected = {
        "icc_1_1": 0.17,
        "icc_2_1": 0.29,
        "icc_3_1": 0.71,
        "icc_1_k": 0.44,
        "icc_2_k": 0.62,
        "icc_3_k": 0.91,
    }
    assert intraclass_correlations(ratings) == pytest.approx(expected, abs=0.006)


def test_agreement_discounted_by_ties_is_half_where_exactly_one_says_tie() -> None:
    first, second = np.array([1.0, 0, 1, 0, -1]), np.array([1.0, 0, -1, 1, 0])
    assert tie_discounted(first, second).tolist() == [1, 1, 0, 0.5, 0.5]


def test_a_label_is_compared_with_the_mode_of_the_others() -> None:
    assert leave_one_out([1, 1, 1]) == 1
    assert leave_one_out([1, 1, -1]) == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert leave_one_out([1, 1, 0, 0]) == 0
    assert np.isnan(leave_one_out([1, 1]))


def test_two_orders_of_one_labeler_merge_and_the_state_says_how() -> None:
    def state(first: float, second: float) -> tuple[str, float | None]:
        orders = [verdict(margin=first), verdict(margin=second, is_turned=True)]
        (merged,) = merge_orders(orders)
        return merged.state, merged.margin

    assert state(1.0, -0.5) == ("win", 0.75)
    assert state(0.5, 0.0) == ("weak", 0.25)
    assert state(0.0, 0.0) == ("tie", 0.0)
    assert state(1.0, 1.0) == ("conflict", 0.0)


def test_an_order_without_a_verdict_leaves_none() -> None:
    orders = [verdict(), verdict(margin=None, state="unparsed", is_turned=True)]
    (merged,) = merge_orders(orders)
    assert (merged.state, merged.margin, merged.direction, merged.score) == ("unparsed", None, None, None)


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=2))
@settings(max_examples=50)
def test_merging_does_not_depend_on_who_was_shown_first(margins: list[float]) -> None:
    shown = [verdict(margin=margin, is_turned=bool(i)) for i, margin in enumerate(margins)]
    turned = [replace(one, first=one.second, second=one.first, margin=-(one.margin or 0.0)) for one in shown]
    assert merge_orders(shown) == merge_orders(turned)
    assert [set_upright(one) for one in shown] == [set_upright(one) for one in turned]


def test_the_first_labels_by_time_count_and_items_with_fewer_are_left_out() -> None:
    labels = merge_orders(
        [
            verdict("p", 1.0, "ann", minute=3),
            verdict("p", -1.0, "bob", minute=1),
            verdict("p", -1.0, "cem", minute=2, is_turned=True),
            verdict("q", 1.0, "ann"),
        ]
    )
    (item,) = one_group(labels, AgreementSettings())
    assert [(one.labeler, one.direction) for one in item.labels] == [("bob", -1), ("cem", 1)]


def test_micro_weighs_items_and_macro_weighs_pairs_of_policies() -> None:
    verdicts = [
        one
        for number in range(4)
        for one in (
            verdict(f"p{number}", 1.0, "ann"),
            verdict(f"p{number}", 1.0, "bob", minute=1),
        )
    ]
    verdicts += [
        verdict("q", 1.0, "ann", policies=("x", "z")),
        verdict("q", -1.0, "bob", minute=1, policies=("x", "z")),
    ]
    settings_ = AgreementSettings(min_items=1, resampling=FEW)
    found = agreement_of(one_group(merge_orders(verdicts), settings_), settings_)
    assert measure_of(found.measures, "raw", "micro").value == pytest.approx(0.8)
    assert measure_of(found.measures, "raw", "macro").value == pytest.approx(0.5)
    assert measure_of(found.measures, "raw", "x : y").n == 4
    small = AgreementSettings(min_items=2, resampling=FEW)
    assert agreement_of(one_group(merge_orders(verdicts), small), small).left_out == {"x : z": 1}


def test_two_groups_are_compared_across_and_never_within() -> None:
    people = merge_orders([verdict("p", 1.0, "ann"), verdict("p", -1.0, "bob", minute=1)])
    judge = merge_orders([verdict("p", 1.0, "gpt-4", kind="judge")])
    ask = AgreementSettings(min_items=1, resampling=FEW)
    found = agreement_of(two_groups(people, judge, ask), ask)
    raw = measure_of(found.measures, "raw", "micro")
    assert (raw.value, raw.n) == (0.5, 2)


def test_rates_take_the_first_label_of_each_item() -> None:
    labels = merge_orders(
        [
            verdict("p", 1.0, "ann", accepts=(True, False)),
            verdict("p", -1.0, "bob", minute=1, accepts=(False, True)),
            verdict("q", 0.5, "ann", accepts=(False, True), is_turned=True),
        ]
    )
    found = rates_of(labels, AgreementSettings(resampling=FEW))
    values = {one.measure: one.value for one in found}
    assert values["acceptance_rate x"] == 1.0
    assert values["acceptance_rate y"] == 0.0
    assert values["preference x clearly"] == 0.5
    assert values["preference y slightly"] == 0.5
    assert sum(value for name, value in values.items() if name.startswith("preference")) == 1


def test_intervals_draw_whole_prompts_and_are_the_same_every_time() -> None:
    values = [0.0, 1.0] * 50
    alone = measured("m", "o", mean_of(values), [str(i) for i in range(100)], Resampling())
    paired = measured("m", "o", mean_of(np.repeat([0.0, 1.0], 50)), [str(i // 50) for i in range(100)], FEW)
    assert alone == measured("m", "o", mean_of(values), [str(i) for i in range(100)], Resampling())
    assert alone.low == pytest.approx(0.4, abs=0.03)
    assert alone.high == pytest.approx(0.6, abs=0.03)
    assert (paired.low, paired.high) == (0.0, 1.0)
    assert measured("m", "o", mean_of([]), [], FEW) == Measure("m", "o", None, None, None, 0)


def test_the_macro_mean_leaves_out_groups_on_which_nothing_is_defined() -> None:
    statistic = macro_of(mean_of([1.0, 0.0, np.nan]), ["a", "b", "c"])
    assert statistic(np.arange(3)) == 0.5


def scores(labeler: str, values: dict[str, list[float]], policy: str = "x") -> list[Score]:
    return [
        Score(response, f"p-{response}", policy, labeler, "judge", "1-10", "overall", draw, value)
        for response, given in values.items()
        for draw, value in enumerate(given)
    ]


def test_draws_of_one_judge_have_an_intraclass_correlation() -> None:
    found = rating_agreement(scores("gpt-4", {"a": [8, 8], "b": [3, 3], "c": [5, 5], "d": [9, 9]}), FEW)
    assert measure_of(found, "icc_1_1", "gpt-4, 2 draws, 1-10").value == pytest.approx(1.0)
    assert measure_of(found, "exact", "gpt-4, 2 draws, 1-10").value == 1.0


def test_judges_are_correlated_over_answers_and_over_models() -> None:
    one = [
        score
        for model, value in zip("abcde", [1, 2, 3, 4, 5], strict=True)
        for score in scores("j1", {model: [value]}, model)
    ]
    two = [
        score
        for model, value in zip("abcde", [2, 4, 6, 8, 9], strict=True)
        for score in scores("j2", {model: [value]}, model)
    ]
    found = rating_agreement(one + two, FEW)
    assert measure_of(found, "pearson", "j1 : j2, 1-10").value == pytest.approx(0.9939, abs=1e-3)
    over = measure_of(found, "pearson_over_models", "j1 : j2, 1-10")
    assert over.n == 5
    assert over.low is not None
    assert over.low > 0.9
    assert pearson_over_models({"a": 1.0}, {"a": 2.0}, "few").value is None


@pytest.mark.data
def test_the_camels_figures_come_out_of_the_published_spreadsheet(shared_data, tmp_path, capsys) -> None:
    from label.commands.agree import agree
    from store.console import run_command

    path = ingest_human_eval(shared_data, tmp_path)
    assert run_command(agree, ["--store", str(path), "--json", "--resamples", "20"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verdicts"], found["replaced"]) == (1141, 9)
    assert found["left_out"] == {"tulu_65B : tulu_human_only_65B": 2}
    figures = {
        (one["measure"], one["of"]): (None if one["value"] is None else round(one["value"], 4), one["n"])
        for one in found["measures"]
    }
    assert figures["tie_discounted", "chatgpt : tulu_65B"] == (0.6825, 63)
    assert figures["tie_discounted", "tulu_65B : tulu_7B"] == (0.75, 56)
    assert figures["tie_discounted", "macro"] == (0.7163, 119)
    assert figures["tie_discounted", "micro"] == (0.7143, 119)
    assert figures["acceptance", "chatgpt : tulu_65B"][0] == 0.9048
    assert figures["acceptance", "tulu_65B : tulu_7B"][0] == 0.7857
    assert figures["acceptance", "macro"][0] == 0.8452
    assert figures["acceptance", "micro"][0] == 0.8487
    assert figures["acceptance_rate chatgpt", "chatgpt : tulu_65B"] == (0.9006, 332)
    assert figures["preference tie", "tulu_65B : tulu_7B"] == (0.3193, 332)
    raw = next(one for one in found["measures"] if one["measure"] == "raw")
    assert set(raw) == {"measure", "of", "value", "low", "high", "n"}
    assert raw["low"] < raw["value"] < raw["high"]


def ingest_human_eval(shared_data, tmp_path):
    """A store with the Camels annotations, through the command (a process of its own: rooms do not mix)."""
    import subprocess
    import sys

    path = tmp_path / "camels.duckdb"
    sheet = shared_data / "preferences" / "tulu_human_eval" / "eval_annotations_tulu_1.xlsx"
    words = [sys.executable, "-c", "from curate.cli import main; main()", "ingest", "human-eval", str(sheet)]
    subprocess.run([*words, "--store", str(path)], check=True, capture_output=True)
    return path


def test_votes_given_after_the_authors_were_shown_do_not_count() -> None:
    labels = merge_orders([verdict(), replace(verdict("q"), template="camels5-seen")])
    assert [one.item.prompt_id for one in chosen(labels, ["people"], {"ann"}, has_draws=False)] == ["p"]
