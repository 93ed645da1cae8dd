"""The command `train sweep`: one recipe over a grid, with one table and one plot at the end."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from store.console import CONTEXT, echo, echo_json, json_option, note, progress, store_option
from store.errors import BadSettings, MissingExtra, PreferablyError, TryLater

if TYPE_CHECKING:
    from collections.abc import Sequence

    from train.step_state import StepState
    from train.sweeps.options import Offer
    from train.sweeps.outcome import SweepOutcome
    from train.sweeps.plan import Plan

FOLDER = click.Path(path_type=Path, file_okay=False)
KEPT = frozenset(
    ("out", "data", "store_path", "as_json", "overwrite", "has_plot", "wait_s", "dry_run", "help")
)
"""Parameters of the commands that a sweep sets itself or has no use for."""


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  train sweep a --preset openchat-alpha --grid seed=0,1,2 --model base --validation q --reward-model rm --out a
  train sweep a --show --plot a.png
  train sweep k --preset xwin-rank --model sft --validation q --reward-model rm --out k -- --policy sft
  train sweep l --recipe sft --grid lr=1e-5,2e-5 --model m --validation q --reward-model rm --out l --dry-run
  train sweep r --recipe rm --grid lr=1e-6,5e-6 --model sft --validation test-pairs --out r -- --pairs train-pairs
""",
)
@click.argument("name")
@click.argument(
    "words", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTIONS OF TRAIN EXPORT AND TRAIN RUN]"
)
@click.option(
    "--recipe", help="What is trained: crlft, sft, rsft, rm, pm, dpo, kto.  [default: the preset's]"
)
@click.option(
    "--preset", metavar="NAME", help="A figure of a paper, such as openchat-alpha; see the docs for all."
)
@click.option(
    "--grid",
    multiple=True,
    metavar="OPTION=VALUE,…",
    help="An option of `train export` or `train run` and its values; with mix- before it one of `curate mix`, with"
    " pairs- one of `label pairs`; repeatable.",
)
@click.option(
    "--baseline",
    multiple=True,
    metavar="OPTION=VALUE",
    help="What others are compared with.  [default: the preset's, or the first values]",
)
@click.option("--model", type=FOLDER, help="The model training starts from, unless it varies.")
@click.option("--out", type=FOLDER, help="Where exports, runs and the state of the sweep go.")
@click.option(
    "--validation", metavar="NAME", help="Measure on this selection: of prompts, or for rm and pm of pairs."
)
@click.option("--validation-part", metavar="PART", help="rm, pm: only this part of it.")
@click.option(
    "--pairs-file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="rm, pm: measure on the pairs of this file, as `train evaluate reward` reads it; repeatable.",
)
@click.option(
    "--reward-model", metavar="MODEL", help="Who scores answers, as `label reward --model` takes it."
)
@click.option(
    "--n", type=click.IntRange(min=1), default=1, show_default=True, help="Draws, and n of best-of-n."
)
@click.option("--temperature", type=float, default=0.7, show_default=True, help="Of the draws.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=2048, show_default=True)
@click.option("--against", metavar="POLICY", help="Measure win rates against the draws of this policy.")
@click.option("--judge", metavar="MODEL", help="Ask this judge, as `label compare --model` takes it.")
@click.option("--by", metavar="LABELER", help="Count only this labeler's verdicts.")
@click.option("--draw-seed", type=int, default=0, show_default=True, help="Of the draws that measure.")
@click.option(
    "--measure",
    metavar="NAME",
    help="What is compared: best of N, win rate or accuracy.  [default: the first of these there is]",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), metavar="N", help="Points at once.  [default: one, or one a device]"
)
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="ID",
    help="A GPU, as CUDA_VISIBLE_DEVICES names it; each point has one to itself; repeatable.",
)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Write the plot as PNG.")
@click.option("--dry-run", is_flag=True, help="Print the plan with its counts and every command; run none.")
@click.option("--show", is_flag=True, help="Print again what the store has of the sweep NAME; run nothing.")
@store_option
@json_option
def sweep(
    name: str,
    *,
    plot: Path | None,
    dry_run: bool,
    show: bool,
    store_path: Path,
    as_json: bool,
    jobs: int | None,
    devices: tuple[str, ...],
    **options: Any,
) -> None:
    """Train one recipe over a grid, measure every model, and set the results side by side.

    Every point is exported, trained and measured by the commands `train export`, `train run` and `train
    evaluate`, each printed before it runs; what they say is kept in logs under OUT. Options behind -- are the
    same at every point. The same command again goes on where the sweep stopped, tries again what failed, and
    adds new values. A point that fails stops no other; the exit code is then 1.
    """
    from train.sweeps.table import footnotes

    if show:
        _print_outcome(_kept(store_path, name), plot, as_json=as_json)
        return
    plan, state = _planned(name, store_path, options)
    _say_plan(plan, state, dry_run=dry_run, as_json=as_json)
    if dry_run:
        return
    if jobs is not None and devices and jobs != len(devices):
        raise BadSettings(f"--jobs {jobs} points at once have {len(devices)} devices; leave --jobs out")
    outcome = _noted(plan, state, devices or (None,) * (jobs or 1))
    _print_outcome(outcome, plot, as_json=as_json)
    if outcome.failed:
        if as_json:
            for line in footnotes(outcome):
                note(line)
        raise _failure(outcome)


def _failure(outcome: "SweepOutcome") -> PreferablyError:
    """What the command ends with where points failed; one that only had to wait may be tried later."""
    named = ", ".join(point.label for point in outcome.failed)
    said = (
        f"{len(outcome.failed)} of {len(outcome.points)} points failed: {named};"
        " the same command again tries them again"
    )
    is_later = all(point.code == TryLater.exit_code for point in outcome.failed)
    return TryLater(said) if is_later else PreferablyError(said)


def _planned(name: str, store_path: Path, options: dict[str, Any]) -> "tuple[Plan, StepState]":
    from label.reward_model import RewardChoice, open_reward_model
    from train.sweeps.asked import Asked, planned
    from train.sweeps.plan import Measuring

    if options["out"] is None:
        raise BadSettings("say with --out where exports and runs go")
    named = ("validation", "validation_part", "reward_model", "n", "temperature", "max_new_tokens")
    measuring = Measuring(
        **{key: options.pop(key) for key in (*named, "against", "judge", "by", "draw_seed")},
        files=tuple(map(str, options.pop("files"))),
    )
    if measuring.reward_model is not None:
        open_reward_model(RewardChoice(measuring.reward_model))
    asked = Asked(name=name, store=store_path, measuring=measuring, **options)
    return planned(asked, _offers())


def _offers() -> "list[Offer]":
    """The commands of a sweep, with what of their options is the user's."""
    from curate.commands.choose import mix
    from label.commands.pairs import pairs
    from train.commands.export import MEANT_FOR, export
    from train.commands.run import run
    from train.sweeps.options import Offer

    of_run = {"condition": ("crlft",), "reference": ("dpo", "kto"), "beta": ("dpo", "kto")}
    return [
        Offer("mix", mix, KEPT, {}),
        Offer("pairs", pairs, KEPT | {"at"}, {}),
        Offer("export", export, KEPT, MEANT_FOR),
        Offer("run", run, KEPT, of_run),
    ]


def _say_plan(plan: "Plan", state: "StepState", *, dry_run: bool, as_json: bool) -> None:
    """The counts of the plan; in a dry run every command too."""
    from train.sweeps.table import counts_of

    steps = plan.steps()
    counts = counts_of(plan, state)
    if not dry_run:
        note(counts)
    elif as_json:
        done = [state.outcome_of(step) is not None for step in steps]
        listed = [
            {"place": step.place, "step": step.name, "words": list(step.words), "done": is_done}
            for step, is_done in zip(steps, done, strict=True)
        ]
        echo_json({"dry_run": True, "points": len(plan.sweep.points()), "steps": listed})
    else:
        echo(counts)
        for step in steps:
            echo(("# done: " if state.outcome_of(step) is not None else "") + shlex.join(step.words))


def _noted(plan: "Plan", state: "StepState", devices: "Sequence[str | None]") -> "SweepOutcome":
    """Run the sweep as a run of the store, alone in its folder; what is known of it is kept after every point."""
    from store.db import Store
    from store.runs import run_of
    from train.children import PATIENCE_S, Children
    from train.running.launch import alone
    from train.sweeps.run import run_sweep

    sweep = plan.sweep
    sweep.out.mkdir(parents=True, exist_ok=True)
    left = sum(state.outcome_of(step) is None for step in plan.steps())
    with (
        alone(sweep.out, wait_s=PATIENCE_S) as lock,  # commands of a sweep that was killed are ending
        run_of(Store(sweep.store), "train sweep", sweep.as_json()) as run,
        progress("sweep", left) as advance,
    ):
        return run_sweep(
            plan,
            state,
            Children(kept_open=(lock.fileno(),)),
            advance=advance,
            devices=devices,
            tell=lambda outcome: run.note_progress(outcome.as_json()),
        )


def _kept(store_path: Path, name: str) -> "SweepOutcome":
    """The sweep NAME as the store has it.

    Raises UnknownName if there is none.
    """
    import json

    from store.db import Store
    from store.errors import UnknownName
    from store.named_sql import named_sql
    from train.sweeps.outcome import SweepOutcome

    with Store(store_path).read() as reading:
        rows = reading.rows(named_sql("train", "last_sweep"), {"name": name})
        if not rows:
            names = reading.rows(
                "SELECT DISTINCT settings ->> '$.name' FROM runs WHERE command = 'train sweep' AND counts IS NOT NULL"
            )
            raise UnknownName.of("sweep", name, [one for (one,) in names])
    return SweepOutcome.from_json(json.loads(rows[0][0]))


def _print_outcome(outcome: "SweepOutcome", plot: Path | None, *, as_json: bool) -> None:
    from train.sweeps.plots import save_plot, terminal_plot
    from train.sweeps.table import footnotes, table_of

    if as_json:
        echo_json(outcome.as_json())
    else:
        echo(table_of(outcome))
        for line in footnotes(outcome):
            echo(line)
    if plot is not None:
        note(f"plot: {plot}" if save_plot(plot, outcome) else "no plot: nothing is measured yet")
    if not as_json:
        try:
            drawn = terminal_plot(outcome)
        except MissingExtra as error:
            note(f"no plot here: {error}")
        else:
            echo(drawn or "")
