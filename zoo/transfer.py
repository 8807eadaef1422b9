"""Training that begins with the weights of another model, and leaves some as they are."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor

from zoo.messages import nearest
from zoo.pretrained import load
from zoo.tasks import Task

PARTS = {  # of a task's network: prefixes of tensor names, and what stands for them in the other network
    ("seq2seq", "encoder"): {"source_input.": "input.", "encoder.": "recurrent."},
    ("seq2seq", "decoder"): {"decoder.": ""},
    ("char_lm", "encoder"): {"input.": "input.", "recurrent.": "recurrent."},
    ("char_lm", "decoder"): {"": ""},
}


def initialize_from(task: Task, source: str | Path, part: str | None = None) -> str:
    """Takes the weights of another model as the beginning of this one's training.

    Symbols that both alphabets have keep their vectors, in the embedding (one-hot: in the first
    layer's input weights) and in the head; new ones stay as they were initialised. A classifier of
    other classes keeps its fresh head.

    Args:
        task: The model to train; its network is built.
        source: Where the weights come from, see `load`.
        part: Of a `Seq2Seq`, `encoder` or `decoder`: takes this part alone, from another `Seq2Seq`
            or from a `CharLM`. None takes all, from a model of the same task.

    Returns:
        How much was taken, in words.

    Raises:
        ValueError: If the models differ in task, cell or sizes.
    """
    if part is not None and part not in ("encoder", "decoder"):
        raise ValueError(f"init_from: got {part!r}, expected encoder or decoder{nearest(part, ('encoder', 'decoder'))}")
    task.configure_model()
    other = load(source)
    if task.hparams["cell"] != other.hparams["cell"]:
        raise ValueError(f"init_from: {source} is a {other.model_name}, and this is a {task.model_name}")
    mine, theirs = _tensor_names(task, part), _tensor_names(other, part)
    kinds = task.model_prefix, other.model_prefix
    if not mine or not theirs or (kinds[0] != kinds[1] if part is None else kinds[0] != "seq2seq"):
        raise ValueError(
            f"init_from: a {other.model_name} ({source}) is no beginning for {part or 'all'} of a {task.model_name}"
        )
    own, given = task.network.state_dict(), other.network.state_dict()
    axes, other_axes = task.symbol_axes(), other.symbol_axes()
    copies: list[tuple[Tensor, Tensor]] = []  # all is checked before the first is made
    report: dict[str, str] = {}
    for name in sorted(mine.keys() | theirs.keys()):
        target, values = own.get(mine.get(name, "")), given.get(theirs.get(name, ""))
        if target is None or values is None:
            raise ValueError(
                f"init_from: {name} is in one of {source} and {task.model_name} only: "
                "num_layers and embedding_dim must agree"
            )
        if (mine[name] in axes) != (theirs[name] in other_axes):
            raise ValueError(f"init_from: {source} takes {other.takes}, and this model takes {task.takes}")
        axis, fact = axes.get(mine[name], (None, ""))
        if fact == "classes" and task.hparams[fact] != other.hparams[fact]:
            report[fact] = "other classes, so the head starts fresh"
            continue
        if _shape_beside(axis, target) != _shape_beside(axis, values):
            raise ValueError(
                f"init_from: {source} is a {other.model_name} with {name} {tuple(values.shape)}, and this is a "
                f"{task.model_name} with {tuple(target.shape)}: hidden_size and embedding_dim must agree"
            )
        if axis is not None:
            new, old = task.hparams[fact], other.hparams[other_axes[theirs[name]][1]]
            values, kept = _shared_rows(target, values, axis, new, old)
            report[fact] = f"{fact}: {kept} symbols kept, {len(new) - kept} new"
        copies.append((target, values))
    for target, values in copies:
        target.copy_(values)
    return "; ".join([f"init_from {source}: {len(copies)} of {len(mine)} tensors", *report.values()])


def _tensor_names(task: Task, part: str | None) -> dict[str, str]:
    """Tensors of a task's network, or of a part of it: the name that they have in any such part -> their own."""
    prefixes = {"": ""} if part is None else PARTS.get((task.model_prefix, part), {})
    found = {}
    for name in task.network.state_dict():
        for prefix, common in prefixes.items():
            if name.startswith(prefix):
                found[common + name.removeprefix(prefix)] = name
    return found


def _shape_beside(axis: int | None, tensor: Tensor) -> list[int]:
    """The shape without an axis; all of it if that is None."""
    return [size for number, size in enumerate(tensor.shape) if number != axis]


def _shared_rows(target: Tensor, values: Tensor, axis: int, new: list[str], old: list[str]) -> tuple[Tensor, int]:
    """A copy of the target with the values' rows of the symbols that both alphabets have; how many these are."""
    shared = [symbol for symbol in new if symbol in old]
    rows, other_rows = (torch.tensor([side.index(s) for s in shared], dtype=torch.long) for side in (new, old))
    return target.index_copy(axis, rows, values.index_select(axis, other_rows)), len(shared)


def freeze(task: Task, patterns: Sequence[str]) -> tuple[int, int]:
    """Excludes weights of a task's network from training.

    Args:
        task: The task; its network is built.
        patterns: Of the weights' names, with * and ?, as `recurrent.*`.

    Returns:
        How many parameters are frozen, and how many are trained.

    Raises:
        ValueError: If a pattern fits no weight, or if nothing is left to train.
    """
    weights = dict(task.network.named_parameters())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in weights):
            names = ", ".join(weights)
            raise ValueError(f"freeze: {pattern!r} fits no weight; there are {names}{nearest(pattern, weights)}")
    for name, weight in weights.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            weight.requires_grad_(False)
    frozen = sum(weight.numel() for weight in weights.values() if not weight.requires_grad)
    trained = sum(weight.numel() for weight in weights.values()) - frozen
    if not trained:
        raise ValueError(f"freeze: {', '.join(patterns)} fit all weights; nothing is left to train")
    return frozen, trained
