"""ONNX graphs of an exported model.

Legend: B batch, T time steps, S source steps, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime

from zoo.checks import check_choice
from zoo.decoding import Array

OF_SOURCE = frozenset({"keys", "values", "real", "copied"})  # what of a decoder's state belongs to the source
TYPES = {"float32": np.float32, "int64": np.int64, "bool": np.bool_}


class Graph:
    """A graph that maps arrays and a state to an answer and the new state.

    Args:
        data: The graph, as ONNX.
        description: Of its inputs and outputs, as in `config.json`.
        threads: Of one operation.
    """

    def __init__(self, data: bytes, description: Mapping[str, Any], threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.enable_cpu_mem_arena = False  # which would keep the largest memory that was ever used
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self.run = session.run
        self.inputs, self.outputs = dict(description["inputs"]), list(description["outputs"])
        self.state = [name for name in self.inputs if f"new_{name}" in self.outputs]
        self.width = session.get_outputs()[0].shape[-1]  # of its first output
        for what, names, found in (
            ("inputs", list(self.inputs), session.get_inputs()),
            ("outputs", self.outputs, session.get_outputs()),
        ):
            if names != [one.name for one in found]:
                raise ValueError(f"its {what} are {', '.join(one.name for one in found)}, not {', '.join(names)}")
        if unknown := {str(one.get("dtype")) for one in self.inputs.values()} - {*TYPES}:
            raise ValueError(f"got the dtype {unknown.pop()}, expected one of {', '.join(TYPES)}")

    def first(self, rows: int) -> tuple[Array, ...]:
        """Returns the state of some rows before anything was read."""
        described = [self.inputs[name] for name in self.state if "first" in self.inputs[name]]
        return tuple(
            np.broadcast_to(np.asarray(one["first"], TYPES[one["dtype"]]), (rows, *one["shape"][1:])).copy()
            for one in described
        )

    def __call__(self, inputs: tuple[Any, ...], state: tuple[Array, ...] = ()) -> tuple[Array, tuple[Array, ...]]:
        """Returns the first output, and the new state."""
        given = zip(self.inputs.items(), (*inputs, *state), strict=True)
        answer, *new = self.run(None, {name: np.asarray(value, TYPES[one["dtype"]]) for (name, one), value in given})
        return answer, tuple(new)


class StepDecoder:
    """The graph of one step, as `zoo.decoding` takes it. A state is a dict of arrays.

    Args:
        graph: Maps ids (B,) and a state to logits (B, V) and the new state.
    """

    def __init__(self, graph: Graph) -> None:
        self.run = graph.run
        self.moving = [name for name in graph.state if name not in OF_SOURCE]
        self.outputs = [graph.outputs[0], *(f"new_{name}" for name in self.moving)]

    def __call__(self, ids: Array, state: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        """See `zoo.decoding.Step`."""
        logits, *new = self.run(self.outputs, {"ids": ids, **state})
        return logits, {**state, **dict(zip(self.moving, new, strict=True))}

    def select(self, state: dict[str, Array], index: Array) -> dict[str, Array]:
        """See `zoo.decoding.Decoder`."""
        return {name: one[index] for name, one in state.items()}

    def reorder(self, state: dict[str, Array], index: Array) -> dict[str, Array]:
        """See `zoo.decoding.Decoder`. What belongs to the source stays where it is."""
        return {**state, **{name: state[name][index] for name in self.moving}}

    def join(self, states: Sequence[dict[str, Array]]) -> dict[str, Array]:
        """See `zoo.decoding.Decoder`."""
        return {name: np.concatenate([state[name] for state in states]) for name in states[0]}

    def part(self, state: dict[str, Array], name: str) -> Array:
        """See `zoo.decoding.Decoder`."""
        check_choice("state", name, state)
        return state[name]

    def unseen(self, state: dict[str, Array]) -> Array:
        """See `zoo.decoding.Decoder`."""
        if "seen" not in state:
            raise ValueError("coverage: it needs a model with attention")
        seen: Array = np.log(np.clip(state["seen"], 1e-4, 1.0))
        return np.where(state["real"], seen, 0.0).sum(-1)

    def weights(self, ids: Array, state: dict[str, Array]) -> Array:
        """Returns how much each step looks at each source step (B, T, S), while it reads ids (B, T)."""
        found = []
        for column in ids.T:
            _, new = self(np.ascontiguousarray(column), state)
            found.append(new["seen"] - state["seen"])
            state = new
        return np.stack(found, 1)


def mirrored(weights: Array, lengths: Array) -> Array:
    """Returns weights (B, T, S) of a source that was read from its end, in the order of its symbols; 0 at padding."""
    places = lengths[:, None] - 1 - np.arange(weights.shape[2])  # (B, S)
    turned = np.take_along_axis(weights, np.maximum(places, 0)[:, None], 2)
    return np.where(places[:, None] >= 0, turned, 0.0)
