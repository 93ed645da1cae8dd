"""Commands that look at the store: its history, its things, and whether it is sound."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from store.console import (
    CONTEXT,
    at_option,
    echo,
    echo_json,
    json_option,
    note,
    store_option,
    table,
    wait_option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from curate.looking.trace import Trace
    from curate.looking.trace_row import TracedRow
    from store.db import Store


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate snapshot before-cleaning --note "as downloaded"
""",
)
@click.argument("name")
@click.option("--note", "words", default="", help="A word on why.")
@store_option
@wait_option
@json_option
def snapshot(name: str, words: str, store_path: Path, wait_s: float, as_json: bool) -> None:
    """Give what is committed now the name NAME, for `--at NAME`."""
    from store.db import Store
    from store.snapshots import take_snapshot

    taken = take_snapshot(Store(store_path, wait_s=wait_s), name, words)
    if as_json:
        echo_json(dataclasses.asdict(taken))
        return
    echo(f"snapshot {taken.name} is version {taken.at_version}")
    if taken.open_runs:
        note(f"still writing: {', '.join(taken.open_runs)}; what they write later is not in it")


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate log
  curate log --limit 100 --json
""",
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="The newest N."
)
@store_option
@at_option
@wait_option
@json_option
def log(limit: int, store_path: Path, at: str | None, wait_s: float, as_json: bool) -> None:
    """List versions, newest first: who wrote what."""
    from store.db import Store
    from store.snapshots import versions

    found = versions(Store(store_path, at=at, wait_s=wait_s), limit)
    if as_json:
        echo_json({"versions": [dataclasses.asdict(version) for version in found]})
        return
    rows = [
        (
            f"v{version.version}",
            f"{version.committed_at:%Y-%m-%d %H:%M:%S}",
            version.command or "",
            ", ".join(f"{count} {name}" for name, count in version.rows_by_table.items()),
            ", ".join(version.snapshots),
        )
        for version in found
    ]
    echo(table(("version", "committed (UTC)", "command", "rows", "snapshots"), rows))


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate diff before-cleaning after-cleaning
  curate diff v3 v7
""",
)
@click.argument("first")
@click.argument("second")
@store_option
@wait_option
@json_option
def diff(first: str, second: str, store_path: Path, wait_s: float, as_json: bool) -> None:
    """Say what was added between two snapshots or versions (v12)."""
    from store.db import Store
    from store.snapshots import difference

    found = difference(Store(store_path, wait_s=wait_s), first, second)
    if as_json:
        echo_json(dataclasses.asdict(found))
        return
    echo(f"from version {found.earlier} to version {found.later}")
    _echo_counts("rows", found.rows_by_table)
    _echo_counts("conversations", found.conversations_by_source)
    _echo_counts("decisions", found.verdicts)
    if found.classes:
        echo(f"classes set: {', '.join(found.classes)}")


def _echo_counts(title: str, counts: "Mapping[str, int]") -> None:
    if counts:
        echo()
        echo(table((title, "added"), list(counts.items())))


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate verify
  curate verify --at before-cleaning --json
""",
)
@store_option
@at_option
@wait_option
@json_option
def verify(store_path: Path, at: str | None, wait_s: float, as_json: bool) -> None:
    """Re-derive every hash and check every reference; exit 1 if anything is wrong."""
    from store.db import Store
    from store.errors import CheckFailed
    from store.verify import verify as verify_store

    result = verify_store(Store(store_path, at=at, wait_s=wait_s))
    if as_json:
        echo_json({"ok": result.is_ok, "problems": result.problems, "checked": result.checked})
    else:
        echo(
            f"checked {result.checked['messages']} messages and {result.checked['conversations']} conversations"
        )
        _echo_counts("problem", result.problems)
    if not result.is_ok:
        raise CheckFailed(
            f"the store has {len(result.problems)} kinds of problem: {', '.join(result.problems)}"
        )


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate show c1-8f3a21
  curate show m1-02c4d6 --json
  curate show --diff c1-8f3a21
""",
)
@click.argument("given", metavar="ID")
@click.option("--diff", "is_diff", is_flag=True, help="What cleaning changed, from the record to now.")
@store_option
@at_option
@wait_option
@json_option
def show(
    *, given: str, is_diff: bool, store_path: Path, at: str | None, wait_s: float, as_json: bool
) -> None:
    """Print the conversation or message with ID, or the start of an id."""
    from curate.looking.show import show as show_thing
    from store.db import Store

    if is_diff:
        _show_diff(Store(store_path, at=at, wait_s=wait_s), given, as_json=as_json)
        return
    shown = show_thing(Store(store_path, at=at, wait_s=wait_s), given)
    if as_json:
        echo_json(dataclasses.asdict(shown))
        return
    echo(shown.id)
    for name, value in shown.about.items():
        if value not in (None, ""):
            echo(f"  {name}: {value}")
    for message in shown.messages:
        labels = ", ".join(
            f"{labeler} {state if value is None else value}" for labeler, value, state in message.ratings
        )
        echo(f"\n[{message.role}] {message.message}{f'  rated: {labels}' if labels else ''}")
        echo(message.content)


def _show_diff(store: "Store", given: str, *, as_json: bool) -> None:
    from curate.looking.show_diff import show_diff

    found = show_diff(store, given)
    if as_json:
        echo_json(dataclasses.asdict(found))
        return
    echo(f"{found.before} became {found.after} by {', then '.join(found.steps)}")
    for turn in found.turns:
        if not turn.is_changed:
            echo(f"\n{turn.position} [{turn.role}] as it was")
            continue
        echo(f"\n{turn.position} [{turn.role}]")
        for line in turn.lines():
            echo(line)
        if turn.before is not None and turn.before.ratings:
            echo(f"  rated as it was: {', '.join(f'{who} {value}' for who, value, _ in turn.before.ratings)}")


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate trace c1-8f3a21
  curate trace m1-02c4d6
  curate trace exports/crlft:17
""",
)
@click.argument("given", metavar="ID|EXPORT:ROW")
@store_option
@at_option
@wait_option
@json_option
def trace(given: str, store_path: Path, at: str | None, wait_s: float, as_json: bool) -> None:
    """Follow a thing back to its file and record, and forward to labels and training rows.

    EXPORT is an export's id or its directory; rows count from 0. Of a row it says which message was the prompt, the
    chosen and the rejected answer and what scores chose them, whether kto's answer is desirable, and the rank and
    reward of a response that rsft took.
    """
    from curate.looking.trace import trace as trace_thing
    from store.db import Store

    found = trace_thing(Store(store_path, at=at, wait_s=wait_s), given)
    if as_json:
        echo_json(dataclasses.asdict(found))
        return
    _echo_trace(found)


def _echo_trace(found: "Trace") -> None:
    if found.row is not None:
        _echo_row(found.row)
    for row in found.conversations:
        records = ", ".join(str(number) for number in row["record_numbers"])
        echo(f"{row['conversation']}  class {row['class']}, model {row['model'] or 'not given'}")
        echo(f"  from {row['path']}, record {records}, line {row['line']}, byte {row['byte_offset']}")
        echo(f"  source {row['source']}, sha256 {row['sha256']}, license {row['license'] or 'not given'}")
    for name in ("samples", "rewards", "ratings", "comparisons", "decisions", "export_rows"):
        for row in getattr(found, name):
            words = ", ".join(f"{key} {value}" for key, value in row.items() if value not in (None, ""))
            echo(f"{name.removesuffix('s')}: {words}")


def _echo_row(row: "TracedRow") -> None:
    desirable = {True: ", desirable", False: ", undesirable", None: ""}[row.label]
    echo(f"row {row.row_number} of {row.export}, recipe {row.recipe}{desirable}")
    for message in row.messages:
        echo(f"  {message['is']:<9} {message['message']}")
    for key, value in row.facts.items():
        if key == "rewards":
            for one in value:
                echo(f"  reward by {one['reward_model']}@{one['revision']}: {one['value']:.6g}")
        elif value is not None:
            shown = f"{value:.6g}" if isinstance(value, float) else value
            echo(f"  {key.replace('_', ' ')}: {shown}")


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate sql "SELECT class, count(*) FROM current_conversations GROUP BY class"
  curate sql "SELECT reason, count(*) FROM rejects GROUP BY reason" --json
""",
)
@click.argument("query")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="Print at most N rows; 0 for all.",
)
@store_option
@at_option
@wait_option
@json_option
def sql(*, query: str, limit: int, store_path: Path, at: str | None, wait_s: float, as_json: bool) -> None:
    """Run one read-only QUERY; tables and views show the state `--at` names."""
    from curate.looking.query import run_query
    from store.db import Store

    columns, rows, is_cut = run_query(Store(store_path, at=at, wait_s=wait_s), query, limit)
    if as_json:
        echo_json({"columns": columns, "rows": rows, "is_cut": is_cut})
        return
    echo(table(columns, rows))
    if is_cut:
        note(f"only the first {limit} rows are shown; --limit 0 shows all")


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate decisions --verdict drop --by filter:refusal
  curate decisions --restore c1-8f3a21 --reason "a joke, not a refusal"
""",
)
@click.option("--verdict", type=click.Choice(["keep", "drop", "undecided"]), help="Only these.")
@click.option("--by", metavar="WHO", help="Only those of a person, or of a rule such as filter:refusal.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="List at most N."
)
@click.option(
    "--restore", metavar="ID", multiple=True, help="Keep this conversation, whatever rules say; repeatable."
)
@click.option("--reason", default="", help="Why it is restored.")
@click.option("--annotator", metavar="NAME", help="Who restores it.  [default: your user name]")
@store_option
@at_option
@wait_option
@json_option
def decisions(
    *,
    verdict: str | None,
    by: str | None,
    limit: int,
    restore: tuple[str, ...],
    reason: str,
    annotator: str | None,
    store_path: Path,
    at: str | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """List what was kept or dropped last, by whom and why; or bring dropped conversations back."""
    from curate.looking.query import latest_decisions
    from store.db import Store

    if restore:
        _restore(Store(store_path, at=at, wait_s=wait_s), restore, annotator, reason, as_json=as_json)
        return
    found = latest_decisions(Store(store_path, at=at, wait_s=wait_s), verdict, by, limit)
    if as_json:
        echo_json({"decisions": found})
        return
    names = ("target", "verdict", "reason", "decided_by", "decided_at")
    echo(table(names, [[row[name] for name in names] for row in found]))


def _restore(
    store: "Store", given: tuple[str, ...], annotator: str | None, reason: str, *, as_json: bool
) -> None:
    from curate.restoring import restore, user_name

    restored = restore(store, given, annotator or user_name(), reason)
    if as_json:
        echo_json({"restored": restored})
        return
    echo(f"{len(restored):,} kept: {', '.join(restored)}")


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate doctor
""",
)
@store_option
@json_option
def doctor(store_path: Path, as_json: bool) -> None:
    """Say what is installed, what state the store is in, and who holds it."""
    from curate.doctor import findings
    from store.db import Store

    found = list(findings(Store(store_path, wait_s=5)))
    if as_json:
        echo_json({"findings": [{"subject": subject, "found": words} for subject, words in found]})
        return
    echo(table(("subject", "found"), found))


COMMANDS = (snapshot, log, diff, verify, show, trace, sql, decisions, doctor)
