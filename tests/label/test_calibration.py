"""Accuracy by strength, and a certificate whose bound is exact."""

from dataclasses import replace
from datetime import datetime

import pytest

from label.comparing.stored_verdicts import Item, Merged, Side
from label.trust.calibration import (
    CalibrationSettings,
    accuracy_by_strength,
    beside_gold,
    certify,
    gold_of,
    upper_bound,
)

SETTINGS = CalibrationSettings("gpt-4")


def label(number: int, margin: float, labeler: str = "gpt-4", template: str = "camels5-blind") -> Merged:
    item = Item(f"p{number}", Side("x", f"{number}-x"), Side("y", f"{number}-y"))
    kind = "judge" if labeler == "gpt-4" else "person"
    state = "win" if margin else "tie"
    return Merged(
        item, labeler, kind, template, "camels5", 0, margin, state, 2, None, None, datetime(2026, 1, 1)
    )


def test_the_bound_is_clopper_and_pearsons() -> None:
    assert upper_bound(0, 59, 0.95) == pytest.approx(1 - 0.05 ** (1 / 59))  # the rule of three, exactly
    assert upper_bound(0, 59, 0.95) < 0.05 < upper_bound(0, 58, 0.95)
    assert upper_bound(10, 100, 0.95) == pytest.approx(0.16372, abs=1e-4)
    assert upper_bound(5, 5, 0.95) == 1.0


def test_the_gold_verdict_is_what_most_people_said_blind() -> None:
    votes = [label(1, 1.0, "ann"), label(1, 1.0, "bob"), label(1, -1.0, "cem")]
    assert list(gold_of(votes).values()) == [1]
    assert list(gold_of(votes[1:]).values()) == [0]
    seen = [replace(vote, template="camels5-seen") for vote in votes[:2]]
    assert list(gold_of([*seen, votes[2]]).values()) == [-1]


def test_accuracy_is_told_by_strength() -> None:
    gold = {label(i, 1.0).item: 1 for i in range(40)}
    own = [label(i, 0.2 if i % 2 else -0.2) for i in range(20)] + [label(i, 1.0) for i in range(20, 40)]
    found = {one.of: one for one in accuracy_by_strength(beside_gold(own, gold, SETTINGS), 0.95)}
    assert found["all strengths"].value == pytest.approx(0.75)
    assert found["strength over 0 to 0.25"].value == pytest.approx(0.5)
    assert found["strength over 0.75 to 1"].value == 1.0
    assert found["strength over 0.25 to 0.5"].n == 0
    assert found["all strengths"].low < 0.75 < found["all strengths"].high


def test_ties_of_people_are_errors_unless_left_out() -> None:
    gold = {label(0, 1.0).item: 0, label(1, 1.0).item: 1}
    own = [label(0, 1.0), label(1, 1.0)]
    assert certify(beside_gold(own, gold, SETTINGS), SETTINGS).errors == 1
    lenient = CalibrationSettings("gpt-4", gold_ties="leave-out")
    assert certify(beside_gold(own, gold, lenient), lenient).errors == 0


def test_a_judge_that_took_no_side_is_neither_right_nor_wrong() -> None:
    gold = {label(i, 1.0).item: 1 for i in range(3)}
    conflict = replace(label(1, 0.0), state="conflict")
    assert len(beside_gold([label(0, 0.0), conflict, label(2, 1.0)], gold, SETTINGS)) == 1


def test_a_sample_is_drawn_at_random_and_the_same_for_one_seed() -> None:
    gold = {label(i, 1.0).item: 1 for i in range(50)}
    own = [label(i, 1.0) for i in range(50)]
    ask = CalibrationSettings("gpt-4", sample=10)
    drawn = beside_gold(own, gold, ask)
    assert len(drawn) == 10
    assert drawn == beside_gold(own[::-1], gold, ask)
    assert drawn != beside_gold(own, gold, CalibrationSettings("gpt-4", sample=10, seed=1))


def test_a_certificate_above_the_bound_is_not_issued() -> None:
    gold = {label(i, 1.0).item: 1 for i in range(60)}
    own = [label(i, -1.0 if i < 3 else 1.0) for i in range(60)]
    judged = beside_gold(own, gold, SETTINGS)
    issued = certify(judged, CalibrationSettings("gpt-4", max_error=0.2))
    assert (issued.n, issued.errors, issued.error, issued.is_issued) == (60, 3, 0.05, True)
    assert issued.upper_bound == pytest.approx(0.1239, abs=1e-3)
    assert not certify(judged, CalibrationSettings("gpt-4", max_error=0.1)).is_issued
