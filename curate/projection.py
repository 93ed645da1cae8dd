"""Vectors in two dimensions, by UMAP or by their principal components: what maps are drawn of."""

import warnings
from importlib.util import find_spec
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from store.errors import MissingExtra

Floats = NDArray[np.float32]
Projection = Literal["auto", "umap", "pca"]

NEIGHBOURS = 15
"""UMAP's usual number; a smaller set has fewer."""


def project(vectors: Floats, by: Projection = "auto") -> tuple[Floats, str]:
    """Two dimensions, and how they came to be in a few words; `auto` is UMAP where umap-learn is installed.

    Raises MissingExtra for `umap` without umap-learn.
    """
    if by == "pca":
        return _principal(vectors)
    if find_spec("umap") is None:
        if by == "umap":
            raise MissingExtra.of("umap-learn, which --projection pca does without,", "map")
        return _principal(vectors)
    neighbours = min(NEIGHBOURS, len(vectors) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba, and of what umap-learn asks scikit-learn for
        import umap

        reducer = umap.UMAP(n_neighbors=neighbours, metric="cosine", random_state=0, n_jobs=1)
        points = reducer.fit_transform(vectors)
    return np.asarray(points, dtype=np.float32), f"UMAP, {neighbours} neighbours, cosine"


def _principal(vectors: Floats) -> tuple[Floats, str]:
    centred = vectors - vectors.mean(axis=0)
    _, strengths, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2, np.abs(axes[:2]).argmax(axis=1)].diagonal())[:, None]
    share = (strengths[:2] ** 2).sum() / max(float((strengths**2).sum()), 1e-12)
    return (centred @ axes.T).astype(np.float32), f"PCA, {share:.0%} of the variance"
