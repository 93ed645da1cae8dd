"""`curate ingest`: files taken in."""

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from curate.reader import Pieces
from store.console import (
    CONTEXT,
    echo,
    echo_json,
    json_option,
    note,
    progress,
    store_option,
    wait_option,
)

if TYPE_CHECKING:
    from curate.ingesting.ingest_report import FileReport, IngestReport
    from curate.reader import Columns

REASONS_SHOWN = 5
MEGABYTE = 1e6
LABELER_KINDS = ("person", "judge", "reward_model", "rule")


def columns_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> "Columns":
    """What `--columns` says, as (what it is, the column)."""
    pairs = [part.partition("=") for part in value.split(",")] if value else []
    odd = next((part for part in pairs if not part[0].strip() or not part[2].strip()), None)
    if odd is not None:
        raise click.BadParameter(f"{''.join(odd)!r} is not WHAT=COLUMN, such as prompt=question")
    return tuple((what.strip(), column.strip()) for what, _, column in pairs)


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate ingest auto downloads/ --skip-refused
  curate ingest auto chatgpt-export.zip
  curate ingest prompt-lines questions.txt
  curate ingest sharegpt sharegpt.json
  curate ingest sharegpt part-*.jsonl.gz --name sharegpt --license CC0-1.0
  curate ingest sharegpt pieces.json --pieces join --json
  curate ingest sharegpt sharegpt.json --dry-run
  curate ingest columns faq.csv --columns prompt=question,response=reply
  curate ingest alpaca alpaca_data.json --model-label text-davinci-003
  curate ingest hh-rlhf helpful-base/train.jsonl.gz
  curate ingest pairs pairs.jsonl --labeler gpt-4 --labeler-kind judge
  curate ingest response-sets sets.jsonl --model-label my-policy
  curate ingest vicuna-eval reviews/ --with questions.jsonl --with answers/
""",
)
@click.argument("reader", metavar="FORMAT")
@click.argument(
    "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@click.option(
    "--pieces",
    type=click.Choice(get_args(Pieces)),
    default="keep",
    show_default=True,
    help="Whether pieces of one long conversation (ids BASE_N) stay apart or are joined where no turn is missing.",
)
@click.option(
    "--class", "source_class", metavar="NAME", help="The class of every conversation, whatever its model."
)
@click.option(
    "--model-label", metavar="LABEL", help="The model label of every conversation that names no model."
)
@click.option(
    "--columns",
    metavar="WHAT=COLUMN,...",
    callback=columns_of,
    help="For the format columns: which column is the prompt, the response, … (see docs/formats.md).",
)
@click.option("--labeler", metavar="NAME", help="Who gave the labels, where the files do not say.")
@click.option("--labeler-kind", type=click.Choice(LABELER_KINDS), help="What kind of labeler that is.")
@click.option(
    "--with",
    "beside",
    metavar="PATH",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A file or folder with the questions and answers that records name by id only; repeatable.",
)
@click.option(
    "--stand-ins",
    is_flag=True,
    help="Store a text that is in no file as `[its name: …]`, so that its labels count; do not train on these.",
)
@click.option(
    "--skip-refused",
    is_flag=True,
    help="Leave out files that are refused, and say why, instead of taking nothing.",
)
@click.option("--name", help="What to call the source; its file name if not given.")
@click.option("--license", metavar="TEXT", help="The license the source comes under.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Read no more than so many records of each file."
)
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only count what would be added.")
@store_option
@wait_option
@json_option
def ingest(
    *,
    reader: str,
    paths: tuple[Path, ...],
    pieces: Pieces,
    source_class: str | None,
    model_label: str | None,
    columns: "Columns",
    labeler: str | None,
    labeler_kind: str | None,
    beside: tuple[Path, ...],
    stand_ins: bool,
    skip_refused: bool,
    name: str | None,
    license: str | None,
    limit: int | None,
    is_dry_run: bool,
    store_path: Path,
    wait_s: float,
    as_json: bool,
) -> None:
    """Add the conversations and labels in the files at PATH... to the store.

    FORMAT is one of those that `curate formats` lists, or `auto`, which finds it in the first records and
    says why, or names the two nearest and takes nothing. Files may be JSON, JSON Lines, CSV, TSV (also gzip
    or zstd), spreadsheets, Parquet, folders that `datasets` saved, or folders and zip archives of such files; plain
    text is prompts. A record that
    cannot be stored goes to the table `rejects` with line, offset and reason; the rest goes in. Ingesting a
    file twice adds nothing, and an interrupted ingest is continued by the same command.
    """
    from curate.ingesting.ingest import ingest_files, text_bytes
    from curate.ingesting.sources import IngestSettings
    from store.db import Store

    settings = IngestSettings(
        pieces,
        limit,
        source_class,
        name,
        license,
        is_dry_run,
        model_label,
        columns,
        labeler=labeler,
        labeler_kind=labeler_kind,
        beside=beside,
        stand_ins=stand_ins,
        skip_refused=skip_refused,
    )
    with progress("ingest MB", text_bytes(paths) / MEGABYTE) as advance:
        report = ingest_files(
            Store(store_path, wait_s=wait_s),
            reader,
            paths,
            settings,
            lambda amount: advance(amount / MEGABYTE),
        )
    _say_reasons(report)
    if source_class is not None:
        _say_kept_classes(report)
    if as_json:
        echo_json(
            {
                **report.total(),
                "is_dry_run": is_dry_run,
                "files": [_as_dict(file) for file in report.files],
                "refused": report.refused,
            }
        )
        return
    for file in report.files:
        echo(_sentence(file, is_dry_run=is_dry_run))


def _as_dict(file: "FileReport") -> dict[str, object]:
    from dataclasses import asdict

    from store.ids import to_text

    counts = asdict(file.tally)
    return {
        "path": file.path,
        "name": file.name,
        "reader": file.reader,
        "source_id": to_text("s1", file.source_id),
        "was_taken": file.was_taken,
        **counts,
        "reasons": dict(file.reasons.most_common()),
        "remarks": file.remarks,
    }


def _sentence(file: "FileReport", *, is_dry_run: bool) -> str:
    tally = file.tally
    counts = f"{tally.read:,} read, {tally.kept:,} kept, {tally.rejected:,} rejected"
    if file.was_taken:
        return f"{file.name}: taken before ({counts}), nothing added"
    new = f"{tally.new_conversations:,} new conversations, {tally.new_messages:,} new messages"
    for label in ("comparisons", "ratings", "samples", "rewards"):
        count = getattr(tally, f"new_{label}")
        new += f", {count:,} new {label}" if count else ""
    return f"{file.name}: {counts}; {'would add ' if is_dry_run else ''}{new}"


def _say_reasons(report: "IngestReport") -> None:
    for reason in report.refused:
        note(f"left out: {reason}")
    for file in report.files:
        for remark in file.remarks:
            note(f"{file.name}: {remark}")
        for reason, count in file.reasons.most_common(REASONS_SHOWN):
            note(f"{file.name}: {count:,} rejected: {reason}")
        if len(file.reasons) > REASONS_SHOWN:
            note(
                f"{file.name}: and {len(file.reasons) - REASONS_SHOWN} other reasons; they are in table rejects"
            )


def _say_kept_classes(report: "IngestReport") -> None:
    """A conversation that is stored already keeps the class it has."""
    for file in report.files:
        known = file.tally.kept - file.tally.new_conversations
        if known and not file.was_taken:
            note(
                f"{file.name}: {known:,} records were stored before or joined; --class changes only new conversations"
            )
