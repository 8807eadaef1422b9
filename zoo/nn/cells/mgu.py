"""The minimal gated unit: one gate, which both resets and updates.

    f = sigmoid(W_f x_t + b_f + U_f h_{t-1})
    n = tanh(W_n x_t + b_n + f * (U_n h_{t-1}))
    h_t = (1 - f) * h_{t-1} + f * n

Zhou et al. 2016, "Minimal gated unit for recurrent neural networks". Departure from the paper: the gate acts on the
product U_n h, as in cuDNN's GRU, not on h before it, so that there is one product per step. The weights start as in
`torch.nn`, uniform in +-1/sqrt(H).
"""

import numpy as np
import torch
from torch import Tensor

from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, register_cell
from zoo.reference import Array, sigmoid


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    (h,) = state
    x_f, x_n = np.split(w["weight_ih"] @ x + w["bias_ih"], 2)
    u_f, u_n = np.split(w["weight_hh"] @ h, 2)
    f = sigmoid(x_f + u_f)
    h = (1 - f) * h + f * np.tanh(x_n + f * u_n)
    return h, (h,)


@register_cell("mgu", reference)
class MGU(UnitWise):
    """The minimal gated unit.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    input_gates = product_gates = 2
    sums_gates = False

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`. The order of the gates is f, n."""
        (x_f, x_n), (r_f, r_n) = x.chunk(2, -1), r.chunk(2, -1)
        f = (x_f + r_f).sigmoid()
        n = torch.addcmul(x_n, f, r_n).tanh()
        return (torch.addcmul(state[0], f, n - state[0]),)
