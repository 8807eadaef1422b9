"""Batches of tensors. Their order depends only on seed, epoch and rank.

Legend: N examples, B batch size over all ranks, L lanes.
"""

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

NONE = -1  # the index of a row without an example; such rows give all ranks the same number of rows


class Sampler(Protocol):
    """Yields one index tensor per batch, with `NONE` for a row without an example."""

    epoch: int

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, from 0. Lightning calls it before each epoch."""

    def __iter__(self) -> Iterator[Tensor]: ...

    def __len__(self) -> int: ...


class EpochSampler:
    """Examples in a new order each epoch. Each batch is divided among the ranks.

    All ranks get the same number of batches. On each rank, all batches but the last have the same
    size. Together the ranks see each example once. Surplus rows have the index `NONE`.

    Args:
        num_examples: N.
        batch_size: B, over all ranks. So a config gives the same batches on any number of devices.
        shuffle: Whether to draw a new order each epoch. Otherwise the order is 0 ... N-1.
        seed: Determines the order, together with the epoch.
        rank: The rank of this process.
        world_size: The number of processes.
        fill: Whether to fill up with `NONE`. If not, a rank's batches may be smaller, or empty.

    Example:
        >>> [batch.tolist() for batch in EpochSampler(5, 2, rank=1, world_size=2)]
        [[1], [3], [-1]]
    """

    def __init__(
        self,
        num_examples: int,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        fill: bool = True,
    ) -> None:
        self.num_examples, self.batch_size = num_examples, batch_size
        self.shuffle, self.seed = shuffle, seed
        self.rank, self.world_size = rank, world_size
        self.fill = fill
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Tensor]:
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.num_examples)
        else:
            order = np.arange(self.num_examples)
        for batch in torch.from_numpy(order).split(self.batch_size):
            mine = share(batch, self.rank, self.world_size)
            yield mine if self.fill else mine[mine != NONE]

    def __len__(self) -> int:
        return math.ceil(self.num_examples / self.batch_size)


class LaneSampler:
    """Consecutive chunks of a stream in parallel lanes. Batch k holds chunk k of each lane.

    The lanes are as even as possible: each has N // L chunks, and the first N % L lanes have one
    more. So every batch but the last fills all lanes. With fewer chunks than lanes, there is one
    batch, and the surplus lanes are empty.

    Args:
        num_chunks: N.
        lanes: L, the rows of a batch over all ranks.
        rank: The rank of this process.
        world_size: The number of processes.

    Example:
        >>> [batch.tolist() for batch in LaneSampler(5, 2)]
        [[0, 3], [1, 4], [2, -1]]
        >>> [batch.tolist() for batch in LaneSampler(5, 4)]
        [[0, 2, 3, 4], [1, -1, -1, -1]]
    """

    def __init__(self, num_chunks: int, lanes: int, *, rank: int = 0, world_size: int = 1) -> None:
        self.num_chunks, self.lanes = num_chunks, lanes
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    @staticmethod
    def bounds(num_chunks: int, lanes: int) -> Tensor:
        """Returns the bounds of the lanes, (L + 1,): lane i has the chunks from entry i up to entry i + 1."""
        length, longer = divmod(num_chunks, lanes)
        lane = torch.arange(lanes + 1)
        return lane * length + lane.clamp(max=longer)

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, from 0. The order of a stream is the same in all epochs."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Tensor]:
        bounds = self.bounds(self.num_chunks, self.lanes)
        starts, ends = bounds[:-1], bounds[1:]
        for k in range(len(self)):
            batch = starts + k
            yield share(batch.masked_fill(batch >= ends, NONE), self.rank, self.world_size)

    def __len__(self) -> int:
        return math.ceil(self.num_chunks / self.lanes)


def share(batch: Tensor, rank: int, world_size: int) -> Tensor:
    """Returns the rows of a batch (B,) for a rank, filled up so that all ranks get the same number."""
    mine = batch[rank::world_size]
    missing = math.ceil(len(batch) / world_size) - len(mine)
    return torch.cat([mine, mine.new_full((missing,), NONE)]) if missing else mine


class BatchLoader:
    """A dataloader over a NamedTuple of tensors with all N examples.

    The order of the batches depends only on the sampler's arguments and the epoch. So the state of
    the loader is its position: the epoch and the number of batches that it has yielded.

    Args:
        part: The examples, a batch type as in `zoo.batch`. A field may be None.
        sampler: The order.
        collate: A function applied to each batch. Default: none.

    Raises:
        TypeError: If the batch type has no method `void`.
    """

    batch_sampler = None  # Lightning looks for it next to `sampler`, whose `set_epoch` it calls

    def __init__(self, part: Any, sampler: Sampler, collate: Callable[[Any], Any] | None = None) -> None:
        check_void(part)
        self.part, self.sampler, self.collate = part, sampler, collate
        self.batch = 0
        self._resume_at: dict[str, int] | None = None

    def __iter__(self) -> Iterator[Any]:
        at, self._resume_at = self._resume_at, None
        start = at["batch"] if at is not None and at["epoch"] == self.sampler.epoch else 0
        for number, index in enumerate(islice(self.sampler, start, None), start + 1):
            self.batch = number
            if len(index):
                batch = take(self.part, index)
                yield batch if self.collate is None else self.collate(batch)

    def __len__(self) -> int:
        return len(self.sampler)

    def state_dict(self) -> dict[str, int]:
        """Returns the position, as plain values."""
        return {"epoch": self.sampler.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Starts the next iteration at a position. At the end of an epoch, starts the next epoch."""
        self._resume_at = state if state["batch"] < len(self) else None


def check_void(part: Any) -> None:
    """Raises TypeError if a batch type has no method `void`."""
    if not callable(getattr(part, "void", None)):
        raise TypeError(
            f"{type(part).__name__}: expected a batch type with a method void(rows); define one that returns a "
            "copy whose targets are marked as missing (IGNORE or NaN) where rows, (B,) bool, is true"
        )


def take(part: Any, index: Tensor) -> Any:
    """Returns the rows `index` (B,) of all fields. The method `void` of the batch marks rows with index `NONE`."""
    missing = index == NONE
    any_missing = bool(missing.any())
    rows = index.clamp(min=0) if any_missing else index
    batch = type(part)(*(None if values is None else values.index_select(0, rows) for values in part))
    return batch.void(missing) if any_missing else batch
