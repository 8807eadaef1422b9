"""The hierarchically gated recurrent network: a complex diagonal recurrence whose forget gate has a lower bound.

    Re c_t, Im c_t = SiLU(W_c x_t + b_c)
    mu_t = sigmoid(W_mu x_t + b_mu)
    g_t = sigmoid(W_g x_t + b_g)
    lambda_t = gamma + (1 - gamma) * mu_t
    h_t = lambda_t * exp(i theta) * h_{t-1} + (1 - lambda_t) * c_t          complex
    y_t = W_o LayerNorm(g_t * [Re h_t, Im h_t]) + b_o

Qin, Yang and Zhong 2023, "Hierarchically gated recurrent neural network for sequence modeling". In the paper, the
bounds gamma rise from layer to layer by a cumulative softmax over all layers. A layer here knows of no other: each
learns a bound of its own per unit, which is the sigmoid of `bound`. The normalization has no weights: the map
after it has.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, silu

from zoo.nn.engines.diagonal import DiagonalLayer, parts, polar
from zoo.nn.layer import register_cell
from zoo.reference import Array, sigmoid

EPS = 1e-5


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    real, imaginary, mu, g_real, g_imaginary = np.split(w["linear.weight"] @ x + w["linear.bias"], 5)
    candidate = real * sigmoid(real) + 1j * imaginary * sigmoid(imaginary)
    gamma = sigmoid(w["bound"])
    decay = gamma + (1 - gamma) * sigmoid(mu)
    h = decay * np.exp(1j * w["theta"]) * (state[0][:, 0] + 1j * state[0][:, 1]) + (1 - decay) * candidate
    gated = np.concatenate([sigmoid(g_real) * h.real, sigmoid(g_imaginary) * h.imag])
    normal = (gated - gated.mean()) / np.sqrt(gated.var() + 1e-5)
    return w["out.weight"] @ normal + w["out.bias"], (np.stack([h.real, h.imag], axis=-1),)


@register_cell("hgrn", reference)
class HGRN(DiagonalLayer):
    """The hierarchically gated recurrent network. The state is complex.

    At first, the bounds of the units are spread over (0, 1), and the phases are those of rotary embeddings: units with
    a long memory turn slowly.

    Args:
        input_size: Features of each input, D.
        hidden_size: Outputs and complex states, H.
    """

    is_complex = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.output_size, self.state_shapes = hidden_size, ((hidden_size, 2),)
        self.linear = nn.Linear(input_size, 5 * hidden_size)
        self.out = nn.Linear(2 * hidden_size, hidden_size)
        unit = torch.arange(hidden_size, dtype=torch.get_default_dtype())
        self.bound = nn.Parameter(((unit + 1) / (hidden_size + 1)).logit())
        self.theta = nn.Parameter(10000 ** (-unit / hidden_size))

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: both parts of c, mu, and both parts of g, before their functions."""
        return self.linear(x)

    def gates(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """See `DiagonalLayer`."""
        real, imaginary, mu, _, _ = p.chunk(5, -1)
        bound, theta = self.bound.to(p.dtype), self.theta.to(p.dtype)
        rest = (-bound).sigmoid() * (-mu).sigmoid()  # 1 - lambda
        term = rest[..., None] * silu(torch.stack([real, imaginary], dim=-1))
        return polar(1 - rest, theta), term

    def show(self, p: Tensor, h: Tensor) -> Tensor:
        """See `DiagonalLayer`."""
        gated = p[..., 3 * self.output_size :].sigmoid() * parts(h)
        normal = layer_norm(gated, gated.shape[-1:], eps=EPS)
        return linear(normal, self.out.weight.to(p.dtype), self.out.bias.to(p.dtype))
