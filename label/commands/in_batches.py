"""The options by which `label judge` and `label compare` ask in batches, and the handing over."""

from dataclasses import dataclass, fields, replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from label.commands.batch import batch_table, collect_and_echo, settle_option, wait_batch_option
from label.commands.models import echo_costs
from store.console import AnyCommand, echo, echo_json, note, with_options
from store.errors import BadSettings

if TYPE_CHECKING:
    from label.batches.job import BatchForecast, BatchJob, SubmitReport
    from label.engine.prices import PriceTag
    from store.db import Store


@dataclass(frozen=True, slots=True)
class InBatches:
    """What the user said about asking in batches."""

    is_batch: bool
    wait_batch_s: float | None
    settle_s: float
    batch_price_in: float | None
    batch_price_out: float | None

    def check(self) -> None:
        """Raise BadSettings for options of batches without --batch."""
        if self.is_batch:
            return
        given = {
            "--wait-batch": self.wait_batch_s,
            "--batch-price-in": self.batch_price_in,
            "--batch-price-out": self.batch_price_out,
        }
        for option, value in given.items():
            if value is not None:
                raise BadSettings(f"{option} is about batches; add --batch")

    def priced(self, tag: "PriceTag") -> "PriceTag":
        """The price with what the user said a batch costs."""
        return replace(
            tag,
            batch_input=tag.batch_input if self.batch_price_in is None else self.batch_price_in,
            batch_output=tag.batch_output if self.batch_price_out is None else self.batch_price_out,
        )


OPTIONS = (
    click.option(
        "--batch",
        "is_batch",
        is_flag=True,
        help="Hand the requests over in batches, at half the price, and end; see label batch.",
    ),
    wait_batch_option,
    settle_option,
    click.option(
        "--batch-price-in",
        type=click.FloatRange(min=0),
        metavar="USD",
        help="A million prompt tokens in a batch.  [default: half]",
    ),
    click.option(
        "--batch-price-out",
        type=click.FloatRange(min=0),
        metavar="USD",
        help="A million reply tokens in a batch.  [default: half]",
    ),
)


def batch_options(command: AnyCommand) -> AnyCommand:
    """Add the options above, given to the command together as `in_batches`."""

    @wraps(command)
    def gathered(**options: Any) -> Any:
        chosen = InBatches(**{field.name: options.pop(field.name) for field in fields(InBatches)})
        chosen.check()
        return command(in_batches=chosen, **options)

    return with_options(OPTIONS, gathered)


def run_in_batches(
    store: "Store",
    job: "BatchJob",
    price: "PriceTag",
    in_batches: InBatches,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Hand a command's requests over, or say what would be handed over."""
    from label.batches.job import forecast_batches, submit_job
    from label.batches.submit import Patience

    if job.settings.min_canaries is not None:
        raise BadSettings(
            "--min-canaries cannot hold a batch back; ask a few without --batch first: --limit 5 --min-canaries …"
        )
    job = replace(job, settings=replace(job.settings, canaries=0))
    tag = in_batches.priced(price)
    if dry_run:
        _echo_forecast(forecast_batches(store, job, tag), tag.for_batch(), as_json=as_json)
        return
    report = submit_job(store, job, tag, Patience(in_batches.settle_s))
    if in_batches.wait_batch_s is None or not any(batch.is_open for batch in report.batches):
        _echo_submitted(report, as_json=as_json)
        return
    note(_submitted(report))
    ids = [batch.batch_id for batch in report.batches]
    collect_and_echo(store, ids, in_batches.wait_batch_s, in_batches.settle_s, as_json=as_json)


def _echo_forecast(expected: "BatchForecast", price: "PriceTag", *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        echo_json({"dry_run": True, **expected.as_json(), "price": asdict(price)})
        return
    fates = expected.fates
    echo(
        f"{sum(fates.values())} requests: {fates['reused']} labelled already, {fates['answered']} answered,"
        f" {fates['pending']} in an open batch; {fates['asked']} calls in {_batches(expected.batches)}"
    )
    echo_costs(expected, price)


def _batches(count: int) -> str:
    return "1 batch" if count == 1 else f"{count} batches"


def _submitted(report: "SubmitReport") -> str:
    fates = report.fates
    return (
        f"{sum(fates.values())} requests: {fates['reused']} labelled already, {fates['answered']} answered,"
        f" {fates['pending']} in an open batch before; {fates['asked']} handed over, at most"
        f" ${report.cost_usd_at_most:.4f}"
    )


def _echo_submitted(report: "SubmitReport", *, as_json: bool) -> None:
    from label.batches.job import next_step

    if as_json:
        echo_json(report.as_json())
        return
    echo(_submitted(report))
    if report.batches:
        echo(batch_table(report.batches))
        note(next_step(report.batches))
    elif report.fates["answered"]:
        note("next: the same command without --batch turns the stored answers into labels")
    elif report.fates["pending"]:
        note("next: label batch status, and label batch collect once they have ended")
