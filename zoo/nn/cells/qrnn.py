"""The quasi-recurrent network: convolutions over time, and a pooling that is the only recurrence.

    z_t = tanh(W_z x_t + V_z x_{t-1} + b_z)
    f_t = sigmoid(W_f x_t + V_f x_{t-1} + b_f)
    o_t = sigmoid(W_o x_t + V_o x_{t-1} + b_o)
    c_t = f_t * c_{t-1} + (1 - f_t) * z_t
    h_t = o_t * c_t

Bradbury et al. 2017, "Quasi-recurrent neural networks", with a window of 2 and fo-pooling. The state is c, and what the
last input adds to the next gates, V x.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from zoo.nn.engines.diagonal import diagonal
from zoo.nn.layer import Layer, State, real_steps, register_cell
from zoo.reference import Array, sigmoid


def reference(w: dict[str, Array], x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    c, earlier = state
    now, later = np.split(w["weight"], 2)
    z, f, o = np.split(now @ x + earlier + w["bias"], 3)
    c = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(z)
    return sigmoid(o) * c, (c, later @ x)


@register_cell("qrnn", reference)
class QRNN(Layer):
    """The quasi-recurrent network: its gates look at the last two inputs. The state is (c, V x).

    Args:
        input_size: Features of each input, D.
        hidden_size: Units, H.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.output_size, self.state_shapes = hidden_size, ((hidden_size,), (3 * hidden_size,))
        self.weight = nn.Parameter(torch.empty(6 * hidden_size, input_size))  # W, then V
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        for weight in self.parameters():  # as PyTorch's convolutions
            nn.init.uniform_(weight, -1 / math.sqrt(2 * input_size), 1 / math.sqrt(2 * input_size))

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: W x + b, and V x for the next step."""
        return linear(x, self.weight, nn.functional.pad(self.bias, (0, len(self.bias))))

    def forward(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """See `Layer`."""
        p = self.project(x)
        with torch.autocast(x.device.type, enabled=False):
            now, later = _wide(p).chunk(2, -1)
            earlier = torch.cat([state[1].to(later.dtype)[:, None], later], dim=1)  # before each step, and at the end
            a, b, o = _gates(now + earlier[:, :-1])
            real = None if lengths is None else real_steps(lengths, x)[:, :, None]
            if real is not None:  # the state stays as it is
                a, b = torch.where(real, a, 1.0), torch.where(real, b, 0.0)
            c = diagonal(a.contiguous(), b, state[0].to(b.dtype))
            y = o * c
        y = y if real is None else y.masked_fill(~real, 0.0)
        last = earlier[:, -1]
        if lengths is not None:
            last = earlier[torch.arange(len(x), device=x.device), lengths.to(x.device)]
        return y.to(p.dtype), (c[:, -1].to(state[0].dtype), last.to(state[1].dtype))

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Layer`."""
        with torch.autocast(p_t.device.type, enabled=False):
            now, later = _wide(p_t).chunk(2, -1)
            a, b, o = _gates(now + state[1].to(now.dtype))
            c = torch.addcmul(b, a, state[0].to(b.dtype))
            y = o * c
        return y.to(p_t.dtype), (c.to(state[0].dtype), later.to(state[1].dtype))


def _wide(p: Tensor) -> Tensor:
    return p.to(torch.promote_types(p.dtype, torch.float32))


def _gates(p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the factors and terms of c, and the output gate."""
    z, f, o = p.chunk(3, -1)
    return f.sigmoid(), (-f).sigmoid() * z.tanh(), o.sigmoid()
