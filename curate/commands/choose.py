"""The commands that choose and keep the choice under a name: split, mix, unfold, and the list of choices."""

from collections.abc import Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from store.console import (
    CONTEXT,
    AnyCommand,
    echo,
    echo_json,
    json_option,
    note,
    store_option,
    table,
    wait_option,
    with_options,
)
from store.errors import BadSettings

if TYPE_CHECKING:
    from curate.choosing.selection import Choice, Scope
    from store.db import Store


SCOPE = (
    click.option("--source", "sources", multiple=True, metavar="NAME", help="Only this source; repeatable."),
    click.option(
        "--only-class", "classes", multiple=True, metavar="NAME", help="Only this class; repeatable."
    ),
    click.option("--selection", metavar="NAME", help="Only the conversations of this selection."),
    click.option("--part", metavar="PART", help="Only this part of it."),
)


def scope_options(command: AnyCommand) -> AnyCommand:
    """Add the options above, given to the command together as `scope`."""

    @wraps(command)
    def gathered(**options: Any) -> Any:
        from curate.choosing.selection import Scope

        names = ("sources", "classes", "selection", "part")
        return command(scope=Scope(**{name: options.pop(name) for name in names}), **options)

    return with_options(SCOPE, gathered)


def _finish(
    store: "Store",
    choice: "Choice",
    *,
    command: str,
    name: str,
    settings: dict[str, object],
    dry_run: bool,
    as_json: bool,
    parts: Sequence[tuple[object, ...]] = (),
    columns: Sequence[str] = (),
) -> None:
    """Print what was chosen and why the rest was not; keep it unless this is a dry run."""
    from curate.choosing.selection import keep_choice

    kept = None
    if not dry_run:
        asked = {**settings, **choice.asked}
        kept = keep_choice(store, choice, name=name, command=command, settings=asked)
    if as_json:
        echo_json(
            {
                "name": name,
                "kind": choice.kind,
                "rows": choice.rows.height,
                "version": kept.version if kept else None,
                "is_new": bool(kept and kept.is_new),
                "steps": choice.steps,
                **choice.asked,
                "parts": [dict(zip(columns, part, strict=True)) for part in parts],
                "dry_run": dry_run,
            }
        )
        return
    for step in choice.steps:
        reasons = ", ".join(f"{count} {reason}" for reason, count in step["dropped"].items())
        echo(f"{step['step']}: {step['kept']} of {step['in']}" + (f" ({reasons})" if reasons else ""))
    if parts:
        echo(table(columns, parts))
    if kept is None:
        note("nothing was written")
    elif kept.is_new:
        echo(f"{choice.rows.height} {choice.kind} are selection {name}, version {kept.version}")
    else:
        echo(f"nothing new: these {choice.rows.height} {choice.kind} are {name}@v{kept.version}")


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate split xwin --parts I=0.4,II=0.3,III=0.3
  curate split held-out --parts train=0.98,test=0.02 --source oasst1 --seed 1
""",
)
@click.argument("name")
@click.option("--parts", required=True, metavar="NAME=SHARE,…", help="The parts and their shares.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the hash that decides.")
@scope_options
@click.option("--dry-run", is_flag=True, help="Only count.")
@wait_option
@json_option
@store_option
def split(
    *,
    name: str,
    parts: str,
    seed: int,
    scope: "Scope",
    dry_run: bool,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Split conversations into disjoint parts that never share a prompt, as the selection NAME.

    Conversations with the same first question go to the same part, whatever follows. A hash decides, so
    that conversations that come later join the parts without moving the others.
    """
    from curate.choosing.split import SplitSettings, parse_parts, part_sizes
    from curate.choosing.split import split as split_store
    from store.db import Store

    store = Store(store_path, wait_s=wait_s)
    settings = SplitSettings(parse_parts(parts), scope, seed)
    choice = split_store(store, settings)
    sizes = part_sizes(choice)
    lines = [(part, *sizes.get(part, (0, 0))) for part, _ in settings.parts]
    _finish(
        store,
        choice,
        command="curate split",
        name=name,
        settings=settings.as_json(),
        dry_run=dry_run,
        as_json=as_json,
        parts=lines,
        columns=("part", "conversations", "turns"),
    )


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate mix tulu --preset human-gpt
  curate mix small --take dolly=1000 --take oasst1=1000
  curate mix even --temperature 2 --cap 50000 --dry-run
  curate mix ratio --class-ratio GPT3=0.25
  curate mix turns-10k --source sharegpt --turns 10000
  curate mix mix2 --preset mix2 --skip-missing
""",
)
@click.argument("name")
@click.option(
    "--preset",
    metavar="NAME",
    help="human or human-gpt, the mixtures of Camels; mix1 or mix2, those of RLHF Workflow.",
)
@click.option(
    "--skip-missing", "skips_missing", is_flag=True, help="Leave out sets of the preset that are not there."
)
@click.option(
    "--take",
    "takes",
    multiple=True,
    metavar="SOURCE[=N]",
    help="A source or a pattern of names, and how many of it: a share up to 1, or a number; repeatable.",
)
@click.option("--total", type=click.IntRange(min=1), metavar="N", help="Conversations of the mixture.")
@click.option("--cap", type=click.IntRange(min=1), metavar="N", help="At most so many of a source.")
@click.option("--temperature", type=float, metavar="T", help="Weigh sources as their size to the power 1/T.")
@click.option(
    "--class-ratio",
    "class_ratios",
    multiple=True,
    metavar="CLASS=R",
    help="Keep a share R of a class; repeatable.",
)
@click.option(
    "--turns", type=click.IntRange(min=1), metavar="N", help="At most so many of the user's turns altogether."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every draw.")
@scope_options
@click.option("--dry-run", is_flag=True, help="Only count.")
@wait_option
@json_option
@store_option
def mix(
    *,
    name: str,
    preset: str | None,
    skips_missing: bool,
    takes: tuple[str, ...],
    class_ratios: tuple[str, ...],
    scope: "Scope",
    dry_run: bool,
    wait_s: float,
    as_json: bool,
    store_path: Path,
    **amounts: Any,
) -> None:
    """Mix sources into one training set, as the selection NAME.

    Draws go by a hash of each conversation: the same settings choose the same ones, and a larger mixture
    holds the smaller. A preset finds its sets by the names of sources (`--name` of `curate ingest`). mix1 and mix2
    choose the prompts that their sets compare or rate answers to; `label pairs --preset rlhf-workflow --prompts NAME`
    makes the pairs.
    """
    from curate.choosing.mix import MixSettings
    from curate.choosing.mix import mix as mix_store
    from store.db import Store

    store = Store(store_path, wait_s=wait_s)
    settings = MixSettings(
        takes=tuple(_amount("--take", text) for text in takes),
        preset=preset,
        skips_missing=skips_missing,
        class_ratios=tuple(_ratio(text) for text in class_ratios),
        scope=scope,
        **amounts,
    )
    choice = mix_store(store, settings)
    _finish(
        store,
        choice,
        command="curate mix",
        name=name,
        settings=settings.as_json(),
        dry_run=dry_run,
        as_json=as_json,
        parts=_by_source(choice),
        columns=("source", choice.kind, "turns"),
    )


def _by_source(choice: "Choice") -> list[tuple[object, ...]]:
    import polars as pl

    grouped = choice.rows.group_by("source").agg(pl.len(), pl.col("n_turns").sum().alias("turns"))
    return list(grouped.sort("source").iter_rows())


def _amount(option: str, text: str) -> tuple[str, float | None]:
    name, _, amount = text.partition("=")
    if not amount:
        return name, None
    try:
        return name, float(amount)
    except ValueError as error:
        raise BadSettings(f"{option} is written NAME=NUMBER, not {text!r}") from error


def _ratio(text: str) -> tuple[str, float]:
    name, ratio = _amount("--class-ratio", text)
    if ratio is None:
        raise BadSettings(f"--class-ratio is written CLASS=RATIO, not {text!r}")
    return name, ratio


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate unfold xwin-prompts --selection xwin --part III --turns 3
  curate unfold questions --source user-prompts --with-unanswered
""",
)
@click.argument("name")
@click.option(
    "--turns", type=click.IntRange(min=1), metavar="K", help="Only the first K of the user's turns."
)
@click.option("--with-unanswered", is_flag=True, help="Also turns that no answer follows.")
@scope_options
@click.option("--dry-run", is_flag=True, help="Only count.")
@wait_option
@json_option
@store_option
def unfold(
    *,
    name: str,
    turns: int | None,
    with_unanswered: bool,
    scope: "Scope",
    dry_run: bool,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """Choose prompts turn by turn, each with its history, as the selection NAME.

    A prompt that several conversations share is one prompt. Parts of --selection go with their prompts.
    """
    from curate.choosing.unfold import UnfoldSettings
    from curate.choosing.unfold import unfold as unfold_store
    from store.db import Store

    store = Store(store_path, wait_s=wait_s)
    settings = UnfoldSettings(turns, with_unanswered, scope)
    choice = unfold_store(store, settings)
    _finish(
        store,
        choice,
        command="curate unfold",
        name=name,
        settings=settings.as_json(),
        dry_run=dry_run,
        as_json=as_json,
    )


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate selections
  curate selections --json
""",
)
@wait_option
@json_option
@store_option
def selections(*, wait_s: float, as_json: bool, store_path: Path) -> None:
    """List every selection: named choices of prompts, conversations and pairs, with their versions."""
    from dataclasses import asdict

    from store.db import Store
    from store.ids import to_text
    from store.selections import selections as all_selections

    with Store(store_path, wait_s=wait_s).read() as reading:
        found = all_selections(reading)
    if as_json:
        shown = [{**asdict(one), "selection_id": to_text("e1", one.selection_id)} for one in found]
        echo_json({"selections": shown})
        return
    rows = [(one.name, one.kind, one.row_count, one.at_version, one.version) for one in found]
    echo(table(("selection", "of", "rows", "made from version", "stored in version"), rows))


COMMANDS = (split, mix, unfold, selections)
