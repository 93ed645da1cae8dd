"""The `label` command: labels from judges, reward models and people."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from label.commands import agree, batch, bias, compare, mt_bench, pairs, prefer, rank, reward, sample, upkeep
from label.commands.in_batches import InBatches, batch_options, run_in_batches
from label.commands.models import Asking, canary_words, echo_costs, model_options
from label.commands.tally import check_any_worked, counted_in_words, echo_stopped
from store.console import (
    CONTEXT,
    common_options,
    decimals,
    echo,
    echo_json,
    json_option,
    main_of,
    note,
    progress,
    store_option,
    table,
    visible,
    wait_option,
)
from store.errors import BadSettings, PreferablyError

if TYPE_CHECKING:
    from label.chat import ChatModel
    from label.engine.prices import PriceTag
    from label.judging.judge import Forecast, JudgeReport
    from label.judging.rating_job import JudgeSettings, Tally
    from store.db import Store


@click.group(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label judge --model offline
  label judge --model gpt-4 --sample 128 --per class --max-cost 5
  label reward --model models/rm
  label runs
""",
)
@common_options
def cli() -> None:
    """Give labels to conversations and responses."""


@cli.command(
    epilog="""\b
Examples:
  label judge --model gpt-4 --dry-run
  label judge --model gpt-4 --sample 128 --per class --max-cost 5
  label judge --model gpt-4o --batch --max-cost 20
  label judge --model claude-haiku-4-5 --draws 3 --limit 100 --max-cost 1
  label judge --model gpt-4o --aspects ultrafeedback --max-cost 20
  label judge --model my-judge --base-url http://host-a:8000/v1 --base-url http://host-b:8000/v1
  label judge --model offline --json
"""
)
@model_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Ask about at most N turns.")
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="Judge a draw of N conversations (see --per)."
)
@click.option(
    "--per", type=click.Choice(["class", "source"]), help="Draw --sample conversations of each of these."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option(
    "--draws",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    metavar="N",
    help="Ask about each turn N times; the mean counts, and how far the draws agree is shown.",
)
@click.option(
    "--aspects",
    metavar="SET",
    help="Rate these instead of the whole: ultrafeedback (four, 1 to 5) or helpsteer (five, 0 to 4).",
)
@batch_options
@click.option("--dry-run", is_flag=True, help="Print calls, tokens and cost; ask and write nothing.")
@wait_option
@json_option
@store_option
def judge(
    *,
    asking: Asking,
    in_batches: InBatches,
    limit: int | None,
    sample: int | None,
    per: str | None,
    seed: int,
    draws: int,
    aspects: str | None,
    dry_run: bool,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Have a model rate every assistant turn from 1 to 10, given the turns before it.

    A conversation's rating is the mean over its turns (OpenChat, Appendix G). What is rated already is
    not asked again, and no answer is paid for twice: the same command again continues.
    Keys come from the environment (OPENAI_API_KEY, ANTHROPIC_API_KEY).
    """
    from label.batches.job import BatchJob
    from label.judging.rating_job import JudgeSettings
    from label.judging.turns import Draw
    from store.config import load_config
    from store.db import Store

    config = load_config()
    chat_model = asking.open_model()
    settings = JudgeSettings(
        draw=Draw(sample=sample, per=_per(sample, per), seed=seed, limit=limit),
        draws=draws,
        aspects=aspects,
        labeler=asking.labeler,
        temperature=asking.chosen_temperature(),
        max_tokens=asking.max_tokens,
        max_cost_usd=asking.max_cost,
        limits=asking.limits(config, chat_model),
        timeout_s=asking.timeout,
        max_unparsed=asking.max_unparsed,
        canaries=asking.canaries,
        min_canaries=asking.min_canaries,
    )
    tag = asking.price_tag(config, chat_model)
    store = Store(store_path, wait_s=wait_s)
    if in_batches.is_batch:
        job = BatchJob(asking.model, asking.base_url, settings)
        run_in_batches(store, job, tag, in_batches, dry_run=dry_run, as_json=as_json)
    elif dry_run:
        _forecast(store, chat_model, tag, settings, as_json=as_json)
    else:
        chat_model.check()
        _judge(store, chat_model, tag, settings, as_json=as_json)


def _judge(
    store: "Store", model: "ChatModel", price: "PriceTag", settings: "JudgeSettings", *, as_json: bool
) -> None:
    from label.judging.judge import count_turns, judge_store, plan_turns
    from label.judging.rating_job import Tally, questions_of

    plan = plan_turns(store, settings)
    total = count_turns(plan) * len(questions_of(model, settings))
    tally = Tally()
    try:
        with progress("rating turns", total) as advance:
            report = judge_store(store, model, price, settings, advance=advance, plan=plan, tally=tally)
    except (PreferablyError, KeyboardInterrupt):
        echo_stopped(tally, _counts(tally), as_json=as_json)
        raise
    if as_json:
        echo_json(report.as_json())
    else:
        _echo_report(report)
        if report.tally.canaries.asked:
            echo(report.tally.canaries.words())
    for reason in report.reasons():
        note(f"no rating: {reason}")
    if tally.pending:
        note(f"{tally.pending} turns left out: their requests are in an open batch; see label batch status")
    check_any_worked(tally.fresh["failed"], tally.fresh.total(), "requests")


def _counts(tally: "Tally") -> str:
    return f"{tally.requested} ratings: {counted_in_words(tally)}; ${tally.cost_usd:.4f}"


def _echo_report(report: "JudgeReport") -> None:
    echo(_counts(report.tally))
    echo(f"all ratings by {report.labeler} so far; the mean is over conversations with every turn rated:")
    rows = [
        (rating.name, rating.aspect, rating.complete, rating.partial, decimals(rating.mean_rating, 2))
        for rating in report.classes
    ]
    echo(table(("class", "aspect", "complete", "partial", "mean rating"), rows))
    for rating in report.draws:
        echo(
            f"{rating.aspect}: {rating.draws} draws of {rating.turns} turns, mean {rating.mean:.2f},"
            f" all draws equal on {rating.all_equal:.0%};"
            f" ICC {decimals(rating.icc_one, 2) or '–'} of one draw,"
            f" {decimals(rating.icc_mean, 2) or '–'} of their mean"
        )
    echo(f"what all ratings of {report.labeler} depend on:")
    for line in report.habits.lines():
        echo(f"  {line}")


def _forecast(
    store: "Store", model: "ChatModel", price: "PriceTag", settings: "JudgeSettings", *, as_json: bool
) -> None:
    from dataclasses import asdict

    from label.judging.judge import forecast

    expected = forecast(store, model, price, settings)
    if as_json:
        echo_json({"dry_run": True, **asdict(expected), "price": asdict(price)})
    else:
        _echo_forecast(expected, price)


def _echo_forecast(expected: "Forecast", price: "PriceTag") -> None:
    echo(
        f"{expected.requested} ratings, {expected.reused} of them given already: {expected.calls} calls"
        + canary_words(expected.canaries)
    )
    if expected.pending:
        echo(f"{expected.pending} more are left out: their requests are in an open batch")
    echo_costs(expected, price)


def _per(sample: int | None, per: str | None) -> Literal["all", "class", "source"]:
    if per is not None and sample is None:
        raise BadSettings(f"--per {per} says what to draw from; say how many with --sample")
    if per == "class":
        return "class"
    return "source" if per == "source" else "all"


@cli.command(
    epilog="""\b
Examples:
  label runs
  label runs --limit 3 --json
"""
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="The newest N."
)
@wait_option
@json_option
@store_option
def runs(limit: int, wait_s: float, as_json: bool, store_path: Path) -> None:
    """List runs with their state, counts and cost; a run whose process has gone shows as lost."""
    from label.runs import list_runs
    from store.db import Store

    lines = list_runs(Store(store_path, wait_s=wait_s), limit)
    if as_json:
        echo_json({"runs": [line.as_json() for line in lines]})
        return
    rows = [
        (
            line.run_id,
            line.command,
            line.state,
            f"{line.started_at:%Y-%m-%d %H:%M:%S}",
            _counts_in_words(line.counts),
            "" if line.cost_usd is None else f"${line.cost_usd:.4f}",
        )
        for line in lines
    ]
    echo(table(("run", "command", "state", "started (UTC)", "counts", "cost"), rows))


def _counts_in_words(counts: dict[str, object]) -> str:
    shown = {name: value for name, value in counts.items() if isinstance(value, int) and value}
    return visible(", ".join(f"{value} {name}" for name, value in shown.items()))


for command in (
    *compare.COMMANDS,
    *mt_bench.COMMANDS,
    *batch.COMMANDS,
    *reward.COMMANDS,
    *prefer.COMMANDS,
    *sample.COMMANDS,
    *agree.COMMANDS,
    *bias.COMMANDS,
    *rank.COMMANDS,
    *pairs.COMMANDS,
    *upkeep.COMMANDS,
):
    cli.add_command(command)

main = main_of(cli)
