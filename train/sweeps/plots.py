"""Plots of a sweep: what is compared over the first axis, a line for each choice of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from label.trust.bias_plots import plain_text
from store.errors import MissingExtra
from train.sweeps.grid import label_of
from train.sweeps.outcome import Figure, Group, SweepOutcome

WIDTH, HEIGHT = 72, 18
"""Characters of a plot in the terminal."""
STYLES = (("o", "-"), ("s", "--"), ("^", ":"), ("D", "-."), ("v", "-"), ("x", "--"), ("P", ":"), ("*", "-."))
"""Marker and line; with the shade they are told apart without colours."""
WIDE = 16.0
"""The ratio of the largest to the smallest value from which an axis is logarithmic."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One group on a line."""

    x: float
    figure: Figure
    seeds: tuple[float, ...]
    """What each seed came to, where there are several."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn, on paper or in the terminal."""

    title: str
    x_label: str
    y_label: str
    lines: dict[str, list[Spot]]
    """Label → its spots; the label of the only one is empty."""
    ticks: dict[float, str]
    """Place → what stands there."""
    is_numeric: bool
    baseline: float | None

    @property
    def limits(self) -> tuple[float, float]:
        """What the upright axis shows: all values, and of intervals over a few seeds, which may be very wide, as much
        again as half of the values' range.
        """
        spots = [spot for spots in self.lines.values() for spot in spots]
        ends = [end for spot in spots for end in (spot.figure.low, spot.figure.high) if end is not None]
        narrow = [spot.figure for spot in spots if not spot.seeds]
        values = [
            *(value for spot in spots for value in (spot.figure.value, *spot.seeds)),
            *(end for figure in narrow for end in (figure.low, figure.high) if end is not None),
        ]
        room = 0.5 * (max(values) - min(values)) or 0.5
        low = max(min([*ends, *values]), min(values) - room)
        high = min(max([*ends, *values]), max(values) + room)
        return low - 0.1 * room, high + 0.1 * room

    @property
    def is_logarithmic(self) -> bool:
        """Whether the first axis is better read by its powers."""
        xs = [spot.x for spots in self.lines.values() for spot in spots]
        return self.is_numeric and len(xs) > 1 and min(xs) > 0 and max(xs) / min(xs) >= WIDE


def drawing_of(outcome: SweepOutcome) -> Drawing | None:
    """What is drawn of OUTCOME; None where nothing is measured yet."""
    groups = [group for group in outcome.groups() if outcome.measure in group.figures]
    if not groups:
        return None
    values = list(dict.fromkeys(_value(group) for group in outcome.groups()))
    numbers = {value: _number(value) for value in values}
    is_numeric = None not in numbers.values()
    place = numbers if is_numeric else {value: float(number) for number, value in enumerate(values)}
    lines: dict[str, list[Spot]] = {}
    for group in groups:
        x = place[_value(group)]
        seeds = [
            point.figures[outcome.measure].value for point in outcome.measured if point.group == group.values
        ]
        spot = Spot(
            0.0 if x is None else x, group.figures[outcome.measure], tuple(seeds if len(seeds) > 1 else ())
        )
        lines.setdefault(_line(group), []).append(spot)
    first = outcome.axes[0].name if outcome.baseline else ""
    prefixes = {value.rpartition("=")[0] for value in values}
    of_class = f" of {prefixes.pop()}" if is_numeric and len(prefixes) == 1 and "" not in prefixes else ""
    return Drawing(
        title=f"{outcome.name}: {outcome.recipe}",
        x_label=f"{outcome.baseline[0][0]}{of_class}" if outcome.baseline else first,
        y_label=outcome.measure,
        lines={
            name if len(lines) > 1 else "": sorted(spots, key=lambda spot: spot.x)
            for name, spots in lines.items()
        },
        ticks={x: value.rpartition("=")[2] for value, x in place.items() if x is not None},
        is_numeric=is_numeric,
        baseline=next((group.figures[outcome.measure].value for group in groups if group.is_baseline), None),
    )


def terminal_plot(outcome: SweepOutcome) -> str | None:
    """The plot as text without colours, one letter a line, its intervals as upright bars."""
    drawing = drawing_of(outcome)
    if drawing is None:
        return None
    try:
        import plotext
    except ImportError as error:
        raise MissingExtra.of("plotext", "plots") from error
    figure = plotext.figure
    figure.clear()
    figure.plot_size(WIDTH, HEIGHT)
    figure.title(f"{drawing.title}, {drawing.y_label}")
    figure.label(drawing.x_label, "x")
    shift = {x: float(number) for number, x in enumerate(sorted(drawing.ticks))}
    even = not drawing.is_numeric or drawing.is_logarithmic
    letters = [chr(ord("a") + number % 26) for number in range(len(drawing.lines))]
    for letter, spots in zip(letters, drawing.lines.values(), strict=True):
        xs = [shift[spot.x] if even else spot.x for spot in spots]
        for x, spot in zip(xs, spots, strict=True):
            if spot.figure.low is not None and spot.figure.high is not None:
                low, high = max(spot.figure.low, drawing.limits[0]), min(spot.figure.high, drawing.limits[1])
                steps = [low + (high - low) * k / HEIGHT for k in range(HEIGHT + 1)]
                figure.draw(figure.signal([x] * len(steps), steps, marker="|"))
        figure.draw(figure.signal(xs, [spot.figure.value for spot in spots], marker=letter))
    if even:
        _put_ticks(figure, {shift[x]: words for x, words in drawing.ticks.items()})
    drawn = str(plotext.uncolorize(str(figure.build()))).rstrip()
    return "\n".join(
        [drawn, *(f"{a} {name}" for a, name in zip(letters, drawing.lines, strict=True) if name)]
    )


def _put_ticks(figure: Any, ticks: dict[float, str]) -> None:
    figure.ruler("x").ticks(list(ticks), list(ticks.values()))


def save_plot(path: Path, outcome: SweepOutcome) -> bool:
    """Write the plot as a PNG; False where nothing is measured yet."""
    drawing = drawing_of(outcome)
    if drawing is None:
        return False
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise MissingExtra.of("matplotlib", "plots") from error
    figure = Canvas(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    for number, (name, spots) in enumerate(drawing.lines.items()):
        _draw_line(ax, spots, number, name, is_joined=drawing.is_numeric)
    if drawing.baseline is not None:
        ax.axhline(
            drawing.baseline, color="0.6", linewidth=1, linestyle=(0, (1, 2)), label="baseline", zorder=0
        )
    if drawing.is_logarithmic:
        ax.set_xscale("log", base=2)
        ax.minorticks_off()
    slanted: dict[str, Any] = {} if drawing.is_numeric else {"rotation": 30, "ha": "right"}
    ax.set_xticks(list(drawing.ticks), [plain_text(text) for text in drawing.ticks.values()], **slanted)
    ax.set_title(plain_text(drawing.title))
    ax.set_xlabel(plain_text(drawing.x_label))
    has_seeds = any(spot.seeds for spots in drawing.lines.values() for spot in spots)
    what = "95 % interval, ○ seeds" if has_seeds else "95 % interval"
    ax.set_ylabel(plain_text(f"{drawing.y_label}, {what}"))
    ax.set_ylim(*drawing.limits)
    ax.grid(axis="y", color="0.9")
    if drawing.baseline is not None or len(drawing.lines) > 1:
        ax.legend(fontsize="small")
    figure.savefig(path, format="png", dpi=150)
    return True


def _draw_line(ax: Any, spots: Sequence[Spot], number: int, name: str, *, is_joined: bool) -> None:
    marker, line = STYLES[number % len(STYLES)]
    halves = [spot.figure.half_width or 0.0 for spot in spots]
    shade = str(min(0.6, 0.25 * (number % 3)))
    ax.errorbar(
        [spot.x for spot in spots],
        [spot.figure.value for spot in spots],
        yerr=halves if any(halves) else None,
        marker=marker,
        linestyle=line if is_joined else "none",
        color=shade,
        capsize=4,
        label=plain_text(name) or None,
    )
    dots = [(spot.x, value) for spot in spots for value in spot.seeds]
    if dots:
        ax.scatter(*zip(*dots, strict=True), s=14, facecolors="none", edgecolors=shade, linewidths=0.8)


def _value(group: Group) -> str:
    return group.values[0][1] if group.values else "all"


def _line(group: Group) -> str:
    """What a group's line is called: its other values, and the class that a number is of."""
    of_class = [("class", group.values[0][1].rpartition("=")[0])] if _is_of_class(group) else []
    others = [*of_class, *group.values[1:]]
    return label_of(others) if others else ""


def _is_of_class(group: Group) -> bool:
    return bool(group.values) and "=" in group.values[0][1]


def _number(text: str) -> float | None:
    try:
        return float(text.rpartition("=")[2])
    except ValueError:
        return None
