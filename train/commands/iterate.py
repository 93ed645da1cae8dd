"""The command `train iterate`: the online loop over our own commands."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from store.console import echo, echo_json, json_option, note, store_option, table
from train.looping.iterations import DRAWS, EXPLORE, ITERATIONS, MAX_NEW_TOKENS, TEMPERATURES

if TYPE_CHECKING:
    from train.looping.iterate import LoopReport
    from train.looping.iterations import LoopSettings

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(
    epilog="""\b
Examples:
  train iterate loop --model models/sft --reward-model models/rm --prompts asked --validation test --out loop
  train iterate a --model models/sft --reward-model models/rm --prompts p --validation q --out a --dry-run
  train iterate b --model models/sft --reward-model models/rm --prompts p --validation q --out b --patience 1
  train iterate c --model models/sft --reward-model models/rm --prompts p --validation q --out c -- --lr 5e-7
"""
)
@click.argument("name")
@click.argument("training", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTIONS OF TRAIN RUN DPO]")
@click.option("--model", required=True, type=FOLDER, help="Iterate 0: where it starts and what DPO holds to.")
@click.option(
    "--reward-model", required=True, metavar="MODEL", help="Who scores, as `label reward --model` takes it."
)
@click.option("--prompts", required=True, metavar="NAME", help="The selection of prompts to sample under.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    metavar="PART",
    help="Part of it; of several each iteration takes the next.",
)
@click.option(
    "--validation", metavar="NAME", help="The selection of prompts to validate on  [default: --prompts]"
)
@click.option("--validation-part", metavar="PART", help="Only this part of it.")
@click.option("--out", required=True, type=FOLDER, help="Where exports, runs and the state of the loop go.")
@click.option("--iterations", type=click.IntRange(min=1), default=ITERATIONS, show_default=True)
@click.option(
    "--explore",
    type=click.Choice(EXPLORE),
    default="best-worst",
    show_default=True,
    help="Pair the best and the worst of n draws, one draw at each temperature, or one of each of the last two"
    " iterates.",
)
@click.option("--n", type=int, default=DRAWS, show_default=True, help="best-worst: draws under each prompt.")
@click.option(
    "--temperature",
    "temperatures",
    type=float,
    multiple=True,
    default=TEMPERATURES,
    show_default=True,
    help="Of several the draws take turns.",
)
@click.option("--max-new-tokens", type=int, default=MAX_NEW_TOKENS, show_default=True, help="Of a draw.")
@click.option(
    "--length-penalty",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="X",
    help="What each character takes off where pairs are chosen; RLHF Workflow uses 0.001.",
)
@click.option(
    "--seed-pairs", metavar="NAME", help="A selection of offline pairs that the history begins with."
)
@click.option(
    "--validation-n", type=click.IntRange(min=1), default=1, show_default=True, help="Draws to validate."
)
@click.option("--validation-temperature", type=float, default=0.7, show_default=True)
@click.option(
    "--sampler", type=click.Choice(["hf", "vllm"]), default="hf", show_default=True, help="What draws."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
@click.option(
    "--patience", type=click.IntRange(min=1), metavar="N", help="Stop after N iterations without gain."
)
@click.option(
    "--min-gain", type=float, default=0.0, show_default=True, help="Mean reward that counts as gain."
)
@click.option(
    "--max-length-growth", type=float, metavar="X", help="Stop where answers get X times as long as at first."
)
@click.option(
    "--max-kl", type=float, metavar="NATS", help="Stop where an answer lies farther from iterate 0."
)
@click.option("--dry-run", is_flag=True, help="Print every command of the loop and run none.")
@store_option
@json_option
def iterate(
    *,
    model: Path,
    reward_model: str,
    store_path: Path,
    as_json: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Improve a policy in rounds: sample from it, pair the draws by reward, train it by DPO, and again.

    Every step is one of the commands `label sample|reward|pairs|gather` and `train export|run`, printed before
    it runs; each can be stopped and repeated. The pairs of all rounds so far are trained on, held to iterate 0.
    The same command again goes on where the loop stopped; a larger --iterations adds to it. At the end stands
    the iterate with the highest mean reward on validation prompts, which are never trained on.
    """
    from label.reward_model import RewardChoice, open_reward_model, stored_name
    from train.looping.iterate import StopRules, plan_of, run_loop
    from train.looping.iterations import LoopSettings

    names = ("iterations", "patience", "min_gain", "max_length_growth", "max_kl")
    rules = StopRules(**{name: options.pop(name) for name in names})
    loop = LoopSettings(
        model=str(model),
        reward_model=reward_model,
        reward_name=stored_name(open_reward_model(RewardChoice(reward_model))),
        store=store_path,
        **options,
    )
    plan = plan_of(loop, rules.iterations)
    if dry_run:
        if as_json:
            echo_json({"dry_run": True, "steps": [asdict(step) for step in plan]})
        for step in () if as_json else plan:
            echo(shlex.join(step.words))
        return
    _print_report(_noted(loop, rules, run_loop), as_json=as_json)


def _noted(loop: "LoopSettings", rules: Any, run_loop: Any) -> "LoopReport":
    """Run the loop as a run of the store, alone in its folder."""
    from store.db import Store
    from store.runs import run_of
    from train.children import run_child
    from train.running.launch import alone

    with Store(loop.store).read():
        pass  # says so if there is no store
    loop.out.mkdir(parents=True, exist_ok=True)
    with (
        alone(loop.out),
        run_of(Store(loop.store), "train iterate", {**asdict(loop), **asdict(rules)}) as run,
    ):
        report: LoopReport = run_loop(loop, rules, run_child)
        run.finish({"iterations": len(report.iterates) - 1, "best": report.best.iteration})
        return report


def _print_report(report: "LoopReport", *, as_json: bool) -> None:
    if as_json:
        echo_json(report.as_json())
        return
    best = report.best
    has_kl = any(one.kl is not None for one in report.iterates)
    columns = [
        "iterate",
        "reward",
        "±",
        "characters",
        *(["KL"] if has_kl else []),
        "pairs",
        "history",
        "gap",
        "version",
    ]
    lines = [
        [
            f"{one.iteration}{' (best)' if one is best else ''}",
            _figure(one.reward),
            _figure(one.half_width),
            one.characters,
            *([_figure(one.kl)] if has_kl else []),
            one.pairs,
            one.history,
            _figure(one.gap),
            one.version,
        ]
        for one in report.iterates
    ]
    echo(table(columns, lines))
    note(f"stopped: {report.stopped}")
    echo(f"iterate {best.iteration} is the best on validation prompts: {best.model}")


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
