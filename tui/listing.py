"""Lists that screens show beside that of conversations: lines of cells, paged from wherever they are.

A listing is what one question found. Its methods may block and are called in a thread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tui.text import fit, one_line


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a listing; the last one takes the rest of the line."""

    name: str
    width: int
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its key in the listing, and its cells as they are in the store."""

    key: str
    cells: tuple[str, ...]
    kind: str = ""
    """`keep` or `drop`: how it is coloured, besides what its cells say."""


class Listing(Protocol):
    """What a question found."""

    @property
    def keys(self) -> Sequence[str]:
        """The key of every line, in their order."""

    @property
    def columns(self) -> Sequence[Column]:
        """What the cells are."""

    @property
    def words(self) -> str:
        """What the title says of it."""

    def page(self, first: int, last: int) -> list[Line]:
        """The lines from position FIRST up to LAST."""


@dataclass(frozen=True, slots=True)
class FewLines:
    """A listing that is in memory."""

    keys: Sequence[str]
    columns: Sequence[Column]
    words: str
    lines: Sequence[Line]

    def page(self, first: int, last: int) -> list[Line]:
        """The lines from position FIRST up to LAST."""
        return list(self.lines[first:last])


def listing_of(lines: Sequence[Line], columns: Sequence[Column], words: str) -> FewLines:
    """LINES as a listing."""
    return FewLines([line.key for line in lines], columns, words, lines)


@dataclass(frozen=True, slots=True)
class ManyLines:
    """A listing whose lines are read when they are looked at."""

    keys: Sequence[str]
    columns: Sequence[Column]
    words: str
    read: Callable[[Sequence[str]], list[Line]]
    """The lines of some keys, in their order."""

    def page(self, first: int, last: int) -> list[Line]:
        """The lines from position FIRST up to LAST."""
        return self.read(list(self.keys[first:last]))


def heading_of(columns: Sequence[Column], width: int) -> str:
    """The names of COLUMNS in WIDTH cells."""
    return fit("  " + " ".join(_cell(column.name, column) for column in columns), width)


def line_text(line: Line, columns: Sequence[Column], width: int) -> str:
    """One line in WIDTH cells, cleaned."""
    cells = [_cell(one_line(cell), column) for cell, column in zip(line.cells, columns, strict=True)]
    return fit(" ".join(cells), width)


def _cell(text: str, column: Column) -> str:
    if column.width == 0:
        return text
    return f"{text:>{column.width}}"[: column.width] if column.is_number else fit(text, column.width)


def number(value: float | None, form: str = ".3f") -> str:
    """A number in a cell; a dash where there is none."""
    return "–" if value is None else format(value, form)
