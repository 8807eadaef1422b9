"""Attention: a weighted mean of a memory, where a query says what is looked for.

Legend: B batch, T target steps, S source steps, Q, M features of a query and of the memory, K features of a key.
"""

import math
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn

from zoo.checks import check_choice, check_sizes
from zoo.choices import AttentionName


class Memory(NamedTuple):
    """What is looked at: one entry for each source step."""

    keys: Tensor  # (B, S, K)
    values: Tensor  # (B, S, M)
    real: Tensor  # (B, S) bool: no padding


class Attention(nn.Module):
    """Looks at a memory. A subclass defines `scores`, and what is scored.

    Args:
        query_size: Features of a query, Q.
        memory_size: Features of an entry, M.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.context_size = memory_size

    def remember(self, outputs: Tensor, real: Tensor) -> Memory:
        """Makes a memory of an encoder's outputs (B, S, M), of which `real` (B, S), bool, are no padding."""
        return Memory(outputs, outputs, real)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Maps queries (B, T, Q) and keys (B, S, K) to scores (B, T, S)."""
        raise NotImplementedError

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Maps queries (B, T, Q) to contexts (B, T, M) and weights (B, T, S), which are 0 at padding."""
        weights = masked_softmax(self.scores(queries, memory.keys), memory.real[:, None])
        return weights.to(memory.values.dtype) @ memory.values, weights


def masked_softmax(scores: Tensor, real: Tensor) -> Tensor:
    """The softmax over the last axis, at least in float32, with 0 where `real` is false."""
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return wide.masked_fill(~real, -math.inf).softmax(-1)


class Dot(Attention):
    """score = q . m (Luong et al. 2015, equation 8).

    Raises:
        ValueError: If queries and memory differ in width.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        if query_size != memory_size:
            raise ValueError(
                f"attention: dot needs an encoder and a decoder of one width, got {memory_size} and {query_size}; "
                "try general"
            )

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """See `Attention`."""
        return queries @ keys.mT


class General(Attention):
    """score = q . W m (Luong et al. 2015, equation 8)."""

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.key = nn.Linear(memory_size, query_size, bias=False)

    def remember(self, outputs: Tensor, real: Tensor) -> Memory:
        """See `Attention`."""
        return Memory(self.key(outputs), outputs, real)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """See `Attention`."""
        return queries @ keys.mT


class Additive(Attention):
    """score = v . tanh(W q + U m + b) (Bahdanau et al. 2015, appendix A.1.2), with as many features as a query has.

    As tanh(u) = 2 sigmoid(2 u) - 1: on a CPU, PyTorch's sigmoid is several times as fast. The -1 adds the same to all
    scores, and has no effect.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.query = nn.Linear(query_size, query_size, bias=False)
        self.key = nn.Linear(memory_size, query_size)
        self.score = nn.Linear(query_size, 1, bias=False)

    def remember(self, outputs: Tensor, real: Tensor) -> Memory:
        """See `Attention`."""
        return Memory(2 * self.key(outputs), outputs, real)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """See `Attention`."""
        return 2 * self.score(((2 * self.query(queries))[:, :, None] + keys[:, None]).sigmoid())[..., 0]


class MultiHead(Attention):
    """Several scaled dot products of projections (Vaswani et al. 2017, section 3.2). The weights are their means.

    Args:
        query_size: Features of a query, Q, and of a context.
        memory_size: Features of an entry, M.
        heads: Scores for each entry.

    Raises:
        ValueError: If `heads` does not divide `query_size`.
    """

    def __init__(self, query_size: int, memory_size: int, heads: int) -> None:
        super().__init__(query_size, memory_size)
        check_sizes(attention_heads=heads)
        if query_size % heads:
            raise ValueError(f"attention_heads: got {heads}, expected a divisor of {query_size}, the decoder's width")
        self.context_size, self.heads = query_size, heads
        self.query = nn.Linear(query_size, query_size)
        self.key = nn.Linear(memory_size, query_size)
        self.value = nn.Linear(memory_size, query_size)
        self.out = nn.Linear(query_size, query_size)

    def remember(self, outputs: Tensor, real: Tensor) -> Memory:
        """See `Attention`."""
        return Memory(self.key(outputs), self.value(outputs), real)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """See `Attention`."""
        parts = (self.query(queries), memory.keys, memory.values)
        q, k, v = (one.unflatten(-1, (self.heads, -1)).transpose(1, 2) for one in parts)  # (B, heads, T or S, d)
        weights = masked_softmax(q @ k.mT / math.sqrt(q.shape[-1]), memory.real[:, None, None])
        contexts = (weights.to(v.dtype) @ v).transpose(1, 2).flatten(2)
        return self.out(contexts), weights.mean(1)


KINDS: dict[str, type[Attention]] = {"additive": Additive, "dot": Dot, "general": General, "multi_head": MultiHead}


def make_attention(name: AttentionName, query_size: int, memory_size: int, heads: int) -> Attention:
    """Returns an attention by its name.

    Raises:
        ValueError: If the name is unknown, or the sizes do not suit.
    """
    check_choice("attention", name, get_args(AttentionName))
    if name == "multi_head":
        return MultiHead(query_size, memory_size, heads)
    return KINDS[name](query_size, memory_size)
