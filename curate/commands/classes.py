"""`curate classes`: the source classes, and what a conversation needs to be in one."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from store.console import (
    CONTEXT,
    at_option,
    echo,
    echo_json,
    json_option,
    note,
    store_option,
    table,
    wait_option,
)

if TYPE_CHECKING:
    from curate.classes import ClassReport

LABELS_SHOWN = 10


@click.group(
    context_settings=CONTEXT,
    invoke_without_command=True,
    epilog="""\b
Examples:
  curate classes
  curate classes set Mixtral --condition GPT4 --weight 0.5 --match "*mixtral*"
  curate classes set unknown --condition GPT3 --weight 0.1
""",
)
@store_option
@at_option
@wait_option
@json_option
@click.pass_context
def classes(context: click.Context, store_path: Path, at: str | None, wait_s: float, as_json: bool) -> None:
    """Show the source classes, or set one.

    A conversation's class follows from its model label: the longest matching pattern decides, and a
    label that matches none is class unknown, which stays out of a C-RLFT export until it is given a
    condition and a weight.
    """
    if context.invoked_subcommand is not None:
        _refuse_given_options(context)
        return
    from curate.classes import show_classes
    from store.db import Store

    report = show_classes(Store(store_path, at=at, wait_s=wait_s))
    if as_json:
        echo_json(_classes_as_dict(report))
        return
    rows = [
        (
            one.source_class.name,
            one.source_class.condition,
            one.source_class.weight,
            one.source_class.reward,
            one.conversations,
            ", ".join(one.source_class.patterns),
        )
        for one in report.classes
    ]
    echo(table(("class", "condition", "weight", "reward", "conversations", "matches"), rows))
    _say_unmatched(report)


def _refuse_given_options(context: click.Context) -> None:
    """An option before the subcommand would be lost: say so instead."""
    given = [
        name
        for name in context.params
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"give the options after {context.invoked_subcommand!r}, not before it")


def _classes_as_dict(report: "ClassReport") -> dict[str, object]:
    from dataclasses import asdict

    return {
        "classes": [
            {**asdict(one.source_class), "conversations": one.conversations} for one in report.classes
        ],
        "unmatched": [{"model": model, "conversations": count} for model, count in report.unmatched],
    }


def _say_unmatched(report: "ClassReport") -> None:
    for model, count in report.unmatched[:LABELS_SHOWN]:
        label = f"the label {model!r}" if model else "no label"
        note(f"in no class: {count:,} conversations with {label}")
    if len(report.unmatched) > LABELS_SHOWN:
        note(f"and {len(report.unmatched) - LABELS_SHOWN:,} other labels; see: curate classes --json")


@classes.command(
    "set",
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate classes set GPT4 --weight 1.0
  curate classes set Claude --condition GPT4 --weight 0.8 --match "claude*" --match "anthropic/*"
""",
)
@click.argument("name")
@click.option("--condition", help="Text put before every speaker.")
@click.option("--weight", type=float, help="Factor of the loss.")
@click.option("--reward", type=float, help="The coarse reward of the class.")
@click.option(
    "--match", "patterns", metavar="GLOB", multiple=True, help="Model labels of the class; repeatable."
)
@store_option
@wait_option
@json_option
def set_(
    *,
    name: str,
    condition: str | None,
    weight: float | None,
    reward: float | None,
    patterns: tuple[str, ...],
    store_path: Path,
    wait_s: float,
    as_json: bool,
) -> None:
    """Make the class NAME, or change what is given of it."""
    from dataclasses import asdict

    from curate.classes import ClassChange, set_class
    from store.db import Store

    change = ClassChange(name, condition, weight, reward, patterns or None)
    one = set_class(Store(store_path, wait_s=wait_s), change)
    if as_json:
        echo_json(asdict(one))
        return
    echo(
        f"class {one.name}: condition {one.condition or 'none'}, weight {_number(one.weight)},"
        f" matches {', '.join(one.patterns) or 'nothing'}"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
