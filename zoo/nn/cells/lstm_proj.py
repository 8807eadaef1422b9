"""Long short-term memory with a projection: the recurrent product reads fewer numbers than there are cells.

    i, f, g, o = W x_t + b + U h_{t-1} + c
    c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
    h_t = R (sigmoid(o) * tanh(c_t))

Sak, Senior and Beaufays 2014, "Long short-term memory recurrent neural network architectures for large scale acoustic
modeling". As in `torch.nn.LSTM`, which runs it, there are no peephole connections and no non-recurrent projection.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.nn.cells.lstm import lstm_gates
from zoo.nn.layer import Layer, State, register_cell
from zoo.reference import Array, sigmoid


def reference(
    w: dict[str, Array], x: Array, state: tuple[Array, ...], *, projection: int = 0
) -> tuple[Array, tuple[Array, ...]]:
    """One step in NumPy."""
    h, c = state
    sums = w["rnn.weight_ih_l0"] @ x + w["rnn.bias_ih_l0"] + w["rnn.weight_hh_l0"] @ h + w["rnn.bias_hh_l0"]
    i, f, g, o = np.split(sums, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = w["rnn.weight_hr_l0"] @ (sigmoid(o) * np.tanh(c))
    return h, (h, c)


@register_cell("lstm_proj", reference)
class LSTMProj(Layer):
    """Long short-term memory with a projection. The state is (h, c), of different widths.

    Args:
        input_size: Features of each input, D.
        hidden_size: Cells, H.
        projection: Numbers of the output, fewer than H; 0: half of H.
    """

    recurrent_weights = ("rnn.weight_hh_l0",)
    shows_state = True

    def __init__(self, input_size: int, hidden_size: int, projection: int = 0) -> None:
        super().__init__()
        if hidden_size < 2:
            raise ValueError(f"hidden_size: got {hidden_size}, expected at least 2, more than the projection")
        if not 0 <= projection < hidden_size:
            raise ValueError(
                f"projection: got {projection}, expected from 0 to less than the hidden_size, {hidden_size}"
            )
        self.output_size = projection or hidden_size // 2
        self.state_shapes = ((self.output_size,), (hidden_size,))
        self.rnn = nn.LSTM(input_size, hidden_size, batch_first=True, proj_size=self.output_size)

    @torch.no_grad()
    def set_biases(self) -> None:
        """See `Layer`."""
        size = self.rnn.hidden_size
        self.rnn.all_weights[0][2][size : 2 * size] = 1.0

    def forward(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """See `Layer`."""
        inputs: Any = x
        if lengths is not None:
            inputs = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        h, c = (one[None].contiguous() for one in state)
        with without_onednn(x):
            y, last = self.rnn(inputs, (h, c))
        if lengths is not None:
            y, _ = pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
        return y, tuple(new[0].to(old.dtype) for new, old in zip(last, state, strict=True))

    def project(self, x: Tensor) -> Tensor:
        """See `Layer`: W x and both biases."""
        weight, _, bias, recurrent_bias, _ = self.rnn.all_weights[0]
        return linear(x, weight, bias + recurrent_bias)

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Layer`."""
        h, _ = state
        _, weight, _, _, projection = self.rnn.all_weights[0]
        with torch.autocast(p_t.device.type, enabled=False):
            gates = p_t.to(torch.promote_types(p_t.dtype, h.dtype)) + linear(h, weight)
            shown, c = lstm_gates(gates, gates[:, :0], state)
            h = linear(shown, projection)
        return h.to(p_t.dtype), (h, c)


@contextmanager
def without_onednn(x: Tensor) -> Iterator[None]:
    """Turns oneDNN off on a CPU: it has no projection, and PyTorch warns of that."""
    if x.device.type != "cpu" or not torch.backends.mkldnn.enabled:
        yield
        return
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]  # flags() would reset the precision, too
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = True  # type: ignore[assignment]
