"""The commands that show a store to others: a report, and the store as Parquet."""

from pathlib import Path

import click

from store.console import (
    CONTEXT,
    at_option,
    echo,
    echo_json,
    json_option,
    note,
    progress,
    store_option,
    wait_option,
)


@click.command(
    "export-store",
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate export-store exports/store
  curate export-store exports/as-downloaded --at before-cleaning
""",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@store_option
@at_option
@wait_option
@json_option
def export_store(*, folder: Path, store_path: Path, at: str | None, wait_s: float, as_json: bool) -> None:
    """Write the store to the new directory DIR as Parquet, one folder a table, for DuckDB and `datasets`.

    Beside the tables stand views of what is in force (current_conversations, latest_decisions and others), a
    manifest with rows, columns and hashes, and a README.
    """
    from curate.reporting.export_store import export_store as write_store
    from curate.reporting.export_store import n_tables
    from store.db import Store

    store = Store(store_path, at=at, wait_s=wait_s)
    with progress("export", n_tables(store)) as advance:
        done = write_store(store, folder, advance)
    if as_json:
        echo_json({**done.manifest(), "path": str(folder)})
        return
    rows = sum(one.rows for one in done.tables if not one.is_view)
    size = sum(one.bytes for one in done.tables) / 1e6
    n_views = sum(one.is_view for one in done.tables)
    echo(
        f"{folder}: version {done.at_version}, {rows:,} rows of {len(done.tables) - n_views} tables and"
        f" {n_views} views, {size:.1f} MB"
    )


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate report --out report.html
  curate report --out reports/mix.html --tokenizer models/llama --at before-training
  curate report --out report.html --encoder models/all-MiniLM-L6-v2 --map-sample 10000
""",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="The page; its plots are written beside it as PNG, too.",
)
@click.option("--tokenizer", type=click.Path(path_type=Path), metavar="DIR", help="Count tokens, not words.")
@click.option(
    "--encoder", type=click.Path(path_type=Path), metavar="DIR", help="A text encoder for the map of prompts."
)
@click.option(
    "--map-sample",
    type=click.IntRange(min=10),
    default=5000,
    show_default=True,
    help="Most prompts of the map.",
)
@click.option(
    "--topics", type=click.IntRange(min=1), default=12, show_default=True, help="Topics on the map."
)
@store_option
@at_option
@wait_option
@json_option
def report(
    *,
    out: Path,
    tokenizer: Path | None,
    encoder: Path | None,
    map_sample: int,
    topics: int,
    store_path: Path,
    at: str | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Write one HTML page about the store, with plots: what is in it, and what was left out and why.

    Sources with licenses, Camels' Table 1, turns and lengths by class, ratings by class (OpenChat, Figure 3),
    languages, duplicates, contamination, what every filter dropped with examples, and rejects. With --encoder also
    a map of the first questions coloured by source, class and topic (RLHF Workflow, Figure 5). Everything is
    counted on the whole store but the map, which draws a sample.
    """
    from curate.reporting.prompt_map import MapSettings
    from curate.reporting.report import write_report
    from store.db import Store

    mapped = None if encoder is None else MapSettings(encoder, map_sample, topics)
    facts, plots = write_report(Store(store_path, at=at, wait_s=wait_s), out, tokenizer, mapped)
    if as_json:
        echo_json({**facts, "out": str(out), "plots": [str(path) for path in plots]})
        return
    counts = facts["conversations"]
    echo(
        f"{out}: version {facts['at_version']}, {counts['current']:,} current conversations of {counts['all']:,}"
    )
    if plots:
        note(f"plots beside it: {', '.join(path.name for path in plots)}")


COMMANDS = (report, export_store)
