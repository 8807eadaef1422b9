"""Batches by slicing tensors, in an order that is a function of seed, epoch and rank.

Legend: N examples, B batch size over all ranks.
"""

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from zoo.batch import IGNORE

NONE = -1  # the index of no example: a row that fills up a rank's share


class Sampler(Protocol):
    """Yields one index tensor for each batch; `NONE` where a row has no example."""

    epoch: int

    def set_epoch(self, epoch: int) -> None:
        """Tells the epoch, from 0; Lightning calls it before each."""

    def __iter__(self) -> Iterator[Tensor]: ...

    def __len__(self) -> int: ...


class EpochSampler:
    """Examples in a fresh order each epoch, dealt out to the ranks batch by batch.

    Every rank sees the same number of batches, and all its batches but the last have the same
    size. Together the ranks see each example once: rows left over are filled with `NONE`.

    Args:
        num_examples: N.
        batch_size: B, over all ranks: the recipe stays the same on more devices.
        shuffle: Whether to draw a new order each epoch; else it is 0 ... N-1.
        seed: With the epoch, it fixes the order.
        rank: This process.
        world_size: The number of processes.
        fill: Whether to fill up; without, a rank's batches may be smaller, or missing.

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
        """Tells the epoch, from 0."""
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
    """Consecutive chunks of a stream, in lanes side by side: batch k holds each lane's chunk k.

    Args:
        num_chunks: N.
        lanes: Rows of a batch over all ranks; lane i begins at chunk i * `lane_length`.
        rank: This process.
        world_size: The number of processes.

    Example:
        >>> [batch.tolist() for batch in LaneSampler(5, 2)]
        [[0, 3], [1, 4], [2, -1]]
    """

    def __init__(self, num_chunks: int, lanes: int, *, rank: int = 0, world_size: int = 1) -> None:
        self.num_chunks, self.lanes = num_chunks, lanes
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    @staticmethod
    def lane_length(num_chunks: int, lanes: int) -> int:
        """Chunks in a lane; the last lanes may have fewer."""
        return math.ceil(num_chunks / lanes)

    def set_epoch(self, epoch: int) -> None:
        """Tells the epoch, from 0; a stream has one order in all of them."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Tensor]:
        length = len(self)
        starts = torch.arange(self.lanes) * length
        for k in range(length):
            batch = starts + k
            yield share(batch.masked_fill(batch >= self.num_chunks, NONE), self.rank, self.world_size)

    def __len__(self) -> int:
        return self.lane_length(self.num_chunks, self.lanes)


def share(batch: Tensor, rank: int, world_size: int) -> Tensor:
    """A rank's rows of a batch (B,), filled up so that all ranks have as many."""
    mine = batch[rank::world_size]
    missing = math.ceil(len(batch) / world_size) - len(mine)
    return torch.cat([mine, mine.new_full((missing,), NONE)]) if missing else mine


class BatchLoader:
    """A dataloader over a NamedTuple of tensors that hold all N examples.

    The order of its batches is a function of the sampler's arguments and the epoch, so that its
    state is a position: the epoch, and the batches that were given out.

    Args:
        part: The examples; fields may be None.
        sampler: The order.
        collate: What else to do to a batch, if anything.
    """

    batch_sampler = None  # Lightning asks for it beside `sampler`, whose `set_epoch` it calls

    def __init__(self, part: Any, sampler: Sampler, collate: Callable[[Any], Any] | None = None) -> None:
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
        """The position, plain values."""
        return {"epoch": self.sampler.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Has the next iteration begin at a position; one at an epoch's end stands for the next epoch's beginning."""
        self._resume_at = state if state["batch"] < len(self) else None


def take(part: Any, index: Tensor) -> Any:
    """The rows `index` (B,) of all fields; the targets of rows without an example are voided."""
    missing = index == NONE
    any_missing = bool(missing.any())
    rows = index.clamp(min=0) if any_missing else index
    fields: dict[str, Any] = {}
    for name, values in part._asdict().items():
        fields[name] = None if values is None else values.index_select(0, rows)
        if any_missing and name in ("target", "targets"):
            fields[name][missing] = math.nan if values.is_floating_point() else IGNORE
    return type(part)(**fields)
