"""Figures with intervals: how a command asks for them, and how it prints them."""

from typing import TYPE_CHECKING

import click

from store.console import Command, table

if TYPE_CHECKING:
    from label.measures import Measure, Resampling


def resampling_options(command: Command) -> Command:
    """Add `--resamples` and `--seed`."""
    resamples = click.option(
        "--resamples",
        type=click.IntRange(min=1),
        default=1000,
        show_default=True,
        metavar="N",
        help="Draws of whole prompts for the intervals.",
    )
    return resamples(
        click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")(command)
    )


def resampling_of(resamples: int, seed: int) -> "Resampling":
    """How intervals are made."""
    from label.measures import Resampling

    return Resampling(resamples=resamples, seed=seed)


def measure_table(measures: "list[Measure]") -> str:
    """Figures with their intervals."""
    rows = [
        (one.measure, one.of, _figure(one.value), _figure(one.low), _figure(one.high), one.n)
        for one in measures
    ]
    return table(("measure", "of", "value", "low", "high", "n"), rows)


def _figure(value: float | None) -> str | None:
    if value is None:
        return None
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"
