"""A stack of recurrent layers with one contract for every cell.

Legend: B batch, T time steps, D input features, H hidden units, L layers, G gates.

A state is a tuple of tensors, each (L * directions, B, H): `(h,)` for the simple network and the
GRU, `(h, c)` for the LSTM. The whole sequence at once, step by step, and split in two with the
state carried over, give the same outputs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.checks import check_choice, check_dropout, check_sizes

State = tuple[Tensor, ...]
CellName = Literal["rnn", "rnn_relu", "lstm", "gru"]
InitName = Literal["torch", "keras"]
MAX_LAYERS = 1000  # a layer takes time to build even on the meta device


class LayerWeights(NamedTuple):
    """The weights of one layer in one direction, as `torch.nn` lays them out."""

    ih: Tensor  # (G*H, D)
    hh: Tensor  # (G*H, H)
    b_ih: Tensor  # (G*H,)
    b_hh: Tensor  # (G*H,)


@dataclass(frozen=True)
class Cell:
    """A cell. Its equations are in `zoo.reference`.

    `update` is one time step of one layer. It maps the two parts of the gate pre-activations,
    W_ih x + b_ih (B, G*H) and W_hh h + b_hh (B, G*H), and the previous state, each tensor (B, H),
    to the next state.
    """

    module: Callable[..., nn.RNNBase]  # runs whole sequences
    update: Callable[[Tensor, Tensor, State], State]
    num_states: int
    module_args: dict[str, Any] = field(default_factory=dict)
    forget_gate: int | None = None  # its index among the gates


def lstm_update(from_input: Tensor, from_output: Tensor, state: State) -> State:
    """Returns the next state (h, c) of an LSTM. The order of the gates is i, f, g, o."""
    i, f, g, o = (from_input + from_output).chunk(4, -1)
    c = torch.addcmul(f.sigmoid() * state[1], i.sigmoid(), g.tanh())
    return o.sigmoid() * c.tanh(), c


def gru_update(from_input: Tensor, from_output: Tensor, state: State) -> State:
    """Returns the next state (h,) of a GRU. The order of the gates is r, z, n."""
    hidden = state[0].shape[-1]
    r, z = (from_input[..., : 2 * hidden] + from_output[..., : 2 * hidden]).sigmoid().chunk(2, -1)
    n = torch.addcmul(from_input[..., 2 * hidden :], r, from_output[..., 2 * hidden :]).tanh()
    return (n + z * (state[0] - n),)  # (1 - z) n + z h


CELLS: dict[str, Cell] = {
    "rnn": Cell(nn.RNN, lambda x, h, _: ((x + h).tanh(),), 1),
    "rnn_relu": Cell(nn.RNN, lambda x, h, _: ((x + h).relu(),), 1, {"nonlinearity": "relu"}),
    "lstm": Cell(nn.LSTM, lstm_update, 2, forget_gate=1),
    "gru": Cell(nn.GRU, gru_update, 1),
}
assert set(CELLS) == set(get_args(CellName))


class Recurrent(nn.Module):
    """Recurrent layers: `(x, state) -> (outputs, state)`.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units of each layer and direction, H.
        num_layers: Layers, L; each reads the outputs of the one below.
        cell: `rnn` (tanh), `rnn_relu`, `lstm` or `gru`.
        bidirectional: Also read from the right. Outputs are then 2H wide, and `step` raises an error.
        dropout: Probability of dropping a layer's outputs on their way to the next layer, in
            training.
        init: `torch` (uniform in +-1/sqrt(H)) or `keras` (see `initialize`).

    Raises:
        ValueError: If a size is below 1, or too large for the memory, dropout outside [0, 1) or
            given to a single layer, which has no next one, or a name unknown.

    Example:
        >>> rnn = Recurrent(5, 8, cell="lstm")
        >>> outputs, (h, c) = rnn(torch.zeros(1, 10, 5))
        >>> outputs.shape, h.shape
        (torch.Size([1, 10, 8]), torch.Size([1, 1, 8]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        cell: CellName = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        init: InitName = "torch",
    ) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if num_layers > MAX_LAYERS:
            raise ValueError(f"num_layers: got {num_layers}, expected at most {MAX_LAYERS}")
        check_dropout(dropout=dropout)
        if dropout and num_layers == 1:
            raise ValueError(f"dropout: got {dropout} with one layer, but it acts between layers; try head_dropout")
        check_choice("cell", cell, CELLS)
        self.cell_name = cell
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bidirectional = bidirectional
        self.num_directions = 2 if bidirectional else 1
        self.output_size = hidden_size * self.num_directions
        with allocating(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers):
            self.layers = self.cell.module(
                input_size,
                hidden_size,
                num_layers,
                batch_first=True,
                bidirectional=bidirectional,
                dropout=dropout,
                **self.cell.module_args,
            )
        initialize(self, init)

    @property
    def cell(self) -> Cell:
        """The cell, from `CELLS`."""
        return CELLS[self.cell_name]

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Runs over all time steps.

        Args:
            x: Inputs (B, T, D), float.
            state: The state before the first step; None is zeros.
            lengths: Real time steps of each row (B,), int64, preferably on the CPU. Later steps are
                padding: outputs there are 0, and the last state is that after the last real step.

        Returns:
            Outputs (B, T, H * directions) and the last state.
        """
        inputs = (
            x if lengths is None else pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        )
        given = None if state is None else (state if self.cell.num_states > 1 else state[0])
        with kernels_that_run(x):
            outputs, last = self.layers(inputs, given)
        if lengths is not None:
            outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
        return outputs, last if isinstance(last, tuple) else (last,)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs one time step, for generation.

        Args:
            x_t: Inputs (B, D).
            state: The state so far.

        Returns:
            Outputs (B, H) and the new state.

        Raises:
            ValueError: If the stack is bidirectional.
        """
        if self.bidirectional:
            raise ValueError("bidirectional: a bidirectional stack has no step, because it also reads from the end")
        new: list[State] = []
        for layer in range(self.num_layers):
            weights = self.weights(layer)
            y = nn.functional.dropout(new[-1][0], self.layers.dropout, self.training) if new else x_t
            h = state[0][layer]
            gates = linear(y, weights.ih, weights.b_ih), linear(h, weights.hh, weights.b_hh)
            new.append(self.cell.update(*gates, tuple(s[layer] for s in state)))
        return new[-1][0], tuple(torch.stack(parts) for parts in zip(*new, strict=True))

    def project(self, x: Tensor) -> Tensor:
        """Maps inputs x (..., D) to the first layer's gate pre-activations W_ih x + b_ih (..., G*H)."""
        weights = self.weights(0)
        return linear(x, weights.ih, weights.b_ih)

    def stepper(self) -> Callable[[Tensor, State], tuple[Tensor, State]]:
        """Prepares the weights for many steps in evaluation mode, without gradients.

        Returns:
            A function like `step` that takes `project(x_t)` (B, G*H) in place of x_t. Call `stepper`
            again after the weights change.

        Raises:
            ValueError: See `step`.
        """
        if self.bidirectional:
            raise ValueError("bidirectional: a bidirectional stack has no step, because it also reads from the end")
        update = self.cell.update
        layers = [self.weights(layer) for layer in range(self.num_layers)]
        # On the CPU, a single row times a matrix is fastest where the matrix is stored as (H, G*H).
        rows = [w.hh.detach().t().contiguous() for w in layers] if layers[0].hh.device.type == "cpu" else []

        def step(gates: Tensor, state: State) -> tuple[Tensor, State]:
            new: list[State] = []
            for layer, w in enumerate(layers):
                if layer:
                    gates = linear(new[-1][0], w.ih, w.b_ih)
                before = tuple([s[layer] for s in state])
                h = before[0]
                last = torch.addmm(w.b_hh, h, rows[layer]) if rows and len(h) == 1 else linear(h, w.hh, w.b_hh)
                new.append(update(gates, last, before))
            if len(new) == 1:
                return new[0][0], tuple([s[None] for s in new[0]])
            return new[-1][0], tuple([torch.stack(parts) for parts in zip(*new, strict=True)])

        return step

    def weights(self, layer: int) -> LayerWeights:
        """Returns the weights of one layer. In a bidirectional stack, `layer` also counts directions."""
        return LayerWeights(*self.layers.all_weights[layer])

    def init_state(self, batch_size: int) -> State:
        """Returns the state before the first step: zeros."""
        weight = self.weights(0).hh
        shape = (self.num_layers * self.num_directions, batch_size, self.hidden_size)
        return tuple(weight.new_zeros(shape) for _ in range(self.cell.num_states))

    @staticmethod
    def detach(state: State) -> State:
        """Returns the state without its gradient history."""
        return tuple(s.detach() for s in state)

    @staticmethod
    def select(state: State, index: Tensor) -> State:
        """Returns the states of the rows `index` (N,), int64. Rows may repeat."""
        return tuple(s.index_select(1, index) for s in state)

    @staticmethod
    def reset(state: State, rows: Tensor) -> State:
        """Returns the state with zeros in the rows where `rows` (B,), bool, is true."""
        return tuple(s.masked_fill(rows[:, None], 0.0) for s in state)

    def extra_repr(self) -> str:
        """What `print` shows beside the class name."""
        return f"cell={self.cell_name}"


@contextmanager
def kernels_that_run(x: Tensor) -> Iterator[None]:
    """Turns oneDNN off for an input that it refuses: half precision on a CPU without AVX-512."""
    half = x.dtype in (torch.float16, torch.bfloat16) or torch.is_autocast_enabled("cpu")
    refused = half and x.device.type == "cpu" and not torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    if not (refused and torch.backends.mkldnn.enabled):
        yield
        return
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]  # flags() would reset the precision, too
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = True  # type: ignore[assignment]


@torch.no_grad()
def initialize(module: nn.Module, init: InitName) -> None:
    """Initializes all recurrent, linear and embedding weights of a module.

    `torch` keeps PyTorch's default initialization. `keras` initializes as Keras 3 does: input weights
    and linear weights uniform after Glorot and Bengio (2010) over the stacked gates, recurrent
    weights orthogonal over the stacked gates (Saxe et al. 2013), biases 0, the forget gate's 1
    (Jozefowicz et al. 2015), embeddings uniform in +-0.05.

    Raises:
        ValueError: If `init` is unknown.
    """
    check_choice("init", init, get_args(InitName))
    if init == "torch":
        return
    if any(weight.is_meta for weight in module.parameters()):  # there are no values
        return
    for part in module.modules():
        if isinstance(part, Recurrent):
            hidden = part.hidden_size
            for layer in range(part.num_layers * part.num_directions):
                w = part.weights(layer)
                nn.init.xavier_uniform_(w.ih)
                nn.init.orthogonal_(w.hh)
                w.b_ih.zero_()
                w.b_hh.zero_()
                if (gate := part.cell.forget_gate) is not None:
                    w.b_ih[gate * hidden : (gate + 1) * hidden] = 1.0
        elif isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                part.bias.zero_()
        elif isinstance(part, nn.Embedding):
            nn.init.uniform_(part.weight, -0.05, 0.05)


@contextmanager
def allocating(**sizes: int) -> Iterator[None]:
    """Raises ValueError with the sizes if there is not enough memory."""
    try:
        yield
    except (RuntimeError, OverflowError, MemoryError) as error:
        given = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(f"{given}: not enough memory: {str(error).splitlines()[0]}") from error
