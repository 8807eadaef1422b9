"""The loops over time of a model's layers, which each format writes in its own way.

Legend: B batch, T time steps, P numbers of a projected input.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from zoo.nn.fused import Fused
from zoo.nn.layer import Layer, State, keep, real_steps, zone_out
from zoo.nn.stack import Block, Stack, StackOptions


class Step(nn.Module):
    """One step of a layer, as the body of a loop: the state before, a projected input, and whether it is real.

    Args:
        layer: The layer.
        zoneout: See `Block`.
    """

    def __init__(self, layer: Layer, zoneout: float) -> None:
        super().__init__()
        self.layer, self.zoneout = layer, zoneout

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Returns the new state, and the output."""
        *state, p_t, real = tensors
        y, new = self.layer.advance(p_t, tuple(state))
        if self.zoneout:
            y, new = zone_out(new, tuple(state), self.zoneout, False)
        kept = tuple(keep(real, one, old) for one, old in zip(new, state, strict=True))
        return (*kept, y.masked_fill(~real[:, None], 0.0))


Loop = Callable[[Step, Tensor, Tensor, State], tuple[Tensor, State]]
"""Maps a step, projected inputs (B, T, P), which are real (B, T), and a state to outputs (B, T, D) and the last one."""


@contextmanager
def looping(module: nn.Module, loop: Loop) -> Iterator[None]:
    """While it is open, the layers of a module run over time by `loop`. Its stacks should have no fused kernels."""
    blocks = [one for one in module.modules() if isinstance(one, Block)]
    for block in blocks:
        block._run = _by(loop, block.options.zoneout)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for block in blocks:
            del block._run


def _by(loop: Loop, zoneout: float) -> Any:
    def run(layer: Layer, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        p = layer.project(x)
        real = torch.ones_like(p[:, :, 0], dtype=torch.bool) if lengths is None else real_steps(lengths, x)
        return loop(Step(layer, zoneout), p, real, state)

    return run


def unfuse(module: nn.Module) -> None:
    """Replaces stacks that run in PyTorch's fused kernels by stacks of single layers, with the same weights."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Fused):
                setattr(parent, name, single_layers(child))


@torch.no_grad()
def single_layers(fused: Any) -> Stack:
    """Returns the stack of layers that a fused one is."""
    stack = Stack(
        fused.input_size, fused.hidden_size, fused.num_layers, fused.cell.cell_name, fused.bidirectional, StackOptions()
    )
    for number, layer in enumerate(stack.layers):
        w = fused.weights(number)
        for name, weight in (("weight_ih", w.ih), ("weight_hh", w.hh), ("bias_ih", w.b_ih), ("bias_hh", w.b_hh)):
            getattr(layer, name).copy_(weight)
    return stack.to(fused.weights(0).ih)
