"""A row of a table on its way to a reader."""

from typing import Any, NamedTuple

EXCERPT_CHARS = 200


class TableRow(NamedTuple):
    """One row, by column."""

    record_number: int
    line: int
    byte_offset: int
    values: dict[str, Any]
    excerpt: str


def excerpt_of_cells(cells: list[Any]) -> str:
    """How a row begins."""
    return " | ".join("" if cell is None else str(cell)[:EXCERPT_CHARS] for cell in cells)[:EXCERPT_CHARS]
