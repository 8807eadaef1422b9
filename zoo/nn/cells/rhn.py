"""The recurrent highway network: several highway layers, one after the other, within each time step.

    s = h_{t-1}
    for l = 1 ... L:
        u, v = R_l s + b_l, and + W x_t for l = 1
        s = sigmoid(v) * tanh(u) + (1 - sigmoid(v)) * s
    h_t = s

Zilly, Srivastava, Koutnik and Schmidhuber 2017, "Recurrent highway networks", with the carry gate coupled to the
transform gate, as in the paper's experiments.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from zoo.checks import check_sizes
from zoo.nn.layer import Layer, State, register_cell
from zoo.reference import Array, sigmoid

TRANSFORM_BIAS = -2.0  # the gates are nearly closed at first: the state is carried


def reference(
    w: dict[str, Array], x: Array, state: tuple[Array, ...], *, depth: int = 2
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    (s,) = state
    for layer in range(depth):
        sums = w[f"weight_hh.{layer}"] @ s + w[f"bias.{layer}"]
        if layer == 0:
            sums = sums + w["weight_ih"] @ x
        u, v = np.split(sums, 2)
        s = sigmoid(v) * np.tanh(u) + (1 - sigmoid(v)) * s
    return s, (s,)


@register_cell("rhn", reference)
class RHN(Layer):
    """The recurrent highway network.

    Biases of the transform gates are first -2, as for Penn Treebank in the paper.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
        depth: Highway layers in each time step, L.
    """

    recurrent_weights: tuple[str, ...] = ("weight_hh.0",)
    shows_state = True

    def __init__(self, input_size: int, hidden_size: int, depth: int = 2) -> None:
        super().__init__()
        check_sizes(depth=depth)
        self.output_size, self.state_shapes = hidden_size, ((hidden_size,),)
        self.recurrent_weights = tuple(f"weight_hh.{layer}" for layer in range(depth))
        self.weight_ih = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.weight_hh = nn.ParameterList(torch.empty(2 * hidden_size, hidden_size) for _ in range(depth))
        self.bias = nn.ParameterList(torch.empty(2 * hidden_size) for _ in range(depth))
        for weight in self.parameters():
            nn.init.uniform_(weight, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))
        self.set_biases()

    @torch.no_grad()
    def set_biases(self) -> None:
        """See `Layer`: those of the transform gates."""
        for bias in self.bias:
            bias[self.output_size :] = TRANSFORM_BIAS

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: W x + b of the first highway layer."""
        return linear(x, self.weight_ih, self.bias[0])

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Layer`."""
        s = state[0]
        with torch.autocast(p_t.device.type, enabled=False):
            p = p_t.to(torch.promote_types(p_t.dtype, s.dtype))
            for layer, (weight, bias) in enumerate(zip(self.weight_hh, self.bias, strict=True)):
                u, v = (linear(s, weight, bias) if layer else p + linear(s, weight)).chunk(2, -1)
                s = torch.lerp(s, u.tanh(), v.sigmoid())
        return s.to(p_t.dtype), (s,)
