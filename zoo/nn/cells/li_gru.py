"""The light gated recurrent unit: a GRU with a rectifier and without a reset gate.

    z = sigmoid(N(W_z x_t) + U_z h_{t-1})
    n = max(0, N(W_n x_t) + U_n h_{t-1})
    h_t = z * h_{t-1} + (1 - z) * n

Ravanelli et al. 2018, "Light gated recurrent units for speech recognition". Departure from the paper: N is a layer
normalization (Ba et al. 2016), over the H numbers of each gate by itself, in place of a batch normalization. So a
step depends on nothing but its own input and state. N has a gain and a shift for each number, which takes the place
of a bias. As in the paper, U starts orthogonal, for each gate, and W uniform after Glorot and Bengio (2010).
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, register_cell
from zoo.reference import Array, sigmoid

EPSILON = 1e-5  # added to a variance


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    (h,) = state
    normalized = []
    for v in np.split(w["weight_ih"] @ x, 2):
        centered = v - v.mean()
        normalized.append(centered / np.sqrt((centered**2).mean() + EPSILON))
    z, n = np.split(w["gain"] * np.concatenate(normalized) + w["bias_ih"] + w["weight_hh"] @ h, 2)
    h = sigmoid(z) * h + (1 - sigmoid(z)) * np.maximum(0.0, n)
    return h, (h,)


@register_cell("li_gru", reference)
class LiGRU(UnitWise):
    """The light gated recurrent unit. With one unit, its input has no effect: there is nothing to normalize over.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    input_gates = product_gates = 2

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.gain = nn.Parameter(torch.ones(2 * hidden_size))
        assert self.weight_hh is not None
        with torch.no_grad():
            for weight_ih, weight_hh in zip(self.weight_ih.chunk(2), self.weight_hh.chunk(2), strict=True):
                nn.init.xavier_uniform_(weight_ih)
                nn.init.orthogonal_(weight_hh)
        nn.init.zeros_(self.bias_ih)

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: W x, normalized. The order of the gates is z, n."""
        found = linear(x, self.weight_ih)
        gates = found.unflatten(-1, (2, self.hidden_size))
        normalized = layer_norm(gates, (self.hidden_size,), eps=EPSILON).flatten(-2)
        return torch.addcmul(self.bias_ih, self.gain, normalized).to(found.dtype)

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`."""
        z, n = x.chunk(2, -1)
        n = n.relu()
        return (torch.addcmul(n, z.sigmoid(), state[0] - n),)
