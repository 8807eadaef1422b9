"""The minimal gated unit that can be trained in parallel.

    z_t = sigmoid(W_z x_t + b_z)
    h~_t = g(W_h x_t + b_h)            g(v) = v + 0.5 for v >= 0, else sigmoid(v)
    h_t = (1 - z_t) * h_{t-1} + z_t * h~_t

Feng et al. 2024, "Were RNNs all we needed?", with the g of its log-space version, so that states are positive. There is
no logarithm here, because the recurrence is computed as it stands.
"""

import numpy as np
import torch
from torch import Tensor, nn

from zoo.nn.engines.diagonal import DiagonalLayer
from zoo.nn.layer import register_cell
from zoo.reference import Array, sigmoid


def positive(v: Tensor) -> Tensor:
    """Returns g(v), which is positive and continuous."""
    return torch.where(v >= 0, v + 0.5, v.sigmoid())


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    z, v = np.split(w["linear.weight"] @ x + w["linear.bias"], 2)
    z, candidate = sigmoid(z), np.where(v >= 0, v + 0.5, sigmoid(v))
    h = (1 - z) * state[0] + z * candidate
    return h, (h,)


@register_cell("min_gru", reference)
class MinGRU(DiagonalLayer):
    """A GRU whose gates do not look at the state.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    shows_state = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.output_size, self.state_shapes = hidden_size, ((hidden_size,),)
        self.linear = nn.Linear(input_size, 2 * hidden_size)

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: the gate and the candidate, before their functions."""
        return self.linear(x)

    def gates(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """See `DiagonalLayer`."""
        gate, candidate = p.chunk(2, -1)
        return (-gate).sigmoid(), gate.sigmoid() * positive(candidate)
