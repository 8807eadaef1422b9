"""Writing a model as a folder of ONNX graphs, each of which was compared with the model."""

import json
import os
import shutil
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx_ir as ir
import onnxruntime
import torch
from torch import Tensor, nn

from zoo.files import bundle
from zoo.models import Model
from zoo.models.graphs import Graph
from zoo.onnx.scan import Loops, exported, unfuse

FORMAT, FORMAT_VERSION = "onnx", 1
TRACED, OTHER = (2, 5), (3, 7)  # rows and steps of the example that is traced, and of one that tells its free axes
TRIED = ((1, 1), (1, 2), (2, 5), (3, 20), (5, 3))  # rows and steps of what is compared
LARGEST = 1e-4  # of a difference


class Export(NamedTuple):
    """A graph as ONNX."""

    data: bytes
    inputs: dict[str, dict[str, Any]]  # name -> `dtype`, `shape` with names for free axes, and of a state its `first`
    outputs: tuple[str, ...]
    difference: float  # from the model, at most


class Run(nn.Module):
    """A graph of a model, as a module."""

    def __init__(self, model: Model, graph: Graph) -> None:
        super().__init__()
        self.model, self.graph = model, graph

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See `Graph`."""
        return self.graph.run(*tensors)


def write(model: Model, folder: Path) -> dict[str, Export]:
    """Writes a folder with an ONNX file for each graph of a model, and `config.json`, which describes them.

    Args:
        model: The model.
        folder: The folder to write. All files are written to a temporary one first.

    Raises:
        ValueError: See `export`.
    """
    graphs = export(model)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        for name, graph in graphs.items():
            (temporary / f"{name}.onnx").write_bytes(graph.data)
        config = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": model.model_name,
            "arguments": model.config.as_dict(),
            "about": model.about,
            "graphs": {
                name: {
                    "file": f"{name}.onnx",
                    "sha256": bundle.sha256(graph.data),
                    "inputs": graph.inputs,
                    "outputs": list(graph.outputs),
                    "difference": graph.difference,
                }
                for name, graph in graphs.items()
            },
        }
        (temporary / bundle.CONFIG).write_text(
            json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        folder.mkdir(exist_ok=True)
        for file in sorted(temporary.iterdir(), key=lambda file: file.name == bundle.CONFIG):  # the config last
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return graphs


def export(model: Model) -> dict[str, Export]:
    """Returns the graphs of a model as ONNX, by name.

    Raises:
        ValueError: If a graph can't be exported, or differs from the model at some number of rows and steps.
    """
    model = deepcopy(model).cpu().eval().float()
    loose = deepcopy(model)
    unfuse(loose)
    found = {}
    for (name, graph), wanted in zip(loose.graphs().items(), model.graphs().values(), strict=True):
        one = _export(loose, name, graph)
        difference, where = compare(one.data, wanted)
        if not difference <= LARGEST:
            raise ValueError(
                f"{model.model_name}: the graph {name} differs from the model by {difference:.1e} with {where[0]} rows "
                f"of {where[1]} steps; it is not written"
            )
        found[name] = one._replace(difference=difference)
    return found


@torch.no_grad()
def _export(model: Model, name: str, graph: Graph) -> Export:
    example, free = _example(graph)
    loops = Loops(model)
    try:
        with loops.hidden():
            made = exported(
                Run(model, graph), example, free, input_names=list(graph.inputs), output_names=list(graph.outputs)
            )
        loops.reveal(made)
    except torch.onnx.OnnxExporterError as error:
        reason: BaseException = error
        while reason.__cause__ is not None:
            reason = reason.__cause__
        text = " ".join(str(reason).split())
        raise ValueError(f"{model.model_name}: PyTorch can't export the graph {name}: {text:.200}") from error
    inputs = {
        key: {
            "dtype": str(one.dtype).removeprefix("torch."),
            "shape": [axes.get(axis, size) for axis, size in enumerate(one.shape)],
            **({"first": _plain(graph.first[key][0])} if key in graph.first else {}),
        }
        for key, one, axes in zip(graph.inputs, example, free, strict=True)
    }
    return Export(ir.to_proto(made).SerializeToString(), inputs, graph.outputs, 0.0)


def _plain(first: Tensor) -> Any:
    """Returns the first state of a row as a number, if it is the same everywhere, or as lists."""
    return first.flatten()[0].item() if bool((first == first.flatten()[0]).all()) else first.tolist()


def _example(graph: Graph) -> tuple[tuple[Tensor, ...], list[dict[int, str]]]:
    """Returns inputs, and the names of their free axes."""
    one, other = graph.example(*TRACED), graph.example(*OTHER)
    names = dict(zip(zip(TRACED, OTHER, strict=True), ("rows", "steps"), strict=True))
    free = []
    for name, a, b in zip(graph.inputs, one, other, strict=True):
        sizes = zip(a.shape, b.shape, strict=True)
        free.append({axis: names.get(pair, f"{name}_{axis}") for axis, pair in enumerate(sizes) if pair[0] != pair[1]})
    return one, free


@torch.no_grad()
def compare(data: bytes, graph: Graph) -> tuple[float, tuple[int, int]]:
    """Returns the largest difference of an ONNX graph from what it is of, and with how many rows and steps."""
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    worst = (0.0, TRIED[0])
    for rows, steps in TRIED:
        given = graph.example(rows, steps)
        found = session.run(None, {name: one.numpy() for name, one in zip(graph.inputs, given, strict=True)})
        for one, wanted in zip(found, graph.run(*given), strict=True):
            same = one.shape == tuple(wanted.shape)
            difference = np.abs(one.astype(float) - wanted.numpy()).max(initial=0) if same else np.inf
            worst = max(worst, (float(difference), (rows, steps)))
    return worst
