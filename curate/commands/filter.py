"""The command that filters."""

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
    wait_option,
)

if TYPE_CHECKING:
    from curate.filtering.filter_options import Chosen
    from curate.filtering.filter_run import FilterReport
    from store.db import Store


@click.command(
    "filter",
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate filter refusal truncated --dry-run
  curate filter language --set keep=en,de
  curate filter --pipeline --json
  curate filter refusal --undo
  curate filter length --options
""",
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--pipeline", "is_pipeline", is_flag=True, help="Run the filters preferably.toml lists.")
@click.option(
    "--set", "given", metavar="NAME.KEY=VALUE", multiple=True, help="An option of a filter; repeatable."
)
@click.option("--options", "wants_options", is_flag=True, help="List the options of the filters and stop.")
@click.option("--undo", "is_undo", is_flag=True, help="Take back what the named filters dropped.")
@click.option("--again", "is_again", is_flag=True, help="Look at conversations seen before, too.")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only count, with examples.")
@click.option(
    "--max-drop",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    default=0.5,
    show_default=True,
    help="The largest part of a source to drop without --yes (of sources of 100 and more).",
)
@click.option("--yes", "is_sure", is_flag=True, help="Drop more than that.")
@store_option
@wait_option
@json_option
def filter_(
    *,
    names: tuple[str, ...],
    is_pipeline: bool,
    given: tuple[str, ...],
    wants_options: bool,
    is_undo: bool,
    is_again: bool,
    is_dry_run: bool,
    max_drop: float,
    is_sure: bool,
    store_path: Path,
    wait_s: float,
    as_json: bool,
) -> None:
    """Give reasons to drop conversations, and record them.

    Filters: code-only, control-tokens, encoding, language, length, pii, refusal, repetition, same-answer,
    secrets, truncated, turns. Nothing is deleted: a dropped conversation is left out of what follows, with its
    reason and evidence in `curate decisions`, and what a person keeps stays whatever a filter says. A filter
    looks only at conversations it has not seen with the same options.
    """
    from curate.deciding import Caution
    from curate.filtering.filter_options import choose
    from curate.filtering.filter_run import FilterSettings, filter_store, to_read
    from store.db import Store
    from store.errors import BadSettings

    if wants_options:
        _show_options(names)
        return
    if is_pipeline == bool(names):
        raise BadSettings("name the filters to run, or give --pipeline to run those of preferably.toml")
    store = Store(store_path, wait_s=wait_s)
    if is_undo:
        _undo(store, names, as_json=as_json)
        return
    chosen = _pipeline(given) if is_pipeline else choose(names, given)
    settings = FilterSettings(Caution(max_drop, is_sure, is_dry_run), is_again)
    with progress("filter", to_read(store)) as advance:
        report = filter_store(store, chosen, settings, advance)
    _show(report, is_dry_run=is_dry_run, as_json=as_json)


def _pipeline(given: tuple[str, ...]) -> "list[Chosen]":
    from curate.filtering.filter_options import pipeline
    from store.config import config_path, load_config
    from store.errors import BadSettings

    if given:
        raise BadSettings("--set goes with named filters; options of a pipeline stand in preferably.toml")
    return pipeline(load_config().pipeline, str(config_path()))


def _show(report: "FilterReport", *, is_dry_run: bool, as_json: bool) -> None:
    from curate.filtering.filter_run import counts

    weighed = report.decided.weighed
    if as_json:
        examples = {
            name: [
                {"conversation": id_, "reason": reason, "evidence": evidence}
                for id_, reason, evidence in found
            ]
            for name, found in report.examples.items()
        }
        echo_json({**counts(report), "is_dry_run": is_dry_run, "examples": examples})
        return
    echo(
        f"{weighed.seen:,} seen, {weighed.kept:,} kept, {weighed.dropped:,} {'would be ' * is_dry_run}dropped"
    )
    if weighed.reasons:
        echo(table(("reason", "dropped"), list(weighed.reasons.items())))
    if is_dry_run:
        for found in report.examples.values():
            for id_, reason, evidence in found:
                echo(f"  {id_}  {reason}  {evidence or ''}")
        return
    if weighed.overruled:
        note(f"{weighed.overruled:,} that a filter would drop are kept by a person")
    if report.decided.taken_back:
        note(f"{report.decided.taken_back:,} dropped before are not dropped any more")
    if not weighed.seen:
        note("these filters have seen every conversation with these options; --again looks at all of them")


def _undo(store: "Store", names: tuple[str, ...], *, as_json: bool) -> None:
    from curate.deciding import undo
    from store.runs import run_of

    with run_of(store, "curate filter --undo", {"filters": names}) as run:
        taken_back = {name: undo(store, run, f"filter:{name}") for name in names}
        run.finish({"taken_back": taken_back})
    if as_json:
        echo_json({"taken_back": taken_back})
        return
    for name, count in taken_back.items():
        echo(f"{name}: {count:,} drops taken back")


def _show_options(names: tuple[str, ...]) -> None:
    from curate.filter import FILTERS
    from curate.filtering.filter_options import described

    rows = [
        (name, key, kind, ",".join(default) if isinstance(default, tuple) else str(default))
        for name in names or FILTERS.names()
        for key, kind, default in described(name)
    ]
    echo(table(("filter", "option", "is", "default"), rows))
