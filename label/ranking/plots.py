"""Plots of `label rank`: curves in the terminal, all four figures as a PNG."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from store.errors import MissingExtra

if TYPE_CHECKING:
    from label.ranking.rank import Curves

WIDTH, HEIGHT = 72, 18
"""Characters of a plot in the terminal."""
Line = tuple[Sequence[float], Sequence[float]]


def terminal_plots(curves: Sequence["Curves"]) -> str:
    """Every figure, one letter a line, as text without colours."""
    names = [_name(one) for one in curves]
    letters = [chr(ord("a") + number % 26) for number in range(len(names))]
    drawn = [
        _text_plot("expected score of the best of n", "n", [_best_of(one) for one in curves], letters),
        _text_plot("mean score by rank", "rank", [_by_rank(one) for one in curves], letters),
        _text_plot("share of all draws", "score", [_shares(one) for one in curves], letters),
    ]
    if any(one.win_rates for one in curves):
        title = "win rate of the best of n against its expected score"
        drawn.append(_text_plot(title, "score", [_win_rates(one) for one in curves], letters))
    return "\n".join([*drawn, *(f"{letter} {name}" for letter, name in zip(letters, names, strict=True))])


def _name(one: "Curves") -> str:
    return f"{one.policy} by {one.score}"


def _best_of(one: "Curves") -> Line:
    known = [point for point in one.best_of if point.value is not None]
    return [float(point.x) for point in known], [point.value or 0.0 for point in known]


def _by_rank(one: "Curves") -> Line:
    known = [point for point in one.by_rank if point.value is not None]
    return [float(point.x) for point in known], [point.value or 0.0 for point in known]


def _shares(one: "Curves") -> Line:
    """The middle of each bin, and the share of draws in it."""
    spread = one.distribution
    width = (spread.high - spread.low) / len(spread.counts)
    total = max(1, sum(spread.counts))
    middles = [spread.low + (place + 0.5) * width for place in range(len(spread.counts))]
    return middles, [count / total for count in spread.counts]


def _win_rates(one: "Curves") -> Line:
    """Expected scores of the best of n, and the win rates there."""
    known = _judged_points(one)
    return [score for _, score, _ in known], [rate for _, _, rate in known]


def _judged_points(one: "Curves") -> list[tuple[int, float, float]]:
    """(n, expected score, win rate) where all are known."""
    scores = {point.x: point.value for point in one.best_of}
    found = [(rate.n, scores.get(rate.n), rate.value) for rate in one.win_rates]
    return [(n, score, rate) for n, score, rate in found if score is not None and rate is not None]


def _text_plot(title: str, label: str, lines: Sequence[Line], letters: Sequence[str]) -> str:
    try:
        import plotext
    except ImportError as error:
        raise MissingExtra.of("plotext", "plots") from error

    figure = plotext.figure
    figure.clear()
    figure.plot_size(WIDTH, HEIGHT)
    figure.title(title)
    figure.label(label, "x")
    for letter, (xs, ys) in zip(letters, lines, strict=True):
        if not xs:
            continue
        figure.draw(figure.signal(list(xs), list(ys), marker=letter))
    return str(plotext.uncolorize(str(figure.build()))).rstrip()


def save_plots(path: Path, curves: Sequence["Curves"]) -> None:
    """Write one PNG: best-of-n, mean score by rank, distributions, and win rates where judges said something."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra.of("matplotlib", "plots") from error

    figure = Figure(figsize=(12, 9), layout="constrained")
    FigureCanvasAgg(figure)
    panels: list[Callable[[Any, Sequence[Curves]], None]] = [_draw_best_of, _draw_ranks, _draw_distributions]
    if any(one.win_rates for one in curves):
        panels.append(_draw_win_rates)
    for place, draw in enumerate(panels):
        draw(figure.add_subplot(2, 2, place + 1), curves)
    figure.savefig(path, format="png", dpi=150)


def _draw_best_of(ax: Any, curves: Sequence["Curves"]) -> None:
    for one in curves:
        ax.plot(*_best_of(one), marker="o", label=_plain(_name(one)))
    sizes = sorted({point.x for one in curves for point in one.best_of})
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.set(title="best of n, every choice of n", xlabel="n", ylabel="expected score")
    ax.legend(fontsize="small")


def _draw_ranks(ax: Any, curves: Sequence["Curves"]) -> None:
    for one in curves:
        ax.plot(*_by_rank(one), label=_plain(_name(one)))
    ax.set(title="mean score by rank", xlabel="rank", ylabel="score")


def _draw_distributions(ax: Any, curves: Sequence["Curves"]) -> None:
    for one in curves:
        spread = one.distribution
        edges = np.linspace(spread.low, spread.high, len(spread.counts) + 1)
        shares = np.array(spread.counts) / max(1, sum(spread.counts))
        ax.stairs(shares, edges, label=_plain(_name(one)))
    ax.set(title="scores of all draws", xlabel="score", ylabel="share")


def _draw_win_rates(ax: Any, curves: Sequence["Curves"]) -> None:
    for one in curves:
        ax.plot(*_win_rates(one), marker="o", label=_plain(_name(one)))
        for n, score, rate in _judged_points(one):
            ax.annotate(str(n), (score, rate))
    ax.set(title="win rate against expected score, n beside", xlabel="expected score", ylabel="win rate")


def _plain(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")
