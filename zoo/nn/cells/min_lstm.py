"""The LSTM without recurrent matrices, which can be trained in parallel.

    f_t = sigmoid(W_f x_t + b_f)
    i_t = sigmoid(W_i x_t + b_i)
    h~_t = g(W_h x_t + b_h)            g(v) = v + 0.5 for v >= 0, else sigmoid(v)
    f'_t, i'_t = f_t / (f_t + i_t), i_t / (f_t + i_t)
    h_t = f'_t * h_{t-1} + i'_t * h~_t

Feng et al. 2024, "Were RNNs all we needed?", with the g of its log-space version, so that states are positive. There is
no logarithm of states here, because the recurrence is computed as it stands.
"""

import numpy as np
from torch import Tensor, nn
from torch.nn.functional import softplus

from zoo.nn.cells.min_gru import positive
from zoo.nn.engines.diagonal import DiagonalLayer
from zoo.nn.layer import register_cell
from zoo.reference import Array, sigmoid


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    f, i, v = np.split(w["linear.weight"] @ x + w["linear.bias"], 3)
    f, i, candidate = sigmoid(f), sigmoid(i), np.where(v >= 0, v + 0.5, sigmoid(v))
    h = f / (f + i) * state[0] + i / (f + i) * candidate
    return h, (h,)


@register_cell("min_lstm", reference)
class MinLSTM(DiagonalLayer):
    """An LSTM whose gates do not look at the state, and add up to 1.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    shows_state = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.output_size, self.state_shapes = hidden_size, ((hidden_size,),)
        self.linear = nn.Linear(input_size, 3 * hidden_size)

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: both gates and the candidate, before their functions."""
        return self.linear(x)

    def gates(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """See `DiagonalLayer`."""
        f, i, candidate = p.chunk(3, -1)
        odds = softplus(-i) - softplus(-f)  # log(f / i) of the gates: no division of two small numbers
        return odds.sigmoid(), (-odds).sigmoid() * positive(candidate)
