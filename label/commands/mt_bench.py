"""`label mt-bench`: two-turn questions, each turn rated on its own."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from label.commands.models import Asking, canary_words, model_options
from label.commands.pairing import names_in
from label.commands.tally import check_any_worked, counted_in_words, echo_stopped
from store.console import (
    CONTEXT,
    echo,
    echo_json,
    json_option,
    note,
    progress,
    store_option,
    table,
    wait_option,
)
from store.errors import PreferablyError

if TYPE_CHECKING:
    from label.judging.rating_job import Tally
    from label.mt_bench.report import ModelScore
    from label.mt_bench.run import BenchReport

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    "mt-bench",
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label mt-bench --model gpt-4 --questions question.jsonl --references gpt-4.jsonl --dry-run
  label mt-bench --model gpt-4 --questions question.jsonl --references gpt-4.jsonl --max-cost 20
  label mt-bench --model claude-haiku-4-5 --questions question.jsonl --policies ours,theirs --draws 1 --json
""",
)
@model_options
@click.option("--questions", required=True, type=FILE, metavar="FILE", help="FastChat's question.jsonl.")
@click.option(
    "--references",
    type=FILE,
    metavar="FILE",
    help="FastChat's reference_answer/gpt-4.jsonl; for mathematics, coding and reasoning.",
)
@click.option(
    "--policies", metavar="A,B", help="Only the answers of these: model labels or sampled policies."
)
@click.option(
    "--draws",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    metavar="N",
    help="Ask about each turn N times; the median counts.",
)
@click.option(
    "--resamples",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Draws of whole questions for the intervals.",
)
@click.option("--dry-run", is_flag=True, help="Print calls, tokens and cost; ask and write nothing.")
@wait_option
@json_option
@store_option
def mt_bench(
    *,
    asking: Asking,
    questions: Path,
    references: Path | None,
    policies: str | None,
    draws: int,
    resamples: int,
    dry_run: bool,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Have a model rate both turns of every answer to MT-bench's questions from 1 to 10.

    Answers are conversations of the store whose user turns are a question's, by model. The second turn is
    judged with the model's own first one as its context; mathematics, coding and reasoning beside
    reference answers. A turn's rating is the median of the draws, a model's score the mean over its turns.
    """
    from label.judging.rating_job import JudgeSettings, Tally
    from label.measures import Resampling
    from label.mt_bench.run import BenchSettings, forecast_bench, judge_bench, plan_bench
    from store.config import load_config
    from store.db import Store

    config = load_config()
    model = asking.open_model()
    settings = JudgeSettings(
        draws=draws,
        labeler=asking.labeler,
        temperature=asking.chosen_temperature(),
        max_tokens=asking.max_tokens,
        max_cost_usd=asking.max_cost,
        limits=asking.limits(config, model),
        timeout_s=asking.timeout,
        max_unparsed=asking.max_unparsed,
        canaries=asking.canaries,
        min_canaries=asking.min_canaries,
    )
    price = asking.price_tag(config, model)
    bench = BenchSettings(
        questions,
        references,
        names_in(policies),
        Resampling(resamples),
    )
    store = Store(store_path, wait_s=wait_s)
    plan = plan_bench(store, model, bench, settings)
    if plan.without_reference:
        note(f"questions judged without the reference answer they ought to have: {plan.without_reference}")
    if dry_run:
        expected = forecast_bench(store, model, price, plan, settings)
        _echo_forecast(expected, as_json=as_json)
        return
    model.check()
    tally = Tally()
    try:
        with progress("rating turns", plan.n_turns) as advance:
            report = judge_bench(store, model, price, plan, settings, advance=advance, tally=tally)
    except (PreferablyError, KeyboardInterrupt):
        echo_stopped(tally, _counts(tally), as_json=as_json)
        raise
    if as_json:
        echo_json(report.as_json())
    else:
        _echo_report(report)
    check_any_worked(tally.fresh["failed"], tally.fresh.total(), "requests")


def _echo_forecast(expected: object, *, as_json: bool) -> None:
    from dataclasses import asdict

    from label.judging.judge import Forecast

    assert isinstance(expected, Forecast)
    if as_json:
        echo_json({"dry_run": True, **asdict(expected)})
        return
    echo(
        f"{expected.requested} ratings, {expected.reused} of them given already: {expected.calls} calls"
        + canary_words(expected.canaries)
    )
    echo(f"about ${expected.cost_usd:.4f}, at most ${expected.cost_usd_at_most:.4f} before repairs")


def _counts(tally: "Tally") -> str:
    return f"{tally.requested} ratings: {counted_in_words(tally)}; ${tally.cost_usd:.4f}"


def _echo_report(report: "BenchReport") -> None:
    echo(_counts(report.tally))
    if report.tally.canaries.asked:
        echo(report.tally.canaries.words())
    words = "one draw" if report.draws == 1 else f"median of {report.draws} draws"
    echo(f"by {report.labeler}, {words}, {report.n_questions} questions; 95 % intervals over questions:")
    echo(
        table(("model", "turn 1", "turn 2", "average", "low", "high", "questions", "unrated"), _rows(report))
    )


def _rows(report: "BenchReport") -> list[tuple[object, ...]]:
    return [_row(score) for score in report.scores]


def _row(score: "ModelScore") -> tuple[object, ...]:
    average = score.average
    values = (score.turn_1.value, score.turn_2.value, average.value, average.low, average.high)
    figures = ["" if value is None else f"{value:.2f}" for value in values]
    return (score.model, *figures, score.questions, score.unrated)


COMMANDS = (mt_bench,)
