"""How far classes lie apart among vectors: in their own space, not on a map of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NEIGHBOURS = 10
BLOCK = 1_000
"""Vectors whose distances to all others are held at once."""


@dataclass(frozen=True, slots=True)
class Separation:
    """Two figures of how well classes can be told apart."""

    knn_accuracy: float
    """The share of each class whose nearest others are mostly of it, the mean over classes."""
    chance: float
    """What guessing comes to: one by the number of classes."""
    silhouette: float
    """From -1 to 1: nearer to the own class than to the nearest other one (Rousseeuw 1987), mean over vectors."""


def separation_of(vectors: Floats, labels: Sequence[str], neighbours: int = NEIGHBOURS) -> Separation | None:
    """By cosine, each vector against all others; None where there are fewer than two classes of two."""
    names = sorted(set(labels))
    numbers = np.array([names.index(label) for label in labels])
    sizes = np.bincount(numbers, minlength=len(names))
    if len(names) < 2 or sizes.min() < 2:
        return None
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.maximum(norms, 1e-12)
    is_right = np.zeros(len(labels), dtype=bool)
    widths = np.zeros(len(labels))
    belongs = np.eye(len(names))[numbers]
    for start in range(0, len(labels), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(labels)))
        distances = 1.0 - units[rows] @ units.T
        own = distances[np.arange(len(rows)), rows].copy()
        sums = distances @ belongs
        widths[rows] = _widths(sums, own, numbers[rows], sizes)
        distances[np.arange(len(rows)), rows] = np.inf
        nearest = np.argsort(distances, axis=1, kind="stable")[:, : min(neighbours, len(labels) - 1)]
        votes = belongs[nearest].sum(axis=1)
        is_right[rows] = votes.argmax(axis=1) == numbers[rows]
    recalls = [float(is_right[numbers == number].mean()) for number in range(len(names))]
    return Separation(float(np.mean(recalls)), 1 / len(names), float(widths.mean()))


def _widths(
    sums: NDArray[np.float64], own: NDArray[np.float64], numbers: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Each vector's silhouette from its sums of distances to every class."""
    places = np.arange(len(numbers))
    inside = (sums[places, numbers] - own) / (sizes[numbers] - 1)
    means = sums / sizes
    means[places, numbers] = np.inf
    outside = means.min(axis=1)
    found: NDArray[np.float64] = (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-12)
    return found
