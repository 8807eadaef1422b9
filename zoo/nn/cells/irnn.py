"""The simple network with a rectifier that starts as the identity.

    h_t = max(0, W x_t + b + U h_{t-1})

Le, Jaitly and Hinton 2015, "A simple way to initialize recurrent networks of rectified linear units": U starts as the
identity, b as 0, and W from a normal distribution of standard deviation 0.001. `rnn_relu` is the same network with
the weights of `torch.nn`.
"""

import numpy as np
from torch import Tensor, nn

from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, draw_normal, register_cell
from zoo.reference import Array


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    h = np.maximum(0.0, w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ state[0])
    return h, (h,)


@register_cell("irnn", reference)
class IRNN(UnitWise):
    """The simple network with a rectifier whose recurrent weights start as the identity.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        assert self.weight_hh is not None
        draw_normal(self.weight_ih, 0.001)
        nn.init.eye_(self.weight_hh)
        nn.init.zeros_(self.bias_ih)

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`."""
        return (x.relu(),)
