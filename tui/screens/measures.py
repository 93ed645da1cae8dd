"""Agreement and bias: a plot of characters with its table beside it, one figure at a time."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from tui.browse_data import MeasureStep
from tui.desk import DeskScreen
from tui.events import FiguresArrived, PageWanted, RowReached, StepsArrived
from tui.figures import Figure, columns_of, lines_of, plot
from tui.listing import heading_of
from tui.widgets.line_list import LineList

WIDE = 120
"""From this width on the table stands beside the plot."""


class MeasuresScreen(DeskScreen):
    """What labelers agree on and what their verdicts depend on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,right", "turn(1)", "Next"),
        Binding("p,left", "turn(-1)", "Previous"),
        Binding("r", "measure", "Again"),
        Binding("g", "app.go", "Go to"),
        Binding("escape,q", "app.pop_screen", "Back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._steps: Sequence[MeasureStep] = ()
        self._figures: list[Figure] = []
        self._place = 0
        self._plot = Static("", id="plot", markup=False)
        self._heading = Static("", id="heading", markup=False)
        self.list = LineList(id="list")

    def compose_body(self) -> ComposeResult:
        """The plot over its table, or beside it."""
        with Container(id="figure"):
            yield self._plot
            with Container(id="table"):
                yield self._heading
                yield self.list

    def on_mount(self) -> None:
        """Measure."""
        self.list.focus()
        self.action_measure()

    def on_unmount(self) -> None:
        """Measure no further."""
        self.browse.stop_measuring()

    def action_measure(self) -> None:
        """Measure everything anew."""
        self.browse.stop_measuring()
        self._steps, self._figures, self._place = (), [], 0
        self._show()
        self.set_status("looking what can be measured …")
        self.desk.read(self, self.browse.measures, StepsArrived, "measures")

    @on(StepsArrived)
    def begin(self, event: StepsArrived) -> None:
        """Begin with the first step."""
        self._steps = event.steps
        self._do_step(0)

    def _do_step(self, place: int) -> None:
        if place >= len(self._steps):
            self.set_status("")
            return
        step = self._steps[place]
        self.set_status(f"measuring {step.words} … {place + 1} of {len(self._steps)}")
        self.desk.read(self, step.measure, partial(FiguresArrived, self._steps, place), "measures")

    @on(FiguresArrived)
    def take_figures(self, event: FiguresArrived) -> None:
        """Show what was measured, and measure the next."""
        if event.steps is not self._steps:
            return
        is_first = not self._figures
        self._figures.extend(event.figures)
        self._show_title()
        if is_first:
            self._show()
        self._do_step(event.place + 1)

    def action_turn(self, figures: int) -> None:
        """Show the next or the previous figure."""
        place = self._place + figures
        if not 0 <= place < len(self._figures):
            self.set_status("no more figures in this direction")
            return
        self._place = place
        self._show()

    def _show_title(self) -> None:
        if self._figures:
            title = self._figures[self._place].title
            self.set_title(f"Measures · {self._place + 1} of {len(self._figures)} · {title}")
        else:
            self.set_title("Measures")

    def _show(self) -> None:
        self._show_title()
        if not self._figures:
            self._plot.update("")
            self.list.show_ids((), 0)
            return
        figure = self._figures[self._place]
        lines = lines_of(figure)
        self.list.columns = columns_of(figure)
        self.list.show_ids([line.key for line in lines], 0)
        self._fill()
        self._draw()

    @on(PageWanted)
    def refill(self, event: PageWanted) -> None:
        """Every line is here already."""
        event.stop()
        self._fill()

    def _fill(self) -> None:
        if self._figures:
            self.list.fill(0, lines_of(self._figures[self._place]))

    @on(RowReached)
    def follow_cursor(self) -> None:
        """Of more rows than the plot holds it shows those at the cursor."""
        self._draw()

    def on_resize(self) -> None:
        """Plot and table follow the size."""
        self.set_class(self.size.width >= WIDE, "wide")
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        if not self._figures:
            return
        figure = self._figures[self._place]
        size = self._plot.size
        if size.width and size.height:
            self._plot.update(plot(figure, size.width, size.height, self.list.cursor))
            self._heading.update(heading_of(columns_of(figure), max(1, self.list.size.width)))
