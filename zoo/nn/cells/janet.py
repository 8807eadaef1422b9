"""Just another network: an LSTM with nothing but its forget gate.

    s = W_f x_t + b_f + U_f h_{t-1}
    n = tanh(W_n x_t + b_n + U_n h_{t-1})
    h_t = sigmoid(s) * h_{t-1} + (1 - sigmoid(s - beta)) * n

Van der Westhuizen and Lasenby 2018, "The unreasonable effectiveness of the forget gate". The chrono initialization of
b_f, log(u) with u uniform in [1, max_steps - 1]: Tallec and Ollivier 2018, "Can recurrent neural networks warp
time?". Without it, b_f starts at 1 (Jozefowicz et al. 2015); b_n at 0. Weights start as in `torch.nn`, uniform in
+-1/sqrt(H).
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, register_cell
from zoo.reference import Array, sigmoid


def reference(
    w: dict[str, Array], x: Array, state: tuple[Array, ...], *, beta: float = 1.0, max_steps: int = 0
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy. `max_steps` acts on the first weights alone."""
    (h,) = state
    s, n = np.split(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h, 2)
    h = sigmoid(s) * h + (1 - sigmoid(s - beta)) * np.tanh(n)
    return h, (h,)


@register_cell("janet", reference)
class JANET(UnitWise):
    """An LSTM with nothing but its forget gate.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
        beta: How much more is put in than forgotten. The paper's is 1; at 0, both add up to 1.
        max_steps: The longest dependency, in steps, that the first weights are made for (chrono initialization): 2 or
            more; the paper takes the length of the sequences. 0: there is none.
    """

    input_gates = product_gates = 2

    def __init__(self, input_size: int, hidden_size: int, beta: float = 1.0, max_steps: int = 0) -> None:
        if not math.isfinite(beta):
            raise ValueError(f"beta: got {beta}, expected a finite number")
        if max_steps < 0 or max_steps == 1:
            raise ValueError(f"max_steps: got {max_steps}, expected 0 or at least 2")
        super().__init__(input_size, hidden_size)
        self.beta, self.max_steps = beta, max_steps
        self.set_biases()

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`. The order of the gates is s, n."""
        s, n = x.chunk(2, -1)
        put_in = (self.beta - s).sigmoid() * n.tanh()  # 1 - sigmoid(s - beta) = sigmoid(beta - s)
        return (torch.addcmul(put_in, s.sigmoid(), state[0]),)

    @torch.no_grad()
    def set_biases(self) -> None:
        """See `Layer`."""
        nn.init.zeros_(self.bias_ih)
        forget = self.bias_ih[: self.hidden_size]
        if self.max_steps:
            nn.init.uniform_(forget, 1.0, self.max_steps - 1.0).log_()
        else:
            nn.init.ones_(forget)
