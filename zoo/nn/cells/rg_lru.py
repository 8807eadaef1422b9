"""The real-gated linear recurrent unit, after a linear map.

    u_t = W x_t + b
    r_t = sigmoid(W_a u_t + b_a)
    i_t = sigmoid(W_i u_t + b_i)
    a_t = a^(8 r_t)                                 a = sigmoid(Lambda)
    h_t = a_t * h_{t-1} + sqrt(1 - a_t^2) * (i_t * u_t)

De et al. 2024, "Griffin: Mixing gated linear recurrences with local attention for efficient language models". The
gates' matrices are dense. Of the block around it, only the linear map is here, not its convolution and second branch.
As in the paper, matrices start as LeCun's, biases as 0, and a^8 uniform in [0.9, 0.999]; in RecurrentGemma, it is a.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from zoo.nn.engines.diagonal import DiagonalLayer
from zoo.nn.layer import draw_normal, register_cell
from zoo.reference import Array, sigmoid

POWER = 8.0


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    u = w["linear.weight"] @ x + w["linear.bias"]
    r, i = np.split(sigmoid(w["gate.weight"] @ u + w["gate.bias"]), 2)
    a = sigmoid(w["decay"]) ** (8 * r)
    h = a * state[0] + np.sqrt(1 - a**2) * i * u
    return h, (h,)


@register_cell("rg_lru", reference)
class RGLRU(DiagonalLayer):
    """The real-gated linear recurrent unit.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    shows_state = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.output_size, self.state_shapes = hidden_size, ((hidden_size,),)
        self.linear = nn.Linear(input_size, hidden_size)
        self.gate = nn.Linear(hidden_size, 2 * hidden_size)
        for part in (self.linear, self.gate):  # LeCun's
            draw_normal(part.weight, 1 / math.sqrt(part.in_features))
            nn.init.zeros_(part.bias)
        log_a = torch.empty(hidden_size).uniform_(0.9, 0.999).log() / POWER  # a^8 is uniform
        self.decay = nn.Parameter(log_a - (-torch.expm1(log_a)).log())  # Lambda: the inverse of sigmoid

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: u, and both gates before their functions."""
        u = self.linear(x)
        return torch.cat([u, self.gate(u)], dim=-1)

    def gates(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """See `DiagonalLayer`."""
        u, r, i = p.chunk(3, -1)
        log_a = POWER * logsigmoid(self.decay.to(p.dtype)) * r.sigmoid()
        rest = -torch.expm1(2 * log_a)  # 1 - a^2, exact near a = 1
        scale = rest.clamp_min(torch.finfo(p.dtype).tiny).sqrt()  # at 0, the root has no gradient
        return log_a.exp(), scale * i.sigmoid() * u
