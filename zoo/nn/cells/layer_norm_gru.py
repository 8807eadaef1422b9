"""The gated recurrent unit with layer normalization.

    z, r = sigmoid(LN(W x_t) + LN(U h_{t-1}))
    n = tanh(LN(W_n x_t) + r * LN(U_n h_{t-1}))
    h_t = (1 - z) * h_{t-1} + z * n

Ba, Kiros and Hinton 2016, "Layer normalization", the supplementary material. Each of the four LN has a gain and a bias
for each number, and takes mean and variance over all of them: 2 H for the gates, H for the candidate n.
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

    (h,) = state
    from_x, from_h, gates = w["weight_ih"] @ x, w["weight_hh"] @ h, 2 * len(h)
    z, r = np.split(sigmoid(norm("gates_x", from_x[:gates]) + norm("gates_h", from_h[:gates])), 2)
    n = np.tanh(norm("candidate_x", from_x[gates:]) + r * norm("candidate_h", from_h[gates:]))
    h = (1 - z) * h + z * n
    return h, (h,)


@register_cell("layer_norm_gru", reference)
class LayerNormGRU(Layer):
    """The gated recurrent unit with layer normalization.

    Gains are first 1, and biases 0.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    recurrent_weights = ("weight_hh",)
    shows_state = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.output_size, self.state_shapes = hidden_size, ((hidden_size,),)
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        for weight in self.parameters():
            nn.init.uniform_(weight, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))
        self.gates_x, self.gates_h = (nn.LayerNorm(2 * hidden_size, EPS) for _ in range(2))
        self.candidate_x, self.candidate_h = (nn.LayerNorm(hidden_size, EPS) for _ in range(2))

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: LN(W x) of the gates, and of the candidate."""
        p = linear(x, self.weight_ih)
        with torch.autocast(p.device.type, enabled=False):
            gates, candidate = self._split(p.to(self.weight_ih.dtype))
            return torch.cat([self.gates_x(gates), self.candidate_x(candidate)], dim=-1).to(p.dtype)

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Layer`."""
        h = state[0]
        with torch.autocast(p_t.device.type, enabled=False):
            gates, candidate = self._split(p_t.to(torch.promote_types(p_t.dtype, h.dtype)))
            from_h, n_from_h = self._split(linear(h, self.weight_hh))
            z, r = (gates + self.gates_h(from_h)).sigmoid().chunk(2, -1)
            n = torch.addcmul(candidate, r, self.candidate_h(n_from_h)).tanh()
            h = torch.lerp(h, n, z)
        return h.to(p_t.dtype), (h,)

    def _split(self, sums: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the numbers of the gates, and those of the candidate."""
        return sums[..., : 2 * self.output_size], sums[..., 2 * self.output_size :]
