"""Graphs as programs of `torch.export`. Recurrent layers are `scan` operators, whose body is one step of the layer."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan  # torch has no public name for it yet

from zoo.graphs.layers import Step, looping
from zoo.models.graphs import Graph, Tensors
from zoo.nn.layer import State

SUFFIX = ".pt2"


def make(module: nn.Module, graph: Graph, example: Tensors, free: list[dict[int, str]]) -> bytes:
    """Returns a graph as a file of `torch.export.save`. For the arguments, see `zoo.graphs.as_onnx.make`.

    Raises:
        ValueError: If PyTorch can't export it. The message is the reason.
    """
    axes = tuple(dict.fromkeys(names, torch.export.Dim.DYNAMIC) for names in free)
    given = tuple(map(whole, example))
    torch._dynamo.reset()  # else it takes numbers in which layers differ for inputs of a step
    with torch.no_grad(), silent(), looping(module.eval(), by_scan):
        try:
            program = _exported(module, given, axes, strict=False)
        except ValueError:  # `len(x)` is a constant there
            program = _exported(module, given, axes, strict=True)
        drop_unused(program)
        forget_files(program)
        file = io.BytesIO()
        torch.export.save(program, file)
    return file.getvalue()


def load(data: bytes, threads: int = 0) -> Callable[..., Tensors]:
    """Returns a function of tensors that runs a file of `torch.export.save`. It uses PyTorch's threads."""
    return torch.export.load(io.BytesIO(data)).module()


def _exported(module: nn.Module, given: Tensors, axes: tuple[dict[int, Any], ...], strict: bool) -> Any:
    try:
        return torch.export.export(module, given, dynamic_shapes=(axes,), strict=strict)
    except Exception as error:  # of many classes, also those of a cell's own code
        raise ValueError(str(error)) from error


def drop_unused(program: Any) -> None:
    """Removes the weights that a graph does not read: those of an encoder are not in the decoder's file."""
    specs = program.graph_signature.input_specs
    nodes = [node for node in program.graph.nodes if node.op == "placeholder"]
    for node, spec in zip(nodes, list(specs), strict=True):
        if spec.target in program.state_dict and not node.users:
            program.graph.erase_node(node)
            specs.remove(spec)
            del program.state_dict[spec.target]


def forget_files(program: Any) -> None:
    """Removes the lines of code that each node comes from: they name files of this machine."""
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)


@contextmanager
def silent() -> Iterator[None]:
    """Hides what PyTorch says of its own insides."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def by_scan(step: Step, p: Tensor, real: Tensor, state: State) -> tuple[Tensor, State]:
    """See `Loop`."""

    def body(before: State, given: State) -> tuple[State, Tensor]:
        *new, y = map(whole, step(*before, *given))
        return tuple(new), y

    last, outputs = scan(body, tuple(map(whole, state)), (whole(p.transpose(0, 1)), whole(real.transpose(0, 1))))
    return outputs.transpose(0, 1), tuple(last)


def whole(tensor: Tensor) -> Tensor:
    """Returns a copy. All tensors of a `scan` have to lie in memory in the same way, and share none of it."""
    return tensor.clone(memory_format=torch.contiguous_format)
