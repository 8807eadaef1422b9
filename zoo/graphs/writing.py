"""Writing a model as a folder of graphs, each of which was compared with the model."""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zoo.checks import check_choice
from zoo.files import bundle
from zoo.graphs.layers import unfuse
from zoo.models import Model
from zoo.models.graphs import Graph, Tensors

FORMATS = {"onnx": "zoo.graphs.as_onnx", "torch": "zoo.graphs.as_torch"}
"""The formats: name -> module with `make`, `load` and `SUFFIX`."""
FORMAT_VERSION = 1
TRACED, OTHER = (2, 5), (3, 7)  # rows and steps of the example that is traced, and of one that tells its free axes
TRIED = ((1, 1), (1, 2), (2, 5), (3, 20), (5, 3))  # rows and steps of what is compared
LARGEST = 1e-4  # of a difference


class Export(NamedTuple):
    """A graph in a format."""

    format: str
    data: bytes
    inputs: dict[str, dict[str, Any]]  # name -> `dtype`, `shape` with names for free axes, and of a state its `first`
    outputs: tuple[str, ...]
    difference: float  # from the model, at most

    def load(self, threads: int = 0) -> Callable[..., Tensors]:
        """Returns a function of tensors that runs it, with so many threads if the format lets it choose."""
        return import_module(FORMATS[self.format]).load(self.data, threads)


class Run(nn.Module):
    """A graph of a model, as a module."""

    def __init__(self, model: Model, graph: Graph) -> None:
        super().__init__()
        self.model, self.graph = model, graph

    def forward(self, *tensors: Tensor) -> Tensors:
        """See `Graph`."""
        return self.graph.run(*tensors)


def write(model: Model, folder: Path, format: str = "onnx") -> dict[str, Export]:
    """Writes a folder with a file for each graph of a model, and `config.json`, which describes them.

    Args:
        model: The model.
        folder: The folder to write. All files are written to a temporary one first.
        format: `onnx` or `torch`.

    Raises:
        ValueError: See `export`.
    """
    graphs = export(model, format)
    save(model, graphs, folder)
    return graphs


def save(model: Model, graphs: Mapping[str, Export], folder: Path, **more: Any) -> None:
    """Writes a folder with some graphs of a model.

    Args:
        model: The model.
        graphs: Its graphs, by name, see `export`.
        folder: The folder to write.
        **more: Plain values, which `config.json` has, too.
    """
    (form,) = {graph.format for graph in graphs.values()}
    files = {name: file_name(name, graph) for name, graph in graphs.items()}
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        for name, graph in graphs.items():
            (temporary / files[name]).write_bytes(graph.data)
        config = {
            "format": form,
            "format_version": FORMAT_VERSION,
            "name": model.model_name,
            "arguments": model.config.as_dict(),
            "about": model.about,
            **({"decoding": model.decoding} if model.decoding else {}),
            "graphs": {
                name: {
                    "file": files[name],
                    "sha256": bundle.sha256(graph.data),
                    "inputs": graph.inputs,
                    "outputs": list(graph.outputs),
                    "difference": graph.difference,
                }
                for name, graph in graphs.items()
            },
            **more,
        }
        (temporary / bundle.CONFIG).write_text(
            json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        folder.mkdir(exist_ok=True)
        for file in sorted(temporary.iterdir(), key=lambda file: file.name == bundle.CONFIG):  # the config last
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def file_name(name: str, graph: Export) -> str:
    """Returns the name of a graph's file."""
    return f"{name}{import_module(FORMATS[graph.format]).SUFFIX}"


def export(model: Model, format: str = "onnx") -> dict[str, Export]:
    """Returns the graphs of a model in a format, by name.

    Raises:
        ValueError: If the format is unknown, or if a graph can't be exported, or differs from the model at some number
            of rows and steps.
    """
    check_choice("format", format, FORMATS)
    model = plain(model)
    loose = deepcopy(model)
    unfuse(loose)
    found = {}
    for (name, graph), wanted in zip(loose.graphs().items(), model.graphs().values(), strict=True):
        try:
            one = _export(loose, graph, format)
            difference, where = compare(one, wanted)
        except ValueError as error:
            raise ValueError(f"{model.model_name}: the graph {name} can't be exported: {_line(error)}") from error
        if not difference <= LARGEST:
            raise ValueError(
                f"{model.model_name}: the graph {name} differs from the model by {difference:.1e} with {where[0]} rows "
                f"of {where[1]} steps; it is not written"
            )
        found[name] = one._replace(difference=difference)
    return found


def quantize(model: Model, graphs: Mapping[str, Export]) -> dict[str, Export]:
    """Returns ONNX graphs of a model with matrices in int8. They differ from the model by more than `LARGEST`.

    Raises:
        ValueError: If a graph can't be quantized, or gives no finite numbers.
    """
    from zoo.graphs import as_onnx

    found = {}
    for (name, one), wanted in zip(graphs.items(), plain(model).graphs().values(), strict=True):
        try:
            small = one._replace(data=as_onnx.quantize(one.data))
            difference, _ = compare(small, wanted)
        except ValueError as error:
            raise ValueError(f"{model.model_name}: the graph {name} can't be quantized: {_line(error)}") from error
        if not difference < math.inf:
            raise ValueError(f"{model.model_name}: the graph {name} is not finite in int8; it is not written")
        found[name] = small._replace(difference=difference)
    return found


def plain(model: Model) -> Model:
    """Returns a copy of a model that can be compared: on the CPU, in float32 and evaluation mode."""
    return deepcopy(model).cpu().eval().float()


@torch.no_grad()
def _export(model: Model, graph: Graph, format: str) -> Export:
    example, free = _example(graph)
    data = import_module(FORMATS[format]).make(Run(model, graph), graph, example, free)
    inputs = {
        key: {
            "dtype": str(one.dtype).removeprefix("torch."),
            "shape": [axes.get(axis, size) for axis, size in enumerate(one.shape)],
            **({"first": _plain(graph.first[key][0])} if key in graph.first else {}),
        }
        for key, one, axes in zip(graph.inputs, example, free, strict=True)
    }
    return Export(format, data, inputs, graph.outputs, 0.0)


def _line(error: Exception) -> str:
    """Returns the beginning of an error's message, in one line."""
    return f"{' '.join(str(error).split()):.200}"


def _plain(first: Tensor) -> Any:
    """Returns the first state of a row as a number, if it is the same everywhere, or as lists."""
    return first.flatten()[0].item() if bool((first == first.flatten()[0]).all()) else first.tolist()


def _example(graph: Graph) -> tuple[Tensors, list[dict[int, str]]]:
    """Returns inputs, and the names of their free axes."""
    one, other = graph.example(*TRACED), graph.example(*OTHER)
    names = dict(zip(zip(TRACED, OTHER, strict=True), ("rows", "steps"), strict=True))
    free = []
    for name, a, b in zip(graph.inputs, one, other, strict=True):
        sizes = zip(a.shape, b.shape, strict=True)
        free.append({axis: names.get(pair, f"{name}_{axis}") for axis, pair in enumerate(sizes) if pair[0] != pair[1]})
    return one, free


@torch.no_grad()
def compare(export: Export, graph: Graph) -> tuple[float, tuple[int, int]]:
    """Returns the largest difference of an exported graph from what it is of, and with how many rows and steps.

    Raises:
        ValueError: If it can't be run.
    """
    run = export.load()
    worst = (0.0, TRIED[0])
    for rows, steps in TRIED:
        given = graph.example(rows, steps)
        try:
            found = run(*given)
        except Exception as error:  # PyTorch and onnxruntime raise errors of many classes
            raise ValueError(f"it fails with {rows} rows of {steps} steps: {error}") from error
        for one, wanted in zip(found, graph.run(*given), strict=True):
            worst = max(worst, (_difference(one, wanted), (rows, steps)))
    return worst


def _difference(one: Tensor, other: Tensor) -> float:
    """Returns the largest difference of two tensors: infinite, if it is no number or their shapes differ."""
    if one.shape != other.shape:
        return math.inf
    far = (one.double() - other.double()).abs().nan_to_num(math.inf)
    return float(far.max()) if far.numel() else 0.0
