"""A stack of any layers, in one or both directions, with what can be put around a layer.

Legend: B batch, T time steps, D features, S tensors of a layer's state.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call

from zoo.checks import check_choice, check_dropout, check_flags
from zoo.choices import CellSpec, Norm
from zoo.nn.contract import check_layer
from zoo.nn.convolution import CausalConvolution
from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import Layer, State, find_cell, real_steps, run_steps, zone_out

MLP_EXPANSION = 2
MAX_CONVOLUTION = 64  # steps


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """What is put around each layer of a stack. All of it is off by default.

    Args:
        dropout: The probability of dropping a layer's outputs on their way to the next one. With `residual`: what a
            layer adds.
        variational_dropout: The probability of dropping a layer's inputs, with one mask for all steps (Gal and
            Ghahramani 2016).
        weight_drop: The probability of dropping a recurrent weight, with one mask for all steps (Merity et al. 2018).
        zoneout: The probability that a number of the state stays as it was at a step (Krueger et al. 2017).
        residual: Whether a layer's inputs are added to its outputs. The inputs of the first layer are mapped to
            their width, if it differs.
        norm: A normalization of each layer's inputs: `layer` (Ba et al. 2016) or `rms` (Zhang and Sennrich 2019). With
            `residual`, also of the last outputs.
        mlp: Whether a gated MLP follows each layer, also residual (De et al. 2024).
        convolution: Steps that a causal convolution of each layer's inputs looks at; 0 is none (De et al. 2024, who
            take 4).
    """

    dropout: float = 0.0
    variational_dropout: float = 0.0
    weight_drop: float = 0.0
    zoneout: float = 0.0
    residual: bool = False
    norm: Norm = "none"
    mlp: bool = False
    convolution: int = 0

    def __post_init__(self) -> None:
        names = ("dropout", "variational_dropout", "weight_drop", "zoneout")
        check_dropout(**{name: getattr(self, name) for name in names})
        check_choice("norm", self.norm, get_args(Norm))
        check_flags(residual=self.residual, mlp=self.mlp)
        if self.convolution not in (0, *range(2, MAX_CONVOLUTION + 1)):
            raise ValueError(f"convolution: got {self.convolution}, expected 0 or from 2 to {MAX_CONVOLUTION}")
        for name in ("mlp", "convolution"):
            if getattr(self, name) and not self.residual:
                raise ValueError(f"{name}: it needs residual: true")

    @property
    def can_be_fused(self) -> bool:
        """Whether there is nothing but what `Fused` has, too."""
        return StackOptions(dropout=self.dropout, weight_drop=self.weight_drop) == self

    def check(self, cell: type[Layer], num_layers: int) -> None:
        """Raises ValueError for an option that has no effect on a cell, or on one layer."""
        if self.dropout and num_layers == 1 and not self.residual:
            given = f"dropout: got {self.dropout} with one layer"
            raise ValueError(f"{given}, but it acts between layers; try head_dropout")
        if self.weight_drop and not cell.recurrent_weights:
            raise ValueError(f"weight_drop: {cell.cell_name} has no recurrent matrix")
        if self.zoneout and not cell.shows_state:
            raise ValueError(f"zoneout: {cell.cell_name} does not support it")


class GatedMLP(nn.Module):
    """Two linear maps, one of which is the gate of the other, and a third one (Dauphin et al. 2017; Shazeer 2020).

    Args:
        width: Features of inputs and outputs.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, 2 * MLP_EXPANSION * width)
        self.outer = nn.Linear(MLP_EXPANSION * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (..., D) to (..., D)."""
        gate, values = self.inner(x).chunk(2, -1)
        return self.outer(nn.functional.gelu(gate) * values)


class RMSNorm(nn.RMSNorm):
    """`nn.RMSNorm` in the precision of its weight, as autocast does it for `nn.LayerNorm`."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (..., D) to (..., D)."""
        return super().forward(x.to(self.weight.dtype))


def make_norm(norm: Norm, width: int) -> nn.Module | None:
    """Returns a normalization over features, or None."""
    return None if norm == "none" else (nn.LayerNorm if norm == "layer" else RMSNorm)(width)


class Block(nn.Module):
    """A layer, in one or both directions, and what is around it.

    Args:
        directions: The layers: one that reads from the left, and one that reads from the right if there is one.
        input_size: Features of each input, D.
        options: What is around them.
    """

    def __init__(self, directions: list[Layer], input_size: int, options: StackOptions) -> None:
        super().__init__()
        self.directions = nn.ModuleList(directions)
        self.options = options
        self.output_size = sum(layer.output_size for layer in directions)
        self.norm = make_norm(options.norm, input_size)
        self.convolutions: nn.ModuleList | None = None
        if options.convolution:
            self.convolutions = nn.ModuleList(CausalConvolution(input_size, options.convolution) for _ in directions)
        self.mlp_norm = make_norm(options.norm, self.output_size) if options.mlp else None
        self.mlp = GatedMLP(self.output_size) if options.mlp else None

    @property
    def forward_layer(self) -> Layer:
        """The layer that reads from the left."""
        return self.directions[0]  # type: ignore[return-value]

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each tensor of the state, of one row: those of each direction, then its convolution's."""
        one = self.forward_layer.state_shapes
        if self.convolutions is not None:
            one = (*one, self.convolutions[0].state_shape)  # type: ignore[arg-type]
        return one * len(self.directions)

    def forward(self, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Runs over all time steps, see `Layer.forward`, with a state as `state_shapes` describes it."""
        options = self.options
        inner = x if self.norm is None else self.norm(x)
        if options.variational_dropout:
            kept = torch.ones_like(inner[:, :1])
            inner = inner * nn.functional.dropout(kept, options.variational_dropout, self.training)
        outputs: list[Tensor] = []
        new: State = ()
        size = len(state) // len(self.directions)
        for number, layer in enumerate(self.directions):
            before = state[number * size : (number + 1) * size]
            given = mirror(inner, lengths) if number else inner
            seen: State = ()
            if self.convolutions is not None:
                given, last = self.convolutions[number](given, before[-1], lengths)
                before, seen = before[:-1], (last,)
            y, after = self._run(layer, given, before, lengths)  # type: ignore[arg-type]
            outputs.append(mirror(y, lengths) if number else y)
            new = (*new, *after, *seen)
        y = self._around(x, outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1))
        if lengths is not None and options.residual:
            y = y.masked_fill(~real_steps(lengths, x)[:, :, None], 0.0)
        return y, new

    def _run(self, layer: Layer, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs a layer, with some of its recurrent weights dropped and some states held in training."""
        options = self.options
        run = layer
        if options.weight_drop and self.training:
            weights = dict(layer.named_parameters())
            dropped = {
                name: nn.functional.dropout(weights[name], options.weight_drop) for name in layer.recurrent_weights
            }
            run = lambda *given, **more: functional_call(layer, dropped, given, more)  # type: ignore[assignment]  # noqa: E731
        if not options.zoneout:
            return run(x, state, lengths)
        if isinstance(layer, UnitWise):
            return run(x, state, lengths, zoneout=options.zoneout)
        return run_steps(layer, x, state, lengths, options.zoneout)

    def _around(self, x: Tensor, y: Tensor) -> Tensor:
        """Returns outputs (..., D) for inputs x (..., D), and what the layer made of them."""
        if not self.options.residual:
            return y
        drop = self.options.dropout
        y = x + nn.functional.dropout(y, drop, self.training)
        if self.mlp is None:
            return y
        inner = y if self.mlp_norm is None else self.mlp_norm(y)
        return y + nn.functional.dropout(self.mlp(inner), drop, self.training)

    def step(
        self, x_t: Tensor, state: State, advance: Callable[..., tuple[Tensor, State]] | None = None
    ) -> tuple[Tensor, State]:
        """Runs one time step.

        Args:
            x_t: Inputs (B, D).
            state: The state before.
            advance: The layer's `stepper`. Default: its `advance`.
        """
        layer = self.forward_layer
        inner = x_t if self.norm is None else self.norm(x_t)
        seen: State = ()
        if self.convolutions is not None:
            given, last = self.convolutions[0](inner[:, None], state[-1])
            inner, state, seen = given[:, 0], state[:-1], (last,)
        y, new = self.advance(layer.project(inner), state, advance or layer.advance)
        return self._around(x_t, y), (*new, *seen)

    def advance(self, p_t: Tensor, state: State, advance: Callable[..., tuple[Tensor, State]]) -> tuple[Tensor, State]:
        """Runs one time step of the layer alone, for a projected input."""
        y, new = advance(p_t, state)
        return zone_out(new, state, self.options.zoneout, self.training) if self.options.zoneout else (y, new)


class Stack(nn.Module):
    """Layers, each of which reads the outputs of the one below.

    Args:
        input_size: Features of each input, D.
        hidden_size: Units of each layer and direction.
        num_layers: Layers.
        cell: The cell, with its options.
        bidirectional: Whether each layer also reads from the right.
        options: What is around each layer.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        cell: CellSpec,
        bidirectional: bool,
        options: StackOptions,
    ) -> None:
        super().__init__()
        cls, cell_options = find_cell(cell)
        options.check(cls, num_layers)
        self.options, self.bidirectional = options, bidirectional
        self.entry: nn.Linear | None = None
        self.blocks = nn.ModuleList()
        width = input_size
        for _ in range(num_layers):
            make = [cls(width, hidden_size, **cell_options) for _ in range(1 + bidirectional)]  # type: ignore[call-arg]
            if not cls.__module__.startswith("zoo.nn."):  # the tests check ours
                check_layer(make[0], width)
            output_size = sum(layer.output_size for layer in make)
            if options.residual and width != output_size:
                self.entry = nn.Linear(width, output_size)
                width = output_size
                make = [cls(width, hidden_size, **cell_options) for _ in make]  # type: ignore[call-arg]
            block = Block(make, width, options)
            self.blocks.append(block)
            width = block.output_size
        self.output_size = width
        self.exit = make_norm(options.norm, width) if options.residual else None

    @property
    def layers(self) -> list[Layer]:
        """All layers, in the order of their states: each layer in each direction."""
        return [layer for block in self.blocks for layer in block.directions]  # type: ignore[union-attr,misc]

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each tensor of the state, of one row."""
        return tuple(shape for block in self.blocks for shape in block.state_shapes)  # type: ignore[union-attr]

    def run(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs over all time steps, see `Layer.forward`."""
        lengths = None if lengths is None else lengths.cpu()
        x = x if self.entry is None else self.entry(x)
        new: State = ()
        for number, block in enumerate(self.blocks):
            x = self._between(x) if number else x
            x, after = block(x, self._part(state, number), lengths)
            new = (*new, *after)
        return self._leave(x, lengths), new

    def _between(self, x: Tensor) -> Tensor:
        drop = 0.0 if self.options.residual else self.options.dropout
        return nn.functional.dropout(x, drop, self.training) if drop else x

    def _leave(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if self.exit is None:
            return x
        x = self.exit(x)
        return x if lengths is None else x.masked_fill(~real_steps(lengths, x)[:, :, None], 0.0)

    def _part(self, state: State, block: int) -> State:
        size = len(state) // len(self.blocks)
        return state[block * size : (block + 1) * size]

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs one time step, see `Layer.step`."""
        x = x_t if self.entry is None else self.entry(x_t)
        new: State = ()
        for number, block in enumerate(self.blocks):
            x = self._between(x) if number else x
            x, after = block.step(x, self._part(state, number))  # type: ignore[operator]
            new = (*new, *after)
        return self._leave(x), new

    @property
    def _is_projected(self) -> bool:
        """Whether the first layer reads the inputs themselves, so that they can be projected beforehand."""
        return self.options.norm == "none" and not self.options.residual

    def project(self, x: Tensor) -> Tensor:
        """Returns what `stepper` takes of inputs (..., D)."""
        first: Block = self.blocks[0]  # type: ignore[assignment]
        if self._is_projected:
            return first.forward_layer.project(x)
        return x if self.entry is None else self.entry(x)

    def stepper(self) -> Callable[[Tensor, State], tuple[Tensor, State]]:
        """Prepares the weights for many steps in evaluation mode. It takes `project(x_t)`."""
        blocks: list[Block] = list(self.blocks)  # type: ignore[arg-type]
        steppers = [block.forward_layer.stepper() for block in blocks]
        projected = self._is_projected

        def step(p_t: Tensor, state: State) -> tuple[Tensor, State]:
            x = p_t
            new: State = ()
            for number, (block, advance) in enumerate(zip(blocks, steppers, strict=True)):
                before = self._part(state, number)
                direct = projected and not number
                x, after = block.advance(x, before, advance) if direct else block.step(x, before, advance)
                new = (*new, *after)
            return self._leave(x), new

        return step

    def initialize(self, init: str) -> None:
        """Initializes all layers, see `Layer.initialize`."""
        for layer in self.layers:
            layer.initialize(init)


def mirror(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Returns sequences (B, T, ...) from their last real step to the first. Padding stays at the end."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    lengths = lengths.to(x.device)[:, None]
    index = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return x.gather(1, index.view(*index.shape, *[1] * (x.ndim - 2)).expand_as(x))
