"""Training that starts from the weights of another model, and frozen weights."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor

from zoo.checks import brief, check_choice, nearest
from zoo.hub.loading import load
from zoo.models import Model

PARTS = {  # (task, part) -> prefixes of tensor names in its network, and the common names of both networks
    ("seq2seq", "encoder"): {"source_input.": "input.", "encoder.": "recurrent."},
    ("seq2seq", "decoder"): {"decoder.": ""},
    ("char_lm", "encoder"): {"input.": "input.", "recurrent.": "recurrent."},
    ("char_lm", "decoder"): {"": ""},
}


def initialize_from(model: Model, source: str | Path, part: str | None = None) -> str:
    """Copies the weights of another model into this one, before it is trained.

    Symbols in both vocabularies take their vectors from the other model: in the embedding (one-hot:
    in the first layer's input weights) and in the head. New symbols stay as they were initialized.
    The head of a classifier with other classes stays as it was initialized, too.

    Args:
        model: The model to train.
        source: Where the weights come from, see `load`.
        part: `encoder` or `decoder` initializes only this part of a `Seq2SeqModel`, from another
            `Seq2SeqModel` or from a `CharLMModel`. None initializes all, from a model of the same task.

    Returns:
        A description of what was copied.

    Raises:
        ValueError: If the models differ in task, cell or sizes.
    """
    if part is not None:
        check_choice("init_from", part, ("encoder", "decoder"))
    other = load(source)
    if model.config.cell != other.config.cell:
        same = model.model_name == other.model_name  # and other options
        kinds = [str(one.config.cell) if same else f"a {one.model_name}" for one in (model, other)]
        raise ValueError(f"init_from: expected {kinds[0]}, got {kinds[1]} ({source})")
    mine, theirs = _tensor_names(model, part), _tensor_names(other, part)
    tasks = model.task_name, other.task_name
    if not mine or not theirs or (tasks[0] != tasks[1] if part is None else tasks[0] != "seq2seq"):
        raise ValueError(
            f"init_from: a {other.model_name} ({source}) can't initialize {part or 'all'} of a {model.model_name}"
        )
    own, given = model.network.state_dict(), other.network.state_dict()
    axes, other_axes = model.symbol_axes(), other.symbol_axes()
    _check_lists(model, other, {fact for _, fact in axes.values()}, source)
    copies: list[tuple[Tensor, Tensor]] = []  # all are checked before the first copy
    report: dict[str, str] = {}
    for name in sorted(mine.keys() | theirs.keys()):
        target, values = own.get(mine.get(name, "")), given.get(theirs.get(name, ""))
        if target is None or values is None:
            raise ValueError(
                f"init_from: only one of {source} and the {model.model_name} has {name}: {_unlike(model, other)}"
            )
        if (mine[name] in axes) != (theirs[name] in other_axes):
            raise ValueError(
                f"init_from: expected a model that takes {model.takes}, got one that takes {other.takes} ({source})"
            )
        axis, fact = axes.get(mine[name], (None, ""))
        if fact == "classes" and getattr(model.config, fact) != getattr(other.config, fact):
            report[fact] = "the classes differ, so the head starts fresh"
            continue
        if _shape_beside(axis, target) != _shape_beside(axis, values):
            raise ValueError(
                f"init_from: {name}: expected shape {tuple(target.shape)}, got {tuple(values.shape)} from the "
                f"{other.model_name} {source}: {_unlike(model, other)}"
            )
        if axis is not None:
            new = getattr(model.config, fact)
            old = getattr(other.config, other_axes[theirs[name]][1])
            values, kept = _shared_rows(target, values, axis, new, old)
            report[fact] = f"{fact}: {kept} symbols kept, {len(new) - kept} new"
        copies.append((target, values))
    for target, values in copies:
        target.copy_(values)
    return "; ".join([f"init_from {source}: {len(copies)} of {len(mine)} tensors", *report.values()])


def _check_lists(model: Model, other: Model, known: set[str], source: str | Path) -> None:
    """Raises ValueError if the models differ in a list of names, and nothing says which weights belong to it."""
    if type(model) is not type(other):
        return
    theirs = other.config.as_dict()
    for name, mine in model.config.as_dict().items():
        if isinstance(mine, list) and name not in known and mine != theirs[name]:
            raise ValueError(
                f"init_from: {name}: expected {brief(mine)}, got {brief(theirs[name])} ({source}); only lists that "
                f"{type(model).__name__}.symbol_axes names may differ"
            )


def _unlike(model: Model, other: Model) -> str:
    """Names the options in which two models differ, of those that their weights may depend on."""
    mine, theirs = model.config.as_dict(), other.config.as_dict()
    shared = mine.keys() & theirs.keys() - model.config.tunable
    unlike = [name for name in sorted(shared) if mine[name] != theirs[name] and not isinstance(mine[name], list)]
    return (
        "; ".join(f"{name}: expected {brief(mine[name])}, got {brief(theirs[name])}" for name in unlike)
        or "they differ"
    )


def _tensor_names(model: Model, part: str | None) -> dict[str, str]:
    """Maps the common names of the tensors of a network, or of a part of it, to their own names."""
    prefixes = {"": ""} if part is None else PARTS.get((model.task_name, part), {})
    found = {}
    for name in model.network.state_dict():
        for prefix, common in prefixes.items():
            if name.startswith(prefix):
                found[common + name.removeprefix(prefix)] = name
    return found


def _shape_beside(axis: int | None, tensor: Tensor) -> list[int]:
    """Returns the shape without an axis, or the whole shape if the axis is None."""
    return [size for number, size in enumerate(tensor.shape) if number != axis]


def _shared_rows(
    target: Tensor, values: Tensor, axis: int, new: Sequence[str], old: Sequence[str]
) -> tuple[Tensor, int]:
    """Returns a copy of the target with the rows of the symbols in both vocabularies, and their number."""
    shared = [symbol for symbol in new if symbol in old]
    rows, other_rows = (torch.tensor([side.index(s) for s in shared], dtype=torch.long) for side in (new, old))
    return target.index_copy(axis, rows, values.index_select(axis, other_rows)), len(shared)


def freeze(model: Model, patterns: str | Sequence[str]) -> tuple[int, int]:
    """Excludes weights of a model's network from training.

    Args:
        model: The model.
        patterns: One or more patterns of the weights' names, with * and ?, for example `recurrent.*`.

    Returns:
        The numbers of frozen and of trained parameters.

    Raises:
        ValueError: If a pattern matches no weight, or if nothing is left to train.
    """
    patterns = [patterns] if isinstance(patterns, str) else patterns
    weights = dict(model.network.named_parameters())
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in weights):
            names = ", ".join(weights)
            raise ValueError(
                f"freeze: {pattern!r} matches no weight; the weights are {names}{nearest(pattern, weights)}"
            )
    for name, weight in weights.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            weight.requires_grad_(False)
    frozen = sum(weight.numel() for weight in weights.values() if not weight.requires_grad)
    trained = sum(weight.numel() for weight in weights.values()) - frozen
    if not trained:
        raise ValueError(f"freeze: {', '.join(patterns)} matches all weights; nothing is left to train")
    return frozen, trained
