"""Commands that take data in and say what is there."""

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from curate.reader import Pieces
from store.console import (
    CONTEXT,
    at_option,
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
    from curate.classes import ClassReport
    from curate.ingest import FileReport, IngestReport
    from curate.reader import Columns
    from curate.stats import Group
    from store.db import Store

REASONS_SHOWN = 5
LABELS_SHOWN = 10
NAMES_SHOWN = 2
MEGABYTE = 1e6
LABELER_KINDS = ("person", "judge", "reward_model", "rule")


def columns_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> "Columns":
    """What `--columns` says, as (what it is, the column)."""
    pairs = [part.partition("=") for part in value.split(",")] if value else []
    odd = next((part for part in pairs if not part[0].strip() or not part[2].strip()), None)
    if odd is not None:
        raise click.BadParameter(f"{''.join(odd)!r} is not WHAT=COLUMN, such as prompt=question")
    return tuple((what.strip(), column.strip()) for what, _, column in pairs)


@click.command(context_settings=CONTEXT)
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
@click.option("--limit", type=click.IntRange(min=1), help="Read no more than so many records of each file.")
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
    or zstd), spreadsheets, Parquet, folders that `datasets` saved, or folders of such files. A record that
    cannot be stored goes to the table `rejects` with line, offset and reason; the rest goes in. Ingesting a
    file twice adds nothing, and an interrupted ingest is continued by the same command.

    \b
    Examples:
      curate ingest auto downloads/ --skip-refused
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
    """
    from curate.ingest import ingest_files, text_bytes
    from curate.sources import IngestSettings
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


@click.command(context_settings=CONTEXT)
@click.option(
    "--tokenizer",
    type=click.Path(exists=True, path_type=Path),
    help="Measure in tokens of the tokenizer in this folder; in words if not given.",
)
@click.option(
    "--preferences",
    "shows_preferences",
    is_flag=True,
    help="Show the preference sets instead, in the columns of RLHF Workflow, Table 5.",
)
@store_option
@at_option
@wait_option
@json_option
def stats(
    *,
    tokenizer: Path | None,
    shows_preferences: bool,
    store_path: Path,
    at: str | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Show conversations, rounds, turns, mean lengths and who wrote the answers, by source and by class.

    The columns are those of Camels, Table 1, and of Xwin, Table 1. Prompts are the user's turns,
    completions the assistant's, a conversation both together; a round is an answer to a user's turn.
    Dropped and superseded conversations are left out.

    With --preferences a line is a source that prefers: its pairs are the verdicts that somebody won, both
    orders taken together, or, where a source only rates, two answers to one prompt whose mean ratings differ
    (verbosity and complexity left out, and answers whose ratings could not all be read).

    \b
    Examples:
      curate stats
      curate stats --tokenizer models/llama --json
      curate stats --preferences
    """
    from curate.stats import measure
    from store.db import Store

    if shows_preferences:
        _show_preferences(Store(store_path, at=at, wait_s=wait_s), tokenizer, as_json=as_json)
        return
    found = measure(Store(store_path, at=at, wait_s=wait_s), tokenizer)
    if as_json:
        echo_json(
            {
                "unit": found.unit,
                "sources": [_group_as_dict(group) for group in found.sources],
                "classes": [_group_as_dict(group) for group in found.classes],
            }
        )
        return
    for heading, groups in (("source", found.sources), ("class", found.classes)):
        columns = (
            *(heading, "conversations", "rounds", f"prompt ({found.unit})", f"completion ({found.unit})"),
            *("turns", f"conversation ({found.unit})", "sourced from"),
        )
        rows = [
            (
                *(group.name, group.conversations, group.rounds, group.mean_prompt, group.mean_completion),
                *(group.turns, group.mean_conversation, group.sourced_from),
            )
            for group in groups
        ]
        echo(table(columns, rows))
        echo()


def _show_preferences(store: "Store", tokenizer: Path | None, *, as_json: bool) -> None:
    from dataclasses import asdict

    from curate.preferences import measure_preferences

    found = measure_preferences(store, tokenizer)
    if as_json:
        echo_json({"unit": found.unit, "sources": [asdict(one) for one in found.sources]})
        return
    lengths = [f"{name} ({found.unit})" for name in ("prompt", "preferred", "rejected")]
    rows = [
        (
            one.name,
            one.prompts,
            one.mean_prompt,
            one.mean_preferred,
            one.mean_rejected,
            _few(one.completers, "writers"),
            _few(one.annotators, "annotators"),
            ", ".join(one.annotator_kinds),
            one.pairs,
        )
        for one in found.sources
    ]
    echo(table(("source", "prompts", *lengths, "completions by", "annotated by", "kind", "pairs"), rows))


def _few(names: list[str], what: str) -> str:
    """The names, or how many there are."""
    if len(names) <= NAMES_SHOWN:
        return ", ".join(names) or "unknown"
    return f"{len(names):,} {what}"


def _group_as_dict(group: "Group") -> dict[str, object]:
    """The keys say tokens whatever the unit is, so that scripts need not look twice; `unit` says which."""
    return {
        "name": group.name,
        "conversations": group.conversations,
        "rounds": group.rounds,
        "mean_prompt_tokens": group.mean_prompt,
        "mean_completion_tokens": group.mean_completion,
        "turns": group.turns,
        "mean_conversation_tokens": group.mean_conversation,
        "sourced_from": [{"model": label, "conversations": count} for label, count in group.models],
    }


@click.group(context_settings=CONTEXT, invoke_without_command=True)
@store_option
@at_option
@wait_option
@json_option
@click.pass_context
def classes(context: click.Context, store_path: Path, at: str | None, wait_s: float, as_json: bool) -> None:
    """Show the source classes, or set one.

    A conversation's class follows from its model label: the longest matching pattern decides, and a
    label that matches none is class unknown, which stays out of a C-RLFT export until it is given a
    condition and a weight.

    \b
    Examples:
      curate classes
      curate classes set Mixtral --condition GPT4 --weight 0.5 --match "*mixtral*"
      curate classes set unknown --condition GPT3 --weight 0.1
    """
    if context.invoked_subcommand is not None:
        _refuse_given_options(context)
        return
    from curate.classes import show_classes
    from store.db import Store

    report = show_classes(Store(store_path, at=at, wait_s=wait_s))
    if as_json:
        echo_json(_classes_as_dict(report))
        return
    rows = [
        (
            one.source_class.name,
            one.source_class.condition,
            one.source_class.weight,
            one.source_class.reward,
            one.conversations,
            ", ".join(one.source_class.patterns),
        )
        for one in report.classes
    ]
    echo(table(("class", "condition", "weight", "reward", "conversations", "matches"), rows))
    _say_unmatched(report)


def _refuse_given_options(context: click.Context) -> None:
    """An option before the subcommand would be lost: say so instead."""
    given = [
        name
        for name in context.params
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"give the options after {context.invoked_subcommand!r}, not before it")


def _classes_as_dict(report: "ClassReport") -> dict[str, object]:
    from dataclasses import asdict

    return {
        "classes": [
            {**asdict(one.source_class), "conversations": one.conversations} for one in report.classes
        ],
        "unmatched": [{"model": model, "conversations": count} for model, count in report.unmatched],
    }


def _say_unmatched(report: "ClassReport") -> None:
    for model, count in report.unmatched[:LABELS_SHOWN]:
        label = f"the label {model!r}" if model else "no label"
        note(f"in no class: {count:,} conversations with {label}")
    if len(report.unmatched) > LABELS_SHOWN:
        note(f"and {len(report.unmatched) - LABELS_SHOWN:,} other labels; see: curate classes --json")


@classes.command("set", context_settings=CONTEXT)
@click.argument("name")
@click.option("--condition", help="Text put before every speaker.")
@click.option("--weight", type=float, help="Factor of the loss.")
@click.option("--reward", type=float, help="The coarse reward of the class.")
@click.option(
    "--match", "patterns", metavar="GLOB", multiple=True, help="Model labels of the class; repeatable."
)
@store_option
@wait_option
@json_option
def set_(
    *,
    name: str,
    condition: str | None,
    weight: float | None,
    reward: float | None,
    patterns: tuple[str, ...],
    store_path: Path,
    wait_s: float,
    as_json: bool,
) -> None:
    """Make the class NAME, or change what is given of it.

    \b
    Examples:
      curate classes set GPT4 --weight 1.0
      curate classes set Claude --condition GPT4 --weight 0.8 --match "claude*" --match "anthropic/*"
    """
    from dataclasses import asdict

    from curate.classes import ClassChange, set_class
    from store.db import Store

    change = ClassChange(name, condition, weight, reward, patterns or None)
    one = set_class(Store(store_path, wait_s=wait_s), change)
    if as_json:
        echo_json(asdict(one))
        return
    echo(
        f"class {one.name}: condition {one.condition or 'none'}, weight {_number(one.weight)},"
        f" matches {', '.join(one.patterns) or 'nothing'}"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
