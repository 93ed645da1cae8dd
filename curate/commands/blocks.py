"""The command that cuts long conversations into blocks."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate.commands.choose import scope_options
from store.console import CONTEXT, echo, echo_json, json_option, note, progress, store_option, wait_option

if TYPE_CHECKING:
    from curate.choosing.blocks import BlockReport
    from curate.choosing.selection import Scope


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate blocks --tokenizer models/llama --max-tokens 2048
  curate blocks --tokenizer models/llama --template vicuna --max-tokens 4096 --source sharegpt
  curate blocks --tokenizer models/llama --max-tokens 2048 --dry-run --json
""",
)
@click.option(
    "--tokenizer",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of the trainer's tokenizer.",
)
@click.option(
    "--template",
    default="openchat",
    show_default=True,
    help="The chat template you will train with, or `own` for the tokenizer's.",
)
@click.option("--max-tokens", type=int, required=True, metavar="N", help="Most tokens of a block.")
@scope_options
@click.option("--dry-run", is_flag=True, help="Only count.")
@wait_option
@json_option
@store_option
def blocks(
    *,
    tokenizer: Path,
    template: str,
    max_tokens: int,
    scope: "Scope",
    dry_run: bool,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Cut conversations that are longer than N tokens into blocks that a trainer takes whole.

    No turn is lost, and none is cut in two unless it alone is longer than a block. Every block begins with
    the system's turn, if there is one, and a turn of the user. A block is a new conversation that names the
    one it comes from, which is left out from then on; the same command again adds nothing. Do it after
    cleaning and filtering, and before split and mix.
    """
    from curate.choosing.blocks import BlockSettings, make_blocks, to_look_at
    from store.db import Store

    store = Store(store_path, wait_s=wait_s)
    settings = BlockSettings(tokenizer, template, max_tokens, scope, dry_run)
    with progress("blocks", to_look_at(store, scope)) as advance:
        report = make_blocks(store, settings, advance)
    if as_json:
        echo_json({**report.as_json(), "dry_run": dry_run})
        return
    _echo_report(report, max_tokens)
    if dry_run:
        note("nothing was written")
    elif report.examples:
        note(f"look at one, and what it became, with: curate show {report.examples[0]}")


def _echo_report(report: "BlockReport", max_tokens: int) -> None:
    echo(
        f"{report.seen:,} conversations seen: {report.unchanged:,} unchanged, {report.cut:,} cut into"
        f" {report.blocks:,} blocks of at most {max_tokens:,} tokens"
    )
    if report.cut:
        echo(
            f"their {report.turns:,} turns are {report.tokens_before:,} tokens before and"
            f" {report.tokens_after:,} after; {report.turns_in_pieces:,} turns are in pieces; what is repeated"
            f" adds {report.repeated_tokens:,}; the longest block has {report.longest:,} with its template"
        )
    for reason, count in report.too_long.most_common():
        echo(f"left as they are, {reason}: {count:,}")
