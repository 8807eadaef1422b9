"""NumPy arrays as batches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def pad(rows: Sequence[Any], value: int = 0) -> Array:
    """Returns arrays or lists of different lengths as one array (B, T, ...), padded on the right.

    Example:
        >>> pad([[1, 2, 3], [4]])
        array([[1, 2, 3],
               [4, 0, 0]])
    """
    arrays = [np.asarray(row) for row in rows]
    longest = max(len(row) for row in arrays)
    found = np.full((len(arrays), longest, *arrays[0].shape[1:]), value, dtype=arrays[0].dtype)
    for place, row in enumerate(arrays):
        found[place, : len(row)] = row
    return found


def softmax(logits: Array) -> Array:
    """Returns probabilities over the last axis."""
    found = np.exp(logits - logits.max(-1, keepdims=True))
    return found / found.sum(-1, keepdims=True)
