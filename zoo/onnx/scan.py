"""Recurrent layers as ONNX `Scan` nodes, whose body is one step of the layer.

While PyTorch's exporter runs, the loop over time of each layer is one placeholder: a node without a meaning, with the
shapes of what it returns. Afterwards, each placeholder becomes a `Scan`. So the number of steps stays free, and any
layer can be exported whose single step can.

Legend: B batch, T time steps, P numbers of a projected input.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor, nn

from zoo.nn.fused import Fused
from zoo.nn.layer import Layer, State, keep, real_steps, zone_out
from zoo.nn.stack import Block, Stack, StackOptions

DOMAIN = "zoo"
OPSET = 20


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


class Loops:
    """The loops over time that an export meets.

    Args:
        module: What is exported. Its stacks should have no fused kernels, see `unfuse`.
    """

    def __init__(self, module: nn.Module) -> None:
        self.blocks = [one for one in module.modules() if isinstance(one, Block)]
        self.found: list[tuple[Step, tuple[Tensor, ...]]] = []  # each with examples of its inputs

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """While it is open, layers leave a placeholder in place of a loop."""
        for block in self.blocks:
            block._run = self._placeholder(block)  # type: ignore[method-assign]
        try:
            yield
        finally:
            for block in self.blocks:
                del block._run

    def _placeholder(self, block: Block) -> Any:
        def run(layer: Layer, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
            p = layer.project(x)
            real = torch.ones_like(p[:, :, 0], dtype=torch.bool) if lengths is None else real_steps(lengths, x)
            key = len(self.found)
            example = [torch.rand(2, *shape) for shape in layer.state_shapes]
            self.found.append(
                (
                    Step(layer, block.options.zoneout),
                    (*example, torch.rand(2, p.shape[-1]), torch.tensor([True, False])),
                )
            )
            outputs = torch.onnx.ops.symbolic_multi_out(
                f"{DOMAIN}::Loop",
                (p, real, *state),
                {"key": key},
                dtypes=[x.dtype, *(one.dtype for one in state)],
                shapes=[(*p.shape[:2], layer.output_size), *(tuple(one.shape) for one in state)],
                version=1,
            )
            return outputs[0], tuple(outputs[1:])

        return run

    def reveal(self, model: ir.Model) -> None:
        """Replaces the placeholders by loops."""
        for node in [node for node in model.graph if node.domain == DOMAIN]:
            key = node.attributes["key"].as_int()
            p, real, *state = node.inputs
            body = self._body(key)
            turned = [
                ir.node("Transpose", [one], {"perm": [1, 0, *range(2, axes)]}) for one, axes in ((p, 3), (real, 2))
            ]
            loop = ir.Node(
                "",
                "Scan",
                [*state, *(one.outputs[0] for one in turned)],
                [ir.AttrGraph("body", body), ir.AttrInt64("num_scan_inputs", 2)],
                num_outputs=len(state) + 1,
            )
            back = ir.node("Transpose", [loop.outputs[-1]], {"perm": [1, 0, 2]})
            new = [back.outputs[0], *loop.outputs[:-1]]
            for old, one in zip(node.outputs, new, strict=True):
                one.name, one.shape, one.type = old.name, old.shape, old.type
            ir.convenience.replace_nodes_and_values(
                model.graph, node, [node], [*turned, loop, back], list(node.outputs), new
            )
        model.opset_imports.pop(DOMAIN, None)

    def _body(self, key: int) -> ir.Graph:
        """The graph of a step. Its names begin with that of the loop, because they must not hide outer ones."""
        step, example = self.found[key]
        graph = exported(step, example, [{0: "batch"}] * len(example)).graph
        values = [*graph.inputs, *graph.initializers.values(), *(one for node in graph for one in node.outputs)]
        for value in values:
            value.name = f"loop{key}.{value.name}"
        return graph


def exported(module: nn.Module, example: tuple[Tensor, ...], free: list[dict[int, str]], **names: Any) -> ir.Model:
    """Exports a module whose `forward` takes any number of tensors, with free axes of each of them."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names of free axes, and of what PyTorch itself uses
        program = torch.onnx.export(
            module.eval(), example, dynamic_shapes=(tuple(free),), opset_version=OPSET, verbose=False, **names
        )
    assert program is not None
    return program.model


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
