"""The simple recurrent unit.

    f_t = sigmoid(W_f x_t + v_f * c_{t-1} + b_f)
    r_t = sigmoid(W_r x_t + v_r * c_{t-1} + b_r)
    c_t = f_t * c_{t-1} + (1 - f_t) * (W x_t)
    h_t = r_t * c_t + (1 - r_t) * alpha * x_t          alpha = sqrt(3)

Lei et al. 2018, "Simple recurrent units for highly parallelizable recurrence", with its scale alpha =
sqrt(1 + 2 exp(b_r)) for biases that start at 0. If inputs and outputs differ in width, W_x x_t stands for the last x_t.
Weights start uniform, with variances as in the authors' implementation: 1/D for W and W_x, 1/(2D) for W_f and W_r, and
1/2 for v, so that a gate's sum has the variance 1 if its inputs have.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, register_cell
from zoo.reference import Array, sigmoid

ALPHA = math.sqrt(3)


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    w_f, w_r, w_c = np.split(w["weight_ih"], 3)
    b_f, b_r = np.split(w["bias_ih"], 2)
    c = state[1]
    f = sigmoid(w_f @ x + w["v_f"] * c + b_f)
    r = sigmoid(w_r @ x + w["v_r"] * c + b_r)
    c = f * c + (1 - f) * (w_c @ x)
    highway = w["weight_highway"] @ x if "weight_highway" in w else x
    h = r * c + (1 - r) * np.sqrt(3) * highway
    return h, (h, c)


@register_cell("sru", reference)
class SRU(UnitWise):
    """The simple recurrent unit: its gates look at their own unit's state only. The state is (h, c).

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    input_gates = 3
    product_gates = 0
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.bias_ih = nn.Parameter(torch.zeros(2 * hidden_size))  # of f and r
        self.v_f, self.v_r = nn.Parameter(torch.empty(hidden_size)), nn.Parameter(torch.empty(hidden_size))
        self.weight_highway: Tensor | None = None
        if input_size != hidden_size:
            self.weight_highway = nn.Parameter(torch.empty(hidden_size, input_size))
        gates, candidate = self.weight_ih.detach().split([2 * hidden_size, hidden_size])
        _draw(gates, 0.5 / input_size)
        for weight in (candidate, self.weight_highway):
            if weight is not None:
                _draw(weight, 1 / input_size)
        _draw(self.v_f, 0.5)
        _draw(self.v_r, 0.5)

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: f, r, the candidate, and what goes past the state."""
        p = linear(x, self.weight_ih, pad(self.bias_ih, (0, self.hidden_size)))
        highway = x if self.weight_highway is None else linear(x, self.weight_highway)
        return torch.cat([p, ALPHA * highway.to(p.dtype)], dim=-1)

    def constants(self) -> tuple[Tensor, ...]:
        """See `UnitWise`."""
        return self.v_f, self.v_r

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`."""
        forget, reset, candidate, highway = x.chunk(4, -1)
        v_f, v_r = constants
        c = state[1]
        forget, reset = torch.addcmul(forget, v_f, c).sigmoid(), torch.addcmul(reset, v_r, c).sigmoid()
        c = torch.addcmul(candidate, forget, c - candidate)  # f c + (1 - f) candidate
        return torch.addcmul(highway, reset, c - highway), c


def _draw(weight: Tensor, variance: float) -> None:
    nn.init.uniform_(weight, -math.sqrt(3 * variance), math.sqrt(3 * variance))
