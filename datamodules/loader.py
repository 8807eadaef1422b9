"""Batches of tensors. Their order depends only on seed, epoch and rank.

Legend: N examples, B batch size over all ranks, L lanes.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.examples import NONE, as_examples

MOST_PERMUTED = 2**20  # examples; more are put in order without a permutation in memory
ROUNDS = 8  # of the Feistel network
POOL_BATCHES = 64


class Sampler(Protocol):
    """Gives one index tensor per batch, with `NONE` for a row without an example."""

    epoch: int

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, from 0. Lightning calls it before each epoch."""

    def batches(self, start: int) -> Iterator[Tensor]:
        """Yields the batches of the epoch from number `start` on."""

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
        return self.batches(0)

    def batches(self, start: int) -> Iterator[Tensor]:
        """Yields the batches of this epoch from number `start` on."""
        order = Order(self.num_examples, [self.seed, self.epoch] if self.shuffle else None)
        for first in range(start * self.batch_size, self.num_examples, self.batch_size):
            batch = order[first : first + self.batch_size]
            mine = share(batch, self.rank, self.world_size)
            yield mine if self.fill else mine[mine != NONE]

    def __len__(self) -> int:
        return math.ceil(self.num_examples / self.batch_size)


class BucketSampler:
    """Examples of various lengths in a new order each epoch, so that a batch has similar lengths.

    The shuffled examples are divided into pools of 64 batches. A pool is sorted by length and cut
    into batches, which are shuffled again. So little is padded, and the batches still differ from
    epoch to epoch. Like `EpochSampler`, it gives each rank its share of each batch.

    Args:
        lengths: The length of each example (N,).
        batch_size: B, over all ranks.
        shuffle: Whether to draw a new order each epoch. Otherwise the examples are sorted by length.
        seed: Determines the order, together with the epoch.
        rank: The rank of this process.
        world_size: The number of processes.

    Example:
        >>> sampler = BucketSampler(np.array([1, 9, 1, 9]), 2, shuffle=True)
        >>> sorted(sorted(batch.tolist()) for batch in sampler)
        [[0, 2], [1, 3]]
    """

    def __init__(
        self,
        lengths: NDArray[np.int64],
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.lengths, self.batch_size = lengths, batch_size
        self.shuffle, self.seed = shuffle, seed
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Tensor]:
        return self.batches(0)

    def batches(self, start: int) -> Iterator[Tensor]:
        """Yields the batches of this epoch from number `start` on."""
        for batch in self._batches()[start:]:
            yield share(torch.from_numpy(batch), self.rank, self.world_size)

    def _batches(self) -> list[NDArray[np.int64]]:
        if not self.shuffle:
            order = np.argsort(self.lengths, kind="stable")
            return [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.lengths))
        size = POOL_BATCHES * self.batch_size
        batches = []
        for start in range(0, len(order), size):
            pool = order[start : start + size]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            batches += [pool[i : i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
        return [batches[i] for i in np.random.default_rng([self.seed, self.epoch, 1]).permutation(len(batches))]

    def __len__(self) -> int:
        return math.ceil(len(self.lengths) / self.batch_size)  # pools are whole batches


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
        return self.batches(0)

    def batches(self, start: int) -> Iterator[Tensor]:
        """Yields the batches from number `start` on."""
        bounds = self.bounds(self.num_chunks, self.lanes)
        starts, ends = bounds[:-1], bounds[1:]
        for k in range(start, len(self)):
            batch = starts + k
            yield share(batch.masked_fill(batch >= ends, NONE), self.rank, self.world_size)

    def __len__(self) -> int:
        return math.ceil(self.num_chunks / self.lanes)


class Order:
    """The order of N examples in an epoch: a slice gives the examples at these positions.

    Up to 2**20 examples are drawn as NumPy's permutation. Above, each position is encrypted on its own
    by a Feistel network with random keys, and again as long as the result is not below N ("cycle walking",
    Black and Rogaway 2002). That is a permutation, too, and takes no memory.

    Args:
        num_examples: N.
        seed: Numbers that determine the order. None: 0 ... N-1.

    Example:
        >>> order = Order(3, [0])
        >>> sorted(order[0:3].tolist())
        [0, 1, 2]
    """

    def __init__(self, num_examples: int, seed: list[int] | None) -> None:
        self.num_examples = num_examples
        self.permutation = self.keys = None
        if seed is None:
            return
        random = np.random.default_rng(seed)
        if num_examples <= MOST_PERMUTED:
            self.permutation = random.permutation(num_examples)
        else:
            self.keys = random.integers(0, 2**63, size=ROUNDS, dtype=np.uint64)
            self.half = np.uint64(((num_examples - 1).bit_length() + 1) // 2)  # bits of each half of a number

    def __getitem__(self, places: slice) -> Tensor:
        found = np.arange(*places.indices(self.num_examples))
        if self.permutation is not None:
            return torch.from_numpy(self.permutation[places])
        return torch.from_numpy(found if self.keys is None else self._walk(found))

    def _walk(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        found = self._encrypt(numbers.astype(np.uint64))
        while (outside := found >= self.num_examples).any():
            found[outside] = self._encrypt(found[outside])
        return found.astype(np.int64)

    def _encrypt(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        mask = (np.uint64(1) << self.half) - np.uint64(1)
        left, right = numbers >> self.half, numbers & mask
        assert self.keys is not None
        for key in self.keys:
            left, right = right, left ^ (_mix(right + key) & mask)
        return left << self.half | right


def _mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014): each input bit changes about half of the output."""
    numbers = (numbers ^ numbers >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ numbers >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return numbers ^ numbers >> np.uint64(31)


def share(batch: Tensor, rank: int, world_size: int) -> Tensor:
    """Returns the rows of a batch (B,) for a rank, filled up so that all ranks get the same number."""
    mine = batch[rank::world_size]
    missing = math.ceil(len(batch) / world_size) - len(mine)
    return torch.cat([mine, mine.new_full((missing,), NONE)]) if missing else mine


class BatchLoader:
    """A dataloader over examples.

    The order of the batches depends only on the sampler's arguments and the epoch. So the state of
    the loader is its position: the epoch and the number of batches that it has yielded.

    Args:
        examples: See `datamodules.examples`. A batch type as in `zoo.batch` with all examples works, too.
        sampler: The order.
        collate: A function applied to each batch. Default: none.
    """

    batch_sampler = None  # Lightning looks for it next to `sampler`, whose `set_epoch` it calls

    def __init__(self, examples: Any, sampler: Sampler, collate: Callable[[Any], Any] | None = None) -> None:
        self.examples, self.sampler, self.collate = as_examples(examples), sampler, collate
        self.batch = 0
        self._resume_at: dict[str, int] | None = None

    def __iter__(self) -> Iterator[Any]:
        at, self._resume_at = self._resume_at, None
        start = at["batch"] if at is not None and at["epoch"] == self.sampler.epoch else 0
        for number, index in enumerate(self.sampler.batches(start), start + 1):
            self.batch = number
            if len(index):
                batch = self.examples.take(index)
                yield batch if self.collate is None else self.collate(batch)

    def __len__(self) -> int:
        return len(self.sampler)

    def state_dict(self) -> dict[str, int]:
        """Returns the position, as plain values."""
        return {"epoch": self.sampler.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Starts the next iteration at a position. At the end of an epoch, starts the next epoch."""
        self._resume_at = state if state["batch"] < len(self) else None
