"""What a datamodule hands to a task: one NamedTuple for each kind of task.

B is the batch size, T the number of time steps, S that of a source sequence, D the number of
features, K the number of target values. Rows and positions without a true value (padding, or the
rows that fill up a rank's share of a batch) are marked in the targets: `IGNORE` where targets are
ids, NaN where they are numbers. Neither a loss nor a metric counts them.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

IGNORE = -100


class TextBatch(NamedTuple):
    """Characters and the characters that follow them.

    `resets` is None where each row stands for itself (windows). In a stream each row goes on where
    it stopped in the batch before, but for the rows whose `resets` is true: they begin a document.
    """

    inputs: "Tensor"  # (B, T) int64
    targets: "Tensor"  # (B, T) int64, IGNORE where there is none
    resets: "Tensor | None" = None  # (B,) bool


class ClassBatch(NamedTuple):
    """Sequences and their classes."""

    inputs: "Tensor"  # (B, T, D) float32 features, or (B, T) int64 symbols
    targets: "Tensor"  # (B,) int64, IGNORE where there is none
    lengths: "Tensor | None" = None  # (B,) int64 on the CPU; None: all T steps are real


class PairBatch(NamedTuple):
    """Source sequences and target sequences."""

    source: "Tensor"  # (B, S) int64, padded on the right
    source_lengths: "Tensor"  # (B,) int64 on the CPU
    target: "Tensor"  # (B, T) int64: start symbol, symbols, end symbol, then IGNORE


class ValueBatch(NamedTuple):
    """Numeric sequences and the values to predict from them."""

    inputs: "Tensor"  # (B, T, D) float32, in the data's own units
    targets: "Tensor"  # (B, K) float32, in the data's own units, NaN where there is none
