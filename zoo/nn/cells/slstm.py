"""The scalar LSTM of xLSTM: an LSTM with an exponential input gate, and a normalizer.

    i, f, z, o = W x_t + b + R h_{t-1}           R is block-diagonal, with a block for each head
    m_t = max(log sigmoid(f) + m_{t-1}, i)       the stabilizer: it cancels in h_t; i for n_{t-1} = 0
    i' = exp(i - m_t)
    f' = exp(log sigmoid(f) + m_{t-1} - m_t)
    c_t = f' * c_{t-1} + i' * tanh(z)
    n_t = f' * n_{t-1} + i'
    h_t = sigmoid(o) * c_t / n_t

Beck et al. 2024, "xLSTM: extended long short-term memory". Of the two forget gates there, sigmoid and exponential,
this is the sigmoid. The paper's blocks (convolution, group normalization, up- and down-projection) are not part of the
cell. Where n_{t-1} is 0, no step was read, and m_{t-1} has no effect, as if it were minus infinity; so n_t is 1 or
above in any sequence. A negative n_{t-1}, which only a learned first state may have, is taken as 0.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from zoo.checks import check_sizes
from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State, register_cell
from zoo.reference import Array, sigmoid

FORGET_BIAS = (3.0, 6.0)  # of the first and the last unit


def reference(
    w: dict[str, Array], x: Array, state: tuple[Array, ...], *, heads: int = 1
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    h, c, n, m = state
    size = len(h) // heads
    blocks = np.zeros((4, len(h), len(h)))
    for gate in range(4):
        for head in range(heads):
            units = slice(head * size, (head + 1) * size)
            blocks[gate, units, units] = w["weight_hh"][head, gate * size : (gate + 1) * size]
    i, f, z, o = np.split(w["weight_ih"] @ x + w["bias_ih"] + blocks.reshape(-1, len(h)) @ h, 4)
    kept = -np.log1p(np.exp(-f)) + m
    m = np.where(n > 0, np.maximum(kept, i), i)
    c = np.exp(kept - m) * c + np.exp(i - m) * np.tanh(z)
    n = np.exp(kept - m) * np.maximum(n, 0.0) + np.exp(i - m)
    h = sigmoid(o) * c / n
    return h, (h, c, n, m)


@register_cell("slstm", reference)
class SLSTM(UnitWise):
    """The scalar LSTM with exponential gating. The state is (h, c, n, m).

    Biases of the forget gate are first between 3 and 6, evenly spaced over the units.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
        heads: Groups of units; a unit reads the outputs of its own group alone.
    """

    input_gates = product_gates = 4
    num_states = 4
    shows_state = False  # n and m are scales of c: holding back one of them would change the others

    weight_hh: Tensor  # (heads, 4 * H / heads, H / heads)

    def __init__(self, input_size: int, hidden_size: int, heads: int = 1) -> None:
        super().__init__(input_size, hidden_size)
        check_sizes(heads=heads)
        if hidden_size % heads:
            raise ValueError(f"heads: got {heads}, expected a divisor of the hidden_size, {hidden_size}")
        size = hidden_size // heads
        self.weight_hh = nn.Parameter(torch.empty(heads, 4 * size, size))
        nn.init.uniform_(self.weight_hh, -1 / math.sqrt(size), 1 / math.sqrt(size))
        self.set_biases()

    @torch.no_grad()
    def set_biases(self) -> None:
        """See `Layer`: those of the forget gates."""
        size = self.hidden_size
        # On the CPU: on the meta device, where models are built to be loaded, this imports half a second of packages.
        self.bias_ih[size : 2 * size] = torch.linspace(*FORGET_BIAS, size, device="cpu")

    def product_weight(self) -> Tensor:
        """See `UnitWise`."""
        return self.weight_hh[0] if len(self.weight_hh) == 1 else self.weight_hh

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`. The order of the gates is i, f, z, o."""
        _, c, n, m = state
        i, f, z, o = x.chunk(4, -1)
        kept = logsigmoid(f) + m
        m = torch.where(n > 0, torch.maximum(kept, i), i)
        write = (i - m).exp()
        keep = (kept - m).clamp(max=math.log(torch.finfo(m.dtype).max) / 2).exp()  # above 1 for n = 0 only
        c = torch.addcmul(write * z.tanh(), keep, c)
        n = torch.addcmul(write, keep, torch.maximum(n, n.new_zeros(())))
        return o.sigmoid() * c / n, c, n, m
