"""Long short-term memory with one gate for what is forgotten and what is put in.

    i, g, o = W x_t + b + U h_{t-1}
    c_t = (1 - sigmoid(i)) * c_{t-1} + sigmoid(i) * tanh(g)
    h_t = sigmoid(o) * tanh(c_t)

Greff et al. 2017, "LSTM: A search space odyssey": the coupled input and forget gate, f = 1 - i. Weights start from a
normal distribution of standard deviation 0.1, as there. Departures from the paper: there are no peepholes, and biases
start at 0.
"""

import numpy as np
import torch
from torch import Tensor, nn

from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, draw_normal, register_cell
from zoo.reference import Array, sigmoid


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    h, c = state
    i, g, o = np.split(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h, 3)
    c = (1 - sigmoid(i)) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, (h, c)


@register_cell("cifg_lstm", reference)
class CoupledLSTM(UnitWise):
    """Long short-term memory whose forget gate is 1 - its input gate. The state is (h, c).

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    input_gates = product_gates = 3
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        assert self.weight_hh is not None
        draw_normal(self.weight_ih, 0.1)
        draw_normal(self.weight_hh, 0.1)
        nn.init.zeros_(self.bias_ih)

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`. The order of the gates is i, g, o."""
        i, g, o = x.chunk(3, -1)
        c = torch.addcmul(state[1], i.sigmoid(), g.tanh() - state[1])
        return o.sigmoid() * c.tanh(), c
