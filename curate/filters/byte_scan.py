"""Which texts hold control characters, found in their bytes: a pattern of so many single characters is slow."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

PIECE_TEXTS = 500
"""Texts looked at in one go, so that their bytes stay in the cache."""
TAB, LINE_FEED, CARRIAGE_RETURN, SPACE, DELETE = 9, 10, 13, 32, 127


def texts_with_controls(content: "pl.Series") -> "NDArray[np.int64]":
    """The places in CONTENT of the texts with a control character other than tab and line ends, in order.

    In UTF-8 such a byte is such a character and nothing else.
    """
    places = [
        start + _with_controls(content[start : start + PIECE_TEXTS])
        for start in range(0, len(content), PIECE_TEXTS)
    ]
    return np.concatenate(places) if places else np.zeros(0, np.int64)


def _with_controls(content: "pl.Series") -> "NDArray[np.int64]":
    import polars as pl

    column = content.to_arrow(compat_level=pl.CompatLevel.oldest())  # offsets and one stream of bytes
    _, offsets, data = column.buffers()
    if data is None or not data.size:
        return np.zeros(0, np.int64)
    bytes_ = np.frombuffer(data, np.uint8)
    # tabs and carriage returns are rare enough to be taken out afterwards
    found = np.flatnonzero(((bytes_ < SPACE) & (bytes_ != LINE_FEED)) | (bytes_ == DELETE))
    found = found[(bytes_[found] != TAB) & (bytes_[found] != CARRIAGE_RETURN)]
    ends = np.frombuffer(offsets, np.int64)[1 : len(column) + 1]
    return np.unique(np.searchsorted(ends, found, side="right"))
