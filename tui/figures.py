"""Figures of measures: a plot of characters without colour, and the table that says the same in words.

A letter ties each mark of the plot to its row of the table. Nothing here knows a store or a screen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from tui.listing import Column, Line, number
from tui.text import one_line

Kind = Literal["intervals", "points", "bars", "words"]

PLOT_FRAME = 5
"""Lines of a plot that are no rows: title, frame, ticks and the name of the axis."""
POINT_ROWS = 12
"""Rows of a plot whose vertical axis is a number."""
STROKES = 3
"""Marks in one cell of an interval's stroke, so that no cell is missed."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing of a figure, a row of its table."""

    name: str
    value: float | None
    """On the horizontal axis; for bars the height."""
    low: float | None = None
    high: float | None = None
    at: float | None = None
    """On the other axis: of points the height, of bars the place."""
    group: str = ""
    """Bars of one group share a letter."""
    cells: tuple[str, ...] = ()
    """What else the table says."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot with its table."""

    title: str
    kind: Kind
    axis: str
    """What the horizontal axis is."""
    marks: tuple[Mark, ...]
    more: tuple[Column, ...] = ()
    """The columns of the marks' further cells."""
    note: str = ""
    """What a reader should know, or why there is nothing."""
    span: tuple[float, float] | None = None
    """The ends of the horizontal axis."""
    guide: float | None = None
    """Where on the horizontal axis nothing would be said, such as a half."""
    value_name: str = "value"

    @property
    def letters(self) -> list[str]:
        """One for each mark, or one for each group of bars."""
        if self.kind != "bars":
            return [LETTERS[place % len(LETTERS)] for place in range(len(self.marks))]
        groups = list(dict.fromkeys(mark.group for mark in self.marks))
        return [LETTERS[groups.index(mark.group) % len(LETTERS)] for mark in self.marks]


def said(title: str, note: str) -> Figure:
    """A figure without marks, and why."""
    return Figure(title, "words", "", (), note=note)


def columns_of(figure: Figure) -> tuple[Column, ...]:
    """The columns of the table."""
    if not figure.marks:
        return (Column("nothing to show", 0),)
    numbers = [Column(figure.value_name, 8, is_number=True)]
    if figure.kind == "intervals":
        numbers += [Column("low", 7, is_number=True), Column("high", 7, is_number=True)]
    if figure.kind == "points":
        numbers.insert(0, Column(figure.axis[:8], 8, is_number=True))
    if figure.kind == "bars":
        numbers.insert(0, Column(figure.axis[:8], 8, is_number=True))
    return (Column(" ", 1), *numbers, *figure.more, Column("of", 0))


def lines_of(figure: Figure) -> list[Line]:
    """The table: one row a mark, its letter first."""
    if not figure.marks:
        return [Line("0", (figure.note,))]
    return [
        Line(str(place), (letter, *_numbers(figure, mark), *mark.cells, mark.name))
        for place, (letter, mark) in enumerate(zip(figure.letters, figure.marks, strict=True))
    ]


def _numbers(figure: Figure, mark: Mark) -> list[str]:
    if figure.kind == "intervals":
        return [number(mark.value), number(mark.low), number(mark.high)]
    if figure.kind == "points":
        return [number(mark.value, ".1f"), number(mark.at)]
    return [number(mark.at, "g"), number(mark.value, ".3f")]


def plot(figure: Figure, width: int, height: int, first: int = 0) -> str:
    """FIGURE in WIDTH by HEIGHT characters; of more intervals than fit, a window with the FIRST in it."""
    if find_spec("plotext") is None:
        return "no plot: the table says the same; plots come with the extra `plots`"
    if not figure.marks or figure.kind == "words":
        return figure.note or "nothing to show"
    draw = {"intervals": _intervals, "points": _points, "bars": _bars}[figure.kind]
    return draw(figure, max(30, width), max(PLOT_FRAME + 1, height), first)


def _start(figure: Figure, width: int, height: int) -> None:
    from plotext import figure as canvas

    canvas.clear()
    canvas.plot_size(width, height)
    canvas.title(one_line(figure.title)[: width - 4])
    canvas.label(one_line(figure.axis), "x")


def _drawn() -> str:
    import plotext

    return str(plotext.uncolorize(str(plotext.figure.build()))).rstrip()


def window(figure: Figure, height: int, first: int) -> range:
    """The marks of a plot of intervals that HEIGHT lines hold, the FIRST among them."""
    rows = max(1, height - PLOT_FRAME)
    start = 0 if len(figure.marks) <= rows else min(first // rows * rows, len(figure.marks) - rows)
    return range(start, min(len(figure.marks), start + rows))


def _intervals(figure: Figure, width: int, height: int, first: int) -> str:
    from plotext import figure as canvas

    shown = window(figure, height, first)
    _start(figure, width, len(shown) + PLOT_FRAME)
    low, high = figure.span or _span(figure)
    step = (high - low) / (STROKES * width)
    for row, place in enumerate(reversed(shown), start=1):
        mark = figure.marks[place]
        if figure.guide is not None:
            canvas.draw(canvas.signal([figure.guide], [row], marker=":"))
        if mark.low is not None and mark.high is not None:
            xs = [mark.low + step * i for i in range(int((mark.high - mark.low) / step) + 1)]
            canvas.draw(canvas.signal(xs, [row] * len(xs), marker="-"))
            canvas.draw(canvas.signal([mark.low, mark.high], [row, row], marker="|"))
        if mark.value is not None:
            canvas.draw(canvas.signal([mark.value], [row], marker=figure.letters[place]))
    canvas.ruler("x").lim(low, high)
    canvas.ruler("y").lim(0.5, len(shown) + 0.5)
    letters = [figure.letters[place] for place in reversed(shown)]
    canvas.ruler("y").ticks(list(range(1, len(shown) + 1)), letters)
    return _drawn()


def _span(figure: Figure) -> tuple[float, float]:
    ends = [end for mark in figure.marks for end in (mark.value, mark.low, mark.high) if end is not None] or [
        0.0,
        1.0,
    ]
    low, high = min(ends), max(ends)
    room = (high - low) * 0.05 or 1.0
    return low - room, high + room


def _points(figure: Figure, width: int, height: int, first: int) -> str:
    from plotext import figure as canvas

    _start(figure, width, min(height, POINT_ROWS + PLOT_FRAME))
    for letter, mark in zip(figure.letters, figure.marks, strict=True):
        if mark.value is not None and mark.at is not None:
            canvas.draw(canvas.signal([mark.value], [mark.at], marker=letter))
    low, high = _span(figure)
    canvas.ruler("x").lim(low, high)
    canvas.ruler("y").lim(0, 1)
    canvas.label(one_line(figure.value_name), "y")
    return _drawn()


def _bars(figure: Figure, width: int, height: int, first: int) -> str:
    from plotext import figure as canvas

    _start(figure, width, min(height, POINT_ROWS + PLOT_FRAME))
    places = sorted({mark.at for mark in figure.marks if mark.at is not None})
    groups: dict[str, dict[float, float]] = {}
    letters: dict[str, str] = {}
    for letter, mark in zip(figure.letters, figure.marks, strict=True):
        groups.setdefault(mark.group, {})[mark.at or 0.0] = mark.value or 0.0
        letters[mark.group] = letter
    heights: Sequence[Sequence[float]] = [
        [held.get(place, 0.0) for place in places] for held in groups.values()
    ]
    names = [format(place, "g") for place in places]
    canvas.draw(canvas.bar(names, heights, marker=list(letters.values()), lines=False))
    return _drawn()
