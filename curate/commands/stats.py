"""`curate stats`: what is there, by source and by class."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from store.console import CONTEXT, at_option, echo, echo_json, json_option, store_option, table, wait_option

if TYPE_CHECKING:
    from curate.reporting.preferences import PreferenceSet
    from curate.reporting.stats import Group
    from store.db import Store

NAMES_SHOWN = 2


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate stats
  curate stats --tokenizer models/llama --json
  curate stats --files
  curate stats --preferences
""",
)
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
@click.option(
    "--files", "by_file", is_flag=True, help="A line for each file, also where several are one source."
)
@store_option
@at_option
@wait_option
@json_option
def stats(
    *,
    tokenizer: Path | None,
    shows_preferences: bool,
    by_file: bool,
    store_path: Path,
    at: str | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Show conversations, rounds, turns, mean lengths and who wrote the answers, by source and by class.

    The columns are those of Camels, Table 1, and of Xwin, Table 1. Prompts are the user's turns,
    completions the assistant's, a conversation both together; a round is an answer to a user's turn.
    Dropped and superseded conversations are left out. Files taken in under one --name are one source; --files
    gives each its own line.

    With --preferences a line is a source that prefers: its pairs are the verdicts that somebody won, both
    orders taken together, or, where a source only rates, two answers to one prompt whose mean ratings differ
    (verbosity and complexity left out, and answers whose ratings could not all be read). Answers in different
    files of one source are paired, but not with --files.
    """
    from curate.reporting.stats import measure
    from store.db import Store

    if shows_preferences:
        _show_preferences(
            Store(store_path, at=at, wait_s=wait_s), tokenizer, by_file=by_file, as_json=as_json
        )
        return
    found = measure(Store(store_path, at=at, wait_s=wait_s), tokenizer, by_file=by_file)
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
        files = _files_column(by_file=by_file) if heading == "source" else ()
        columns = (
            *(
                heading,
                *files,
                "conversations",
                "rounds",
                f"prompt ({found.unit})",
                f"completion ({found.unit})",
            ),
            *("turns", f"conversation ({found.unit})", "sourced from"),
        )
        rows = [
            (
                *(
                    group.name,
                    *_files_cell(group, by_file=by_file),
                    group.conversations,
                    group.rounds,
                    group.mean_prompt,
                    group.mean_completion,
                ),
                *(group.turns, group.mean_conversation, group.sourced_from),
            )
            for group in groups
        ]
        echo(table(columns, rows))
        echo()


def _files_column(*, by_file: bool) -> tuple[str]:
    return ("file",) if by_file else ("files",)


def _files_cell(line: "Group | PreferenceSet", *, by_file: bool) -> tuple[object, ...]:
    """How many files a source has, or which one; nothing for a class."""
    if line.files is None:
        return ()
    return (line.path,) if by_file else (line.files,)


def _show_preferences(store: "Store", tokenizer: Path | None, *, by_file: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from curate.reporting.preferences import measure_preferences

    found = measure_preferences(store, tokenizer, by_file=by_file)
    if as_json:
        echo_json({"unit": found.unit, "sources": [asdict(one) for one in found.sources]})
        return
    lengths = [f"{name} ({found.unit})" for name in ("prompt", "preferred", "rejected")]
    rows = [
        (
            one.name,
            *_files_cell(one, by_file=by_file),
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
    echo(
        table(
            (
                "source",
                *_files_column(by_file=by_file),
                "prompts",
                *lengths,
                "completions by",
                "annotated by",
                "kind",
                "pairs",
            ),
            rows,
        )
    )


def _few(names: list[str], what: str) -> str:
    """The names, or how many there are."""
    if len(names) <= NAMES_SHOWN:
        return ", ".join(names) or "unknown"
    return f"{len(names):,} {what}"


def _group_as_dict(group: "Group") -> dict[str, object]:
    """The keys say tokens whatever the unit is, so that scripts need not look twice; `unit` says which."""
    return {
        "name": group.name,
        **({} if group.files is None else {"files": group.files}),
        **({} if group.path is None else {"path": group.path}),
        "conversations": group.conversations,
        "rounds": group.rounds,
        "mean_prompt_tokens": group.mean_prompt,
        "mean_completion_tokens": group.mean_completion,
        "turns": group.turns,
        "mean_conversation_tokens": group.mean_conversation,
        "sourced_from": [{"model": label, "conversations": count} for label, count in group.models],
    }
