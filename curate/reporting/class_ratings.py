"""The ratings of conversations by class (OpenChat, Figure 3), counted a range of conversations at a time."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from store.ids import id_ranges
from store.named_sql import named_sql

if TYPE_CHECKING:
    from store.db import Reading

CONVERSATIONS_PER_TURN = 30_000
"""Half a second's work, in 64 MB."""
COUNT = "SELECT count(*) FROM conversations"


def ratings_by_class(turn: "Callable[[], AbstractContextManager[Reading]]") -> list[dict[str, Any]]:
    """One entry for each judge's scale: its classes, each with mean and histogram.

    Reads in several turns, each opened by TURN, which should all see one version.
    """
    with turn() as reading:
        pieces = 1 + int(reading.rows(COUNT)[0][0]) // CONVERSATIONS_PER_TURN
    found: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    for low, high in id_ranges(pieces):
        with turn() as reading:
            rows = reading.dicts(named_sql("curate", "ratings_by_class"), {"low": low, "high": high})
        for row in rows:
            key = tuple(str(row[name] or "") for name in ("labeler", "template", "scale", "aspect"))
            one = found.setdefault(key, {}).setdefault(
                row["class"], {"conversations": 0, "total": 0.0, "histogram": {}}
            )
            one["conversations"] += row["conversations"]
            one["total"] += row["total"]
            counts = one["histogram"]
            counts[row["rating"]] = counts.get(row["rating"], 0) + row["conversations"]
    return [_entry(key, found[key]) for key in sorted(found)]


def _entry(key: tuple[str, ...], classes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        **dict(zip(("labeler", "template", "scale", "aspect"), key, strict=True)),
        "classes": [
            {
                "name": name,
                "conversations": one["conversations"],
                "mean": one["total"] / one["conversations"],
                "histogram": [
                    {"rating": rating, "conversations": count}
                    for rating, count in sorted(one["histogram"].items())
                ],
            }
            for name, one in sorted(classes.items())
        ],
    }
