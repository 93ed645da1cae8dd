"""The command `curate`: a table of its commands."""

import click

from curate import (
    cli_blocks,
    cli_bookmarks,
    cli_choose,
    cli_classes,
    cli_clean,
    cli_decontaminate,
    cli_dedup,
    cli_filter,
    cli_formats,
    cli_ingest,
    cli_report,
    cli_stats,
)
from curate.cli_store import COMMANDS
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
    cli_ingest.ingest,
    cli_formats.formats,
    cli_classes.classes,
    cli_stats.stats,
    cli_clean.clean,
    cli_filter.filter_,
    cli_dedup.dedup,
    cli_decontaminate.decontaminate,
    cli_blocks.blocks,
    *cli_choose.COMMANDS,
    cli_bookmarks.bookmarks,
    *cli_report.COMMANDS,
    *COMMANDS,
):
    cli.add_command(command)

main = main_of(cli)
