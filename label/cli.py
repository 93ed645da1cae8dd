"""The `label` command: labels from judges, reward models and people."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from store.console import (
    CONTEXT,
    common_options,
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
    from label.judge import Forecast, JudgeReport
    from label.rating_job import JudgeSettings
    from store.config import Config, Limits, Price
    from store.db import Store


@click.group(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label judge --model offline
  label judge --model gpt-4 --sample 128 --per class --max-cost 5
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
  label judge --model my-judge --base-url http://127.0.0.1:8000/v1 --concurrency 64
  label judge --model offline --json
"""
)
@click.option(
    "--model",
    required=True,
    help="The judge: gpt-4, vllm:http://host:8000/v1#name, or the built-in stand-in `offline`.",
)
@click.option("--base-url", metavar="URL", help="Any OpenAI-compatible server, such as http://host:8000/v1.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Ask about at most N turns.")
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="Judge a draw of N conversations (see --per)."
)
@click.option(
    "--per", type=click.Choice(["class", "source"]), help="Draw --sample conversations of each of these."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option(
    "--max-cost", type=click.FloatRange(min=0), metavar="USD", help="Send nothing that could pass this cost."
)
@click.option("--rpm", type=click.FloatRange(min=0, min_open=True), help="Most requests a minute.")
@click.option("--tpm", type=click.FloatRange(min=0, min_open=True), help="Most tokens a minute.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Most requests at once.  [default: 16]")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="For one request.",
)
@click.option(
    "--price", type=click.FloatRange(min=0), metavar="USD", help="A million tokens, prompt or reply alike."
)
@click.option("--price-in", type=click.FloatRange(min=0), metavar="USD", help="A million prompt tokens.")
@click.option("--price-out", type=click.FloatRange(min=0), metavar="USD", help="A million reply tokens.")
@click.option(
    "--temperature", default="0", show_default=True, metavar="T", help="`none` leaves it to the server."
)
@click.option(
    "--max-tokens", type=click.IntRange(min=1), default=1024, show_default=True, help="The longest reply."
)
@click.option(
    "--max-unparsed",
    type=click.FloatRange(0, 1),
    default=0.02,
    show_default=True,
    help="Stop when a larger share of the first 200 replies carries no rating.",
)
@click.option("--labeler", metavar="NAME", help="Sign the ratings with NAME instead of the model's.")
@click.option("--dry-run", is_flag=True, help="Print calls, tokens and cost; ask and write nothing.")
@wait_option
@json_option
@store_option
def judge(
    *,
    model: str,
    base_url: str | None,
    limit: int | None,
    sample: int | None,
    per: str | None,
    seed: int,
    max_cost: float | None,
    rpm: float | None,
    tpm: float | None,
    concurrency: int | None,
    timeout: float,
    price: float | None,
    price_in: float | None,
    price_out: float | None,
    temperature: str,
    max_tokens: int,
    max_unparsed: float,
    labeler: str | None,
    dry_run: bool,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Have a model rate every assistant turn from 1 to 10, given the turns before it.

    A conversation's rating is the mean over its turns (OpenChat, Appendix G). What is rated already is
    not asked again, and no answer is paid for twice: the same command again continues.
    Keys come from the environment (OPENAI_API_KEY).
    """
    from label.chat import open_chat_model
    from label.rating_job import JudgeSettings
    from label.turns import Draw
    from store.config import load_config
    from store.db import Store

    config = load_config()
    chat_model = open_chat_model(model, base_url)
    settings = JudgeSettings(
        draw=Draw(sample=sample, per=_per(sample, per), seed=seed, limit=limit),
        labeler=labeler,
        temperature=_temperature(temperature),
        max_tokens=max_tokens,
        max_cost_usd=max_cost,
        limits=_limits(config, chat_model.model, rpm=rpm, tpm=tpm, concurrency=concurrency),
        timeout_s=timeout,
        max_unparsed=max_unparsed,
    )
    tag = _price_tag(config, chat_model, _given_price(price, price_in, price_out))
    store = Store(store_path, wait_s=wait_s)
    if dry_run:
        _forecast(store, chat_model, tag, settings, as_json=as_json)
    else:
        chat_model.check()
        _judge(store, chat_model, tag, settings, as_json=as_json)


def _judge(
    store: "Store", model: "ChatModel", price: "PriceTag", settings: "JudgeSettings", *, as_json: bool
) -> None:
    from label.judge import count_turns, judge_store, plan_turns

    plan = plan_turns(store, settings)
    with progress("rating turns", count_turns(plan)) as advance:
        report = judge_store(store, model, price, settings, advance=advance, plan=plan)
    if as_json:
        echo_json(report.as_json())
    else:
        _echo_report(report)
    for reason in report.reasons():
        note(f"no rating: {reason}")
    if report.tally.fresh.total() == report.tally.fresh["failed"] > 0:
        raise PreferablyError(
            f"all {report.tally.fresh['failed']} requests failed; the same command tries again"
        )


def _echo_report(report: "JudgeReport") -> None:
    counts = report.tally.counts()
    states = ", ".join(f"{counts[name]} {name}" for name in COUNTED)
    echo(f"{counts['requested']} turns: {states}; ${report.tally.cost_usd:.4f}")
    echo(f"all ratings by {report.labeler} so far; the mean is over conversations with every turn rated:")
    rows = [
        (rating.name, rating.complete, rating.partial, _two_decimals(rating.mean_rating))
        for rating in report.classes
    ]
    echo(table(("class", "complete", "partial", "mean rating"), rows))


COUNTED = ("reused", "done", "unparsed", "refused", "blocked", "failed")


def _two_decimals(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def _forecast(
    store: "Store", model: "ChatModel", price: "PriceTag", settings: "JudgeSettings", *, as_json: bool
) -> None:
    from dataclasses import asdict

    from label.judge import forecast

    expected = forecast(store, model, price, settings)
    if as_json:
        echo_json({"dry_run": True, **asdict(expected), "price": asdict(price)})
    else:
        _echo_forecast(expected, price)


def _echo_forecast(expected: "Forecast", price: "PriceTag") -> None:
    echo(f"{expected.requested} turns, {expected.reused} of them rated already: {expected.calls} calls")
    echo(f"about {expected.prompt_tokens:,} prompt and {expected.completion_tokens:,} reply tokens")
    echo(
        f"about ${expected.cost_usd:.4f}, at most ${expected.cost_usd_at_most:.4f} before repairs"
        f" (${price.input:g} in, ${price.output:g} out per million tokens, {price.source}, {price.date})"
    )


def _per(sample: int | None, per: str | None) -> Literal["all", "class", "source"]:
    if per is not None and sample is None:
        raise BadSettings(f"--per {per} says what to draw from; say how many with --sample")
    if per == "class":
        return "class"
    return "source" if per == "source" else "all"


def _temperature(text: str) -> float | None:
    if text == "none":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 2:
        raise BadSettings(f"--temperature is a number from 0 to 2, or `none`; not {text!r}")
    return value


def _given_price(both: float | None, price_in: float | None, price_out: float | None) -> "Price | None":
    from store.config import Price

    if both is not None and (price_in is not None or price_out is not None):
        raise BadSettings("--price stands for --price-in and --price-out; give either it or them")
    if both is not None:
        return Price(both, both)
    if price_in is None and price_out is None:
        return None
    if price_in is None or price_out is None:
        raise BadSettings("--price-in and --price-out go together")
    return Price(price_in, price_out)


def _price_tag(config: "Config", model: "ChatModel", given: "Price | None") -> "PriceTag":
    from label.engine.prices import price_of

    return price_of(model.model, model.base_url, given, config.prices)


def _limits(
    config: "Config", model: str, *, rpm: float | None, tpm: float | None, concurrency: int | None
) -> "Limits":
    """Limits from the command line, else from the settings file."""
    from store.config import Limits

    configured = config.limits.get(model, Limits())
    return Limits(
        rpm=configured.rpm if rpm is None else rpm,
        tpm=configured.tpm if tpm is None else tpm,
        concurrency=configured.concurrency if concurrency is None else concurrency,
    )


@cli.command(
    epilog="""\b
Examples:
  label runs
  label runs --limit 3 --json
"""
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The newest so many."
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


main = main_of(cli)
