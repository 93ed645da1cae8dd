"""`label batch`: what became of requests that were handed over together."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from store.console import (
    CONTEXT,
    echo,
    echo_json,
    json_option,
    note,
    progress,
    store_option,
    table,
    visible,
    wait_option,
)
from store.errors import TryLater

if TYPE_CHECKING:
    from label.batches.collect import CollectReport
    from label.batches.rows import Batch
    from store.db import Store

settle_option = click.option(
    "--settle",
    "settle_s",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="After so long, a batch that was sent off and that the provider does not list never arrived.",
)

wait_batch_option = click.option(
    "--wait-batch",
    "wait_batch_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait so long for batches to end, and collect them.",
)


def batch_table(batches: "Sequence[Batch]") -> str:
    """One line a batch."""
    rows = [
        (
            batch.batch_id,
            batch.task,
            batch.model,
            batch.state,
            batch.provider_status or "",
            batch.n_requests,
            _in_words(batch),
            f"{batch.created_at:%Y-%m-%d %H:%M:%S}",
            batch.reason or "",
        )
        for batch in batches
    ]
    names = ("batch", "task", "model", "state", "provider says", "requests", "counts", "made (UTC)", "why")
    return table(names, rows)


def _in_words(batch: "Batch") -> str:
    """What became of a batch's requests, or what the provider says will."""
    from json import loads

    counts = batch.outcomes or loads(batch.provider_counts or "{}")
    return visible(", ".join(f"{count} {state}" for state, count in counts.items()))


@click.group(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label judge --model gpt-4 --batch --max-cost 20
  label batch status
  label batch collect
""",
)
def batch() -> None:
    """Look after batches: requests handed over together, answered within a day, at half the price.

    `label judge --batch` and `label compare --batch` make them. A request in an open batch is asked nowhere
    else: not online, and not in another batch.
    """


@batch.command(
    epilog="""\b
Examples:
  label batch submit
  label batch submit --settle 600 --json
"""
)
@settle_option
@wait_option
@json_option
@store_option
def submit(settle_s: float, wait_s: float, as_json: bool, store_path: Path) -> None:
    """Hand over batches that were made and have not arrived: after a crash, a full account, an outage.

    One whose submission nobody saw the end of is looked for at the provider first, and adopted if it is there.
    """
    from label.batches.job import next_step, submit_waiting
    from label.batches.submit import Patience
    from store.db import Store

    handed = submit_waiting(Store(store_path, wait_s=wait_s), Patience(settle_s))
    if as_json:
        echo_json({"batches": [one.as_json() for one in handed]})
        return
    if not handed:
        echo("every batch has arrived; new ones are made by label judge --batch and label compare --batch")
        return
    echo(batch_table(handed))
    note(next_step(handed))


@batch.command(
    epilog="""\b
Examples:
  label batch status
  label batch status --stored --json
"""
)
@click.option("--stored", is_flag=True, help="Show what the store knows; ask no provider.")
@settle_option
@wait_option
@json_option
@store_option
def status(stored: bool, settle_s: float, wait_s: float, as_json: bool, store_path: Path) -> None:
    """List batches with their state and counts, as their providers see them now.

    States are intended (not sent yet), sending (sent off, arrival not seen), submitted, collected,
    labelled, rejected (by the provider) and abandoned.
    """
    from label.batches.collect import refresh_batches
    from label.batches.rows import read_batches
    from label.batches.submit import Patience
    from store.db import Store

    store = Store(store_path, wait_s=wait_s)
    if stored:
        batches, problems = read_batches(store), list[str]()
    else:
        batches, problems = refresh_batches(store, Patience(settle_s))
    if as_json:
        echo_json({"batches": [one.as_json() for one in batches], "problems": problems})
    else:
        echo(batch_table(batches) if batches else "no batches")
    if problems:
        raise TryLater("; ".join(problems))


@batch.command(
    epilog="""\b
Examples:
  label batch collect
  label batch collect --wait-batch 86400
  label batch collect pb-0f8d0c1e5a5f4c7e --json
"""
)
@click.argument("batch_ids", nargs=-1)
@wait_batch_option
@settle_option
@wait_option
@json_option
@store_option
def collect(
    *,
    batch_ids: tuple[str, ...],
    wait_batch_s: float | None,
    settle_s: float,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Take in the answers of batches that have ended, and turn them into labels.

    Answers are stored as if they had been asked one by one. A request that came back without one (expired,
    cancelled, missing, a failing provider) may be asked again: repeat the command that made the batch, with
    --batch or without. An answer that cannot be read is repaired by the same command without --batch.
    """
    from store.db import Store

    store = Store(store_path, wait_s=wait_s)
    collect_and_echo(store, batch_ids, wait_batch_s or 0.0, settle_s, as_json=as_json)


def collect_and_echo(
    store: "Store", batch_ids: Sequence[str], wait_batch_s: float, settle_s: float, *, as_json: bool
) -> None:
    """Take in what has ended, waiting as long as the user said, and print what came of it."""
    from label.batches.collect import collect_batches
    from label.batches.submit import Patience

    patience = Patience(settle_s, wait_batch_s)
    with progress("collecting") as advance:
        report = collect_batches(store, patience, advance=advance, only=batch_ids)
    if as_json:
        echo_json(report.as_json())
    else:
        _echo_collected(report)
    for reason in report.reasons():
        note(f"no answer: {reason}")
    if report.problems:
        raise TryLater("; ".join(report.problems))


def _echo_collected(report: "CollectReport") -> None:
    from label.batches.job import next_step

    counts = report.taken.counts()
    states = ", ".join(f"{counts[name]} {name}" for name in ("done", "refused", "blocked", "failed", "again"))
    echo(f"{counts['requests']} requests: {states}; ${report.taken.cost_usd:.4f}")
    if counts["unknown"]:
        note(f"{counts['unknown']} result lines belong to no request of their batch, or cannot be read")
    for labels in report.labels:
        tally = labels.tally.counts()
        words = ", ".join(
            f"{tally[name]} {name}" for name in ("reused", "done", "unparsed", "refused", "blocked", "failed")
        )
        echo(f"labels by {labels.labeler}: {words}; {labels.tally.unanswered} without a readable answer")
    if report.open:
        echo(batch_table(report.open))
        note(f"these have not ended yet; {next_step(report.open)}")
    for command in report.commands:
        note(f"some requests came back without an answer; next: {command}")


@batch.command(
    epilog="""\b
Examples:
  label batch cancel pb-0f8d0c1e5a5f4c7e
"""
)
@click.argument("batch_ids", nargs=-1, required=True)
@settle_option
@wait_option
@json_option
@store_option
def cancel(
    batch_ids: tuple[str, ...], settle_s: float, wait_s: float, as_json: bool, store_path: Path
) -> None:
    """Have batches end early; what is answered by then is paid for, and can be collected.

    A batch that never arrived is given up, and its requests may be asked elsewhere.
    """
    from label.batches.collect import cancel_batches
    from label.batches.submit import Patience
    from store.db import Store

    cancelled = cancel_batches(Store(store_path, wait_s=wait_s), batch_ids, Patience(settle_s))
    if as_json:
        echo_json({"batches": [one.as_json() for one in cancelled]})
    else:
        echo(batch_table(cancelled) if cancelled else "none of these is open any more")


COMMANDS = (batch,)
