"""The list of conversations: what its rows and columns look like."""

from tui.review_data import ListRow
from tui.text import fit, one_line
from tui.widgets.paged_list import PagedList

VERDICTS = {"keep": "✓ keep", "drop": "✗ drop", None: "· open"}


class ConversationList(PagedList[ListRow]):
    """Conversations by position."""

    def key_of(self, row: ListRow) -> str:
        """The conversation's id."""
        return row.conversation_id

    def text_of(self, row: ListRow, width: int) -> str:
        """One conversation in WIDTH cells."""
        return row_text(row, width)

    def kind_of(self, row: ListRow) -> str:
        """The verdict."""
        return row.verdict if row.verdict in ("keep", "drop") else ""


def column_widths(width: int) -> tuple[int, int]:
    """Cells for the class and for the source."""
    return (14, 24) if width >= 118 else (8, 12)


def heading(width: int) -> str:
    """The names of the columns."""
    class_width, source_width = column_widths(width)
    names = (
        fit("class", class_width),
        fit("source", source_width),
        "turns",
        "rating  ",
        "verdict",
        "first user turn",
    )
    return fit("  " + " ".join(names), width)


def row_text(row: ListRow, width: int) -> str:
    """One conversation in WIDTH cells."""
    class_width, source_width = column_widths(width + 2)
    parts = (
        fit(one_line(row.source_class), class_width),
        fit(one_line(row.source), source_width),
        f"{row.n_turns:>5}",
        fit(rating_text(row), 8),
        fit(VERDICTS.get(row.verdict, "? other"), 7),
        one_line(row.first_text),
    )
    return fit(" ".join(parts), width)


def rating_text(row: ListRow) -> str:
    """The mean rating; with how many turns of how many it covers if not all."""
    if row.rating is None or not row.n_rated:
        return "–"
    mean = f"{row.rating:.1f}"
    return mean if row.n_rated >= row.n_answers else f"{mean} {row.n_rated}/{row.n_answers}"
