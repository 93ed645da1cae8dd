"""`label agree` and `label win-rates`: what labelers say, and how far they say the same."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from label.commands.measures import measure_table, resampling_of, resampling_options
from store.console import (
    CONTEXT,
    at_option,
    echo,
    echo_json,
    json_option,
    note,
    store_option,
    wait_option,
)
from store.errors import BadSettings

if TYPE_CHECKING:
    pass


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label agree
  label agree --among judges --against people --json
  label agree --among gpt-4 --draws
  label agree --between chatgpt,tulu_65B --between tulu_65B,tulu_7B
""",
)
@click.option(
    "--among",
    multiple=True,
    metavar="WHO",
    help="A labeler's name, `people`, `judges`, `reward-models`, `preference-models` or `all`; repeatable."
    "  [default: people]",
)
@click.option(
    "--against", multiple=True, metavar="WHO", help="Compare with these labelers instead of among themselves."
)
@click.option("--between", multiple=True, metavar="A,B", help="Only this pair of policies; repeatable.")
@click.option(
    "--first",
    type=click.IntRange(min=1),
    metavar="N",
    help="Labels of an item that count, by time; items with fewer are left out."
    "  [default: 2, with --against 1 of each side]",
)
@click.option(
    "--min-items",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="Leave out pairs of policies with fewer items.",
)
@click.option("--scale", metavar="NAME", help="Only verdicts on this scale, such as camels5.")
@click.option("--ratings", "has_ratings", is_flag=True, help="Count two ratings of one labeler as a verdict.")
@click.option("--draws", "has_draws", is_flag=True, help="Count a judge's draws as labelers.")
@resampling_options
@at_option
@wait_option
@json_option
@store_option
def agree(
    *,
    among: tuple[str, ...],
    against: tuple[str, ...],
    between: tuple[str, ...],
    first: int | None,
    min_items: int,
    scale: str | None,
    has_ratings: bool,
    has_draws: bool,
    resamples: int,
    seed: int,
    at: str | None,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Measure how far people, judges and stored labels agree.

    For each pair of policies, and over them as `micro` (all items alike) and `macro` (mean of the
    pairs): raw (same direction), tie_discounted (half where exactly one says tie), strict (same strength
    too), kappas, Krippendorff's alpha, agreement on what is acceptable; then acceptance and preference
    rates, and for ratings intraclass and Pearson correlations. A reward model's verdict is the order of its
    rewards; with ratings it is compared by Pearson. Intervals are 95 %, prompts drawn anew.
    """
    from label.trust.agree import AgreeSettings
    from label.trust.agree import agree as measure
    from label.trust.verdict_agreement import AgreementSettings
    from store.db import Store

    settings = AgreeSettings(
        among=among or ("people",),
        against=against,
        scale=scale,
        has_ratings=has_ratings,
        has_draws=has_draws,
        agreement=AgreementSettings(
            first=_first(first, has_two_groups=bool(against)),
            min_items=min_items,
            between=tuple(_policies(text) for text in between),
            resampling=resampling_of(resamples, seed),
        ),
    )
    report = measure(Store(store_path, at=at, wait_s=wait_s), settings)
    for name, size in report.left_out.items():
        note(f"left out: {name} has {size} items with labels enough; see --min-items")
    if not report.n_items:
        note("no item has labels enough to be compared: only rates and correlations are shown")
    if as_json:
        echo_json(
            {
                "measures": [one.as_json() for one in report.measures],
                "left_out": report.left_out,
                "verdicts": report.verdicts,
                "replaced": report.replaced,
                "labelers": report.labelers,
                "items": report.n_items,
            }
        )
        return
    echo(
        f"{report.verdicts:,} verdicts of {len(report.labelers)} labelers"
        f" ({report.replaced:,} more were replaced by a later one of the same labeler)"
    )
    echo(measure_table(report.measures))


def _first(first: int | None, *, has_two_groups: bool) -> int:
    if first == 1 and not has_two_groups:
        raise BadSettings("--first 1 leaves nothing to compare within one group; add --against")
    return first or (1 if has_two_groups else 2)


def _policies(text: str) -> tuple[str, str]:
    first, _, second = text.partition(",")
    if not first or not second:
        raise BadSettings(f"--between takes two policies with a comma, such as gpt-4,llama; not {text!r}")
    return first.strip(), second.strip()


@click.command(
    "win-rates",
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label win-rates
  label win-rates --by gpt-4 --json
  label win-rates --by people --scale camels5
""",
)
@click.option(
    "--by", multiple=True, metavar="WHO", help="Whose verdicts: a name, `people`, `judges`.  [default: all]"
)
@click.option("--scale", metavar="NAME", help="Only verdicts on this scale.")
@resampling_options
@at_option
@wait_option
@json_option
@store_option
def win_rates(
    *,
    by: tuple[str, ...],
    scale: str | None,
    resamples: int,
    seed: int,
    at: str | None,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Show win rates of policies, with a judge that only counts words beside each.

    A tie and a conflict between orders are half a win. The rate is the first policy's. Also at equal
    length by a logistic model of our own (not AlpacaEval's), and Bradley–Terry and Elo over all policies.
    """
    from label.trust.agree import win_rate_report
    from store.db import Store

    report = win_rate_report(
        Store(store_path, at=at, wait_s=wait_s), by or ("all",), resampling_of(resamples, seed), scale
    )
    if as_json:
        rows = [{"by": by, **one.as_json()} for by, found in report.measures.items() for one in found]
        echo_json({"measures": rows})
        return
    for name, found in report.measures.items():
        echo(f"by {name}")
        echo(measure_table(found))


COMMANDS = (agree, win_rates)
