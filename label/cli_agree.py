"""Commands that say how far labels can be trusted: agree, win-rates, bias, calibrate."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from store.console import (
    CONTEXT,
    Command,
    at_option,
    echo,
    echo_json,
    json_option,
    note,
    store_option,
    table,
    wait_option,
)
from store.errors import BadSettings, CheckFailed
from store.ids import to_text

if TYPE_CHECKING:
    from label.bias import BiasReport
    from label.calibration import Certificate, GoldTies
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


def _resampling(resamples: int, seed: int) -> "Resampling":
    from label.measures import Resampling

    return Resampling(resamples=resamples, seed=seed)


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
    from label.agree import AgreeSettings
    from label.agree import agree as measure
    from label.agreement import AgreementSettings
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
            resampling=_resampling(resamples, seed),
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
    echo(_measure_table(report.measures))


def _first(first: int | None, *, has_two_groups: bool) -> int:
    if first == 1 and not has_two_groups:
        raise BadSettings("--first 1 leaves nothing to compare within one group; add --against")
    return first or (1 if has_two_groups else 2)


def _measure_table(measures: "list[Measure]") -> str:
    rows = [
        (one.measure, one.of, _figure(one.value), _figure(one.low), _figure(one.high), one.n)
        for one in measures
    ]
    return table(("measure", "of", "value", "low", "high", "n"), rows)


def _figure(value: float | None) -> str | None:
    if value is None:
        return None
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}"


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
    from label.agree import win_rate_report
    from store.db import Store

    report = win_rate_report(
        Store(store_path, at=at, wait_s=wait_s), by or ("all",), _resampling(resamples, seed), scale
    )
    if as_json:
        rows = [{"by": by, **one.as_json()} for by, found in report.measures.items() for one in found]
        echo_json({"measures": rows})
        return
    for name, found in report.measures.items():
        echo(f"by {name}")
        echo(_measure_table(found))


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label bias
  label bias --by gpt-4 --max-flip-rate 0.2 --max-unparsed 0.02
  label bias --by all --plot
  label bias --png bias.png --json
""",
)
@click.option(
    "--by",
    multiple=True,
    metavar="WHO",
    help="Whose labels: a name, `people`, `judges`, `reward-models`, `all`.  [default: judges]",
)
@click.option("--scale", metavar="NAME", help="Only verdicts on this scale.")
@click.option(
    "--max-flip-rate", type=click.FloatRange(0, 1), help="Exit 1 if turning the order flips more verdicts."
)
@click.option("--max-unparsed", type=click.FloatRange(0, 1), help="Exit 1 if a larger share is unparsed.")
@click.option("--min-canaries", type=click.FloatRange(0, 1), help="Exit 1 if fewer canaries were passed.")
@click.option("--plot", "has_plot", is_flag=True, help="Plot win rate against unique tokens here.")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="Write the plots to this file.")
@click.option("--all-measures", is_flag=True, help="Print every figure, not five lines.")
@resampling_options
@at_option
@wait_option
@json_option
@store_option
def bias(
    *,
    by: tuple[str, ...],
    scale: str | None,
    max_flip_rate: float | None,
    max_unparsed: float | None,
    min_canaries: float | None,
    has_plot: bool,
    png: Path | None,
    all_measures: bool,
    resamples: int,
    seed: int,
    at: str | None,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Measure what verdicts depend on besides the answers.

    Five lines a labeler: the order shown (flips, first slot), length, unique tokens, its own family,
    and states, with answers that speak to a judge and canaries passed. The report is kept with a run.
    Reads stored verdicts only and costs nothing.
    """
    from label.bias_report import BiasSettings, bias_report, check_gates
    from store.db import Store

    settings = BiasSettings(
        by=by or ("judges",),
        scale=scale,
        max_flip_rate=max_flip_rate,
        max_unparsed=max_unparsed,
        min_canaries=min_canaries,
        resampling=_resampling(resamples, seed),
    )
    reports = bias_report(Store(store_path, at=at, wait_s=wait_s), settings)
    if as_json:
        echo_json({"labelers": [report.as_json() for report in reports]})
    for report in reports if not as_json else ():
        _echo_bias(report, has_plot=has_plot, all_measures=all_measures)
    if png is not None:
        from label.plots import save_plots

        save_plots(png, reports)
        note(f"plots: {png}")
    check_gates(reports, settings)


def _echo_bias(report: "BiasReport", *, has_plot: bool, all_measures: bool) -> None:
    echo(f"{report.labeler}")
    for line in report.lines():
        echo(f"  {line}")
    if all_measures:
        echo(_measure_table(report.measures))
        _echo_flagged(report)
    if has_plot:
        from label.plots import win_rate_plot

        echo(win_rate_plot(report))


def _echo_flagged(report: "BiasReport") -> None:
    from label.flagged import MOST_SHOWN

    rows = [(to_text("m1", one.response_id), ", ".join(one.flags)) for one in report.flagged[:MOST_SHOWN]]
    if rows:
        echo(table((f"flagged answer ({len(report.flagged)})", "why"), rows))


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label calibrate gpt-4
  label calibrate gpt-4 --max-error 0.2 --sample 100
  label calibrate gpt-4 --gold ann --gold bob --min-strength 0.5 --json
""",
)
@click.argument("judge")
@click.option(
    "--gold", multiple=True, metavar="WHO", help="Whose verdicts count as right.  [default: people, blind]"
)
@click.option(
    "--min-strength",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Only verdicts of the judge at least this strong.",
)
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="Draw N of the items; all if not given."
)
@click.option(
    "--gold-ties",
    type=click.Choice(["error", "leave-out"]),
    default="error",
    show_default=True,
    help="What a tie by people means where the judge took a side.",
)
@click.option(
    "--max-error", type=click.FloatRange(0, 1), help="Refuse the certificate (exit 1) if the bound is higher."
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="How sure the bound is.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@at_option
@wait_option
@json_option
@store_option
def calibrate(
    *,
    judge: str,
    gold: tuple[str, ...],
    min_strength: float,
    sample: int | None,
    gold_ties: "GoldTies",
    max_error: float | None,
    level: float,
    seed: int,
    at: str | None,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Measure how right JUDGE is against people, and certify a bound on its error.

    Accuracy by merged strength, and the error on the items both decided with its exact upper bound
    (Clopper-Pearson). The bound holds for pairs drawn like these: let people judge a random sample, blind.
    """
    from label.calibrate import calibrate as measure
    from label.calibration import CalibrationSettings
    from store.db import Store

    settings = CalibrationSettings(
        judge=judge,
        gold=gold or ("people",),
        min_strength=min_strength,
        sample=sample,
        seed=seed,
        gold_ties=gold_ties,
        max_error=max_error,
        level=level,
    )
    found = measure(Store(store_path, at=at, wait_s=wait_s), settings)
    if as_json:
        echo_json(found.as_json())
    else:
        echo(_measure_table(found.measures))
        echo(_certificate_words(found.certificate))
    if not found.certificate.is_issued:
        raise CheckFailed(
            f"no certificate: {judge}'s error may be as high as {found.certificate.upper_bound:.4f},"
            f" above --max-error {max_error:g}"
        )


def _certificate_words(certificate: "Certificate") -> str:
    words = (
        f"{certificate.judge}: {certificate.errors} of {certificate.n} wrong, error {certificate.error:.4f},"
        f" at most {certificate.upper_bound:.4f} ({certificate.level:.0%} sure, Clopper-Pearson)"
    )
    return f"certificate: {words}" if certificate.is_issued else words


COMMANDS = (agree, win_rates, bias, calibrate)
