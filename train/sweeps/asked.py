"""From what a user typed to the plan of a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from store.db import Reading, Store
from store.errors import BadSettings
from store.named_sql import named_sql
from store.selections import check_name, selection_named
from train.recipe import recipe_named
from train.step_state import StepState
from train.sweeps.grid import Axis, baseline_of, checked, parse_axes, parse_baseline
from train.sweeps.options import Assignment, Offer, Options
from train.sweeps.plan import MODELS_OF_PAIRS, Measuring, Plan, SweepSettings
from train.sweeps.presets import GridPreset, preset_named, settled, with_own_axes
from train.sweeps.run import STATE_FILE


@dataclass(frozen=True, slots=True)
class Asked:
    """A sweep as it was typed."""

    name: str
    store: Path
    out: Path
    measuring: Measuring
    recipe: str | None
    preset: str | None
    grid: tuple[str, ...]
    """OPTION=VALUE,VALUE each."""
    baseline: tuple[str, ...]
    """OPTION=VALUE each."""
    measure: str | None
    model: Path | None
    words: tuple[str, ...]
    """The options that are the same at every point."""


def planned(asked: Asked, offers: Sequence[Offer]) -> tuple[Plan, StepState]:
    """The plan of what was asked, and what is done of it.

    What the grid takes from the store is settled when the sweep begins, and kept with its state.
    Raises RequestError where the plan makes no sense; nothing is written.
    """
    check_name(asked.name)
    preset = None if asked.preset is None else preset_named(asked.preset)
    recipe = _recipe(asked, preset)
    options = Options(recipe, offers)
    asked.measuring.check(recipe)
    own = parse_axes(asked.grid)
    given = _given(asked, preset, options, own)
    axes = own if preset is None else list(with_own_axes(preset, own))
    state = StepState.at(asked.out / STATE_FILE, kind="sweep", place="point")
    with Store(asked.store).read() as reading:
        held_out = _held_out(reading, asked.measuring, recipe)
        state.facts.setdefault("version", reading.version)
        axes = [_settled(axis, reading, held_out, given, state.facts) for axis in axes]
    checked(axes, given, options)
    wanted = parse_baseline(asked.baseline, axes) or (preset.baseline if preset else {})
    settings = SweepSettings(
        name=asked.name,
        recipe=recipe,
        axes=tuple(axes),
        given=tuple(given),
        measuring=asked.measuring,
        measure=_measure(asked, recipe),
        baseline=baseline_of(axes, wanted),
        out=asked.out,
        store=asked.store,
        version=state.facts["version"],
    )
    return Plan(settings, options), state


def _recipe(asked: Asked, preset: GridPreset | None) -> str:
    recipe = asked.recipe or (preset.recipe if preset else None)
    if recipe is None:
        raise BadSettings("say what is trained with --recipe, or name a --preset")
    recipe_named(recipe)
    if preset is not None and recipe != preset.recipe:
        raise BadSettings(f"--preset {asked.preset} is for {preset.recipe}, not for {recipe}")
    return recipe


def _given(
    asked: Asked, preset: GridPreset | None, options: Options, own: Sequence[Axis]
) -> list[Assignment]:
    """What is the same at every point: the model, the options behind --, and the preset's where neither says."""
    model = [] if asked.model is None else [("model", str(asked.model))]
    given = [*model, *options.parse(asked.words)]
    named = {name for name, _ in given} | {axis.name for axis in own}
    return [*given, *(one for one in (preset.given if preset else ()) if one[0] not in named)]


def _held_out(reading: Reading, measuring: Measuring, recipe: str) -> str | None:
    """The id of the prompts that measure, None where pairs do.

    Raises UnknownName for a selection that is not there, BadSettings for a rival without draws under them.
    """
    if recipe in MODELS_OF_PAIRS or measuring.validation is None:
        return None
    selection_id = selection_named(reading, measuring.validation, "prompts").selection_id
    if measuring.against is not None:
        asked = {"policy": measuring.against, "selection": selection_id}
        (drawn,) = reading.dicts(named_sql("train", "policy_draws"), asked)
        if not drawn["draws"]:
            raise BadSettings(
                f"{measuring.against} has no draws under {measuring.validation}; make them with: label sample"
            )
    return selection_id


def _settled(
    axis: Axis, reading: Reading, held_out: str | None, given: Sequence[Assignment], facts: dict[str, Any]
) -> Axis:
    """AXIS with the values it had when the sweep began, else those that the store gives it now."""
    known: Mapping[str, Any] = facts.setdefault("grid", {})
    if axis.name in known and tuple(known[axis.name]["asked"]) == axis.values:
        return replace(axis, values=tuple(known[axis.name]["values"]))
    found = settled(axis, reading, held_out, given)
    if found != axis:
        facts["grid"][axis.name] = {"asked": list(axis.values), "values": list(found.values)}
    return found


def _measure(asked: Asked, recipe: str) -> str:
    measures = asked.measuring.measures(recipe)
    if asked.measure is None:
        return measures[0]
    if asked.measure not in measures:
        raise BadSettings(f"--measure {asked.measure!r} is not measured; there are: {', '.join(measures)}")
    return asked.measure
