"""Graphs as ONNX. Recurrent layers are `Scan` nodes, whose body is one step of the layer.

While PyTorch's exporter runs, the loop over time of each layer is one placeholder: a node without a meaning, with the
shapes of what it returns. Afterwards, each placeholder becomes a `Scan`. So the number of steps stays free, and any
layer can be exported whose single step can.

Legend: B batch, T time steps, P numbers of a projected input.
"""

import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from zoo.graphs.layers import Step, looping
from zoo.models.graphs import Graph, Tensors
from zoo.nn.layer import State

SUFFIX = ".onnx"
DOMAIN = "zoo"
OPSET = 20


def make(module: nn.Module, graph: Graph, example: Tensors, free: list[dict[int, str]]) -> bytes:
    """Returns a graph as an ONNX file.

    Args:
        module: A module whose `forward` is the graph.
        graph: The names of its inputs and outputs.
        example: Its inputs.
        free: The names of the free axes of each of them.

    Raises:
        ValueError: If PyTorch can't export it. The message is the reason.
    """
    loops = Loops()
    try:
        with looping(module, loops.placeholder):
            made = exported(module, example, free, input_names=list(graph.inputs), output_names=list(graph.outputs))
        loops.reveal(made)
    except torch.onnx.OnnxExporterError as error:
        reason: BaseException = error
        while reason.__cause__ is not None:
            reason = reason.__cause__
        raise ValueError(str(reason)) from error
    for node in made.graph.all_nodes():
        node.metadata_props.clear()  # the lines of code that it comes from, with files of this machine
    return ir.to_proto(made).SerializeToString()


def load(data: bytes, threads: int = 0) -> Callable[..., Tensors]:
    """Returns a function of tensors that runs an ONNX file.

    Args:
        data: The file.
        threads: How many it uses. 0: as many as there are cores.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(*given: Tensor) -> Tensors:
        arrays = {name: one.numpy() for name, one in zip(names, given, strict=True)}
        return tuple(map(torch.from_numpy, session.run(None, arrays)))

    return run


def quantize(data: bytes) -> bytes:
    """Returns an ONNX file with its matrices in int8; what they are multiplied by is quantized as it comes.

    The weights have 7 bits: with 8, onnxruntime's sums can overflow on x86 processors without VNNI.

    Raises:
        ValueError: If onnxruntime can't quantize it.
    """
    logging.disable(logging.WARNING)  # of tensors that are not float
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "int8.onnx"
            quantize_dynamic(
                onnx.load_from_string(data),
                file,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                extra_options={"EnableSubgraph": True},  # the bodies of loops
            )
            return file.read_bytes()
    except Exception as error:  # of many classes
        raise ValueError(str(error)) from error
    finally:
        logging.disable(logging.NOTSET)


class Loops:
    """The loops over time that an export meets."""

    def __init__(self) -> None:
        self.found: list[tuple[Step, Tensors]] = []  # each with examples of its inputs

    def placeholder(self, step: Step, p: Tensor, real: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Loop`: leaves a placeholder."""
        key, layer = len(self.found), step.layer
        example = [torch.rand(2, *shape) for shape in layer.state_shapes]
        self.found.append((step, (*example, torch.rand(2, p.shape[-1]), torch.tensor([True, False]))))
        outputs = torch.onnx.ops.symbolic_multi_out(
            f"{DOMAIN}::Loop",
            (p, real, *state),
            {"key": key},
            dtypes=[p.dtype, *(one.dtype for one in state)],
            shapes=[(*p.shape[:2], layer.output_size), *(tuple(one.shape) for one in state)],
            version=1,
        )
        return outputs[0], tuple(outputs[1:])

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


def exported(module: nn.Module, example: Tensors, free: list[dict[int, str]], **names: Any) -> ir.Model:
    """Exports a module whose `forward` takes any number of tensors, with free axes of each of them."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names of free axes, and of what PyTorch itself uses
        program = torch.onnx.export(
            module.eval(), example, dynamic_shapes=(tuple(free),), opset_version=OPSET, verbose=False, **names
        )
    assert program is not None
    return program.model
