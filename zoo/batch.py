"""Batches: one NamedTuple for each kind of task.

Legend: B batch size, T time steps, S source time steps, D features, K target values, H steps ahead.

A position without a true value is marked in the targets: `IGNORE` where the targets are ids, NaN
where they are numbers. Losses and metrics do not count it. Such positions are padding, or belong to
rows without an example, which give each rank the same number of rows.

Each batch type has a method `void(rows)`. It marks whole rows as holding no example. The loaders
require it of every batch type, including those of other packages.
"""

from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from torch import Tensor

IGNORE = -100


class TextBatch(NamedTuple):
    """Characters and the characters that follow them.

    `resets` is None if the rows are independent (windows). In a stream, each row continues the same
    row of the previous batch, unless its `resets` is true: then its state starts from zero.
    """

    inputs: "Tensor"  # (B, T) int64
    targets: "Tensor"  # (B, T) int64, IGNORE where there is none
    resets: "Tensor | None" = None  # (B,) bool

    def void(self, rows: "Tensor") -> Self:
        """Marks `rows` (B,), bool, as holding no example."""
        return self._replace(targets=self.targets.masked_fill(rows[:, None], IGNORE))


class ClassBatch(NamedTuple):
    """Sequences and their classes."""

    inputs: "Tensor"  # (B, T, D) features, float32 or float64, or (B, T) int64 symbols
    targets: "Tensor"  # (B,) int64, IGNORE where there is none
    lengths: "Tensor | None" = None  # (B,) int64 on the CPU; None: all rows have T steps

    def void(self, rows: "Tensor") -> Self:
        """Marks `rows` (B,), bool, as holding no example."""
        return self._replace(targets=self.targets.masked_fill(rows, IGNORE))


class TagBatch(NamedTuple):
    """Sequences of symbols, and a tag for each symbol."""

    inputs: "Tensor"  # (B, T) int64, padded on the right
    targets: "Tensor"  # (B, T) int64, IGNORE where there is none
    lengths: "Tensor"  # (B,) int64 on the CPU
    letters: "Tensor | None" = None  # (B, T, L) int64: those of each symbol, which is a word; 0 after its end

    def void(self, rows: "Tensor") -> Self:
        """Marks `rows` (B,), bool, as holding no example."""
        return self._replace(targets=self.targets.masked_fill(rows[:, None], IGNORE))


class PairBatch(NamedTuple):
    """Source sequences and target sequences."""

    source: "Tensor"  # (B, S) int64, padded on the right
    source_lengths: "Tensor"  # (B,) int64 on the CPU
    target: "Tensor"  # (B, T) int64: start symbol, symbols, end symbol, then IGNORE
    references: "Tensor | None" = None  # (B, R, T): as `target`, all that are right; IGNORE where there are fewer

    def void(self, rows: "Tensor") -> Self:
        """Marks `rows` (B,), bool, as holding no example."""
        references = None if self.references is None else self.references.masked_fill(rows[:, None, None], IGNORE)
        return self._replace(target=self.target.masked_fill(rows[:, None], IGNORE), references=references)


class ValueBatch(NamedTuple):
    """Numeric sequences and the values to predict from them: one step, or `horizon` steps (H)."""

    inputs: "Tensor"  # (B, T, D) float32, in the data's own units
    targets: "Tensor"  # (B, K) or (B, H, K) float32, in the data's own units, NaN where there is none
    times: "Tensor | None" = None  # (B, T + H) int64: the times of inputs and targets, in seconds since 1970

    def void(self, rows: "Tensor") -> Self:
        """Marks `rows` (B,), bool, as holding no example."""
        missing = rows.view(-1, *[1] * (self.targets.ndim - 1))
        return self._replace(targets=self.targets.masked_fill(missing, float("nan")))
