"""A list of lines of cells."""

from collections.abc import Sequence

from tui.listing import Column, Line, line_text
from tui.widgets.paged_list import PagedList


class LineList(PagedList[Line]):
    """The lines of a listing by position."""

    columns: Sequence[Column] = ()

    def key_of(self, row: Line) -> str:
        """The line's key."""
        return row.key

    def text_of(self, row: Line, width: int) -> str:
        """The line in WIDTH cells."""
        return line_text(row, self.columns, width)

    def kind_of(self, row: Line) -> str:
        """How it is coloured."""
        return row.kind
