"""The online loop (RLHF Workflow, Algorithm 1): our own commands, one after another, until a rule says stop."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from store.db import Store
from store.errors import BadSettings, PreferablyError
from store.named_sql import named_sql
from store.selections import selection_named
from train.looping.iterations import LoopSettings, LoopStep, iteration_steps, validation_steps
from train.step_state import StepState

STATE_FILE = "iterate.json"

RunCommand = Callable[[Sequence[str]], Mapping[str, Any]]
"""Runs a command line of ours and returns its JSON."""


@dataclass(frozen=True, slots=True)
class StopRules:
    """When a loop ends."""

    iterations: int
    patience: int | None = None
    """Iterations without a gain after which it stops."""
    min_gain: float = 0.0
    """What mean reward has to rise by to be a gain."""
    max_length_growth: float | None = None
    """How many times as long as iterate 0's the mean answer may get."""
    max_kl: float | None = None
    """How far from iterate 0 the policy may go, in nats an answer."""


@dataclass(frozen=True, slots=True)
class Iterate:
    """One policy of the loop, and what the iteration that made it came to."""

    iteration: int
    model: str
    reward: float
    """Mean on validation prompts: of the draws under each, then of prompts."""
    half_width: float | None
    """Of the 95 % interval from the spread over prompts."""
    characters: float
    """Mean length of an answer."""
    kl: float | None
    """From iterate 0, in nats an answer; None where it was not asked for."""
    pairs: int | None
    """Found in the iteration; None for iterate 0."""
    history: int | None
    """Pairs trained on: these and all before."""
    gap: float | None
    """The median gap between the two scores of a pair found in the iteration."""
    version: int | None
    """Of the store, with the history that was trained on."""


@dataclass(frozen=True, slots=True)
class LoopReport:
    """A loop that came to its end."""

    iterates: Sequence[Iterate]
    stopped: str
    """The rule that ended it."""

    @property
    def best(self) -> Iterate:
        """The iterate with the highest mean reward on validation prompts, the earlier one of equals."""
        return best_of(self.iterates)

    def as_json(self) -> dict[str, object]:
        """What a script reads."""
        return {
            "iterates": [asdict(one) for one in self.iterates],
            "best": self.best.iteration,
            "model": self.best.model,
            "stopped": self.stopped,
        }


def best_of(iterates: Sequence[Iterate]) -> Iterate:
    """The iterate with the highest mean reward, the earliest of equals."""
    return max(iterates, key=lambda one: (one.reward, -one.iteration))


def plan_of(loop: LoopSettings, iterations: int) -> list[LoopStep]:
    """Every command of the loop, if no rule ends it before."""
    steps = list(validation_steps(loop, 0))
    for iteration in range(1, iterations + 1):
        steps += [*iteration_steps(loop, iteration), *validation_steps(loop, iteration)]
    return steps


def run_loop(loop: LoopSettings, rules: StopRules, run: RunCommand) -> LoopReport:
    """Run what is missing of the loop; RUN runs one command.

    Raises what RUN raises, BadSettings if OUT holds a loop with other settings, or if a prompt is both
    trained and validated on.
    """
    check_apart(loop)
    state = StepState.at(loop.out / STATE_FILE, kind="loop", place="iteration")
    _run_steps(validation_steps(loop, 0), state, run)
    iterates = [_iterate(loop, 0, {}, rules, state)]
    stopped = stop_reason(iterates, rules)
    while stopped is None:
        iteration = len(iterates)
        outcomes = _run_iteration(loop, iteration, state, run)
        if outcomes is None:
            stopped = f"iteration {iteration} found no pair"
            break
        iterates.append(_iterate(loop, iteration, outcomes, rules, state))
        stopped = stop_reason(iterates, rules)
    return LoopReport(iterates, stopped)


def check_apart(loop: LoopSettings) -> None:
    """Raise BadSettings if a prompt is both trained and validated on: the best iterate would be the best learnt."""
    with Store(loop.store).read() as reading:
        trained = selection_named(reading, loop.prompts, "prompts")
        validated = selection_named(reading, loop.validation or loop.prompts, "prompts")
        asked = {
            "selection": trained.selection_id,
            "parts": list(loop.parts) or None,
            "validation": validated.selection_id,
            "validation_part": loop.validation_part,
        }
        ((n_shared,),) = reading.rows(named_sql("train", "shared_prompts"), asked)
    if n_shared:
        raise BadSettings(
            f"{n_shared} prompts are both trained and validated on; choose disjoint ones, see: curate split --help"
        )


def stop_reason(iterates: Sequence[Iterate], rules: StopRules) -> str | None:
    """The rule that ends the loop now, None if none does."""
    first, last = iterates[0], iterates[-1]
    gained_at = 0
    for one in iterates[1:]:
        if one.reward > best_of(iterates[: one.iteration]).reward + rules.min_gain:
            gained_at = one.iteration
    if rules.patience is not None and last.iteration - gained_at >= rules.patience:
        return f"no gain on validation prompts since iterate {gained_at}"
    if rules.max_length_growth is not None and last.characters > rules.max_length_growth * first.characters:
        return (
            f"answers grew to {last.characters / (first.characters or 1):.2f} times the length of iterate 0's"
        )
    if rules.max_kl is not None and last.kl is not None and last.kl > rules.max_kl:
        return f"the policy went {last.kl:.2f} nats an answer from iterate 0"
    return "all iterations are done" if last.iteration >= rules.iterations else None


def _run_iteration(
    loop: LoopSettings, iteration: int, state: StepState, run: RunCommand
) -> dict[str, Mapping[str, Any]] | None:
    """What each command of the iteration printed, by its step's name; None if no pair was found."""
    steps = [*iteration_steps(loop, iteration), *validation_steps(loop, iteration)]
    until_pairs = next(place for place, step in enumerate(steps) if step.name == "pairs") + 1
    outcomes = _run_steps(steps[:until_pairs], state, run)
    if outcomes["pairs"]["pairs"] == 0:
        return None
    return outcomes | _run_steps(steps[until_pairs:], state, run)


def _run_steps(steps: Iterable[LoopStep], state: StepState, run: RunCommand) -> dict[str, Mapping[str, Any]]:
    outcomes: dict[str, Mapping[str, Any]] = {}
    for step in steps:
        outcome = state.outcome_of(step)
        if outcome is None:
            outcome = run(step.words)
            state.add(step, outcome)
        outcomes[step.name] = outcome
    return outcomes


def _iterate(
    loop: LoopSettings,
    iterate: int,
    outcomes: Mapping[str, Mapping[str, Any]],
    rules: StopRules,
    state: StepState,
) -> Iterate:
    pairs, history = outcomes.get("pairs"), outcomes.get("history")
    figures = _validation(loop, iterate)
    count, spread = figures["prompts"], figures["spread"]
    return Iterate(
        iteration=iterate,
        model=loop.model_of(iterate),
        reward=figures["reward"],
        half_width=None if spread is None else 1.96 * spread / count**0.5,
        characters=figures["characters"],
        kl=None if rules.max_kl is None else _kl(loop, iterate, state),
        pairs=None if pairs is None else pairs["pairs"],
        history=None if history is None else history["pairs"],
        gap=None if pairs is None else pairs["audit"]["score_gap"].get("half"),
        version=None if history is None else history["version"],
    )


def _validation(loop: LoopSettings, iterate: int) -> dict[str, Any]:
    name, _, revision = loop.reward_name.rpartition("@")
    asked = {"policy": loop.validated(iterate), "reward_model": name, "revision": revision}
    with Store(loop.store).read() as reading:
        (figures,) = reading.dicts(named_sql("train", "validation"), asked)
    if not figures["prompts"]:
        raise PreferablyError(
            f"none of {loop.validated(iterate)}'s answers to validation prompts has a reward by {loop.reward_name}"
        )
    return figures


def _kl(loop: LoopSettings, iterate: int, state: StepState) -> float:
    """The divergence from iterate 0; what was estimated once is kept with the loop."""
    from train.evaluating.divergence import kl_estimate

    if iterate == 0:
        return 0.0
    asked = (loop.validated(iterate), loop.model_of(iterate), loop.model)
    step = LoopStep(iterate, "divergence", asked)
    known = state.outcome_of(step)
    if known is None:
        known = {"kl": kl_estimate(Store(loop.store), *asked)}
        state.add(step, known)
    return float(known["kl"])
