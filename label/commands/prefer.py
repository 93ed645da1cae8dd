"""`label prefer`: which of two responses a pairwise preference model finds better, and how probable that is."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from label.commands.compare import strength_rows
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
    visible,
    wait_option,
)
from store.errors import PreferablyError

if TYPE_CHECKING:
    from label.comparing.comparison_tally import CompareTally
    from label.comparing.pairing import Pairing
    from label.comparing.prefer import PreferReport, PreferSettings
    from label.preference_model import PreferenceModel
    from store.db import Store


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label prefer --model models/pm --dry-run
  label prefer --model models/pm --policies rs-7b,sft-7b --dtype bfloat16
  label prefer --model models/pm --pairs all --sample 500 --json
  label prefer --model offline
""",
)
@click.option(
    "--model", required=True, help="The preference model: a folder (hf:PATH), or the stand-in `offline`."
)
@click.option("--labeler", metavar="NAME", help="Sign the verdicts with NAME instead of the model's.")
@pairing_options
@click.option(
    "--max-length",
    type=click.IntRange(min=2),
    metavar="TOKENS",
    help="Leave longer pairs out, as failed.  [default: what the model holds]",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Of the weights.",
)
@click.option(
    "--batch-tokens",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tokens read at once, padding included.  [default: 1024 on a CPU, 16384 on a GPU]",
)
@click.option("--dry-run", is_flag=True, help="Print how many would be weighed; weigh and write nothing.")
@wait_option
@json_option
@store_option
def prefer(
    *,
    model: str,
    labeler: str | None,
    pairing: "Pairing",
    max_length: int | None,
    dtype: str,
    batch_tokens: int | None,
    dry_run: bool,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Weigh pairs of responses with a preference model: a causal model that answers A or B.

    Each pair is shown in both orders, and the probability of A is averaged over them. Identical responses
    tie without being weighed. What this model, in this revision, has weighed already is not weighed again:
    the same command again continues.
    """
    from label.comparing.prefer import PreferSettings
    from label.preference_model import PreferenceChoice, open_preference_model
    from store.db import Store

    settings = PreferSettings(
        pairing=pairing,
        labeler=labeler,
    )
    opened = open_preference_model(PreferenceChoice(model, max_length, dtype, batch_tokens))
    store = Store(store_path, wait_s=wait_s)
    if dry_run:
        _forecast(store, opened, settings, as_json=as_json)
    else:
        _prefer(store, opened, settings, as_json=as_json)


def _prefer(store: "Store", model: "PreferenceModel", settings: "PreferSettings", *, as_json: bool) -> None:
    from label.comparing.prefer import new_tally, pairs_to_weigh, prefer_store

    plan = pairs_to_weigh(store, settings)
    model.check()
    tally = new_tally()
    try:
        with progress("weighing", len(plan)) as advance:
            report = prefer_store(store, model, settings, plan=plan, advance=advance, tally=tally)
    except (PreferablyError, KeyboardInterrupt):
        echo_stopped(tally, _counts(tally), as_json=as_json)
        raise
    if as_json:
        echo_json(report.as_json())
    else:
        _echo_report(report)
    for reason in report.reasons():
        note(f"no verdict: {reason}")
    check_any_worked(tally.fresh["error"], tally.fresh.total(), "pairs")


def _counts(tally: "CompareTally") -> str:
    return f"{tally.requested} pairs: {counted_in_words(tally)}; {tally.identical} identical"


def _echo_report(report: "PreferReport") -> None:
    tally = report.tally
    echo(_counts(tally))
    if tally.conflict_rate is not None:
        echo(
            f"the two orders contradict each other in {tally.conflict_rate:.1%} of {tally.in_both_orders} pairs"
        )
    echo(
        f"verdicts by {visible(report.labeler)}, revision {report.revision}; P of the better one, both orders:"
    )
    echo(table(("", *tally.parts), strength_rows(tally)))


def _forecast(store: "Store", model: "PreferenceModel", settings: "PreferSettings", *, as_json: bool) -> None:
    from label.comparing.prefer import forecast

    tally, contests = forecast(store, model, settings)
    if as_json:
        echo_json(
            {
                "dry_run": True,
                "requested": tally.requested,
                "reused": tally.reused,
                "identical": tally.identical,
                "to_weigh": contests,
                "cost_usd": 0.0,
                "revision": model.revision,
                "described": dict(model.described),
            }
        )
        return
    echo(
        f"{tally.requested} pairs, {tally.reused} of them weighed already and {tally.identical} identical:"
        f" {contests} to weigh, each order for itself"
    )


COMMANDS = (prefer,)
