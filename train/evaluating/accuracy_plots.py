"""A PNG of an evaluation: accuracies side by side, and the length-bias heatmaps."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from label.trust.bias_plots import draw_heatmap, plain_text
from store.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from train.evaluating.accuracy import Accuracy
    from train.evaluating.reward import EvaluationReport


def save_accuracy_plots(path: Path, report: "EvaluationReport") -> None:
    """Write one PNG: bars for each group with their intervals, then a heatmap for each reward model that has one."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra.of("matplotlib", "plots") from error

    count = 1 + len(report.length_bias)
    figure = Figure(figsize=(10, 5 * count), layout="constrained")
    FigureCanvasAgg(figure)
    bars, *maps = [figure.add_subplot(count, 1, place + 1) for place in range(count)]
    _draw_bars(bars, report.results)
    for ax, bias in zip(maps, report.length_bias, strict=True):
        draw_heatmap(ax, bias.heatmap)
    figure.savefig(path, format="png", dpi=150)


def _draw_bars(ax: "Axes", results: "Sequence[Accuracy]") -> None:
    known = [one for one in results if one.value is not None]
    labels = list(dict.fromkeys((one.group, one.difficulty) for one in known))
    names = list(dict.fromkeys(one.contender for one in known))
    width = 0.8 / max(1, len(names))
    for number, name in enumerate(names):
        mine = [one for one in known if one.contender == name]
        places = [
            labels.index((one.group, one.difficulty)) + (number - (len(names) - 1) / 2) * width
            for one in mine
        ]
        values = [one.value or 0.0 for one in mine]
        spans = [
            [value - (one.low or 0.0) for one, value in zip(mine, values, strict=True)],
            [(one.high or 1.0) - value for one, value in zip(mine, values, strict=True)],
        ]
        ax.bar(
            places,
            values,
            width,
            yerr=[[max(0.0, one) for one in span] for span in spans],
            label=plain_text(name),
            capsize=2,
        )
    ax.axhline(0.5, linestyle=":", linewidth=1, color="grey")
    words = [
        plain_text(group if difficulty is None else f"{group} {difficulty}") for group, difficulty in labels
    ]
    ax.set_xticks(range(len(labels)), words, rotation=60, ha="right")
    ax.set(ylabel="accuracy, a tie is half", ylim=(0, 1))
    ax.legend()
