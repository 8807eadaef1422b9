"""Checks of a task: when its class is defined, and when its model is built."""

import inspect
import io
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torchmetrics import Metric

from zoo.checks import brief, nearest
from zoo.files.bundle import check_plain
from zoo.hub.registry import CLASSES
from zoo.models import Model

LOGGED_STAGES = ("train", "val")  # stages during training
CALLED_WITH = {"score": ("batch", "stage"), "build_metrics": ("stage",), "figure": ()}  # arguments, without self
TEXTS = ("item", "figure_name")
NAMES = ("facts", "keeps", "shown", "remembers")  # tuples of names


def check_class(task: Any) -> None:
    """Checks the class of a task when it is defined.

    Raises:
        TypeError: If an attribute or method is missing, or is not as `Task` documents it.
    """
    for name in ("model_class", "batch_type"):
        if not isinstance(getattr(task, name, None), type):
            raise TypeError(f"{task.__name__}: a task needs the class attribute {name!r}, a class")
    _check_model_class(task, task.model_class)
    for name in TEXTS:
        if not isinstance(value := getattr(task, name), str) or not value:
            raise TypeError(f"{task.__name__}: {name}: got {brief(value)}, expected a text")
    if task.figure_name == "curves" or "/" in task.figure_name:
        raise TypeError(
            f"{task.__name__}: figure_name: got {task.figure_name!r}, expected a file name other than 'curves'"
        )
    for name in NAMES:
        check_names(f"{task.__name__}: {name}", getattr(task, name))
    _check_monitor(task)
    _check_facts(task)
    _check_methods(task)


def check_names(where: str, value: Any) -> None:
    """Raises TypeError unless a value is a tuple of strings. `("vocab")` is a string, not a tuple."""
    if not isinstance(value, tuple | list) or not all(isinstance(name, str) for name in value):
        example = f"('{value}',)" if isinstance(value, str) else "('name',)"
        raise TypeError(f"{where}: got {brief(value)}, expected a tuple of names, for example {example}")


def _check_model_class(task: Any, model: Any) -> None:
    if not issubclass(model, Model):
        raise TypeError(f"{task.__name__}: model_class: got {model.__name__}, expected a subclass of zoo.Model")
    if model not in CLASSES.values():
        raise TypeError(
            f"{task.__name__}: model_class: {model.__name__} is not registered, so zoo.load would not know it; "
            "decorate it with @zoo.register_model"
        )


def _check_monitor(task: Any) -> None:
    monitor = task.monitor
    if not isinstance(monitor, tuple | list) or len(monitor) != 2 or monitor[1] not in ("min", "max"):
        raise TypeError(
            f"{task.__name__}: monitor: got {brief(monitor)}, expected a metric's name and min or max, "
            "for example ('val/accuracy', 'max')"
        )


def _check_facts(task: Any) -> None:
    config, name = task.model_class.config_class, task.__name__
    fields, arguments = config.names(), inspect.signature(task).parameters
    for fact in task.facts:
        if fact not in fields:
            raise TypeError(f"{name}: facts: {config.__name__} has no field {fact!r}{nearest(fact, fields)}")
        if fact not in arguments and not _takes_any(arguments.values()):
            raise TypeError(f"{name}: facts: its constructor has no argument {fact!r}; add {fact}=None")
    for fact in task.keeps:
        if fact not in task.facts:
            raise TypeError(f"{name}: keeps: {fact!r} is not one of its facts, {', '.join(task.facts) or 'none'}")
    for group in getattr(task, "requires", ()):
        check_names(f"{name}: requires", group)
        for fact in group:
            if fact not in task.facts:
                raise TypeError(f"{name}: requires: {fact!r} is not one of its facts, {', '.join(task.facts)}")


def _takes_any(parameters: Iterable[inspect.Parameter]) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _check_methods(task: Any) -> None:
    for name, arguments in CALLED_WITH.items():
        method = getattr(task, name)
        if getattr(method, "__isabstractmethod__", False):
            raise TypeError(f"{task.__name__}: a task needs the method {name}({', '.join(('self', *arguments))})")
        try:
            inspect.signature(method).bind(None, *arguments)
        except TypeError as error:
            raise TypeError(
                f"{task.__name__}: {name}: it is called as {name}({', '.join(arguments)}): {error}"
            ) from None


def check_metrics(task: Any, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Checks the metrics of a task, and the attributes that name them.

    Args:
        task: The task.
        metrics: The result of `build_metrics` for each stage.

    Raises:
        TypeError: If a value is not a metric.
        ValueError: If a name can't be logged, if a metric is used twice, or if `monitor` or `shown`
            name a metric that does not exist.
    """
    name, seen = type(task).__name__, set()
    for stage, of_stage in metrics.items():
        if not isinstance(of_stage, Mapping):
            raise TypeError(f"{name}: build_metrics({stage!r}): got {brief(of_stage)}, expected a dict of metrics")
        for key, metric in of_stage.items():
            where = f"{name}: build_metrics({stage!r}): {key}"
            if not isinstance(key, str) or not key.isidentifier() or key == "loss" or key.endswith("_step"):
                raise ValueError(
                    f"{where}: expected a name such as 'accuracy', but not 'loss', and without '/', '.' and '_step'"
                )
            if hasattr(nn.ModuleDict, key):
                raise ValueError(f"{where}: PyTorch's ModuleDict has a member of this name; choose another")
            if not isinstance(metric, Metric):
                raise TypeError(f"{where}: got {type(metric).__name__}, expected a torchmetrics Metric")
            if id(metric) in seen:
                raise ValueError(f"{where}: this metric is used twice; create a new one for each stage")
            seen.add(id(metric))
    logged = [f"{stage}/{key}" for stage in LOGGED_STAGES for key in ("loss", *metrics[stage]) if key[0] != "_"]
    if task.monitor[0] not in logged:
        hint = nearest(task.monitor[0], logged) or "."
        raise ValueError(f"{name}: monitor: there is no metric {task.monitor[0]!r}{hint} It logs {', '.join(logged)}")
    for shown in task.shown:
        if not any(shown in of_stage for of_stage in metrics.values()):
            known = sorted({key for of_stage in metrics.values() for key in of_stage})
            raise ValueError(f"{name}: shown: there is no metric {shown!r}; there are {', '.join(known) or 'none'}")


def check_saved(task: Any) -> None:
    """Checks that everything that a checkpoint needs from a task can be saved.

    Raises:
        ValueError: If a needed constructor argument is not in `hparams`, if one is not a plain value, or
            if an attribute in `remembers` does not exist, or can't be saved and loaded.
    """
    name = type(task).__name__
    check_plain({key: value for key, value in task.hparams.items() if key[:1] != "_"}, f"{name}: hparams")
    fields = {*task.facts, *task.model_class.config_class.names()}
    if lost := [key for key in inspect.signature(type(task)).parameters if key in fields and key not in task.hparams]:
        raise ValueError(f"{name}: hparams lacks {', '.join(lost)}; call super().__init__(lr) in its __init__")
    for attribute in task.remembers:
        if not hasattr(task, attribute):
            raise ValueError(f"{name}: remembers: it has no attribute {attribute!r}; set it in its __init__")
        buffer = io.BytesIO()
        try:
            torch.save(getattr(task, attribute), buffer)
            torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
        except Exception as error:  # pickling can raise any error of the value's class
            raise ValueError(
                f"{name}: remembers: {attribute} is {brief(getattr(task, attribute))}, "
                "expected tensors and plain values"
            ) from error
