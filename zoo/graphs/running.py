"""Models that compute with their exported graphs, so that a task can score what a graph says.

Legend: B batch, T time steps.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from zoo.graphs.writing import Export, plain
from zoo.models import CharLMModel, Model, RegressorModel, Seq2SeqModel, SeqClassifierModel, SeqTaggerModel
from zoo.models.graphs import Graph, Tensors
from zoo.nn import State


def with_graphs(model: Model, exports: Mapping[str, Export]) -> Model:
    """Returns a copy of a model whose network is replaced by its exported graphs. It is for evaluation only.

    Args:
        model: The model.
        exports: Its graphs, see `zoo.graphs.export`.

    Raises:
        ValueError: If the class of the model is not one of the zoo's.
    """
    copy: Any = plain(model)
    graphs, runs = model.graphs(), {name: one.load() for name, one in exports.items()}
    if isinstance(model, CharLMModel):
        sequence = _sequence(graphs["sequence"], runs["sequence"])

        def read(ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
            logits, *new = sequence(ids, torch.full((len(ids),), ids.shape[1]), state=state)
            return logits, tuple(new)

        copy.forward = read
    elif isinstance(model, SeqClassifierModel | SeqTaggerModel):
        copy.forward = _logits(_sequence(graphs["sequence"], runs["sequence"]))
    elif isinstance(model, RegressorModel):
        predict = _sequence(graphs["sequence"], runs["sequence"])
        times = "times" in graphs["sequence"].inputs
        copy.distribution = lambda inputs, known=None: predict(*([inputs, known] if times else [inputs]))[0]
    elif isinstance(model, Seq2SeqModel):
        step = _step(runs["step"])
        copy.network.start, copy.network.decoder.step = runs["encode"], step
        copy.network.decoder.stepper = lambda: step
        copy.network.decoder.forward = _by_steps(step)
    else:
        raise ValueError(f"{model.model_name}: {type(model).__name__} is not one of the zoo's models")
    return copy


def _sequence(graph: Graph, run: Callable[..., Tensors]) -> Callable[..., Tensors]:
    """Returns a graph that begins with its first state, unless there is one."""

    def call(*given: Tensor, state: State | None = None) -> Tensors:
        if state is None:
            state = tuple(one.expand(len(given[0]), *one.shape[1:]) for one in graph.first.values())
        return run(*(one.float() if one.is_floating_point() else one for one in given), *state)

    return call


def _logits(sequence: Callable[..., Tensors]) -> Callable[..., Tensor]:
    def forward(inputs: Tensor, lengths: Tensor | None = None, letters: Tensor | None = None) -> Tensor:
        lengths = torch.full((len(inputs),), inputs.shape[1]) if lengths is None else lengths
        return sequence(inputs, lengths, *(() if letters is None else (letters,)))[0]

    return forward


def _step(run: Callable[..., Tensors]) -> Callable[[Tensor, State], tuple[Tensor, State]]:
    def step(ids: Tensor, state: State) -> tuple[Tensor, State]:
        logits, *new = run(ids, *state)
        return logits, tuple(new)

    return step


def _by_steps(step: Callable[[Tensor, State], tuple[Tensor, State]]) -> Callable[..., tuple[Tensor, State]]:
    def forward(ids: Tensor, state: State) -> tuple[Tensor, State]:
        steps = []
        for id_t in ids.unbind(1):
            logits, state = step(id_t, state)
            steps.append(logits)
        return torch.stack(steps, 1), state

    return forward
