"""The contract of a recurrent layer, and the register of cells.

Legend: B batch, T time steps, D input features, P numbers of a projected input.
"""

import inspect
import re
from abc import ABC
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo.checks import brief, check_choice, nearest
from zoo.choices import CellSpec, cell_name

State = tuple[Tensor, ...]
"""The state of a stack, layer by layer, each (B, ...)."""
Reference = Callable[..., Any]  # see `register_cell`
INITS = ("torch", "keras")
CELLS: dict[str, type["Layer"]] = {}
"""The registered cells: name -> layer. See `register_cell`."""


class Layer(nn.Module, ABC):
    """One recurrent layer in one direction.

    A subclass is a cell. Its constructor takes `(input_size, hidden_size)` and options with defaults, which are
    numbers, texts or booleans. It defines `step`; or `project` and `advance`, where more can be done for all steps at
    once; and `forward`, if there is a faster way than a loop over the steps.

    No code outside a layer knows how wide, how many or of what shape its states are. The first axis of each is
    the batch. Their shapes should not depend on `input_size`, so that a decoder can go on from an encoder's state.

    Attributes:
        output_size: Numbers of each output.
        state_shapes: The shape of each tensor of the state, of one row.
        recurrent_weights: The names of the parameters that multiply the previous output or state: what `weight_drop`
            acts on.
        shows_state: Whether the output is the first tensor of the state, and no tensor is a scale of another one.
            `zoneout` needs it.
    """

    cell_name: ClassVar[str] = ""
    reference: ClassVar[Reference | None] = None
    recurrent_weights: tuple[str, ...] = ()
    shows_state: ClassVar[bool] = False

    output_size: int
    state_shapes: tuple[tuple[int, ...], ...]

    def forward(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Runs over all time steps.

        Args:
            x: Inputs (B, T, D), float.
            state: The state before the first step.
            lengths: Real time steps of each row (B,), int64, on the CPU. Later steps are padding: outputs there are
                0, and the last state is that after the last real step.

        Returns:
            Outputs (B, T, output_size) and the last state.
        """
        return run_steps(self, x, state, lengths)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs one time step: maps inputs (B, D) and the state to outputs (B, output_size) and the new state."""
        return self.advance(self.project(x_t), state)

    def project(self, x: Tensor) -> Tensor:
        """Returns what does not depend on the state (..., P), for inputs (..., D). By default, the inputs."""
        return x

    def advance(self, p_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs one time step for a projected input (B, P). By default, `step`."""
        return self.step(p_t, state)

    def stepper(self) -> Callable[[Tensor, State], tuple[Tensor, State]]:
        """Returns a function like `advance` with the weights laid out once, for evaluation mode without gradients."""
        return self.advance

    @torch.no_grad()
    def initialize(self, init: str) -> None:
        """Initializes the weights.

        `torch` keeps those of the constructor, which are those of the cell's paper. `keras`: recurrent matrices are
        orthogonal (Saxe et al. 2013), other matrices uniform after Glorot and Bengio (2010), over all gates at once. A
        weight with three axes has a matrix for each head. Biases, whose names begin with `bias`, are 0, but for those
        of `set_biases`.
        """
        check_choice("init", init, INITS)
        if init == "torch":
            return
        for name, weight in self.named_parameters():
            if any(part.startswith("bias") for part in name.split(".")):
                weight.zero_()
            elif weight.ndim in (2, 3):
                for matrix in weight if weight.ndim == 3 else (weight,):
                    (nn.init.orthogonal_ if name in self.recurrent_weights else nn.init.xavier_uniform_)(matrix)
        self.set_biases()

    @torch.no_grad()
    def set_biases(self) -> None:
        """Sets the biases that are not 0 with `keras`. By default, none.

        They are those that the cell's paper gives, and 1 for the forget gate of an LSTM (Jozefowicz et al. 2015).
        """

    def init_state(self, batch_size: int) -> State:
        """Returns a state of zeros."""
        weight = next(self.parameters())
        return tuple(weight.new_zeros(batch_size, *shape) for shape in self.state_shapes)


@torch.no_grad()
def draw_normal(weight: Tensor, std: float) -> None:
    """Draws the numbers of a weight around 0; on the meta device, where that would import PyTorch's compiler, none."""
    if not weight.is_meta:
        weight.normal_(0.0, std)


def run_steps(
    layer: Layer, x: Tensor, state: State, lengths: Tensor | None = None, zoneout: float = 0.0
) -> tuple[Tensor, State]:
    """Runs a layer step by step: see `Layer.forward`. For `zoneout`, see `zone_out`."""
    outputs = []
    real = None if lengths is None else real_steps(lengths, x)
    for t, p_t in enumerate(layer.project(x).unbind(1)):
        y, new = layer.advance(p_t, state)
        if zoneout:
            y, new = zone_out(new, state, zoneout, layer.training)
        if real is not None:
            now = real[:, t]
            y = y.masked_fill(~now[:, None], 0.0)
            new = tuple(keep(now, one, old) for one, old in zip(new, state, strict=True))
        outputs.append(y)
        state = new
    return torch.stack(outputs, dim=1), state


def zone_out(new: State, old: State, zoneout: float, training: bool) -> tuple[Tensor, State]:
    """Returns output and state of a step in which some units keep their state (Krueger et al. 2017).

    Args:
        new: The new state. Its first tensor is the output.
        old: The state before.
        zoneout: The probability that a number of the state stays as it was.
        training: Whether to draw. Otherwise, the mean is taken.
    """
    kept = [torch.full_like(one, zoneout) for one in new]
    kept = [torch.bernoulli(one) for one in kept] if training else kept
    state = tuple(torch.lerp(a, b, w) for a, b, w in zip(new, old, kept, strict=True))
    return state[0], state


def real_steps(lengths: Tensor, x: Tensor) -> Tensor:
    """Returns which steps of inputs x (B, T, ...) are real (B, T), bool, on the device of x."""
    return (torch.arange(x.shape[1]) < lengths[:, None]).to(x.device)


def keep(rows: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Returns `new` (B, ...) in some rows (B,), bool, and `old` in the others."""
    return torch.where(rows.view(-1, *[1] * (new.ndim - 1)), new, old)


# -- the register


def register_cell(name: str, reference: Reference | None = None) -> Callable[[type[Layer]], type[Layer]]:
    """Registers a subclass of `Layer` as a cell, which all tasks, commands and tests then know.

    Args:
        name: Its name, for example `my_gru`.
        reference: The equations in NumPy, one step of one row: it maps the layer's weights (name -> array), an input
            (D,) and a state to the output and the new state. The tests compare the layer with it.

    Raises:
        TypeError: If the class is no `Layer`, or its constructor takes other arguments.
        ValueError: If the name is taken or no identifier.

    Example:
        >>> class Leaky(Layer):
        ...     def __init__(self, input_size, hidden_size, leak=0.5):
        ...         super().__init__()
        ...         self.linear = nn.Linear(input_size, hidden_size)
        ...         self.output_size, self.state_shapes, self.leak = hidden_size, ((hidden_size,),), leak
        ...
        ...     def step(self, x_t, state):
        ...         h = torch.lerp(state[0], self.linear(x_t).tanh(), self.leak)
        ...         return h, (h,)
        >>> Leaky is register_cell("leaky")(Leaky)
        True
        >>> from zoo.nn import Recurrent
        >>> Recurrent(5, 8, cell={"name": "leaky", "leak": 0.25})(torch.zeros(2, 7, 5))[0].shape
        torch.Size([2, 7, 8])
        >>> del CELLS["leaky"]
    """
    if not isinstance(name, str) or not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise ValueError(f"register_cell: got {name!r}, expected a name of small letters, digits and _")

    def register(cls: type[Layer]) -> type[Layer]:
        if not isinstance(cls, type) or not issubclass(cls, Layer):
            raise TypeError(f"register_cell: got {cls!r}, expected a subclass of zoo.nn.Layer")
        if vars(cls).get("cell_name", name) != name:
            raise ValueError(f"register_cell: {cls.__name__} is registered as {cls.cell_name!r}; register a subclass")
        if cls.step is Layer.step and cls.advance is Layer.advance:
            raise TypeError(f"{cls.__name__}: it defines neither step nor advance")
        known = CELLS.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"register_cell: {name!r} is taken by {known.__module__}.{known.__qualname__}")
        parameters = inspect.signature(cls).parameters
        names = list(parameters)
        sizes = [parameters[size].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for size in names[:2]]
        if names[:2] != ["input_size", "hidden_size"] or not all(sizes):
            raise TypeError(f"{cls.__name__}: its constructor takes {names}, expected input_size, hidden_size, options")
        for option, entry in list(parameters.items())[2:]:
            if type(entry.default) not in (str, int, float, bool):
                raise TypeError(f"{cls.__name__}: {option}: expected a number, text or boolean as its default")
            if option == "name":
                raise TypeError(f"{cls.__name__}: name: no option can have this name, which is that of the cell")
        cls.cell_name, cls.reference = name, None if reference is None else staticmethod(reference)
        CELLS[name] = cls
        return cls

    return register


def find_cell(cell: CellSpec) -> tuple[type[Layer], dict[str, Any]]:
    """Returns the class of a cell, and its options.

    Raises:
        ValueError: If the cell or an option is unknown, or an option has another type than its default.
    """
    name = cell_name(cell)
    if isinstance(cell, Mapping) and not name:
        raise ValueError(f"cell: got {brief(dict(cell))}, expected a name, and options: {{name: lstm}}")
    if name not in CELLS:
        hint = nearest(str(name), CELLS) or "; a cell of another package has to be imported (--allow_import PACKAGE)"
        raise ValueError(f"cell: got {brief(name)}, expected one of {', '.join(CELLS)}{hint}")
    options = {key: value for key, value in cell.items() if key != "name"} if isinstance(cell, Mapping) else {}
    known = cell_options(name)
    for option, value in options.items():
        if option not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ValueError(f"cell: {name} has no option {brief(option)}; {has}{nearest(str(option), known)}")
        if type(value) is not type(known[option]) and not (type(value) is int and type(known[option]) is float):
            kind = type(known[option]).__name__
            raise ValueError(
                f"cell: {name}: {option}: got {brief(value)}, expected {kind}, for example {known[option]}"
            )
    return CELLS[name], options


def cell_options(name: str) -> dict[str, Any]:
    """Returns the options of a cell with their defaults."""
    parameters = inspect.signature(CELLS[name]).parameters
    return {key: entry.default for key, entry in parameters.items() if key not in ("input_size", "hidden_size")}
