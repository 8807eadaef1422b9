"""The antisymmetric network: small steps along a stable differential equation.

    A = U - U^T - gamma I
    z = sigmoid(W_z x_t + b_z + A h_{t-1})      1, if it is not gated
    h_t = h_{t-1} + epsilon * z * tanh(W_n x_t + b_n + A h_{t-1})

Chang et al. 2019, "AntisymmetricRNN: A dynamical system view on recurrent neural networks". The eigenvalues of U -
U^T are imaginary, so that states neither grow nor fade; gamma makes up for the error of finite steps. At the start, W
and U are normal with variances 1/D and 1/H, and b is 0. The paper tunes the variance of U, epsilon and gamma.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from zoo.checks import check_positive
from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, draw_normal, register_cell
from zoo.reference import Array, sigmoid


def reference(
    w: dict[str, Array],
    x: Array,
    state: tuple[Array, ...],
    *,
    epsilon: float = 0.01,
    gamma: float = 0.01,
    gated: bool = True,
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    (h,) = state
    matrix = w["weight_hh"] - w["weight_hh"].T - gamma * np.eye(len(h))
    from_x, from_h = w["weight_ih"] @ x + w["bias_ih"], matrix @ h
    if gated:
        z, n = np.split(from_x, 2)
        h = h + epsilon * sigmoid(z + from_h) * np.tanh(n + from_h)
    else:
        h = h + epsilon * np.tanh(from_x + from_h)
    return h, (h,)


@register_cell("antisymmetric_rnn", reference)
class AntisymmetricRNN(UnitWise):
    """The antisymmetric network.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
        epsilon: The size of a step. The paper tunes it; 0.01 is typical there.
        gamma: How fast states fade, 0 or more. The paper tunes it; 0.01 is typical there.
        gated: Whether there is a gate, which sees the same product as the candidate.
    """

    def __init__(
        self, input_size: int, hidden_size: int, epsilon: float = 0.01, gamma: float = 0.01, gated: bool = True
    ) -> None:
        check_positive(epsilon=epsilon)
        if not 0.0 <= gamma < math.inf:
            raise ValueError(f"gamma: got {gamma}, expected at least 0")
        self.input_gates, self.sums_gates = (2, False) if gated else (1, True)
        super().__init__(input_size, hidden_size)
        self.epsilon, self.gamma, self.gated = epsilon, gamma, gated
        assert self.weight_hh is not None
        draw_normal(self.weight_ih, 1 / math.sqrt(input_size))
        draw_normal(self.weight_hh, 1 / math.sqrt(hidden_size))
        nn.init.zeros_(self.bias_ih)

    def product_weight(self) -> Tensor:
        """See `UnitWise`: U - U^T - gamma I."""
        weight = self.weight_hh
        assert weight is not None
        return weight - weight.t() - self.gamma * torch.eye(len(weight), dtype=weight.dtype, device=weight.device)

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`. The order of the gates is z, n."""
        if not self.gated:
            return (state[0] + self.epsilon * x.tanh(),)
        z, n = x.chunk(2, -1)
        return (torch.addcmul(state[0], (z + r).sigmoid(), (n + r).tanh(), value=self.epsilon),)
