"""A stack of recurrent layers with one contract for every cell.

Legend: B batch, T time steps, D input features, H hidden units, L layers.

A state is a tuple of tensors, each (B, ...): those of the first layer, then those of the second one, and so on. The
simple network and the GRU have one in each layer and direction, h (B, H), the LSTM two, h and c. The whole sequence at
once, step by step, and split in two with the state carried over, give the same outputs.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

import zoo.nn.cells  # noqa: F401  (registers them)
from zoo.checks import check_choice, check_flags, check_sizes
from zoo.choices import CellSpec, Norm, cell_name
from zoo.nn.fused import TorchCell
from zoo.nn.layer import INITS, State, find_cell, keep
from zoo.nn.stack import Stack, StackOptions

MAX_LAYERS = 1000  # a layer takes time to build even on the meta device


class Recurrent(nn.Module):
    """Recurrent layers: `(x, state) -> (outputs, state)`.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units of each layer and direction, H.
        num_layers: Layers, L; each reads the outputs of the one below.
        cell: A name from `zoo.nn.CELLS`, for example `lstm`, or a name with options, `{"name": "slstm", "heads": 4}`.
        bidirectional: Also read from the right. Outputs are then twice as wide, and `step` raises an error.
        dropout: See `StackOptions`, as for the next ones.
        variational_dropout: One mask for all steps.
        weight_drop: Of recurrent weights.
        zoneout: Of the state.
        residual: Whether a layer's inputs are added to its outputs.
        norm: Normalization of a layer's inputs.
        mlp: Whether a gated MLP follows each layer.
        convolution: Of a layer's inputs, over so many steps.
        learn_state: Whether the state before the first step is learned, in place of zeros.
        init: `torch` (those of the cell) or `keras`, see `Layer.initialize`.

    Raises:
        ValueError: If a size is below 1, or too large for the memory, an option is outside its range or has no effect
            on this stack, or a name is unknown.

    Example:
        >>> rnn = Recurrent(5, 8, cell="lstm")
        >>> outputs, (h, c) = rnn(torch.zeros(1, 10, 5))
        >>> outputs.shape, h.shape
        (torch.Size([1, 10, 8]), torch.Size([1, 8]))
    """

    layers: Any  # a `Stack`, or a module of torch.nn with the methods of `Fused`

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        cell: CellSpec = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        variational_dropout: float = 0.0,
        weight_drop: float = 0.0,
        zoneout: float = 0.0,
        residual: bool = False,
        norm: Norm = "none",
        mlp: bool = False,
        convolution: int = 0,
        learn_state: bool = False,
        init: str = "torch",
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__()
        self._arguments = arguments
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if num_layers > MAX_LAYERS:
            raise ValueError(f"num_layers: got {num_layers}, expected at most {MAX_LAYERS}")
        check_choice("init", init, INITS)
        check_flags(bidirectional=bidirectional, learn_state=learn_state)
        options = StackOptions(
            dropout=dropout,
            variational_dropout=variational_dropout,
            weight_drop=weight_drop,
            zoneout=zoneout,
            residual=residual,
            norm=norm,
            mlp=mlp,
            convolution=convolution,
        )
        cls, _ = find_cell(cell)
        options.check(cls, num_layers)
        self.cell_name = cell_name(cell)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bidirectional = bidirectional
        with allocating(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers):
            if issubclass(cls, TorchCell) and options.can_be_fused:
                self.layers = cls.fused(input_size, hidden_size, num_layers, bidirectional, dropout, weight_drop)
            else:
                self.layers = Stack(input_size, hidden_size, num_layers, cell, bidirectional, options)
        stacked = isinstance(self.layers, Stack)
        self.output_size = self.layers.output_size if stacked else hidden_size * (1 + bidirectional)
        self.first_state = nn.ParameterList()
        if learn_state:
            self.first_state.extend(torch.zeros(shape) for shape in self.layers.state_shapes)
        initialize(self, init)

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Runs over all time steps.

        Args:
            x: Inputs (B, T, D), float.
            state: The state before the first step; None is `init_state`.
            lengths: Real time steps of each row (B,), int64, preferably on the CPU. Later steps are
                padding: outputs there are 0, and the last state is that after the last real step.

        Returns:
            Outputs (B, T, output_size) and the last state.

        Raises:
            ValueError: If there are no time steps, or the state has other shapes.
        """
        if not x.shape[1]:
            raise ValueError("inputs: got sequences of 0 steps, expected at least 1")
        rows = x.shape[0]  # not len(x), which an export would take for a constant
        return self.layers.run(x, self.init_state(rows) if state is None else self._checked(state, rows), lengths)

    def _checked(self, state: State, rows: int) -> State:
        expected = [(rows, *shape) for shape in self.layers.state_shapes]
        if [tuple(one.shape) for one in state] != expected:
            found = ", ".join(str(tuple(one.shape)) for one in state)
            raise ValueError(f"state: got {found}; {self.cell_name} needs {', '.join(map(str, expected))}")
        return state

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs one time step, for generation.

        Args:
            x_t: Inputs (B, D).
            state: The state so far.

        Returns:
            Outputs (B, output_size) and the new state.

        Raises:
            ValueError: If the stack is bidirectional.
        """
        self._check_one_direction()
        return self.layers.step(x_t, state)

    def project(self, x: Tensor) -> Tensor:
        """Returns what does not depend on the state, for inputs (..., D): what `stepper` takes."""
        return self.layers.project(x)

    def stepper(self) -> Callable[[Tensor, State], tuple[Tensor, State]]:
        """Prepares the weights for many steps in evaluation mode, without gradients.

        Returns:
            A function like `step` that takes `project(x_t)` in place of x_t. Call `stepper` again after the
            weights change.

        Raises:
            ValueError: See `step`.
        """
        self._check_one_direction()
        return self.layers.stepper()

    def _check_one_direction(self) -> None:
        if self.bidirectional:
            raise ValueError("bidirectional: a bidirectional stack has no step, because it also reads from the end")

    def last(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns the outputs after the last step that each direction reads (B, output_size).

        Args:
            outputs: Those of `forward` (B, T, output_size).
            lengths: Real time steps of each row (B,); None: all are real.
        """
        if lengths is None:
            found = outputs[:, -1]
        else:
            rows = torch.arange(outputs.shape[0], device=outputs.device)
            found = outputs[rows, lengths.to(outputs.device) - 1]
        if not self.bidirectional:
            return found
        half = self.output_size // 2
        return torch.cat([found[:, :half], outputs[:, 0, half:]], dim=-1)

    # -- states

    def init_state(self, batch_size: int) -> State:
        """Returns the state before the first step: zeros, or what was learned."""
        if len(self.first_state):
            return tuple(one.expand(batch_size, *one.shape) for one in self.first_state)
        weight = next(self.parameters())
        return tuple(weight.new_zeros(batch_size, *shape) for shape in self.layers.state_shapes)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the tensors of a state."""
        return tuple(f"state_{number}" for number in range(len(self.layers.state_shapes)))

    @staticmethod
    def detach(state: State) -> State:
        """Returns the state without its gradient history."""
        return tuple(s.detach() for s in state)

    @staticmethod
    def select(state: State, index: Tensor) -> State:
        """Returns the states of the rows `index` (N,), int64. Rows may repeat."""
        return tuple(s.index_select(0, index) for s in state)

    def reset(self, state: State, rows: Tensor) -> State:
        """Returns the state with that of `init_state` in the rows where `rows` (B,), bool, is true."""
        first = self.init_state(len(rows))
        return tuple(keep(~rows, old, new.to(old.dtype)) for old, new in zip(state, first, strict=True))

    def input_axes(self) -> dict[str, int]:
        """Returns the names of the weights that the inputs are multiplied by, and along which axis each input lies.

        They are found by comparing the shapes with those of a stack that has more inputs. With as many units as inputs,
        `residual`, `sru` and `lru` also add each input to a unit of its own: there is no weight to find for that.
        """
        width = self.input_size + self.hidden_size + self.output_size  # more than units, so that no weight is missing
        with torch.device("meta"):
            wider = Recurrent(**{**self._arguments, "input_size": width, "init": "torch"})
        shapes = {name: tuple(weight.shape) for name, weight in self.state_dict().items()}
        found = {}
        for name, weight in wider.state_dict().items():
            differ = [axis for axis, size in enumerate(weight.shape) if shapes.get(name, weight.shape)[axis] != size]
            if differ:
                found[name] = differ[0]
        return found

    def extra_repr(self) -> str:
        """What `print` shows beside the class name."""
        return f"cell={self.cell_name}"


@torch.no_grad()
def initialize(module: nn.Module, init: str) -> None:
    """Initializes all recurrent, linear and embedding weights of a module.

    `torch` keeps PyTorch's default initialization, and that of each cell. `keras` initializes as Keras 3 does: input
    weights and linear weights uniform after Glorot and Bengio (2010) over the stacked gates, recurrent weights
    orthogonal over the stacked gates (Saxe et al. 2013), biases 0, the LSTM's forget gate's 1 (Jozefowicz et al. 2015),
    embeddings uniform in +-0.05. For cells that Keras does not have, see `Layer.initialize`.

    Raises:
        ValueError: If `init` is unknown.
    """
    check_choice("init", init, INITS)
    if init == "torch":
        return
    if any(weight.is_meta for weight in module.parameters()):  # there are no values
        return
    inside: set[nn.Module] = set()
    for part in module.modules():
        if isinstance(part, Recurrent):
            part.layers.initialize(init)
            inside |= {one for layer in _layers(part) for one in layer.modules()}
        elif part in inside:
            continue
        elif isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                part.bias.zero_()
        elif isinstance(part, nn.Embedding):
            nn.init.uniform_(part.weight, -0.05, 0.05)


def _layers(part: Recurrent) -> list[nn.Module]:
    return list(part.layers.layers) if isinstance(part.layers, Stack) else [part.layers]


@contextmanager
def allocating(**sizes: int) -> Iterator[None]:
    """Raises ValueError with the sizes if there is not enough memory."""
    try:
        yield
    except (RuntimeError, OverflowError, MemoryError) as error:
        if isinstance(error, RuntimeError) and not re.search("memory|overflow|Storage size", str(error)):
            raise  # of a cell's own constructor
        given = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(f"{given}: not enough memory: {str(error).splitlines()[0]}") from error
