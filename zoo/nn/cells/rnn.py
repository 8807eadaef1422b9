"""Elman's simple network.

    h_t = tanh(W x_t + b + U h_{t-1} + c)

Elman 1990, "Finding structure in time".
"""

from zoo.nn.fused import FusedRNN, TorchCell, classic
from zoo.nn.layer import register_cell
from zoo.reference import rnn_step


@register_cell("rnn", classic(rnn_step))
class RNN(TorchCell):
    """The simple network with tanh."""

    kind = FusedRNN
    gates = staticmethod(lambda x, r, _: (x.tanh(),))
