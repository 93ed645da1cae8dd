"""Answering SQL that a person typed, with nothing but the store in reach."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from curate.looking.query import run_query
from store.errors import RequestError
from tui.listing import Column, FewLines, Line, listing_of

if TYPE_CHECKING:
    from store.db import Store

MOST_ROWS = 1_000
"""Rows shown of an answer."""
MOST_SECONDS = 20.0
"""A query that takes longer is stopped, so that writers get their turn."""
WIDEST = 30


def answer(store: "Store", query: str) -> FewLines:
    """The rows of QUERY, or the error in its place."""
    try:
        names, rows, is_more = run_query(store, query, MOST_ROWS, timeout_s=MOST_SECONDS)
    except RequestError as error:
        lines = [Line(str(place), (words,), "drop") for place, words in enumerate(str(error).splitlines())]
        return listing_of(lines, (Column("✗ error", 0),), "no answer")
    cells = [tuple("NULL" if value is None else str(value) for value in row) for row in rows]
    lines = [Line(str(place), row) for place, row in enumerate(cells)]
    more = f"the first {len(rows):,} rows" if is_more else f"{len(rows):,} rows"
    return listing_of(lines, _columns(names, cells, rows), more)


def _columns(
    names: Sequence[str], cells: Sequence[tuple[str, ...]], rows: Sequence[tuple[Any, ...]]
) -> tuple[Column, ...]:
    widths = [
        min(WIDEST, max([len(name), *(len(row[place]) for row in cells)])) for place, name in enumerate(names)
    ]
    numbers = [all(isinstance(row[place], int | float) for row in rows) for place in range(len(names))]
    last = len(names) - 1
    return tuple(
        Column(name, width if place < last or is_number else 0, is_number)
        for place, (name, width, is_number) in enumerate(zip(names, widths, numbers, strict=True))
    )
