"""Long short-term memory whose gates see the cell.

    i, f, g, o = W x_t + b + U h_{t-1}
    c_t = sigmoid(f + p_f * c_{t-1}) * c_{t-1} + sigmoid(i + p_i * c_{t-1}) * tanh(g)
    h_t = sigmoid(o + p_o * c_t) * tanh(c_t)

Gers, Schraudolph and Schmidhuber 2002, "Learning precise timing with LSTM recurrent networks". The peepholes p are
vectors: a gate sees the cell of its own unit alone. Departures from the paper: the tanh around the cell, and all
weights, peepholes among them, start as those of the LSTM of `torch.nn`, uniform in +-1/sqrt(H).
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, register_cell
from zoo.reference import Array, sigmoid


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    h, c = state
    i, f, g, o = np.split(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h, 4)
    new = sigmoid(f + w["peephole_f"] * c) * c + sigmoid(i + w["peephole_i"] * c) * np.tanh(g)
    h = sigmoid(o + w["peephole_o"] * new) * np.tanh(new)
    return h, (h, new)


@register_cell("peephole_lstm", reference)
class PeepholeLSTM(UnitWise):
    """Long short-term memory whose gates see the cell. The state is (h, c).

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    input_gates = product_gates = 4
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.peephole_i = nn.Parameter(torch.empty(hidden_size))
        self.peephole_f = nn.Parameter(torch.empty(hidden_size))
        self.peephole_o = nn.Parameter(torch.empty(hidden_size))
        for peephole in self.constants():
            nn.init.uniform_(peephole, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    def constants(self) -> tuple[Tensor, ...]:
        """See `UnitWise`: the peepholes of i, f and o."""
        return self.peephole_i, self.peephole_f, self.peephole_o

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`. The order of the gates is i, f, g, o."""
        i, f, g, o = x.chunk(4, -1)
        peephole_i, peephole_f, peephole_o = constants
        before = state[1]
        kept = torch.addcmul(f, peephole_f, before).sigmoid() * before
        c = torch.addcmul(kept, torch.addcmul(i, peephole_i, before).sigmoid(), g.tanh())
        return torch.addcmul(o, peephole_o, c).sigmoid() * c.tanh(), c

    @torch.no_grad()
    def initialize(self, init: str) -> None:
        """See `Layer`. `keras` also sets the peepholes to 0."""
        super().initialize(init)
        if init == "keras":
            for peephole in self.constants():
                peephole.zero_()

    @torch.no_grad()
    def set_biases(self) -> None:
        """See `Layer`."""
        self.bias_ih[self.hidden_size : 2 * self.hidden_size] = 1.0
