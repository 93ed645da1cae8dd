"""The command `curate`: a table of its commands."""

import click

from curate import cli_ingest, cli_store
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


COMMANDS = (
    cli_ingest.ingest,
    cli_ingest.classes,
    cli_ingest.stats,
    cli_store.decisions,
    cli_store.show,
    cli_store.trace,
    cli_store.sql,
    cli_store.snapshot,
    cli_store.log,
    cli_store.diff,
    cli_store.verify,
    cli_store.doctor,
)

for command in COMMANDS:
    cli.add_command(command)

main = main_of(cli)
