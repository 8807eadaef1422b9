"""Examples: a length, and `take`, which makes a batch of some of them.

Legend: N examples, B batch size, D features.
"""

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NONE = -1  # the index of a row without an example; such rows give all ranks the same number of rows


@runtime_checkable
class Examples(Protocol):
    """The examples of a part of the data. They may lie in memory or in a memory-mapped file."""

    batch_type: type  # a NamedTuple of tensors with a method `void(rows)`, see `zoo.batch`

    def __len__(self) -> int: ...

    def take(self, index: Tensor) -> Any:
        """Returns a batch of the examples `index` (B,), int64. Rows with index `NONE` are voided by `void`."""


class InMemory:
    """Examples that are rows of tensors.

    Args:
        rows: A batch of all N examples. A field may be None.

    Raises:
        TypeError: If the batch type has no method `void`.

    Example:
        >>> from zoo.batch import ClassBatch
        >>> examples = InMemory(ClassBatch(torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1])))
        >>> examples.take(torch.tensor([1, NONE])).targets
        tensor([   1, -100])
    """

    def __init__(self, rows: Any) -> None:
        check_void(rows)
        self.rows = rows
        self.batch_type = type(rows)

    def __len__(self) -> int:
        return len(self.rows[0])

    def take(self, index: Tensor) -> Any:
        """See `Examples`."""
        return take(self.rows, index)


class Mapped:
    """Sequences of symbols or numbers, one after the other in one array, which may be a memory-mapped file.

    Args:
        values: All values: (total,) or (total, D). Symbols are uint8, uint16 or uint32, numbers float32.
        bounds: Where sequences start and end (N + 1,), from 0 to total.

    Example:
        >>> sequences = Mapped.of([[1, 2, 3], [4]])
        >>> sequences.padded(torch.tensor([0, 1]))
        (tensor([[1, 2, 3],
                [4, 0, 0]]), tensor([3, 1]))
    """

    def __init__(self, values: NDArray[Any], bounds: NDArray[np.int64]) -> None:
        self.values, self.bounds = values, bounds

    @classmethod
    def of(cls, sequences: Sequence[Any]) -> Self:
        """Stores sequences in memory: lists of symbols, or arrays of numbers (T, D)."""
        bounds = np.cumsum([0, *map(len, sequences)], dtype=np.int64)
        if any(getattr(steps, "ndim", 1) == 2 for steps in sequences):
            return cls(np.concatenate(sequences), bounds)
        top = max((max(ids) for ids in sequences if len(ids)), default=0)
        flat = np.concatenate(
            [np.zeros(0, symbol_type(top)), *(np.asarray(ids, symbol_type(top)) for ids in sequences)]
        )
        return cls(flat, bounds)

    @classmethod
    def open(cls, path: Path, dtype: str, bounds: NDArray[np.int64]) -> Self:
        """Maps a file of symbols into memory."""
        return cls(np.memmap(path, dtype=dtype, mode="r"), bounds)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        return self.values[self.bounds[row] : self.bounds[row + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The length of each sequence (N,)."""
        return np.diff(self.bounds)

    def gather(self, starts: NDArray[np.int64], steps: int) -> Tensor:
        """Returns values from `starts` (B,) on: symbols (B, steps) as int64, or numbers (B, steps, D)."""
        places = starts[:, None] + np.arange(steps)
        found = as_tensor(np.asarray(self.values[np.minimum(places, len(self.values) - 1)]))
        release(self.values)  # the system maps up to a megabyte around each place
        return found

    def padded(self, index: Tensor, padding: int = 0) -> tuple[Tensor, Tensor]:
        """Returns the sequences `index` (B,), padded on the right to the longest of them, and their lengths.

        Args:
            index: Which sequences. `NONE` takes the first one, which the caller voids.
            padding: The value after the end of a sequence.

        Returns:
            Symbols (B, T), int64, or numbers (B, T, D); and lengths (B,), int64.
        """
        rows = index.clamp(min=0).numpy()
        starts, lengths = self.bounds[rows], self.bounds[rows + 1] - self.bounds[rows]
        values = self.gather(starts, int(lengths.max(initial=1)))
        after = torch.arange(values.shape[1]) >= torch.from_numpy(lengths)[:, None]
        after = after if values.ndim == 2 else after[:, :, None]
        return values.masked_fill(after, padding), torch.from_numpy(lengths)


def release(values: NDArray[Any]) -> None:
    """Gives back the memory of pages that were read from a memory-mapped file. They stay in the system's cache."""
    if (found := getattr(values, "_mmap", None)) is not None:
        found.madvise(mmap.MADV_DONTNEED)


def symbol_type(largest: int) -> str:
    """Returns the smallest dtype for symbols up to an id."""
    return "uint8" if largest < 2**8 else "uint16" if largest < 2**16 else "uint32"


def as_tensor(values: NDArray[Any]) -> Tensor:
    """Returns symbols as int64, and numbers as they are."""
    return torch.from_numpy(values if values.dtype.kind == "f" else values.astype(np.int64))


def as_examples(part: Any) -> Examples:
    """Returns the examples of a part. A NamedTuple of tensors is wrapped as `InMemory`."""
    return InMemory(part) if hasattr(part, "_fields") else part


def check_void(part: Any) -> None:
    """Raises TypeError if a batch type has no method `void`."""
    if not callable(getattr(part, "void", None)):
        raise TypeError(
            f"{type(part).__name__}: expected a batch type with a method void(rows); define one that returns a "
            "copy whose targets are marked as missing (IGNORE or NaN) where rows, (B,) bool, is true"
        )


def take(part: Any, index: Tensor) -> Any:
    """Returns the rows `index` (B,) of all fields. The method `void` of the batch marks rows with index `NONE`."""
    rows = index.clamp(min=0)
    batch = type(part)(*(None if values is None else values.index_select(0, rows) for values in part))
    return void_missing(batch, index)


def void_missing(batch: Any, index: Tensor) -> Any:
    """Voids the rows of a batch whose index (B,) is `NONE`."""
    missing = index == NONE
    return batch.void(missing) if bool(missing.any()) else batch
