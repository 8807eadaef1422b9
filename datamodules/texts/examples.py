"""Windows and chunks of texts, cut out of one array when a batch is made.

Legend: N examples, B batch size, T time steps.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.examples import Mapped, void_missing
from datamodules.loader import LaneSampler
from zoo.batch import IGNORE, TextBatch


class Windows:
    """Windows of T symbols that do not overlap, and as targets the symbols that follow each.

    An incomplete window at the end of a document is left out.

    Args:
        documents: The ids of each document.
        seq_len: T.
    """

    batch_type = TextBatch

    def __init__(self, documents: Mapped, seq_len: int) -> None:
        self.documents, self.seq_len = documents, seq_len
        self.ends = np.cumsum((documents.lengths - 1).clip(min=0) // seq_len)  # of each document, in windows

    def __len__(self) -> int:
        return int(self.ends[-1])

    def take(self, index: Tensor) -> TextBatch:
        """See `Examples`."""
        starts, _, _ = places(self.documents, self.ends, index, self.seq_len)
        values = self.documents.gather(starts, self.seq_len + 1)
        return void_missing(TextBatch(values[:, :-1].contiguous(), values[:, 1:].contiguous()), index)


class Chunks:
    """Chunks of T symbols, which follow each other in lanes. The last one of a document is padded.

    Args:
        documents: The ids of each document.
        seq_len: T.
        lanes: Gives the number of lanes that so many chunks are divided into, see `LaneSampler`.
    """

    batch_type = TextBatch

    def __init__(self, documents: Mapped, seq_len: int, lanes: Callable[[int], int]) -> None:
        self.documents, self.seq_len = documents, seq_len
        self.ends = np.cumsum(-(-(documents.lengths - 1).clip(min=0) // seq_len))  # of each document, in chunks
        self.lanes = lanes(len(self))
        self.starts = LaneSampler.bounds(len(self), self.lanes)[: min(self.lanes, len(self))]  # of the lanes

    def __len__(self) -> int:
        return int(self.ends[-1])

    def take(self, index: Tensor) -> TextBatch:
        """See `Examples`."""
        starts, first, left = places(self.documents, self.ends, index, self.seq_len)
        values = self.documents.gather(starts, self.seq_len + 1)
        after = torch.arange(self.seq_len) >= torch.from_numpy(left)[:, None]  # the document has ended
        resets = torch.from_numpy(first) | torch.isin(index, self.starts)
        batch = TextBatch(values[:, :-1].masked_fill(after, 0), values[:, 1:].masked_fill(after, IGNORE), resets)
        return void_missing(batch, index)


def places(
    documents: Mapped, ends: NDArray[np.int64], index: Tensor, steps: int
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int64]]:
    """Returns where examples start, whether they are the first of their document, and how many targets are left in it.

    Args:
        documents: The documents.
        ends: The number of examples up to the end of each document.
        index: The examples (B,).
        steps: The distance from one example to the next.
    """
    rows = index.clamp(min=0).numpy()
    document = np.searchsorted(ends, rows, side="right")
    number = rows - np.concatenate([[0], ends])[document]  # within the document
    starts = documents.bounds[document] + number * steps
    return starts, number == 0, documents.bounds[document + 1] - 1 - starts
