"""The update gate network: the simple network with one gate.

    g = sigmoid(W_g x_t + b_g + U_g h_{t-1})
    n = tanh(W_n x_t + b_n + U_n h_{t-1})
    h_t = g * h_{t-1} + (1 - g) * n

Collins, Sohl-Dickstein and Sussillo 2017, "Capacity and trainability in recurrent neural networks". The paper adds a
fixed number to b_g, which it tunes; here, b_g starts at this number, which is the same network. The weights start as
in `torch.nn`, uniform in +-1/sqrt(H), and b_n at 0.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, register_cell
from zoo.reference import Array, sigmoid


def reference(
    w: dict[str, Array], x: Array, state: tuple[Array, ...], *, gate_bias: float = 1.0
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy. `gate_bias` acts on the first weights alone."""
    (h,) = state
    g, n = np.split(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h, 2)
    g = sigmoid(g)
    h = g * h + (1 - g) * np.tanh(n)
    return h, (h,)


@register_cell("ugrnn", reference)
class UGRNN(UnitWise):
    """The update gate network.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
        gate_bias: What b_g starts at. The paper tunes it; 1, as for an LSTM's forget gate, lets states last.
    """

    input_gates = product_gates = 2

    def __init__(self, input_size: int, hidden_size: int, gate_bias: float = 1.0) -> None:
        if not math.isfinite(gate_bias):
            raise ValueError(f"gate_bias: got {gate_bias}, expected a finite number")
        super().__init__(input_size, hidden_size)
        self.gate_bias = gate_bias
        self.set_biases()

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`. The order of the gates is g, n."""
        g, n = x.chunk(2, -1)
        n = n.tanh()
        return (torch.addcmul(n, g.sigmoid(), state[0] - n),)

    @torch.no_grad()
    def set_biases(self) -> None:
        """See `Layer`."""
        nn.init.zeros_(self.bias_ih)
        nn.init.constant_(self.bias_ih[: self.hidden_size], self.gate_bias)
