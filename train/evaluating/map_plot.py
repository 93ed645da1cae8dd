"""A map's points in the colours of what they belong to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from label.trust.bias_plots import plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = 10
MARKERS = "ox^sD"


def draw_points(
    ax: "Axes", points: NDArray[np.float32], labels: Sequence[str], most: int | None = None
) -> None:
    """Scatter POINTS, the largest label first; those beyond MOST labels are grey others."""
    sizes: dict[str, int] = {}
    for label in labels:
        sizes[label] = sizes.get(label, 0) + 1
    names = sorted(sizes, key=lambda name: (-sizes[name], name))
    shown = names if most is None else names[:most]
    for number, name in enumerate(shown):
        at = points[[place for place, label in enumerate(labels) if label == name]]
        marker = MARKERS[number // COLOURS % len(MARKERS)]
        ax.scatter(at[:, 0], at[:, 1], s=6, marker=marker, label=f"{plain_text(name)} ({sizes[name]:,})")
    others = points[[place for place, label in enumerate(labels) if label not in shown]]
    if len(others):
        label = f"{len(names) - len(shown)} others ({len(others):,})"
        ax.scatter(others[:, 0], others[:, 1], s=4, color="lightgrey", label=label, zorder=0)
    ax.set_xticks([])
    ax.set_yticks([])
