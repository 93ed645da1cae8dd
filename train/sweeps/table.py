"""What a sweep says: its plan in numbers, and its table."""

from collections import Counter
from collections.abc import Iterator

from store.console import table
from train.step_state import StepState
from train.sweeps.outcome import CHARACTERS, ROWS, Figure, Group, SweepOutcome
from train.sweeps.plan import Plan


def counts_of(plan: Plan, state: StepState) -> str:
    """How many points and commands there are, and how many of them ran before."""
    steps = plan.steps()
    kinds = Counter(step.name for step in steps)
    done = sum(state.outcome_of(step) is not None for step in steps)
    listed = ", ".join(f"{count} {name}" for name, count in kinds.items())
    before = f"; {done} ran before" if done else ""
    return f"{len(plan.sweep.points())} points, {len(steps)} commands ({listed}){before}"


def table_of(outcome: SweepOutcome) -> str:
    """One line for each group of points: what is compared, the gain over the baseline, and the other figures."""
    axes = [name for name, _ in outcome.baseline]
    others = [name for name in outcome.measures if name != outcome.measure]
    groups = outcome.groups()
    others += [name for name in (CHARACTERS, ROWS) if any(name in group.figures for group in groups)]
    columns = (*axes, "points", outcome.measure, "over the baseline", "", *others)
    lines = [
        (
            *(value for _, value in group.values),
            _count(group),
            words(group.figures.get(outcome.measure)),
            words(group.gain, sign=True),
            _marks(group),
            *(_beside(group.figures.get(name), name) for name in others),
        )
        for group in groups
    ]
    return table(columns, lines)


def footnotes(outcome: SweepOutcome) -> Iterator[str]:
    """What the intervals are, what failed and why, and what else a reader has to know."""
    over = {group.done > 1 for group in outcome.groups() if group.done}
    seeds = "± is a 95 % interval over seeds (Student's t)"
    items = "± is a 95 % interval over the prompts or pairs of one model"
    if over == {True, False}:
        yield f"{seeds}; where one point was measured, over its prompts or pairs"
    elif over:
        yield seeds if over == {True} else items
    for note in outcome.notes:
        yield f"! {note}"
    for point in outcome.failed:
        yield f"✗ {point.label} failed at {point.failed_at}: {point.why}"
    missing = len(outcome.points) - len(outcome.measured) - len(outcome.failed)
    if missing:
        yield f"{missing} of {len(outcome.points)} points are not measured yet"


def words(figure: Figure | None, *, sign: bool = False) -> str | None:
    """A figure as text, None where there is none."""
    if figure is None:
        return None
    value = f"{figure.value:{'+' if sign else ''}.3f}"
    half = figure.half_width
    return value if half is None else f"{value} ± {half:.3f}"


def _beside(figure: Figure | None, name: str) -> str | None:
    if name in (CHARACTERS, ROWS):
        return None if figure is None else f"{figure.value:.0f}"
    return words(figure)


def _count(group: Group) -> str:
    return f"{group.done} of {group.done + len(group.failed)}" if group.failed else str(group.done)


def _marks(group: Group) -> str:
    named = (("best", group.is_best), ("baseline", group.is_baseline), ("failed", bool(group.failed)))
    return ", ".join(name for name, holds in named if holds)
