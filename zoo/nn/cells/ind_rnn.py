"""The independently recurrent network: each unit reads its own past alone.

    h_t = relu(W x_t + u * h_{t-1} + b)

Li et al. 2018, "Independently recurrent neural network (IndRNN): building a longer and deeper RNN". As there, u is
uniform in [0, 1] at first; if the number of steps T is given, it is uniform in [0, 2^(1/T)], and |u| is kept at
2^(1/T) or below, so that no unit more than doubles over a sequence. The paper clips the weights after each training
step; here they are clipped where they are used, and the gradient passes as if they were not.
"""

import numpy as np
import torch
from torch import Tensor, nn

from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, register_cell
from zoo.reference import Array


def reference(
    w: dict[str, Array], x: Array, state: tuple[Array, ...], *, max_steps: int = 0
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    u = w["u"]
    if max_steps > 0:
        u = np.clip(u, -(2.0 ** (1 / max_steps)), 2.0 ** (1 / max_steps))
    h = np.maximum(0.0, w["weight_ih"] @ x + u * state[0] + w["bias_ih"])
    return h, (h,)


@register_cell("ind_rnn", reference)
class IndRNN(UnitWise):
    """A network whose units do not read each other. Stack several layers, so that they are combined.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
        max_steps: T, the steps over which a unit may at most double; 0: the recurrent weights are not bounded.
    """

    product_gates = 0

    def __init__(self, input_size: int, hidden_size: int, max_steps: int = 0) -> None:
        super().__init__(input_size, hidden_size)
        if max_steps < 0:
            raise ValueError(f"max_steps: got {max_steps}, expected at least 0")
        self.bound = 2.0 ** (1 / max_steps) if max_steps else None
        self.u = nn.Parameter(torch.empty(hidden_size))
        nn.init.uniform_(self.u, 0.0, self.bound or 1.0)

    def constants(self) -> tuple[Tensor, ...]:
        """See `UnitWise`: u, within its bound."""
        if self.bound is None:
            return (self.u,)
        excess = self.u - self.u.clamp(-self.bound, self.bound)
        return (self.u - excess.detach(),)

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`."""
        return (torch.addcmul(x, constants[0], state[0]).relu(),)
