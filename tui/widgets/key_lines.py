"""The keys at the bottom, on as many lines as they need: in a narrow window none is cut off."""

from math import ceil

from textual.app import ComposeResult
from textual.widgets import Footer

AROUND = 3
"""Cells around a key and its word."""
MOST_LINES = 4


class KeyLines(Footer):
    """A footer that grows."""

    def compose(self) -> ComposeResult:
        """The keys of the screen."""
        yield from super().compose()
        self._fit()

    def on_resize(self) -> None:
        """Another width takes another number of lines."""
        self._fit()

    def _fit(self) -> None:
        shown: dict[str, int] = {}
        for _, binding, _, _ in self.screen.active_bindings.values():
            if binding.show:
                width = len(self.app.get_key_display(binding)) + len(binding.description) + AROUND
                shown.setdefault(binding.action, width)
        widths = list(shown.values())
        lines = lines_for(widths, self.screen.size.width)
        self.styles.layout = "grid" if lines > 1 else "horizontal"
        self.styles.grid_size_columns = ceil(len(widths) / lines)
        self.styles.height = lines


def lines_for(widths: list[int], width: int) -> int:
    """On how many lines keys of WIDTHS fit in WIDTH cells, in columns of one width if on several."""
    if sum(widths) - 1 <= width:  # the space after the last word may go
        return 1
    for lines in range(2, MOST_LINES):
        if width // ceil(len(widths) / lines) >= max(widths):
            return lines
    return MOST_LINES
