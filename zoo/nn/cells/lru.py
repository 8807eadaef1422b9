"""The linear recurrent unit: a complex diagonal recurrence without gates.

    lambda = exp(-exp(nu) + i exp(theta))
    h_t = lambda * h_{t-1} + exp(gamma) * (B x_t)          complex
    y_t = Re(C h_t) + D x_t

Orvieto et al. 2023, "Resurrecting recurrent neural networks for long sequences". nu, theta and gamma are learned;
exp(gamma) starts at sqrt(1 - |lambda|^2). D is a vector, as in the paper, or a matrix if inputs and outputs differ in
width. There are as many states as outputs.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from zoo.checks import check_positive, check_ratios
from zoo.nn.engines.diagonal import DiagonalLayer, parts, polar
from zoo.nn.layer import draw_normal, register_cell
from zoo.reference import Array


def reference(
    w: dict[str, Array],
    x: Array,
    state: tuple[Array, ...],
    *,
    r_min: float = 0.0,
    r_max: float = 1.0,
    max_phase: float = 6.28,
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy. The options matter to the first weights only."""
    real, imaginary = np.split(w["weight_in"], 2)
    factor = np.exp(-np.exp(w["nu"]) + 1j * np.exp(w["theta"]))
    h = state[0][:, 0] + 1j * state[0][:, 1]
    h = factor * h + np.exp(w["gamma"]) * ((real + 1j * imaginary) @ x)
    real, negative = np.split(w["weight_out"], 2, axis=1)
    y = ((real - 1j * negative) @ h).real
    y = y + (w["skip"] * x if "skip" in w else w["weight_skip"] @ x)
    return y, (np.stack([h.real, h.imag], axis=-1),)


@register_cell("lru", reference)
class LRU(DiagonalLayer):
    """The linear recurrent unit. The state is complex.

    Args:
        input_size: Features of each input, D.
        hidden_size: Outputs and complex states, H.
        r_min: The least absolute value of the factors at first. Defaults are those of the paper's appendix.
        r_max: The greatest one. Near 1, the memory is long.
        max_phase: The greatest angle of the factors at first, in radians.

    Raises:
        ValueError: If a radius is outside [0, 1], `r_max` is not above `r_min`, or `max_phase` is not above 0.
    """

    is_complex = True

    def __init__(
        self, input_size: int, hidden_size: int, r_min: float = 0.0, r_max: float = 1.0, max_phase: float = 6.28
    ) -> None:
        super().__init__()
        check_ratios(r_min=r_min, r_max=r_max)
        check_positive(max_phase=max_phase)
        if r_max <= r_min:
            raise ValueError(f"r_max: got {r_max}, expected above r_min, {r_min}")
        self.output_size, self.state_shapes = hidden_size, ((hidden_size, 2),)
        area = torch.rand(hidden_size).clamp(1e-4, 1 - 1e-4)  # neither 0 nor 1, whose logarithms do not do
        log_square = (r_min**2 + area * (r_max**2 - r_min**2)).log()  # of |lambda|, uniform on the ring
        self.nu = nn.Parameter((-0.5 * log_square).log())
        self.theta = nn.Parameter((max_phase * torch.rand(hidden_size).clamp_min(1e-4)).log())
        self.gamma = nn.Parameter(0.5 * (-torch.expm1(log_square)).log())
        self.weight_in = nn.Parameter(torch.empty(2 * hidden_size, input_size))  # Re B, then Im B
        self.weight_out = nn.Parameter(torch.empty(hidden_size, 2 * hidden_size))  # Re C, then -Im C
        draw_normal(self.weight_in, 1 / math.sqrt(2 * input_size))
        draw_normal(self.weight_out, 1 / math.sqrt(hidden_size))
        self.skip = self.weight_skip = None
        if input_size == hidden_size:
            self.skip = nn.Parameter(torch.randn(hidden_size))
        else:
            self.weight_skip = nn.Parameter(torch.randn(hidden_size, input_size) / math.sqrt(input_size))

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: B x, and D x."""
        p = linear(x, self.weight_in)
        around = linear(x, self.weight_skip) if self.skip is None else self.skip * x  # type: ignore[arg-type]
        return torch.cat([p, around.to(p.dtype)], dim=-1)

    def gates(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """See `DiagonalLayer`."""
        nu, theta, gamma = self.nu.to(p.dtype), self.theta.to(p.dtype), self.gamma.to(p.dtype)
        real, imaginary, _ = p.chunk(3, -1)
        factor = polar((-nu.exp()).exp(), theta.exp())
        term = gamma.exp()[:, None] * torch.stack([real, imaginary], dim=-1)
        return factor.expand_as(term), term

    def show(self, p: Tensor, h: Tensor) -> Tensor:
        """See `DiagonalLayer`."""
        around = p[..., 2 * self.output_size :]
        return linear(parts(h), self.weight_out.to(p.dtype)) + around
