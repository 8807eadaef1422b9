"""Means over real items, as torchmetrics."""

import math

import torch
from torch import Tensor
from torchmetrics import Metric


class Mean(Metric):
    """The mean of all values, over batches and ranks, from their sums and counts.

    torchmetrics' own weighted `MeanMetric` must look for NaN, for which the host waits on the
    device at each step; told not to (`nan_strategy="disable"`), version 1.9 drops the weights.

    Example:
        >>> mean = Mean()
        >>> mean.update(total=torch.tensor(3.0), count=torch.tensor(2))
        >>> mean.compute().item()
        1.5
    """

    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, total: Tensor, count: Tensor) -> None:
        """Takes a sum of values, and how many they were; both scalars."""
        self.total += total
        self.count += count

    def compute(self) -> Tensor:
        """The mean, a scalar; NaN before there was a value."""
        return self.total / self.count


class Share(Mean):
    """The share of items that are right: an accuracy, or exact matches."""

    higher_is_better = True


class BitsPerCharacter(Mean):
    """A mean of losses in nats, given in bits: divided by ln 2."""

    def compute(self) -> Tensor:
        """Bits per character, a scalar."""
        return super().compute() / math.log(2)


class Perplexity(Mean):
    """A mean of losses in nats, given as the number of equally likely choices: its exponential."""

    def compute(self) -> Tensor:
        """Perplexity, a scalar."""
        return super().compute().exp()
