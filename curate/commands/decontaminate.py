"""The command that finds what stands in evaluation sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from curate.commands.dedup import undo_rule
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
    from curate.contamination.decontaminate import DecontaminateReport
    from curate.part_texts import Part
    from store.db import Store


@click.command("decontaminate", context_settings=CONTEXT)
@click.option(
    "--against",
    metavar="[NAME=]PATH",
    multiple=True,
    help="An evaluation set: a file or a folder; repeatable.",
)
@click.option("--flag", "action", flag_value="flag", default="flag", help="Put into the queue (default).")
@click.option("--drop", "action", flag_value="drop", help="Drop.")
@click.option(
    "--on",
    "part",
    type=click.Choice(["prompts", "answers", "conversations"]),
    default="conversations",
    show_default=True,
    help="Which turns are looked at.",
)
@click.option("--words", type=click.IntRange(1), default=13, show_default=True, help="Of a run.")
@click.option(
    "--min-words",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Of a text that is a run itself.",
)
@click.option(
    "--near",
    type=click.FloatRange(0, 1),
    default=0.6,
    show_default=True,
    help="Jaccard index; 0: do not look.",
)
@click.option(
    "--encoder",
    type=click.Path(exists=True, path_type=Path, file_okay=False),
    help="A model's folder, to find what is said in other words.",
)
@click.option("--cosine", type=click.FloatRange(0, 1), default=0.8, show_default=True, help="With --encoder.")
@click.option(
    "--allow", type=click.Path(exists=True, path_type=Path, dir_okay=False), help="A file of what is fine."
)
@click.option("--queue", "is_queue", is_flag=True, help="List what is flagged and not yet looked at.")
@click.option(
    "--allowed",
    "is_allowed",
    is_flag=True,
    help="Print what people allowed in review, a line each, for --allow.",
)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Of the queue.")
@click.option("--undo", "is_undo", is_flag=True, help="Take back every drop.")
@click.option("--again", "is_again", is_flag=True, help="Look at conversations seen before, too.")
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Only count, with examples.")
@click.option(
    "--max-drop",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="The largest part of a source to drop without --yes (of sources of 100 and more).",
)
@click.option("--yes", "is_sure", is_flag=True, help="Drop more than that.")
@store_option
@wait_option
@json_option
def decontaminate(
    *,
    against: tuple[str, ...],
    action: Literal["flag", "drop"],
    part: "Part",
    words: int,
    min_words: int,
    near: float,
    encoder: Path | None,
    cosine: float,
    allow: Path | None,
    is_queue: bool,
    is_allowed: bool,
    limit: int,
    is_undo: bool,
    is_again: bool,
    is_dry_run: bool,
    max_drop: float,
    is_sure: bool,
    store_path: Path,
    wait_s: float,
    as_json: bool,
) -> None:
    """Find conversations that hold what stands in evaluation sets.

    What is found is flagged, with set, item and words as evidence, and changes nothing until a person keeps or
    drops it, or --drop is given. Only conversations not seen before with the same sets and options are looked at.

    \b
    Examples:
      curate decontaminate --against gsm8k=test.jsonl --against mmlu.zip
      curate decontaminate --queue
      curate decontaminate --against benchmarks --drop --allow fine.txt --json
      curate decontaminate --against HumanEval.jsonl.gz --encoder models/all-MiniLM-L6-v2 --dry-run
    """
    from curate.contamination.decontaminate import NAME, DecontaminateSettings
    from curate.contamination.decontaminate import decontaminate as look
    from curate.deciding import Caution
    from store.db import Store
    from store.errors import BadSettings

    store = Store(store_path, wait_s=wait_s)
    if is_queue:
        _show_queue(store, limit, as_json=as_json)
        return
    if is_allowed:
        from curate.contamination.allowing import allowed_lines

        lines = allowed_lines(store)
        echo_json({"allowed": lines}) if as_json else echo("\n".join(lines))
        return
    if is_undo:
        undo_rule(store, "decontaminate", NAME, as_json=as_json)
        return
    if not against:
        raise BadSettings("name what to look for with --against [NAME=]PATH, or list what was found: --queue")
    settings = DecontaminateSettings(
        against=against,
        action=action,
        part=part,
        words=words,
        min_words=min(min_words, words),
        near=near or None,
        encoder=encoder,
        cosine=cosine,
        allow=allow,
        is_again=is_again,
        caution=Caution(max_drop, is_sure, is_dry_run),
    )
    with progress("look") as advance:
        report = look(store, settings, advance)
    _show(report, action=settings.action, is_dry_run=is_dry_run, as_json=as_json)


def _show(report: "DecontaminateReport", *, action: str, is_dry_run: bool, as_json: bool) -> None:
    from curate.contamination.decontaminate import counts

    if as_json:
        examples = [
            {"conversation": id_, "reason": reason, "evidence": evidence}
            for id_, reason, evidence in report.examples
        ]
        echo_json({**counts(report), "action": action, "is_dry_run": is_dry_run, "examples": examples})
        return
    weighed = report.decided.weighed
    would = "would be " * is_dry_run
    done = "dropped" if action == "drop" else "flagged"
    echo(f"{weighed.seen:,} seen, {weighed.kept:,} kept, {report.flagged:,} {would}{done}")
    rows = [
        (
            one.benchmark,
            one.items,
            one.found_items,
            one.conversations,
            ", ".join(f"{count} {method}" for method, count in one.by_method.items()),
        )
        for one in report.benchmarks
        if one.conversations
    ]
    if rows:
        echo(table(("benchmark", "items", "found", "conversations", "by"), rows))
    echo(f"of {len(report.benchmarks) - len(rows):,} other sets nothing was found")
    if is_dry_run:
        for id_, reason, evidence in report.examples:
            echo(f"  {id_}  {reason}  {evidence}")
        return
    if report.flagged and action == "flag":
        note("look at them: curate decontaminate --queue")
    if not weighed.seen:
        note("every conversation was seen with these sets and options; --again looks at all of them")


def _show_queue(store: "Store", limit: int, *, as_json: bool) -> None:
    from curate.contamination.decontaminate import flagged

    found = flagged(store, limit)
    if as_json:
        echo_json({"flagged": found})
        return
    names = ("target", "reason", "evidence")
    echo(table(names, [[row[name] for name in names] for row in found]))
