"""The LSTM with layer normalization.

    i, f, g, o = LN(W x_t) + LN(U h_{t-1})
    c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
    h_t = sigmoid(o) * tanh(LN(c_t))

Ba, Kiros and Hinton 2016, "Layer normalization", equations 20 to 22. Each LN has a gain and a bias for each number,
and takes mean and variance over all of them: 4 H for the products, H for the cell. The further bias b of equation 20
is left out, because it adds to those of the two LN.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from zoo.nn.layer import Layer, State, register_cell
from zoo.reference import Array, sigmoid

EPS = 1e-5


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""

    def norm(name: str, v: Array) -> Array:
        return w[f"{name}.weight"] * (v - v.mean()) / np.sqrt(v.var() + EPS) + w[f"{name}.bias"]

    h, c = state
    i, f, g, o = np.split(norm("norm_x", w["weight_ih"] @ x) + norm("norm_h", w["weight_hh"] @ h), 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(norm("norm_c", c))
    return h, (h, c)


@register_cell("layer_norm_lstm", reference)
class LayerNormLSTM(Layer):
    """The LSTM with layer normalization. The state is (h, c).

    Gains are first 1, and biases 0.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    recurrent_weights = ("weight_hh",)
    shows_state = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.output_size, self.state_shapes = hidden_size, ((hidden_size,), (hidden_size,))
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        for weight in self.parameters():
            nn.init.uniform_(weight, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))
        self.norm_x = nn.LayerNorm(4 * hidden_size, EPS)
        self.norm_h = nn.LayerNorm(4 * hidden_size, EPS)
        self.norm_c = nn.LayerNorm(hidden_size, EPS)

    @torch.no_grad()
    def set_biases(self) -> None:
        """See `Layer`."""
        self.norm_x.bias[self.output_size : 2 * self.output_size] = 1.0

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: LN(W x)."""
        p = linear(x, self.weight_ih)
        with torch.autocast(p.device.type, enabled=False):
            return self.norm_x(p.to(self.weight_ih.dtype)).to(p.dtype)

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Layer`."""
        h, c = state
        with torch.autocast(p_t.device.type, enabled=False):
            p = p_t.to(torch.promote_types(p_t.dtype, h.dtype))
            i, f, g, o = (p + self.norm_h(linear(h, self.weight_hh))).chunk(4, -1)
            c = torch.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
            h = o.sigmoid() * self.norm_c(c).tanh()
        return h.to(p_t.dtype), (h, c)
