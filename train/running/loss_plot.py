"""The loss of a run as a plot in the terminal."""

import json
from pathlib import Path

from store.errors import MissingExtra

WIDTH, HEIGHT = 72, 16
"""Characters."""


def loss_plot(metrics: Path) -> str | None:
    """The loss at every logged step, as text without colours; None where fewer than two were logged."""
    try:
        import plotext
    except ImportError as error:
        raise MissingExtra.of("plotext", "plots") from error
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    logged = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    if len(logged) < 2:
        return None
    figure = plotext.figure
    figure.clear()
    figure.plot_size(WIDTH, HEIGHT)
    figure.title("loss")
    figure.label("step", "x")
    steps, losses = zip(*logged, strict=True)
    figure.draw(figure.signal(list(steps), list(losses)))
    return str(plotext.uncolorize(str(figure.build()))).rstrip()
