"""Long short-term memory.

    i, f, g, o = W x_t + b + U h_{t-1} + c
    c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
    h_t = sigmoid(o) * tanh(c_t)

Hochreiter and Schmidhuber 1997, "Long short-term memory"; the forget gate: Gers, Schmidhuber and Cummins 2000.
"""

import torch
from torch import Tensor

from zoo.nn.fused import FusedLSTM, TorchCell, classic
from zoo.nn.layer import State, register_cell
from zoo.reference import lstm_step


def lstm_gates(x: Tensor, r: Tensor, state: State) -> State:
    """Returns the next state (h, c). The order of the gates is i, f, g, o."""
    i, f, g, o = x.chunk(4, -1)
    c = torch.addcmul(f.sigmoid() * state[1], i.sigmoid(), g.tanh())
    return o.sigmoid() * c.tanh(), c


@register_cell("lstm", classic(lstm_step))
class LSTM(TorchCell):
    """Long short-term memory. The state is (h, c)."""

    kind = FusedLSTM
    gates = staticmethod(lstm_gates)
    input_gates = product_gates = 4
    num_states = 2
    forget_gate = 1
