"""The command that lists bookmarks and keeps them as a selection."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from store.console import CONTEXT, echo, echo_json, json_option, note, store_option, table, wait_option
from store.errors import BadSettings

if TYPE_CHECKING:
    from curate.bookmarks import Bookmark, BookmarkKind

TAGS = {"conversation": "c1", "prompt": "m1"}


@click.command(
    context_settings=CONTEXT,
    epilog="""\b
Examples:
  curate bookmarks
  curate bookmarks --annotator kim --json
  curate bookmarks --keep odd-ones --of conversations
""",
)
@click.option("--annotator", metavar="NAME", help="Only those of this person.")
@click.option("--keep", "name", metavar="NAME", help="Keep them as the selection NAME.")
@click.option(
    "--of",
    "kinds",
    type=click.Choice(["conversations", "prompts", "pairs"]),
    help="Only bookmarks of these; --keep needs it.",
)
@wait_option
@json_option
@store_option
def bookmarks(
    *,
    annotator: str | None,
    name: str | None,
    kinds: str | None,
    wait_s: float,
    as_json: bool,
    store_path: Path,
) -> None:
    """List what people bookmarked in `review`, or keep it as a selection.

    A selection is what other commands are asked for: `curate split --selection`, `label sample --prompts`,
    `train export dpo --pairs`. The same bookmarks kept again under the same name write nothing.
    """
    from curate.bookmarks import keep_bookmarks, read_bookmarks
    from store.db import Store

    store = Store(store_path, wait_s=wait_s)
    kind = _kind_of(kinds)
    if name is not None:
        if kind is None:
            raise BadSettings("--keep needs --of conversations, prompts or pairs: a selection holds one kind")
        kept, count = keep_bookmarks(store, kind, name, annotator)
        if as_json:
            echo_json({"name": name, "rows": count, "version": kept.version, "is_new": kept.is_new})
        else:
            echo(f"{count:,} {kinds} are selection {name}, version {kept.version}")
            if not kept.is_new:
                note("it held just these already")
        return
    with store.read() as reading:
        found = [one for one in read_bookmarks(reading, annotator) if kind in (None, one.kind)]
    if as_json:
        echo_json({"bookmarks": [_as_json(one) for one in found]})
        return
    rows = [(one.kind, _id_of(one), one.annotator, str(one.created_at)[:16], one.note) for one in found]
    echo(table(("kind", "id", "by", "when", "note"), rows))


def _kind_of(kinds: str | None) -> "BookmarkKind | None":
    names: dict[str, BookmarkKind] = {"conversations": "conversation", "prompts": "prompt", "pairs": "pair"}
    return None if kinds is None else names[kinds]


def _id_of(one: "Bookmark") -> str:
    from store.ids import to_text

    if one.pair is not None:
        return " ".join(to_text("m1", part) for part in one.pair)
    return to_text(TAGS[one.kind], one.target_id)


def _as_json(one: "Bookmark") -> dict[str, object]:
    return {
        "kind": one.kind,
        "id": _id_of(one),
        "annotator": one.annotator,
        "note": one.note,
        "created_at": one.created_at,
    }
