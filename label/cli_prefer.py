"""`label prefer`: which of two responses a pairwise preference model finds better, and how probable that is."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from label.cli_compare import COUNTED, names_in, strength_rows
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
    from label.comparison_tally import CompareTally
    from label.pairing import Which
    from label.prefer import PreferReport, PreferSettings
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
@click.option("--name", metavar="NAME", help="Sign the verdicts with NAME instead of the model's.")
@click.option(
    "--pairs",
    "which",
    type=click.Choice(["random", "all", "first-two"]),
    default="random",
    show_default=True,
    help="Of each prompt, and of each two policies that meet there.",
)
@click.option(
    "--policies", metavar="A,B", help="Compare these with one another: sampled policies or model labels."
)
@click.option("--against", metavar="NAME", help="Compare every policy, or each of --policies, with this one.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Weigh a draw of N prompts.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Weigh at most N pairs.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
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
    name: str | None,
    which: str,
    policies: str | None,
    against: str | None,
    sample: int | None,
    limit: int | None,
    seed: int,
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
    from label.pairing import Pairing
    from label.prefer import PreferSettings
    from label.preference_model import PreferenceChoice, open_preference_model
    from store.db import Store

    settings = PreferSettings(
        pairing=Pairing(
            which=cast("Which", which),
            policies=names_in(policies),
            against=against,
            sample=sample,
            seed=seed,
            limit=limit,
        ),
        name=name,
    )
    opened = open_preference_model(PreferenceChoice(model, max_length, dtype, batch_tokens))
    store = Store(store_path, wait_s=wait_s)
    if dry_run:
        _forecast(store, opened, settings, as_json=as_json)
    else:
        _prefer(store, opened, settings, as_json=as_json)


def _prefer(store: "Store", model: "PreferenceModel", settings: "PreferSettings", *, as_json: bool) -> None:
    from label.prefer import new_tally, pairs_to_weigh, prefer_store

    plan = pairs_to_weigh(store, settings)
    model.check()
    tally = new_tally()
    try:
        with progress("weighing", len(plan)) as advance:
            report = prefer_store(store, model, settings, plan=plan, advance=advance, tally=tally)
    except (PreferablyError, KeyboardInterrupt):
        _echo_stopped(tally, as_json=as_json)
        raise
    if as_json:
        echo_json(report.as_json())
    else:
        _echo_report(report)
    for reason in report.reasons():
        note(f"no verdict: {reason}")
    if tally.fresh.total() == tally.fresh["error"] > 0:
        raise PreferablyError(f"all {tally.fresh['error']} pairs failed; the same command tries again")


def _echo_stopped(tally: "CompareTally", *, as_json: bool) -> None:
    """What a run came to that could not go on, before its error is printed."""
    if tally.requested == 0:
        return
    if as_json:
        echo_json({**tally.counts(), "remaining": tally.remaining})
    else:
        echo(f"{_counts(tally)}; {tally.remaining} not done")


def _counts(tally: "CompareTally") -> str:
    counts = tally.counts()
    words = ", ".join(f"{counts[name]} {name}" for name in COUNTED)
    return f"{counts['requested']} pairs: {words}; {tally.identical} identical"


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
    from label.prefer import forecast

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
