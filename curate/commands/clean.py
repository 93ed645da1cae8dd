"""The command that cleans."""

from pathlib import Path

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


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate clean
  curate clean --dry-run --json
  curate clean html unicode boilerplate disclaimers
""",
)
@click.argument("steps", metavar="[STEP]...", nargs=-1)
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Look at no more than so many conversations."
)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only count what would change.")
@store_option
@wait_option
@json_option
def clean(
    *,
    steps: tuple[str, ...],
    limit: int | None,
    is_dry_run: bool,
    store_path: Path,
    wait_s: float,
    as_json: bool,
) -> None:
    """Clean the current conversations, beside what they were.

    Steps, done in the order given: html (answers copied from a chat page, back to Markdown), unicode (double
    decoding, composed characters, control characters), boilerplate (words of buttons, page counters),
    disclaimers (a first sentence that says what the model is, where an answer follows). Without a STEP: html,
    unicode, boilerplate. A conversation that changes becomes a new one that names where it comes from; ratings
    stay with the old turns. The same command again adds nothing.
    """
    from curate.clean import CleanSettings, counts, to_clean
    from curate.clean import clean as clean_store
    from curate.cleaning import DEFAULT_STEPS
    from store.db import Store

    store = Store(store_path, wait_s=wait_s)
    settings = CleanSettings(steps or DEFAULT_STEPS, limit, is_dry_run)
    with progress("clean", to_clean(store)) as advance:
        report = clean_store(store, settings, advance)
    if as_json:
        echo_json({**counts(report), "is_dry_run": is_dry_run})
        return
    would = "would change" if is_dry_run else "changed"
    echo(
        f"{report.seen:,} conversations seen, {report.changed:,} {would}, in {report.messages_changed:,} of"
        f" {report.messages_seen:,} messages"
    )
    if report.by_step:
        echo(table(("step", "messages"), report.by_step.most_common()))
    if report.examples:
        note(f"look at one with: curate show --diff {report.examples[0]}")
