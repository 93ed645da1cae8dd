"""`label bias` and `label calibrate`: how far a judge can be trusted."""

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
    table,
    wait_option,
)
from store.errors import CheckFailed
from store.ids import to_text

if TYPE_CHECKING:
    from label.trust.bias import BiasReport
    from label.trust.calibration import Certificate, GoldTies


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
    "--max-flip-rate",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Exit 1 if turning the order flips more verdicts.",
)
@click.option(
    "--max-unparsed",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Exit 1 if a larger share is unparsed.",
)
@click.option(
    "--min-canaries",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Exit 1 if fewer canaries were passed.",
)
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
    from label.trust.bias_report import BiasSettings, bias_report, check_gates
    from store.db import Store

    settings = BiasSettings(
        by=by or ("judges",),
        scale=scale,
        max_flip_rate=max_flip_rate,
        max_unparsed=max_unparsed,
        min_canaries=min_canaries,
        resampling=resampling_of(resamples, seed),
    )
    reports = bias_report(Store(store_path, at=at, wait_s=wait_s), settings)
    if as_json:
        echo_json({"labelers": [report.as_json() for report in reports]})
    for report in reports if not as_json else ():
        _echo_bias(report, has_plot=has_plot, all_measures=all_measures)
    if png is not None:
        from label.trust.bias_plots import save_plots

        save_plots(png, reports)
        note(f"plots: {png}")
    check_gates(reports, settings)


def _echo_bias(report: "BiasReport", *, has_plot: bool, all_measures: bool) -> None:
    echo(f"{report.labeler}")
    for line in report.lines():
        echo(f"  {line}")
    if all_measures:
        echo(measure_table(report.measures))
        _echo_flagged(report)
    if has_plot:
        from label.trust.bias_plots import win_rate_plot

        echo(win_rate_plot(report))


def _echo_flagged(report: "BiasReport") -> None:
    from label.trust.flagged import MOST_SHOWN

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
    metavar="X",
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
    "--max-error",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Refuse the certificate (exit 1) if the bound is higher.",
)
@click.option(
    "--level",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
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
    from label.trust.calibrate import calibrate as measure
    from label.trust.calibration import CalibrationSettings
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
        echo(measure_table(found.measures))
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


COMMANDS = (bias, calibrate)
