"""`label compare`: which of two responses is better."""

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

import click

from label.commands.in_batches import InBatches, batch_options, run_in_batches
from label.commands.models import Asking, canary_words, echo_costs, model_options
from label.commands.pairing import pairing_options
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
from store.errors import BadSettings, CheckFailed, PreferablyError

if TYPE_CHECKING:
    from label.chat import ChatModel
    from label.comparing.compare import CompareForecast, CompareReport
    from label.comparing.comparison_job import CompareSettings
    from label.comparing.comparison_tally import CompareTally
    from label.comparing.pairing import Orders, Pair, Pairing
    from label.engine.prices import PriceTag
    from store.db import Store


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label compare --model gpt-4 --dry-run
  label compare --model gpt-4 --policies rs-7b,sft-7b --max-cost 5
  label compare --model gpt-4 --against gpt-4-0314 --scale arena5 --json
  label compare --model gpt-4 --scale xwin4 --pairs first-two --parts train=0.9,validation=0.1 --name xwin-pair
  label compare --model gpt-4o --scale logprob --policies rs-7b,sft-7b
  label compare --model gpt-4 --prompts held-out --policies rs-7b,sft-7b
  label compare --model gpt-4o --batch --max-cost 20
  label compare --model offline --pairs all
""",
)
@pairing_options
@click.option(
    "--scale",
    default="camels5",
    show_default=True,
    help="What the judge may answer: xwin4, camels5, arena5, binary, or logprob (how probable A is).",
)
@click.option(
    "--orders",
    type=click.Choice(["both", "hashed"]),
    default="both",
    show_default=True,
    help="Show each pair both ways, or one way that a hash of prompt and responses decides.",
)
@click.option(
    "--template",
    metavar="NAME",
    help="What the judge is told: pair-reference/1 or pair-plain/1; pair-label/1 with --scale logprob."
    "  [default: pair-reference/1]",
)
@click.option(
    "--parts", "split", metavar="NAME=SHARE,…", help="Report by part; a prompt's hash decides its part."
)
@click.option(
    "--name",
    metavar="NAME",
    help="Keep the pairs that were won as the selection NAME, with strength and part, to train on.",
)
@model_options
@batch_options
@click.option(
    "--max-flip-rate",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="End with exit code 1 if the orders contradict each other in a larger share of pairs.",
)
@click.option("--dry-run", is_flag=True, help="Print calls, tokens and cost; ask and write nothing.")
@wait_option
@json_option
@store_option
def compare(
    *,
    pairing: "Pairing",
    scale: str,
    orders: str,
    template: str | None,
    split: str | None,
    name: str | None,
    asking: Asking,
    in_batches: InBatches,
    max_flip_rate: float | None,
    dry_run: bool,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Have a model say which of two responses to the same prompt is better, and how much.

    Responses are draws of policies and the answers of conversations. Each pair is shown in both orders;
    the two verdicts make a win, a weak win (one order ties), a tie or a conflict. Identical responses tie
    without a call. What is judged already is not asked again, and no answer is paid for twice: the same
    command again continues.
    """
    from label.batches.job import BatchJob
    from label.comparing.comparison_job import CompareSettings, sampling_of, template_for
    from label.comparing.pairing import Split
    from store.config import load_config
    from store.db import Store
    from store.selections import check_name

    if name is not None:
        check_name(name)
    config = load_config()
    model = asking.open_model()
    settings = CompareSettings(
        pairing=pairing,
        scale=scale,
        template=template or template_for(scale),
        orders=cast("Orders", orders),
        split=Split() if split is None else Split.parse(split),
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
    sampling_of(model, settings)
    tag = asking.price_tag(config, model)
    store = Store(store_path, wait_s=wait_s)
    if in_batches.is_batch:
        if max_flip_rate is not None:
            raise BadSettings(
                "--max-flip-rate is about verdicts; give it without --batch, once they are collected"
            )
        job = BatchJob(asking.model, asking.base_url, settings)
        run_in_batches(store, job, tag, in_batches, dry_run=dry_run, as_json=as_json)
    elif dry_run:
        _forecast(store, model, tag, settings, as_json=as_json)
    else:
        outcome = _compare(store, model, tag, settings, name=name, as_json=as_json)
        _check_flip_rate(outcome.tally.conflict_rate, max_flip_rate)


def _compare(
    store: "Store",
    model: "ChatModel",
    price: "PriceTag",
    settings: "CompareSettings",
    *,
    name: str | None,
    as_json: bool,
) -> "CompareReport":
    from label.comparing.compare import compare_store, pairs_to_judge
    from label.comparing.comparison_job import new_tally

    model.check()
    plan = pairs_to_judge(store, settings)
    tally = new_tally(settings)
    try:
        with progress("comparing", len(plan)) as advance:
            report = compare_store(store, model, price, settings, advance=advance, plan=plan, tally=tally)
    except (PreferablyError, KeyboardInterrupt):
        echo_stopped(tally, _counts(tally), as_json=as_json)
        raise
    kept = _keep(store, name, plan, report)
    if as_json:
        echo_json({**report.as_json(), "selection": kept})
    else:
        _echo_report(report)
        if kept is not None:
            parts = ", ".join(f"{count} {part}" for part, count in kept["parts"].items())
            echo(f"kept as {kept['name']}: {parts}")
        if report.tally.canaries.asked:
            echo(report.tally.canaries.words())
    for reason in report.reasons():
        note(f"no verdict: {reason}")
    if tally.pending:
        note(f"{tally.pending} pairs left out: their requests are in an open batch; see label batch status")
    check_any_worked(tally.fresh["error"], tally.fresh.total(), "pairs")
    return report


def _keep(store: "Store", name: str | None, plan: "list[Pair]", report: "CompareReport") -> "Selected | None":
    """Keep what was won under NAME, if there is one."""
    if name is None:
        return None
    from label.comparing.compared_selection import keep_compared

    kept, parts = keep_compared(store, name, plan, report.settings, report.labeler)
    return {"name": name, "selection_id": kept.selection_id, "parts": parts}


class Selected(TypedDict):
    """The selection of a run, as `--json` prints it."""

    name: str
    selection_id: str
    parts: dict[str, int]


def _check_flip_rate(rate: float | None, bound: float | None) -> None:
    if bound is None:
        return
    if rate is None:
        raise CheckFailed("--max-flip-rate has nothing to go by: no pair has a verdict in both orders")
    if rate > bound:
        raise CheckFailed(
            f"the two orders contradict each other in {rate:.4f} of pairs, above --max-flip-rate {bound:g}"
        )


def _counts(tally: "CompareTally") -> str:
    return f"{tally.requested} pairs: {counted_in_words(tally)}; {tally.identical} identical; ${tally.cost_usd:.4f}"


def _echo_report(report: "CompareReport") -> None:
    tally = report.tally
    echo(_counts(tally))
    if tally.conflict_rate is not None:
        echo(
            f"the two orders contradict each other in {tally.conflict_rate:.1%} of {tally.in_both_orders} pairs"
        )
    orders = "both orders merged" if report.settings.orders == "both" else "one order each"
    echo(f"verdicts by {report.labeler} on {report.settings.scale}, {orders}; wins by strength:")
    echo(table(("", *tally.parts), strength_rows(tally)))
    if report.bias is None:
        note("no bias report: it needs the libraries of pip install 'preferably[agree]'")
        return
    echo(f"what all verdicts of {report.labeler} on {report.settings.scale} depend on:")
    for line in report.bias.lines():
        echo(f"  {line}")


def strength_rows(tally: "CompareTally") -> list[tuple[object, ...]]:
    """Pairs of each part by strength of the win, then by state; with shares of all pairs won."""
    parts = list(tally.parts.values())
    strengths = [
        (name, *(_count_and_share(part.strengths[name], part.strengths.total()) for part in parts))
        for name, _ in tally.scale.strengths
    ]
    states = [
        (state, *(part.states[state] for part in parts))
        for state, count in tally.states.items()
        if count and state != "win"
    ]
    return [*strengths, *states, ("pairs", *(part.pairs for part in parts))]


def _count_and_share(count: int, total: int) -> str:
    return f"{count} ({count / total:.1%})" if total else "0"


def _forecast(
    store: "Store", model: "ChatModel", price: "PriceTag", settings: "CompareSettings", *, as_json: bool
) -> None:
    from dataclasses import asdict

    from label.comparing.compare import forecast

    expected = forecast(store, model, price, settings)
    if as_json:
        echo_json({"dry_run": True, **asdict(expected), "price": asdict(price)})
    else:
        _echo_forecast(expected, price)


def _echo_forecast(expected: "CompareForecast", price: "PriceTag") -> None:
    echo(
        f"{expected.requested} pairs, {expected.reused} of them judged already and {expected.identical} identical:"
        f" {expected.calls} calls{canary_words(expected.canaries)}"
    )
    if expected.pending:
        echo(f"{expected.pending} more are left out: their requests are in an open batch")
    echo_costs(expected, price)


COMMANDS = (compare,)
