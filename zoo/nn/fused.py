"""`torch.nn`'s fused kernels, which run all layers of a stack at once.

Legend: B batch, T time steps, D input features, H hidden units, L layers, G gates, S tensors of a layer's state.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from zoo.nn.engines.unitwise import UnitWise
from zoo.nn.layer import State
from zoo.reference import Weights

Step = Callable[[Tensor, State], tuple[Tensor, State]]


class LayerWeights(NamedTuple):
    """The weights of one layer in one direction, as `torch.nn` lays them out."""

    ih: Tensor  # (G*H, D)
    hh: Tensor  # (G*H, H)
    b_ih: Tensor  # (G*H,)
    b_hh: Tensor  # (G*H,)


class TorchCell(UnitWise):
    """A cell that `torch.nn` has, too. A stack of it without further options runs there, for all layers at once.

    Attributes:
        kind: The class of `torch.nn`, with the methods of `Fused`.
        kind_args: Its arguments.
        gates: One step: maps x and r to the new state, as `UnitWise.update`.
        forget_gate: The index of the forget gate, whose bias `keras` sets to 1.
    """

    kind: ClassVar[type["Fused"]]
    kind_args: ClassVar[dict[str, Any]] = {}
    gates: ClassVar[Any]  # a function of x, r and the state, as a static method
    forget_gate: ClassVar[int | None] = None
    has_product_bias = True

    def update(self, x: Tensor, r: Tensor, state: State, constants: tuple[Tensor, ...]) -> State:
        """See `UnitWise`."""
        return type(self).gates(x, r, state)

    @torch.no_grad()
    def set_biases(self) -> None:
        """See `Layer`."""
        if self.forget_gate is not None:
            size = self.hidden_size
            self.bias_ih[self.forget_gate * size : (self.forget_gate + 1) * size] = 1.0

    @classmethod
    def fused(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        dropout: float,
        weight_drop: float,
    ) -> "Fused":
        """Returns the fused stack of this cell."""
        options = {"batch_first": True, "bidirectional": bidirectional, "dropout": dropout, **cls.kind_args}
        made = cls.kind(input_size, hidden_size, num_layers, **options)  # type: ignore[call-arg]
        made.cell, made.weight_drop = cls, weight_drop
        return made


class Fused:
    """What a stack needs beside the methods of `nn.RNN`, `nn.LSTM` and `nn.GRU`. A mixin with them."""

    cell: type[TorchCell]
    num_layers: int
    hidden_size: int
    bidirectional: bool
    dropout: float
    weight_drop: float  # see `StackOptions`
    training: bool
    _flat_weights: Any
    _flat_weights_names: Any
    all_weights: Any

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each tensor of the state, of one row."""
        return ((self.hidden_size,),) * (self.num_layers * (1 + self.bidirectional) * self.cell.num_states)

    def run(self, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """Runs over all time steps, see `Layer.forward`."""
        inputs: Any = x
        if lengths is not None:
            inputs = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        count = self.cell.num_states
        parts = [torch.stack(state[first::count]) for first in range(count)]  # each (L * directions, B, H)
        with kernels_that_run(x), self._dropped_weights():
            outputs, last = self(inputs, parts[0] if count == 1 else tuple(parts))  # type: ignore[operator]
        if lengths is not None:
            outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
        found = [one.unbind(0) for one in (last if isinstance(last, tuple) else (last,))]
        return outputs, tuple(one for layer in zip(*found, strict=True) for one in layer)

    @contextmanager
    def _dropped_weights(self) -> Iterator[None]:
        """In training, has the kernels read recurrent weights of which some are dropped."""
        if not (self.weight_drop and self.training):
            yield
            return
        known = self._flat_weights
        pairs = zip(self._flat_weights_names, known, strict=True)
        self._flat_weights = [dropout(w, self.weight_drop) if "weight_hh" in name else w for name, w in pairs]
        try:
            yield
        finally:
            self._flat_weights = known

    def weights(self, layer: int) -> LayerWeights:
        """Returns the weights of one layer. In a bidirectional stack, `layer` also counts directions."""
        return LayerWeights(*self.all_weights[layer])

    def project(self, x: Tensor) -> Tensor:
        """Maps inputs (..., D) to what the first layer takes of them: W_ih x + b_ih (..., G*H)."""
        first = self.weights(0)
        return linear(x, first.ih, first.b_ih)

    def step(self, x_t: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs one time step, see `Layer.step`."""
        gates, count = self.cell.gates, self.cell.num_states
        y, new = x_t, cast(State, ())
        for layer in range(self.num_layers):
            w, before = self.weights(layer), state[layer * count : (layer + 1) * count]
            y = dropout(y, self.dropout, self.training) if layer else y
            x, r = linear(y, w.ih, w.b_ih), linear(before[0], w.hh, w.b_hh)
            after = gates(x + r, r, before) if self.cell.sums_gates else gates(x, r, before)
            y, new = after[0], (*new, *after)
        return y, new

    def stepper(self) -> Step:
        """Prepares the weights for many steps in evaluation mode. The first layer takes `project(x_t)`."""
        gates, count = self.cell.gates, self.cell.num_states
        layers = [self.weights(layer) for layer in range(self.num_layers)]
        sums = self.cell.sums_gates
        # On the CPU, a single row times a matrix is fastest where the matrix is stored as (H, G*H).
        rows = [w.hh.detach().t().contiguous() for w in layers] if layers[0].hh.device.type == "cpu" else []

        def step(from_input: Tensor, state: State) -> tuple[Tensor, State]:
            new: State = ()
            for layer, w in enumerate(layers):
                before = state[layer * count : (layer + 1) * count]
                h = before[0]
                if layer:
                    from_input = linear(new[-count], w.ih, w.b_ih)
                last = torch.addmm(w.b_hh, h, rows[layer]) if rows and len(h) == 1 else linear(h, w.hh, w.b_hh)
                new = (*new, *gates(from_input + last if sums else from_input, last, before))
            return new[-count], new

        return step

    @torch.no_grad()
    def initialize(self, init: str) -> None:
        """See `Layer.initialize`: the weights and biases of all layers."""
        if init != "keras":
            return
        for layer in range(self.num_layers * (1 + self.bidirectional)):
            w = self.weights(layer)
            nn.init.xavier_uniform_(w.ih)
            nn.init.orthogonal_(w.hh)
            w.b_ih.zero_()
            w.b_hh.zero_()
            if (gate := self.cell.forget_gate) is not None:
                w.b_ih[gate * self.hidden_size : (gate + 1) * self.hidden_size] = 1.0


class FusedRNN(Fused, nn.RNN):
    """`nn.RNN` as a stack."""


class FusedLSTM(Fused, nn.LSTM):
    """`nn.LSTM` as a stack."""


class FusedGRU(Fused, nn.GRU):
    """`nn.GRU` as a stack."""


def classic(step: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a step of `zoo.reference` as the reference of a cell, see `register_cell`."""

    def reference(w: dict[str, Any], x: Any, state: Any) -> Any:
        new = step(x, state, Weights(w["weight_ih"], w["weight_hh"], w["bias_ih"], w["bias_hh"]))
        return new[0], new

    return reference


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
