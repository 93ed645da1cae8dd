"""The options by which a command chooses pairs of responses, and their meaning."""

from functools import wraps
from typing import Any

import click

from store.console import AnyCommand, with_options

OPTIONS = (
    click.option(
        "--pairs",
        "which",
        type=click.Choice(["random", "all", "first-two"]),
        default="random",
        show_default=True,
        help="Of each prompt, and of each two policies that meet there.",
    ),
    click.option(
        "--policies",
        metavar="A,B",
        help="Compare these with one another: sampled policies or model labels.",
    ),
    click.option(
        "--against", metavar="NAME", help="Compare every policy, or each of --policies, with this one."
    ),
    click.option("--prompts", metavar="SELECTION", help="Only prompts of this selection."),
    click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Take a draw of N prompts."),
    click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take at most N pairs."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the draws."),
)


def names_in(listed: str | None) -> tuple[str, ...]:
    """The names in a list with commas, each once."""
    names = [] if listed is None else [name.strip() for name in listed.split(",")]
    return tuple(dict.fromkeys(name for name in names if name))


def pairing_options(command: AnyCommand) -> AnyCommand:
    """Add the options above, given to the command together as `pairing`."""

    @wraps(command)
    def gathered(**options: Any) -> Any:
        from label.comparing.pairing import Pairing

        options["policies"] = names_in(options["policies"])
        names = ("which", "policies", "against", "prompts", "sample", "limit", "seed")
        return command(pairing=Pairing(**{name: options.pop(name) for name in names}), **options)

    return with_options(OPTIONS, gathered)
