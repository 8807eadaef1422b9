"""The coupled oscillatory network: units swing as driven, damped oscillators.

    z_t = z_{t-1} + dt * (tanh(W x_t + b + U_y y_{t-1} + U_z z_{t-1}) - gamma * y_{t-1} - epsilon * z_{t-1})
    y_t = y_{t-1} + dt * z_t

Rusch and Mishra 2021, "Coupled oscillatory recurrent neural network (coRNN): An accurate and (gradient) stable
architecture for learning long time dependencies". y is where a unit is, and the output; z is its velocity. Of the
paper's two forms, this is the one with explicit damping, where epsilon multiplies the old z. As in the paper, all
weights start uniform in +-1/sqrt(n), where n is the number of inputs of the map: here D + 2H.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from zoo.checks import check_positive
from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, register_cell
from zoo.reference import Array


def reference(
    w: dict[str, Array],
    x: Array,
    state: tuple[Array, ...],
    *,
    dt: float = 0.042,
    gamma: float = 2.7,
    epsilon: float = 4.7,
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    y, z = state
    u_y, u_z = np.split(w["weight_hh"], 2, axis=1)
    force = np.tanh(w["weight_ih"] @ x + w["bias_ih"] + u_y @ y + u_z @ z)
    z = z + dt * (force - gamma * y - epsilon * z)
    y = y + dt * z
    return y, (y, z)


@register_cell("co_rnn", reference)
class CoRNN(UnitWise):
    """The coupled oscillatory network. The state is (y, z).

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
        dt: The time of a step. This default and the next ones are the paper's for sequential MNIST.
        gamma: How strongly a unit is drawn to 0: the square of its frequency.
        epsilon: How strongly a unit is damped.
    """

    num_states = 2
    reads = (0, 1)

    def __init__(
        self, input_size: int, hidden_size: int, dt: float = 0.042, gamma: float = 2.7, epsilon: float = 4.7
    ) -> None:
        check_positive(dt=dt, gamma=gamma, epsilon=epsilon)
        super().__init__(input_size, hidden_size)
        self.dt, self.gamma, self.epsilon = dt, gamma, epsilon
        bound = 1 / math.sqrt(input_size + 2 * hidden_size)
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`."""
        y, z = state
        z = torch.add((1 - self.dt * self.epsilon) * z, x.tanh() - self.gamma * y, alpha=self.dt)
        return torch.add(y, z, alpha=self.dt), z
