"""Writing a model's graphs as ONNX, each of which was compared with the model."""

from copy import deepcopy

import numpy as np
import onnx_ir as ir
import onnxruntime
import torch
from torch import Tensor, nn

from zoo.models import Model
from zoo.models.graphs import Graph
from zoo.onnx.scan import Loops, exported, unfuse

TRACED = (2, 5)  # rows and steps of the example that is traced
OTHER = (3, 7)
TRIED = ((1, 1), (1, 2), (2, 5), (3, 20), (5, 3))  # rows and steps of what is compared
LARGEST = 1e-4  # of a difference


class Run(nn.Module):
    """A graph of a model, as a module."""

    def __init__(self, model: Model, graph: Graph) -> None:
        super().__init__()
        self.model, self.graph = model, graph

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See `Graph`."""
        return self.graph.run(*tensors)


def graphs(model: Model) -> dict[str, bytes]:
    """Returns the ONNX files of a model, by the names of its graphs.

    Raises:
        ValueError: If a graph can't be exported, or differs from the model.
    """
    model = deepcopy(model).eval().float()
    loose = deepcopy(model)
    unfuse(loose)
    found = {}
    for (name, graph), wanted in zip(loose.graphs().items(), model.graphs().values(), strict=True):
        found[name] = _export(loose, graph)
        error = difference(found[name], wanted)
        if not error <= LARGEST:
            raise ValueError(f"{model.model_name}: its graph {name} differs from the model by {error:.1e}")
    return found


@torch.no_grad()
def _export(model: Model, graph: Graph) -> bytes:
    loops = Loops(model)
    with loops.hidden():
        made = exported(
            Run(model, graph),
            *_example(graph),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
        )
    loops.reveal(made)
    return ir.to_proto(made).SerializeToString()


def _example(graph: Graph) -> tuple[tuple[Tensor, ...], list[dict[int, str]]]:
    """Returns inputs, and which of their axes are free."""
    one, other = graph.example(*TRACED), graph.example(*OTHER)
    names = {pair: name for pair, name in zip(zip(TRACED, OTHER, strict=True), ("rows", "steps"), strict=True)}
    free = []
    for name, a, b in zip(graph.inputs, one, other, strict=True):
        sizes = zip(a.shape, b.shape, strict=True)
        free.append({i: names.get(pair, f"{name}_{i}") for i, pair in enumerate(sizes) if pair[0] != pair[1]})
    return one, free


@torch.no_grad()
def difference(data: bytes, graph: Graph) -> float:
    """Returns the largest difference of an ONNX graph from what it is of, over some numbers of rows and steps."""
    session = onnxruntime.InferenceSession(data)
    largest = 0.0
    for rows, steps in TRIED:
        torch.manual_seed(rows)
        given = graph.example(rows, steps)
        found = session.run(None, {name: one.numpy() for name, one in zip(graph.inputs, given, strict=True)})
        for one, wanted in zip(found, graph.run(*given), strict=True):
            largest = max(largest, float(np.abs(one.astype(np.float64) - wanted.double().numpy()).max()))
    return largest
