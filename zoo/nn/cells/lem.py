"""Long expressive memory: two states with learned time steps, from the equations of a system with many time scales.

    a = dt * sigmoid(W_a x_t + b_a + U_a y_{t-1})
    b = dt * sigmoid(W_b x_t + b_b + U_b y_{t-1})
    z_t = (1 - a) * z_{t-1} + a * tanh(W_z x_t + b_z + U_z y_{t-1})
    y_t = (1 - b) * y_{t-1} + b * tanh(W_y x_t + b_y + V z_t)

Rusch, Mishra, Erichson and Mahoney 2022, "Long expressive memory for sequence modeling".
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from zoo.checks import check_positive
from zoo.nn.layer import Layer, State, register_cell
from zoo.reference import Array, sigmoid


def reference(
    w: dict[str, Array], x: Array, state: tuple[Array, ...], *, dt: float = 1.0
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    y, z = state
    from_x = np.split(w["weight_ih"] @ x + w["bias_ih"], 4)
    from_y = np.split(w["weight_hh"] @ y, 3)
    a = dt * sigmoid(from_x[0] + from_y[0])
    b = dt * sigmoid(from_x[1] + from_y[1])
    z = (1 - a) * z + a * np.tanh(from_x[2] + from_y[2])
    y = (1 - b) * y + b * np.tanh(from_x[3] + w["weight_zh"] @ z)
    return y, (y, z)


@register_cell("lem", reference)
class LEM(Layer):
    """Long expressive memory. The state is (y, z), the output y.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
        dt: The longest time step. The paper tunes it for each task; 1 is its starting point.
    """

    recurrent_weights = ("weight_hh", "weight_zh")
    shows_state = True

    def __init__(self, input_size: int, hidden_size: int, dt: float = 1.0) -> None:
        super().__init__()
        check_positive(dt=dt)
        self.dt = dt
        self.output_size, self.state_shapes = hidden_size, ((hidden_size,), (hidden_size,))
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.weight_zh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(4 * hidden_size))
        for weight in self.parameters():
            nn.init.uniform_(weight, -1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: W x + b of both time steps, z and y."""
        return linear(x, self.weight_ih, self.bias_ih)

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Layer`."""
        y, z = state
        hidden = y.shape[-1]
        with torch.autocast(p_t.device.type, enabled=False):
            p = p_t.to(torch.promote_types(p_t.dtype, y.dtype))
            sums = p[:, : 3 * hidden] + linear(y, self.weight_hh)
            a, b = (self.dt * sums[:, : 2 * hidden].sigmoid()).chunk(2, -1)
            z = torch.lerp(z, sums[:, 2 * hidden :].tanh(), a)
            y = torch.lerp(y, (p[:, 3 * hidden :] + linear(z, self.weight_zh)).tanh(), b)
        return y.to(p_t.dtype), (y, z)
