"""The command `curate`: a table of its commands."""

import click

from curate.commands import (
    blocks,
    bookmarks,
    choose,
    classes,
    clean,
    decontaminate,
    dedup,
    filter,
    formats,
    ingest,
    report,
    stats,
)
from curate.commands.store import COMMANDS
from store.console import CONTEXT, common_options, main_of


@click.group(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate ingest sharegpt sharegpt.json
  curate stats
""",
)
@common_options
def cli() -> None:
    """Take conversations in, clean and choose among them, and see what is there."""


for command in (
    ingest.ingest,
    formats.formats,
    classes.classes,
    stats.stats,
    clean.clean,
    filter.filter_,
    dedup.dedup,
    decontaminate.decontaminate,
    blocks.blocks,
    *choose.COMMANDS,
    bookmarks.bookmarks,
    *report.COMMANDS,
    *COMMANDS,
):
    cli.add_command(command)

main = main_of(cli)
