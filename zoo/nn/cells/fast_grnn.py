"""The fast gated network: gate and candidate share their matrices.

    v = W x_t + U h_{t-1}
    z = sigmoid(v + b_z)
    n = tanh(v + b_n)
    h_t = (sigmoid(zeta) * (1 - z) + sigmoid(nu)) * n + z * h_{t-1}

Kusupati et al. 2018, "FastGRNN: A fast, accurate, stable and tiny kilobyte sized gated recurrent neural network".
zeta and nu are learned numbers that all units share. At the start, they are 1 and -4, biases are 1, and weights are
normal with standard deviation 0.1. The paper's low-rank, sparse and quantized matrices are left out.
"""

import numpy as np
import torch
from torch import Tensor, nn

from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, draw_normal, register_cell
from zoo.reference import Array, sigmoid


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    (h,) = state
    v = w["weight_ih"] @ x + w["weight_hh"] @ h
    z, n = sigmoid(v + w["bias_z"]), np.tanh(v + w["bias_n"])
    h = (sigmoid(w["zeta"]) * (1 - z) + sigmoid(w["nu"])) * n + z * h
    return h, (h,)


@register_cell("fast_grnn", reference)
class FastGRNN(UnitWise):
    """The fast gated network.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    has_input_bias = False  # the gate and the candidate have their own

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.bias_z = nn.Parameter(torch.empty(hidden_size))
        self.bias_n = nn.Parameter(torch.empty(hidden_size))
        self.zeta = nn.Parameter(torch.full((1,), 1.0))
        self.nu = nn.Parameter(torch.full((1,), -4.0))
        assert self.weight_hh is not None
        draw_normal(self.weight_ih, 0.1)
        draw_normal(self.weight_hh, 0.1)
        self.set_biases()

    def constants(self) -> tuple[Tensor, ...]:
        """See `UnitWise`: both biases, and what zeta and nu are after the sigmoid."""
        return self.bias_z, self.bias_n, self.zeta.sigmoid(), self.nu.sigmoid()

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`."""
        bias_z, bias_n, zeta, nu = constants
        z = (x + bias_z).sigmoid()
        put_in = (zeta * (1 - z) + nu) * (x + bias_n).tanh()
        return (torch.addcmul(put_in, z, state[0]),)

    @torch.no_grad()
    def set_biases(self) -> None:
        """See `Layer`: 1."""
        nn.init.ones_(self.bias_z)
        nn.init.ones_(self.bias_n)
