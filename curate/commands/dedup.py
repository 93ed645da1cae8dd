"""The command that finds duplicates."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

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

if TYPE_CHECKING:
    from curate.duplicates.dedup import DedupReport
    from curate.duplicates.sketching import Method
    from curate.part_texts import Part
    from store.db import Store


@click.command("dedup", context_settings=CONTEXT)
@click.option("--exact", "method", flag_value="exact", help="The same text but for white space.")
@click.option(
    "--near", "method", flag_value="near", default="near", help="A Jaccard index of 5-word runs (default)."
)
@click.option("--semantic", "method", flag_value="semantic", help="The cosine of an encoder's vectors.")
@click.option(
    "--on",
    "part",
    type=click.Choice(["prompts", "answers", "conversations"]),
    default="conversations",
    show_default=True,
    help="What is compared: all user turns, all answers, or everything.",
)
@click.option("--within", "between", flag_value="within", help="Only inside one source.")
@click.option("--across", "between", flag_value="across", help="Only between sources.")
@click.option(
    "--threshold",
    type=click.FloatRange(0.5, 1),
    help="The score from which on it is a duplicate (near 0.8, semantic 0.95).",
)
@click.option(
    "--keep",
    type=click.Choice(["class", "longest", "earliest"]),
    default="class",
    show_default=True,
    help="Which stays: of the class with the largest weight, the longest, the one taken in first.",
)
@click.option(
    "--encoder", type=click.Path(exists=True, path_type=Path, file_okay=False), help="A model's folder."
)
@click.option("--undo", "is_undo", is_flag=True, help="Take back what this method dropped on this part.")
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
def dedup(
    *,
    method: str | None,
    part: "Part",
    between: Literal["within", "across"] | None,
    threshold: float | None,
    keep: Literal["class", "longest", "earliest"],
    encoder: Path | None,
    is_undo: bool,
    is_dry_run: bool,
    max_drop: float,
    is_sure: bool,
    store_path: Path,
    wait_s: float,
    as_json: bool,
) -> None:
    """Drop conversations that say what a kept one says.

    Nothing is deleted: the decision names the kept conversation and the score, found by sketches and compared
    in full. Sketches stay in the store, so that new data is compared with old without reading the old again.

    \b
    Examples:
      curate dedup --exact
      curate dedup --near --on prompts --threshold 0.9 --dry-run
      curate dedup --near --across --keep longest --json
      curate dedup --semantic --encoder models/all-MiniLM-L6-v2 --on prompts
      curate dedup --near --undo
    """
    from curate.deciding import Caution
    from curate.duplicates.dedup import DedupSettings
    from curate.duplicates.dedup import dedup as dedup_store
    from store.db import Store

    store = Store(store_path, wait_s=wait_s)
    name = method or "near"
    if is_undo:
        undo_rule(store, "dedup", f"{name}-{part}", as_json=as_json)
        return
    caution = Caution(max_drop, is_sure, is_dry_run)
    settings = DedupSettings(_method(name, threshold, encoder), part, between or "all", keep, caution)
    with progress("sketch") as advance:
        report = dedup_store(store, settings, advance)
    _show(report, is_dry_run=is_dry_run, as_json=as_json)


def _method(name: str, threshold: float | None, encoder: Path | None) -> "Method":
    from curate.duplicates.exact import Exact
    from curate.duplicates.near import Near
    from store.errors import BadSettings

    if (name == "semantic") != (encoder is not None):
        raise BadSettings("--semantic and --encoder FOLDER go together")
    if name == "exact":
        if threshold is not None:
            raise BadSettings("--exact has no --threshold; --near has")
        return Exact()
    if encoder is not None:
        from curate.duplicates.semantic import Semantic

        return Semantic(encoder) if threshold is None else Semantic(encoder, threshold)
    return Near() if threshold is None else Near(threshold)


def undo_rule(store: "Store", kind: str, name: str, *, as_json: bool) -> None:
    """Take back all that a rule dropped, and say how many."""
    from curate.deciding import undo
    from store.runs import run_of

    with run_of(store, f"curate {kind} --undo", {"rule": name}) as run:
        taken_back = undo(store, run, f"{kind}:{name}")
        run.finish({"taken_back": taken_back})
    if as_json:
        echo_json({"taken_back": taken_back})
        return
    echo(f"{kind}:{name}: {taken_back:,} drops taken back")


def _show(report: "DedupReport", *, is_dry_run: bool, as_json: bool) -> None:
    from curate.duplicates.dedup import counts

    weighed = report.decided.weighed
    if as_json:
        examples = [
            {"conversation": id_, "reason": reason, "evidence": evidence}
            for id_, reason, evidence in report.examples
        ]
        echo_json({**counts(report), "is_dry_run": is_dry_run, "examples": examples})
        return
    would = "would be " * is_dry_run
    echo(f"{weighed.seen:,} seen, {weighed.kept:,} kept, {weighed.dropped:,} {would}dropped")
    if weighed.reasons:
        echo(table(("reason", "dropped"), list(weighed.reasons.items())))
    if report.n_crowded:
        note(
            f"{report.n_crowded:,} texts are like so many others that each was compared with the earliest of"
            f" them only; at most {report.n_left_out:,} pairs were not looked at"
        )
    if is_dry_run:
        for id_, reason, evidence in report.examples:
            echo(f"  {id_}  {reason}  {evidence}")
        return
    if report.decided.taken_back:
        note(f"{report.decided.taken_back:,} dropped before are not dropped any more")
