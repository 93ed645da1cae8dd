"""Runs a sweep: what is missing of it, several points at once, and a point that fails stops no other."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from store.console import Advance
from store.db import Store
from store.errors import PreferablyError
from store.ids import to_uuid
from store.named_sql import named_sql
from store.selections import selection_named
from train.step_state import StepState
from train.sweeps.grid import Point
from train.sweeps.outcome import ROWS, Figure, PointOutcome, SweepOutcome
from train.sweeps.plan import MODELS_OF_PAIRS, Plan, SweepStep, figures_of

STATE_FILE = "sweep.json"


class Runner(Protocol):
    """Runs commands of ours."""

    def run(
        self, words: Sequence[str], *, log: Path | None = None, device: str | None = None
    ) -> Mapping[str, Any]:
        """Run a command line and return its JSON."""

    def end(self) -> None:
        """End whatever is under way."""


class PointFailed(Exception):
    """A step of a point failed, now or for a point before."""

    def __init__(self, step: str, error: PreferablyError) -> None:
        super().__init__(str(error))
        self.step = step
        self.error = error


@dataclass
class Work:
    """What a session of a sweep shares between its points."""

    plan: Plan
    state: StepState
    runner: Runner
    advance: Advance
    devices: "SimpleQueue[str | None]"
    """Those that are free."""
    failures: dict[tuple[str, str], PointFailed] = field(default_factory=dict)
    is_ended: threading.Event = field(default_factory=threading.Event)

    def do(self, step: SweepStep, device: str | None = None) -> Mapping[str, Any]:
        """What STEP printed, run now unless it ran before.

        Raises PointFailed if it fails, or failed in this session.
        """
        key = (step.place, step.name)
        if key in self.failures:
            raise self.failures[key]
        known = self.state.outcome_of(step)
        if known is not None:
            return known
        if self.is_ended.is_set():
            raise KeyboardInterrupt
        try:
            outcome = self.runner.run(step.words, log=step.log, device=device)
        except PreferablyError as error:
            self.failures[key] = PointFailed(step.name, error)
            raise self.failures[key] from error
        self.state.add(step, outcome)
        self.advance(1, words=f"{step.place}: {step.name}")
        return outcome

    @contextmanager
    def device(self) -> Iterator[str | None]:
        """A device for one point alone."""
        device = self.devices.get()
        try:
            yield device
        finally:
            self.devices.put(device)


def run_sweep(
    plan: Plan,
    state: StepState,
    runner: Runner,
    *,
    advance: Advance,
    devices: Sequence[str | None] = (None,),
    tell: Callable[[SweepOutcome], None],
) -> SweepOutcome:
    """Run what is missing of a sweep, as many points at once as there are DEVICES; TELL hears of every point.

    All that points are trained on is exported first. Raises BadSettings if OUT holds a sweep with other
    settings, KeyboardInterrupt if it is asked to end.
    """
    for step in plan.steps():
        state.outcome_of(step)
    free: SimpleQueue[str | None] = SimpleQueue()
    for device in devices:
        free.put(device)
    work = Work(plan, state, runner, advance, free)
    points = plan.sweep.points()
    outcomes: dict[Point, PointOutcome] = {}
    exports = {}
    for point in points:
        try:
            exports[point] = [work.do(step) for step in plan.shared(point)][-1]
        except PointFailed as failure:
            outcomes[point] = failed(point, failure)
    notes = tuple(_trained_on(plan, exports))

    def known() -> SweepOutcome:
        return outcome_of(
            plan, [outcomes.get(point, PointOutcome(point.values, {})) for point in points], notes
        )

    if outcomes:
        tell(known())
    with _pool(work, len(devices)) as pool:
        waiting = {pool.submit(measure, work, point, export): point for point, export in exports.items()}
        for future in _ended(waiting):
            outcomes[waiting[future]] = future.result()
            tell(known())
    return known()


def measure(work: Work, point: Point, export: Mapping[str, Any]) -> PointOutcome:
    """Train one point on what was exported, and measure it."""
    try:
        with work.device() as device:
            outcomes = [work.do(step, device) for step in work.plan.own(point)]
    except PointFailed as failure:
        return failed(point, failure)
    figures = figures_of(outcomes[-1], work.plan.sweep.policy(point))
    figures[ROWS] = {"value": export["rows"], "low": None, "high": None}
    return PointOutcome(
        point.values,
        {
            name: Figure(one["value"], one["low"], one["high"])
            for name, one in figures.items()
            if one["value"] is not None
        },
    )


def failed(point: Point, failure: PointFailed) -> PointOutcome:
    """A point that came to nothing."""
    return PointOutcome(point.values, {}, failure.step, str(failure), failure.error.exit_code)


def outcome_of(plan: Plan, points: Sequence[PointOutcome], notes: tuple[str, ...]) -> SweepOutcome:
    """What the points come to together."""
    sweep = plan.sweep
    measures = sweep.measuring.measures(sweep.recipe)
    return SweepOutcome(
        sweep.name, sweep.recipe, sweep.axes, sweep.measure, measures, sweep.baseline, tuple(points), notes
    )


@contextmanager
def _pool(work: Work, size: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that are told to end, with their commands, where this one is interrupted."""
    pool = ThreadPoolExecutor(size, thread_name_prefix="sweep")
    try:
        yield pool
    except BaseException:
        work.is_ended.set()
        work.runner.end()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _ended(waiting: Iterable["Future[PointOutcome]"]) -> Iterator["Future[PointOutcome]"]:
    """Futures as they end."""
    left = set(waiting)
    while left:
        ended, left = wait(left, return_when=FIRST_COMPLETED)
        yield from ended


def _trained_on(plan: Plan, exports: Mapping[Point, Mapping[str, Any]]) -> Iterator[str]:
    """A line for each export with rows that hold held-out prompts."""
    sweep = plan.sweep
    if sweep.recipe in MODELS_OF_PAIRS or sweep.measuring.validation is None:
        return
    first: dict[str, Point] = {}
    for point, outcome in exports.items():
        first.setdefault(outcome["export_id"], point)
    with Store(sweep.store).read() as reading:
        prompts = selection_named(reading, sweep.measuring.validation, "prompts")
        for export_id, point in first.items():
            asked = {"prompts": prompts.selection_id, "export_id": to_uuid(export_id, "x1")}
            ((n_trained,),) = reading.rows(named_sql("train", "trained_prompts"), asked)
            if n_trained:
                yield (
                    f"{n_trained} of {prompts.row_count} held-out prompts stand in what {point.label} is trained on"
                )
