"""The multiplicative LSTM: each input has its own recurrent matrix, in factors.

    m = (W_m x_t) * (U_m h_{t-1})
    i, f, g, o = W x_t + b + U m
    c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
    h_t = sigmoid(o) * tanh(c_t)

Krause, Lu, Murray and Renals 2016, "Multiplicative LSTM for sequence modelling", with the cell of `lstm`. Others put
the output gate before the last tanh, h_t = tanh(sigmoid(o) * c_t), and have no tanh around g.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from zoo.nn.cells.lstm import lstm_gates
from zoo.nn.layer import Layer, State, register_cell
from zoo.reference import Array, sigmoid


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    h, c = state
    m = (w["weight_mx"] @ x) * (w["weight_mh"] @ h)
    i, f, g, o = np.split(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hm"] @ m, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, (h, c)


@register_cell("m_lstm_krause", reference)
class MLSTMKrause(Layer):
    """The multiplicative LSTM. The state is (h, c).

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H, also of m.
    """

    recurrent_weights = ("weight_mh", "weight_hm")
    shows_state = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.output_size, self.state_shapes = hidden_size, ((hidden_size,), (hidden_size,))
        self.weight_mx = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_mh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hm = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(4 * hidden_size))
        for weight in self.parameters():
            nn.init.uniform_(weight, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    @torch.no_grad()
    def set_biases(self) -> None:
        """See `Layer`."""
        self.bias_ih[self.output_size : 2 * self.output_size] = 1.0

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: W_m x, and W x + b of the gates."""
        return torch.cat([linear(x, self.weight_mx), linear(x, self.weight_ih, self.bias_ih)], dim=-1)

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Layer`."""
        h, _ = state
        hidden = h.shape[-1]
        with torch.autocast(p_t.device.type, enabled=False):
            p = p_t.to(torch.promote_types(p_t.dtype, h.dtype))
            m = p[:, :hidden] * linear(h, self.weight_mh)
            gates = p[:, hidden:] + linear(m, self.weight_hm)
            new = lstm_gates(gates, gates[:, :0], state)
        return new[0].to(p_t.dtype), new
