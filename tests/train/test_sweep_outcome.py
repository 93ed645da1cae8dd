"""What a sweep says: means over seeds, the best and the baseline, the table, the plots, and what is kept of it."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from store.console import run_command
from store.db import Store
from store.runs import run_of
from train.cli import cli as train
from train.sweeps.grid import Axis
from train.sweeps.outcome import Figure, PointOutcome, SweepOutcome, mean_of
from train.sweeps.plots import drawing_of, save_plot, terminal_plot
from train.sweeps.table import footnotes, table_of


def outcome_of(values: Mapping[tuple[str, str], float], **changes: Any) -> SweepOutcome:
    """An outcome with these figures by (weight, seed)."""
    weights, seeds = (tuple(dict.fromkeys(key[place] for key in values)) for place in (0, 1))
    points = tuple(
        PointOutcome((("weight", weight), ("seed", seed)), {"best of 1": Figure(value, value - 1, value + 1)})
        for (weight, seed), value in values.items()
    )
    common: dict[str, Any] = {
        "name": "alpha",
        "recipe": "crlft",
        "axes": (Axis("weight", weights), Axis("seed", seeds)),
        "measure": "best of 1",
        "measures": ("best of 1",),
        "baseline": (("weight", weights[0]),),
        "points": points,
    }
    return SweepOutcome(**{**common, **changes})


TWO_BY_THREE = {
    ("0.1", "0"): 1.0,
    ("0.1", "1"): 2.0,
    ("0.1", "2"): 3.0,
    ("1", "0"): 2.0,
    ("1", "1"): 3.5,
    ("1", "2"): 3.5,
}


def test_seeds_give_a_mean_with_students_interval() -> None:
    found = mean_of([1.0, 2.0, 3.0])
    assert found.value == 2.0
    assert found.half_width == pytest.approx(4.303 / 3**0.5)  # s = 1, two degrees of freedom
    assert mean_of([1.0, 1.0]).half_width == 0.0


def test_the_best_and_the_baseline_are_marked_and_gains_are_paired_by_seed() -> None:
    baseline, best = outcome_of(TWO_BY_THREE).groups()
    assert (baseline.is_baseline, baseline.is_best, baseline.gain) == (True, False, None)
    assert (best.is_baseline, best.is_best) == (False, True)
    assert best.gain is not None
    assert best.gain.value == pytest.approx(1.0)
    assert best.gain.half_width == pytest.approx(4.303 * 0.5 / 3**0.5)  # differences 1, 1.5 and 0.5
    lines = table_of(outcome_of(TWO_BY_THREE)).splitlines()
    assert "baseline" in lines[2]
    assert "best" in lines[3]
    assert "+1.000 ± 1.242" in lines[3]


def test_one_seed_keeps_the_interval_over_prompts() -> None:
    outcome = outcome_of({("0.1", "0"): 1.0, ("1", "0"): 2.0})
    assert outcome.groups()[0].figures["best of 1"] == Figure(1.0, 0.0, 2.0)
    assert list(footnotes(outcome)) == ["± is a 95 % interval over the prompts or pairs of one model"]


def test_an_outcome_is_read_back_as_it_was() -> None:
    outcome = outcome_of(TWO_BY_THREE, notes=("a",))
    failed = PointOutcome((("weight", "2"), ("seed", "0")), {}, "training", "no memory", 1)
    outcome = outcome_of(TWO_BY_THREE, points=(*outcome.points, failed))
    assert SweepOutcome.from_json(json.loads(json.dumps(outcome.as_json()))) == outcome


def test_a_plot_has_a_line_a_class_and_stands_at_its_numbers(tmp_path: Path) -> None:
    values = {(f"GPT3={weight}", "0"): float(weight) for weight in ("0.05", "0.3", "1")}
    drawing = drawing_of(outcome_of(values))
    assert drawing is not None
    assert list(drawing.ticks) == [0.05, 0.3, 1.0]
    assert list(drawing.lines) == [""]
    assert drawing.x_label == "weight of GPT3"
    assert drawing.is_logarithmic
    two = drawing_of(outcome_of({**values, ("GPT4=0.5", "0"): 1.0}))
    assert two is not None
    assert list(two.lines) == ["class=GPT3", "class=GPT4"]
    pytest.importorskip("matplotlib", reason="plots need the extra plots")
    assert save_plot(tmp_path / "a.png", outcome_of(values))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert not save_plot(tmp_path / "b.png", outcome_of(values, points=()))


def test_an_interval_of_two_seeds_does_not_press_the_rest_together() -> None:
    drawing = drawing_of(outcome_of({("0.1", "0"): 1.0, ("0.1", "1"): 3.0, ("1", "0"): 2.0, ("1", "1"): 2.5}))
    assert drawing is not None
    (spots,) = drawing.lines.values()
    assert spots[0].figure.high == pytest.approx(2 + 12.706)
    assert spots[0].seeds == (1.0, 3.0)
    assert -0.2 < drawing.limits[0] < 1.0
    assert 3.0 < drawing.limits[1] < 4.2
    one_seed = drawing_of(outcome_of({("0.1", "0"): 1.0, ("1", "0"): 1.1}))
    assert one_seed is not None
    assert one_seed.limits[0] < 0.0
    assert one_seed.limits[1] > 2.1


def test_names_stand_side_by_side_and_the_terminal_shows_them() -> None:
    pytest.importorskip("plotext", reason="plots need the extra plots")
    outcome = outcome_of({("openchat", "0"): 1.0, ("openchat_assistant", "0"): 2.0})
    drawing = drawing_of(outcome)
    assert drawing is not None
    assert not drawing.is_numeric
    drawn = terminal_plot(outcome)
    assert drawn is not None
    assert "openchat_assistant" in drawn
    assert drawn.count("a") > 2


def test_a_sweep_that_is_in_the_store_is_shown_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "store.duckdb")
    outcome = outcome_of(TWO_BY_THREE)
    with run_of(store, "train sweep", {"name": "alpha"}) as noted:
        noted.note_progress(outcome.as_json())
        assert run_command(train, ["sweep", "alpha", "--show", "--store", str(store.path)]) == 0
        assert "±" in capsys.readouterr().out
    with contextlib.suppress(KeyboardInterrupt), run_of(store, "train sweep", {"name": "alpha"}):
        raise KeyboardInterrupt
    common = ["--store", str(store.path)]
    assert run_command(train, ["sweep", "alpha", "--show", *common]) == 0
    assert table_of(outcome) in capsys.readouterr().out
    assert run_command(train, ["sweep", "alpha", "--show", "--json", *common]) == 0
    assert SweepOutcome.from_json(json.loads(capsys.readouterr().out)) == outcome
    assert run_command(train, ["sweep", "alhpa", "--show", *common]) == 2
    assert "did you mean 'alpha'" in capsys.readouterr().err
