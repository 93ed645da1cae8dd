"""The command `train evaluate policy`: policies side by side on held-out prompts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from store.console import CONTEXT, echo, echo_json, json_option, note, store_option, table
from store.errors import BadSettings

if TYPE_CHECKING:
    from label.ranking.best_of import Point
    from train.evaluating.policy import PolicyFigures


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  train evaluate policy --policy rs=runs/rs/model --policy sft --prompts test --reward-model rm --n 64
  train evaluate policy --policy c=runs/c --condition GPT4 --condition GPT3 --prompts test --reward-model rm
  train evaluate policy --policy dpo=runs/dpo/model --policy sft --against sft --judge gpt-4 --prompts test
  train evaluate policy --policy dpo --reward-model models/rm --prompts test --alpaca outputs
""",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    required=True,
    metavar="NAME=FOLDER",
    help="A policy to draw from, or the name of draws that are there already; repeatable.",
)
@click.option(
    "--condition",
    "conditions",
    multiple=True,
    metavar="TEXT",
    help="Compare it under this condition; repeatable.",
)
@click.option("--prompts", required=True, metavar="SELECTION", help="The held-out prompts.")
@click.option("--reward-model", metavar="MODEL", help="Who scores, as `label reward --model` takes it.")
@click.option(
    "--n", type=click.IntRange(min=1), default=1, show_default=True, help="Draws, and n of best-of-n."
)
@click.option("--temperature", type=float, default=0.7, show_default=True, help="Of the draws.")
@click.option("--max-new-tokens", type=click.IntRange(min=1), default=2048, show_default=True)
@click.option("--against", metavar="POLICY", help="The policy that win rates are against.")
@click.option("--judge", metavar="MODEL", help="Ask this judge, as `label compare --model` takes it.")
@click.option(
    "--by", metavar="LABELER", help="Count only this labeler's verdicts  [default: the judge's, or all]"
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
@click.option(
    "--alpaca",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write each policy's first draws there in AlpacaEval's form.",
)
@click.option("--dry-run", is_flag=True, help="Print the commands that make what is missing; run none.")
@json_option
@store_option
def policy(
    *,
    policies: tuple[str, ...],
    conditions: tuple[str, ...],
    alpaca: Path | None,
    dry_run: bool,
    as_json: bool,
    store_path: Path,
    **options: Any,
) -> None:
    """Measure policies on prompts they were not trained on: best-of-n by a reward model, win rates by a judge.

    Draws, rewards and verdicts are made by `label sample`, `label reward` and `label compare`, printed before
    they run; what is there already is not made again. Intervals are over prompts. A tie, or two orders that
    disagree, is half a win.
    """
    import shlex

    from label.reward_model import RewardChoice, open_reward_model, stored_name
    from store.db import Store
    from train.children import run_child
    from train.evaluating.policy import (
        PolicySettings,
        commands_of,
        contestants_of,
        evaluate_policies,
        write_alpaca,
    )

    model = options["reward_model"]
    found = contestants_of(policies, conditions)
    if options["against"] not in (None, *(one.name for one in found)):
        raise BadSettings(f"--against {options['against']} is none of the policies; add it with --policy")
    settings = PolicySettings(
        store=store_path,
        contestants=found,
        reward_name=None if model is None else stored_name(open_reward_model(RewardChoice(model))),
        **options,
    )
    if dry_run:
        commands = [shlex.join(words) for words in commands_of(settings)]
        if as_json:
            echo_json({"dry_run": True, "commands": commands})
        for line in () if as_json else commands:
            echo(line)
        return
    figures = evaluate_policies(settings, run_child)
    if alpaca is not None:
        alpaca.mkdir(parents=True, exist_ok=True)
        for one in found:
            path = alpaca / f"{one.name.replace('/', '-')}.json"
            written, left_out = write_alpaca(Store(store_path), one.name, settings.prompts, path)
            note(
                f"{path}: {written} outputs"
                + (f", {left_out} prompts of several turns left out" if left_out else "")
            )
    if as_json:
        echo_json({"policies": [one.as_json() for one in figures]})
    else:
        _echo_figures(figures)


def _echo_figures(figures: "list[PolicyFigures]") -> None:
    sizes = sorted({point.x for one in figures for point in one.best_of})
    won = ("win rate",) if any(one.win_rate for one in figures) else ()
    columns = ("policy", "prompts", "draws", "characters", *(f"best of {n}" for n in sizes), *won)
    lines = []
    for one in figures:
        points = {point.x: point for point in one.best_of}
        lines.append(
            (
                one.policy,
                one.prompts,
                one.draws,
                one.characters,
                *(_words(points.get(n)) for n in sizes),
                *(_words(one.win_rate) for _ in won),
            )
        )
    echo(table(columns, lines))


def _words(point: "Point | None") -> str | None:
    if point is None or point.value is None:
        return None
    if point.low is None:
        return f"{point.value:.3f}"
    return f"{point.value:.3f} [{point.low:.3f}, {point.high:.3f}]"
