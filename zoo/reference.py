"""The textbook recurrences, one time step at a time, in NumPy and float64.

This file is meant to be read. It is also the oracle of the tests: the fused stack of
`zoo.nn.recurrent`, given the same weights, must agree with it.

Legend: T time steps, D input features, H hidden units. One sequence at a time, no batch.

A recurrent network reads a sequence x_1 ... x_T and keeps a *state*: what it remembers so far. At
each step it computes a new state from the current input and the previous state, always with the
same weights:

    W (G*H, D)   from the input,            G = number of gates: RNN 1, GRU 3, LSTM 4
    U (G*H, H)   from the previous state
    b, c (G*H,)  two biases, one on each product, as in cuDNN and PyTorch. Keras has one, because
                 for RNN and LSTM only the sum matters. In the GRU it matters where the second one
                 stands: see `gru_step`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Weights(NamedTuple):
    """The weights of one layer in one direction."""

    W: Array  # (G*H, D)
    U: Array  # (G*H, H)
    b: Array  # (G*H,)
    c: Array  # (G*H,)


def sigmoid(z: Array) -> Array:
    """The logistic function, 1 / (1 + exp(-z)): a gate between 0 (closed) and 1 (open)."""
    return 0.5 * (1.0 + np.tanh(0.5 * z))  # the same function, without overflow


def rnn_step(x: Array, state: tuple[Array, ...], w: Weights) -> tuple[Array, ...]:
    """Elman's simple recurrent network (Elman 1990, "Finding structure in time").

    h_t = tanh(W x_t + b + U h_{t-1} + c)
    """
    (h,) = state
    return (np.tanh(w.W @ x + w.b + w.U @ h + w.c),)


def rnn_relu_step(x: Array, state: tuple[Array, ...], w: Weights) -> tuple[Array, ...]:
    """The simple network with max(0, z) in place of tanh (Le, Jaitly and Hinton 2015)."""
    (h,) = state
    return (np.maximum(0.0, w.W @ x + w.b + w.U @ h + w.c),)


def lstm_step(x: Array, state: tuple[Array, ...], w: Weights) -> tuple[Array, ...]:
    """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

    The cell c_t is a conveyor belt: the forget gate decides what stays on it, the input gate what
    is put onto it, the output gate what is shown of it. The gradient runs back along the belt
    through one product with f_t a step, rather than through U.

        i_t = sigmoid(...)    input gate
        f_t = sigmoid(...)    forget gate
        g_t = tanh(...)       candidate
        o_t = sigmoid(...)    output gate
        c_t = f_t * c_{t-1} + i_t * g_t
        h_t = o_t * tanh(c_t)

    The rows of W, U, b and c hold the gates in the order i, f, g, o.
    """
    h, c = state
    i, f, g, o = np.split(w.W @ x + w.b + w.U @ h + w.c, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, c


def gru_step(x: Array, state: tuple[Array, ...], w: Weights) -> tuple[Array, ...]:
    """The gated recurrent unit (Cho et al. 2014), in the form of cuDNN, PyTorch and Keras.

        r_t = sigmoid(...)                                      reset gate
        z_t = sigmoid(...)                                      update gate
        n_t = tanh(W_n x_t + b_n + r_t * (U_n h_{t-1} + c_n))   candidate
        h_t = (1 - z_t) * n_t + z_t * h_{t-1}

    We depart from the paper as those libraries do: the reset gate acts on the product U_n h, not on
    h before it. So the two biases b_n and c_n can't be merged, and Keras too has two in its GRU.
    The rows hold the gates in the order r, z, n.
    """
    (h,) = state
    from_x, from_h = w.W @ x + w.b, w.U @ h + w.c
    r, z = (sigmoid(a + b) for a, b in zip(np.split(from_x, 3)[:2], np.split(from_h, 3)[:2], strict=True))
    n = np.tanh(np.split(from_x, 3)[2] + r * np.split(from_h, 3)[2])
    return ((1.0 - z) * n + z * h,)


STEPS = {"rnn": rnn_step, "rnn_relu": rnn_relu_step, "lstm": lstm_step, "gru": gru_step}


def run_layer(cell: str, xs: Array, state: tuple[Array, ...], w: Weights) -> tuple[Array, tuple[Array, ...]]:
    """One layer, in one direction, over a whole sequence.

    Args:
        cell: A key of `STEPS`.
        xs: Inputs (T, D).
        state: The state before the first step: (h,), for LSTM (h, c), each (H,).
        w: The layer's weights.

    Returns:
        Outputs (T, H), which are the h_t, and the state after the last step.

    Example:
        >>> w = Weights(np.ones((1, 1)), np.zeros((1, 1)), np.zeros(1), np.zeros(1))
        >>> run_layer("rnn_relu", np.array([[1.0], [-2.0]]), (np.zeros(1),), w)[0].tolist()
        [[1.0], [0.0]]
    """
    outputs = []
    for x in xs:
        state = STEPS[cell](x, state, w)
        outputs.append(state[0])
    return np.stack(outputs), state


def run_stack(
    cell: str, xs: Array, states: list[tuple[Array, ...]], weights: list[Weights], bidirectional: bool = False
) -> tuple[Array, list[tuple[Array, ...]]]:
    """A stack of layers: each reads the outputs of the one below.

    In both directions, a layer is two: one reads from the left, one from the right, and their
    outputs are put side by side (Schuster and Paliwal 1997).

    Args:
        cell: A key of `STEPS`.
        xs: Inputs (T, D).
        states: One initial state for each layer and direction, as layer 0 forward, layer 0
            backward, layer 1 forward, ...
        weights: The weights, in the same order.
        bidirectional: Whether each layer has two directions.

    Returns:
        The last layer's outputs, (T, H) or (T, 2H), and the last states in the same order.
    """
    last: list[tuple[Array, ...]] = []
    directions = 2 if bidirectional else 1
    for first in range(0, len(weights), directions):
        outputs, state = run_layer(cell, xs, states[first], weights[first])
        last.append(state)
        if bidirectional:
            backward, state = run_layer(cell, xs[::-1], states[first + 1], weights[first + 1])
            outputs = np.concatenate([outputs, backward[::-1]], axis=1)
            last.append(state)
        xs = outputs
    return xs, last
