"""`label gather`: several selections of pairs as one, such as the history of an online loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.errors import UnknownName
from store.ids import to_text
from store.named_sql import named_sql
from store.selections import Selection, selection_named, write_selection

if TYPE_CHECKING:
    from store.db import Reading, Store


@dataclass(frozen=True, slots=True)
class Gathered:
    """The selection that holds all of them."""

    selection_id: str
    version: int
    pairs: int
    repeated: int
    """Pairs that several selections hold; each was taken once."""
    is_new: bool

    def as_json(self) -> dict[str, object]:
        """What a script reads."""
        return {
            "selection_id": to_text("e1", self.selection_id),
            "version": self.version,
            "pairs": self.pairs,
            "repeated": self.repeated,
            "is_new": self.is_new,
        }


def gather_pairs(store: "Store", name: str, parts: Sequence[str]) -> Gathered:
    """Keep the pairs of the selections called PARTS as the selection NAME, unless it holds them already.

    Raises UnknownName or RequestError where one is missing or holds no pairs.
    """
    from store.runs import run_of

    with store.read() as reading:
        members = [selection_named(reading, part, "pairs") for part in dict.fromkeys(parts)]
        newest = _newest(reading, name)
        version = reading.version
    asked = {
        "gathered": [one.name for one in members],
        "selection_ids": [one.selection_id for one in members],
    }
    read = sum(one.row_count for one in members)
    if newest is not None and dict(newest.settings) == asked:
        return _gathered(newest, read, is_new=False)
    with run_of(store, "label gather", {"name": name, **asked}) as run:
        with store.write(run.run_id) as writing:
            write_selection(
                writing,
                name,
                "pairs",
                named_sql("label", "gathered_pairs"),
                {"members": asked["selection_ids"]},
                settings=asked,
                steps={},
                run_id=run.run_id,
                at_version=version,
            )
        with store.read() as reading:
            kept = selection_named(reading, name)
        run.finish({"pairs": kept.row_count})
    return _gathered(kept, read, is_new=True)


def _newest(reading: "Reading", name: str) -> Selection | None:
    try:
        return selection_named(reading, name)
    except UnknownName:
        return None


def _gathered(selection: Selection, read: int, *, is_new: bool) -> Gathered:
    pairs = selection.row_count
    return Gathered(selection.selection_id, selection.version, pairs, read - pairs, is_new=is_new)
