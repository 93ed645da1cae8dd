"""Bookmarks that people set in `review`: who marked what, and keeping them as a selection.

A bookmark is a mark whose note is JSON: `note`, what its annotator wrote, and for a pair `pair`, its prompt,
its chosen and its rejected response.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from store.errors import RequestError
from store.named_sql import named_sql
from store.selections import SelectionKind

if TYPE_CHECKING:
    from curate.choosing.selection import Kept
    from store.db import Reading, Store

BookmarkKind = Literal["conversation", "prompt", "pair"]
KINDS: dict[BookmarkKind, SelectionKind] = {
    "conversation": "conversations",
    "prompt": "prompts",
    "pair": "pairs",
}
Triple = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Something a person marked to find it again; ids are UUID text."""

    kind: BookmarkKind
    target_id: str
    annotator: str
    note: str = ""
    pair: Triple | None = None
    """Prompt, chosen and rejected response of a pair."""
    created_at: datetime | None = None

    @property
    def note_text(self) -> str:
        """What the row of the mark holds."""
        return json.dumps({"note": self.note, **({"pair": self.pair} if self.pair else {})})


def bookmark_of(row: Sequence[Any]) -> Bookmark:
    """A row of the query of bookmarks."""
    kind, target_id, annotator, note, created_at = row
    said = json.loads(note) if note else {}
    pair = tuple(said["pair"]) if "pair" in said else None
    return Bookmark(kind, target_id, annotator, said.get("note", ""), pair, created_at)


def read_bookmarks(reading: "Reading", annotator: str | None = None) -> list[Bookmark]:
    """The bookmarks in force, the newest first; of one annotator or of all."""
    rows = reading.rows(named_sql("curate", "bookmarks"), {"annotator": annotator})
    return [bookmark_of(row) for row in rows]


def keep_bookmarks(
    store: "Store", kind: BookmarkKind, name: str, annotator: str | None = None
) -> "tuple[Kept, int]":
    """Keep the bookmarked things of one KIND as the selection NAME; returns it with their number.

    Raises RequestError if nothing of that kind is bookmarked.
    """
    from curate.choosing.selection import Choice, keep_choice

    with store.read() as reading:
        found = [one for one in read_bookmarks(reading, annotator) if one.kind == kind]
        version = reading.version
    if not found:
        who = f" by {annotator}" if annotator else ""
        raise RequestError(f"no {kind} is bookmarked{who}; bookmark it in review with *")
    usable = [one for one in found if kind != "pair" or one.pair is not None]
    if not usable:
        raise RequestError(
            "nobody chose a response of the pairs that are bookmarked: there is nothing to keep"
        )
    choice = Choice(KINDS[kind], _rows(usable), version)
    dropped = {"not decided": len(found) - len(usable), "bookmarked twice": len(usable) - choice.rows.height}
    reasons = {reason: count for reason, count in dropped.items() if count}
    choice.steps.append(
        {"step": "bookmarks", "in": len(found), "kept": choice.rows.height, "dropped": reasons}
    )
    settings = {"bookmarks": kind, "annotator": annotator}
    return keep_choice(
        store, choice, name=name, command="curate bookmarks", settings=settings
    ), choice.rows.height


def _rows(found: Sequence[Bookmark]) -> "Any":
    """The bookmarked things, each once, as the rows of a choice."""
    import polars as pl

    if found[0].kind != "pair":
        ids = sorted({one.target_id for one in found})
        column = f"{found[0].kind}_id"
        return pl.DataFrame({column: ids, "part": [None] * len(ids)}, {column: pl.String, "part": pl.String})
    triples = sorted({one.pair for one in found if one.pair is not None})
    names = ("prompt_id", "chosen_id", "rejected_id")
    columns = {name: [triple[place] for triple in triples] for place, name in enumerate(names)}
    return pl.DataFrame(
        {**columns, "part": [None] * len(triples)}, {**dict.fromkeys(names, pl.String), "part": pl.String}
    )
