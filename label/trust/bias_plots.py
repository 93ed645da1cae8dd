"""Plots of a bias report: in the terminal, or as a PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import MissingExtra

if TYPE_CHECKING:
    from label.trust.bias import BiasReport, PolicyPoint
    from label.trust.rating_length import Heatmap

WIDTH, HEIGHT = 72, 20
"""Characters of a plot in the terminal."""


def win_rate_plot(report: "BiasReport") -> str:
    """Win rate against mean unique tokens, one letter a policy, as text without colours."""
    try:
        import plotext
    except ImportError as error:
        raise MissingExtra.of("plotext", "plots") from error

    letters = _letters(len(report.points))
    figure = plotext.figure
    figure.clear()
    figure.plot_size(WIDTH, HEIGHT)
    figure.title(_title(report))
    figure.label("mean unique tokens", "x")
    figure.label("win rate", "y")
    for letter, point in zip(letters, report.points, strict=True):
        figure.draw(figure.signal([point.mean_unique_tokens], [point.win_rate], marker=letter))
    drawn = str(plotext.uncolorize(str(figure.build())))
    names = [f"{letter} {point.policy}" for letter, point in zip(letters, report.points, strict=True)]
    return "\n".join([drawn.rstrip(), *names])


def _letters(count: int) -> str:
    return "".join(chr(ord("a") + number % 26) for number in range(count))


def _title(report: "BiasReport") -> str:
    r = report.value("win_rate_unique_tokens_r")
    return f"{report.labeler}: win rate by unique tokens" + ("" if r is None else f", r = {r:.2f}")


def save_plots(path: Path, reports: Sequence["BiasReport"]) -> None:
    """Write one PNG: a plot for each report, and a heatmap for each that has one."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra.of("matplotlib", "plots") from error

    heatmaps = [report.heatmap for report in reports if report.heatmap is not None]
    count = len(reports) + len(heatmaps)
    figure = Figure(figsize=(7, 5 * max(1, count)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(count, 1, place + 1) for place in range(count)]
    for report, ax in zip(reports, axes, strict=False):
        _draw_points(ax, report.points, _title(report))
    for heatmap, ax in zip(heatmaps, axes[len(reports) :], strict=True):
        draw_heatmap(ax, heatmap)
    figure.savefig(path, format="png", dpi=150)


def _draw_points(ax: object, points: Sequence["PolicyPoint"], title: str) -> None:
    from matplotlib.axes import Axes

    assert isinstance(ax, Axes)
    ax.scatter([point.mean_unique_tokens for point in points], [point.win_rate for point in points])
    for point in points:
        ax.annotate(plain_text(point.policy), (point.mean_unique_tokens, point.win_rate))
    ax.set(title=plain_text(title), xlabel="mean unique tokens", ylabel="win rate")


def draw_heatmap(ax: object, heatmap: "Heatmap") -> None:
    """Prompts by length and correlation."""
    from matplotlib.axes import Axes

    assert isinstance(ax, Axes)
    ax.imshow(heatmap.counts, origin="lower", aspect="auto")
    ax.set_xticks(range(len(heatmap.length_labels)), heatmap.length_labels)
    ax.set_yticks(range(len(heatmap.r_labels)), heatmap.r_labels)
    ax.set(
        title=plain_text(f"{heatmap.labeler}: prompts by length and correlation"),
        xlabel="mean characters of a prompt's answers",
        ylabel="Pearson of score and length",
    )


def plain_text(text: str) -> str:
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")
