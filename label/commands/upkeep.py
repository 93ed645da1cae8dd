"""`label reparse` and `label why-miss`: what stored answers still tell, and why one was not used."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from store.console import CONTEXT, echo, echo_json, json_option, store_option, table, wait_option

if TYPE_CHECKING:
    from label.judging.why_miss import Miss


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label reparse --dry-run
  label reparse
  label reparse --labeler gpt-4 --json
""",
)
@click.option("--labeler", metavar="NAME", help="Only the labels signed with NAME.")
@click.option("--dry-run", is_flag=True, help="Print what would change; write nothing.")
@wait_option
@json_option
@store_option
def reparse(*, labeler: str | None, dry_run: bool, wait_s: float, as_json: bool, store_path: Path) -> None:
    """Read the stored answers behind every judge's labels again with today's parsers; nothing is asked.

    A label that says something else, or that an older parser read, is stored anew; the old one stays in
    the history.
    """
    from label.judging.reparse import count_reparse, reparse_store
    from store.db import Store

    store = Store(store_path, wait_s=wait_s)
    found = count_reparse(store, labeler) if dry_run else reparse_store(store, labeler)
    counts = found.counts()
    if as_json:
        echo_json({"dry_run": True, **counts} if dry_run else counts)
        return
    echo(
        ", ".join(
            f"{counts[name]} {name}" for name in ("read", "unchanged", "changed", "confirmed", "unknown")
        )
    )
    if found.changes:
        echo(table(("from → to", "labels"), found.changes.most_common()))


@click.command(
    name="why-miss",
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  label why-miss 0f8d0c1e-5a5f-4c7e-9a53-0a4f5e2b7c11
  label why-miss m1-0f8d0c1e5a5f4c7e9a530a4f5e2b7c11 --json
""",
)
@click.argument("key_or_id")
@click.option("--all", "show_all", is_flag=True, help="Every request about the answer, not only the newest.")
@wait_option
@json_option
@store_option
def why_miss(key_or_id: str, show_all: bool, wait_s: float, as_json: bool, store_path: Path) -> None:
    """Say why a request was sent instead of being answered from the store.

    KEY_OR_ID is a request key, or the id of an answer that was judged (m1-…). Shown is the request stored
    before it that differs in the fewest fields, and those fields.
    """
    from label.judging.why_miss import why_missed
    from store.db import Store

    misses = why_missed(Store(store_path, wait_s=wait_s), key_or_id)
    shown = misses if show_all else misses[:1]
    if as_json:
        echo_json({"misses": [miss.as_json() for miss in shown]})
        return
    for miss in shown:
        _echo_miss(miss)


def _echo_miss(miss: "Miss") -> None:
    echo(
        f"request {miss.request_key}, first asked {miss.asked_at:%Y-%m-%d %H:%M:%S} UTC by run {miss.run_id or '–'}"
    )
    if miss.nearest_key is None:
        echo("no request had been stored before it")
        return
    echo(f"nearest before it: {miss.nearest_key} of {miss.nearest_at:%Y-%m-%d %H:%M:%S} UTC; they differ in:")
    rows = [(one.field, one.asked, one.stored) for one in miss.differences]
    echo(table(("field", "this request", "the stored one"), rows))


COMMANDS = (reparse, why_miss)
