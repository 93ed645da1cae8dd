"""The command `train evaluate mt-bench`: policies' answers to two-turn questions, rated turn by turn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from store.console import CONTEXT, echo, echo_json, json_option, note, store_option, table

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    "mt-bench",
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  train evaluate mt-bench --policy dpo=runs/dpo/model --questions question.jsonl --references gpt-4.jsonl --judge gpt-4
  train evaluate mt-bench --policy c=runs/c --condition GPT4 --condition GPT3 --questions question.jsonl --judge gpt-4
  train evaluate mt-bench --policy dpo --policy sft --questions question.jsonl --judge gpt-4 --draws 1 --json
""",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    required=True,
    metavar="NAME=FOLDER",
    help="A policy to draw from, or the name of one whose answers are there already; repeatable.",
)
@click.option(
    "--condition",
    "conditions",
    multiple=True,
    metavar="TEXT",
    help="Ask it under this condition; repeatable.",
)
@click.option("--questions", required=True, type=FILE, metavar="FILE", help="FastChat's question.jsonl.")
@click.option(
    "--references",
    type=FILE,
    metavar="FILE",
    help="FastChat's reference_answer/gpt-4.jsonl; for mathematics, coding and reasoning.",
)
@click.option(
    "--judge", required=True, metavar="MODEL", help="Who rates, as `label mt-bench --model` takes it."
)
@click.option(
    "--base-url",
    "base_urls",
    multiple=True,
    metavar="URL",
    help="The judge's server; several share the work.",
)
@click.option(
    "--draws",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    metavar="N",
    help="Ask the judge about each turn N times; the median counts.",
)
@click.option(
    "--max-cost", type=click.FloatRange(min=0), metavar="USD", help="Send the judge nothing beyond it."
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    help="Of the answers.  [default: MT-bench's, by category]",
)
@click.option(
    "--max-new-tokens", type=click.IntRange(min=1), default=1024, show_default=True, help="Of an answer."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
@click.option("--dry-run", is_flag=True, help="Print the commands that would run; run none.")
@json_option
@store_option
def mt_bench(
    *,
    policies: tuple[str, ...],
    conditions: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    store_path: Path,
    **options: Any,
) -> None:
    """Have policies answer MT-bench's questions, turn after turn, and a judge rate both turns from 1 to 10.

    The second question is asked under the policy's own first answer. Answers and ratings are made by
    `label sample` and `label mt-bench`, printed before they run, and stay in the store; what is there already
    is not made again. Shown are the means by turn and by category.
    """
    import shlex

    from train.children import run_child
    from train.evaluating.mt_bench import MtBenchSettings, commands_of, evaluate_mt_bench
    from train.evaluating.policy import contestants_of

    settings = MtBenchSettings(store_path, contestants_of(policies, conditions), **options)
    if dry_run:
        commands = [shlex.join(words) for words in commands_of(settings)]
        if as_json:
            echo_json({"dry_run": True, "commands": commands})
        for line in () if as_json else commands:
            echo(line)
        return
    found = evaluate_mt_bench(settings, run_child)
    if as_json:
        echo_json(found)
    else:
        _echo_figures(found)


def _echo_figures(found: Mapping[str, Any]) -> None:
    policies = found["policies"]
    echo(
        f"by {found['labeler']}, median of {found['draws']}, {found['questions']} questions; 95 % intervals:"
    )
    columns = ("policy", "turn 1", "turn 2", "average", "low", "high", "questions", "unrated")
    echo(table(columns, [_row(one) for one in policies]))
    categories = sorted({name for one in policies for name in one["by_turn"]})
    names = [f"{one['policy']}, turn {turn}" for one in policies for turn in (1, 2)]
    lines = [[name, *_cells(policies, name)] for name in categories]
    echo(table(("category", *names), lines))
    note(f"kept with run {found['run_id']}")


def _row(one: Mapping[str, Any]) -> tuple[object, ...]:
    average = one["average"]
    values = (
        one["turn_1"]["value"],
        one["turn_2"]["value"],
        *(average[name] for name in ("value", "low", "high")),
    )
    return (one["policy"], *map(_figure, values), one["questions"], one["unrated"])


def _cells(policies: Sequence[Mapping[str, Any]], category: str) -> list[str | None]:
    return [_figure(mean) for one in policies for mean in one["by_turn"].get(category, (None, None))]


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"
