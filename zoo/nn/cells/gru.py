"""The gated recurrent unit.

    r = sigmoid(W_r x_t + b_r + U_r h_{t-1} + c_r)
    z = sigmoid(W_z x_t + b_z + U_z h_{t-1} + c_z)
    n = tanh(W_n x_t + b_n + r * (U_n h_{t-1} + c_n))
    h_t = (1 - z) * n + z * h_{t-1}

Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder", in the form of cuDNN: the reset gate
acts on U_n h, not on h.
"""

import torch
from torch import Tensor

from zoo.nn.fused import FusedGRU, TorchCell, classic
from zoo.nn.layer import State, register_cell
from zoo.reference import gru_step


def gru_gates(x: Tensor, r: Tensor, state: State) -> State:
    """Returns the next state (h,). The order of the gates is r, z, n."""
    hidden = state[0].shape[-1]
    (x_gates, x_n), (r_gates, r_n) = (one.split([2 * hidden, hidden], -1) for one in (x, r))
    reset, z = (x_gates + r_gates).sigmoid().chunk(2, -1)
    n = torch.addcmul(x_n, reset, r_n).tanh()
    return (n + z * (state[0] - n),)  # (1 - z) n + z h


@register_cell("gru", classic(gru_step))
class GRU(TorchCell):
    """The gated recurrent unit."""

    kind = FusedGRU
    gates = staticmethod(gru_gates)
    input_gates = product_gates = 3
    sums_gates = False
