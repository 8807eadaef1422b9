"""The simple network with a rectifier.

    h_t = max(0, W x_t + b + U h_{t-1} + c)

With the weights of `torch.nn`. `irnn` is the same network with those of Le, Jaitly and Hinton (2015).
"""

from zoo.nn.fused import FusedRNN, TorchCell, classic
from zoo.nn.layer import register_cell
from zoo.reference import rnn_relu_step


@register_cell("rnn_relu", classic(rnn_relu_step))
class ReluRNN(TorchCell):
    """The simple network with a rectifier."""

    kind = FusedRNN
    kind_args = {"nonlinearity": "relu"}
    gates = staticmethod(lambda x, r, _: (x.relu(),))
