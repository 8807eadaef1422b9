"""The registry of models.

The name of a model without weights is `<task>_<cell>`, for example `char_lm_lstm`. The name of a
trained model is `<task>_<cell>.<data>`, for example `char_lm_lstm.alice`.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from zoo.checks import nearest
from zoo.files import bundle
from zoo.models import CharLMModel, Model, RegressorModel, Seq2SeqModel, SeqClassifierModel, SeqTaggerModel
from zoo.nn import CELLS, cell_name

Factory = Callable[..., Model]
F = TypeVar("F", bound=Factory)
CLASSES: dict[str, type[Model]] = {}  # by task name
FUNCTIONS: dict[str, Factory] = {}  # by function name


def register_model(model: F) -> F:
    """Registers a model under its name. Use it as a decorator.

    Args:
        model: A subclass of `Model`, which is registered as `<task_name>_<cell>` for each cell. Or a
            function that takes keyword arguments and returns a model, which is registered under
            the function's name.

    Defining a class or function again, as in a notebook, replaces the one before.

    Raises:
        ValueError: If another model of this name exists.
        TypeError: If a class lacks a method that a model needs.

    Example:
        >>> @register_model
        ... def char_lm_tiny(**arguments):
        ...     return create("char_lm_gru", **{"hidden_size": 16, **arguments})
        >>> create("char_lm_tiny", vocab=["a", "b"]).config.hidden_size
        16
    """
    found: dict[str, Any] = CLASSES if isinstance(model, type) else FUNCTIONS
    name = getattr(model, "task_name", model.__name__)
    known = found.get(name)
    again = known is not None and (known.__module__, known.__qualname__) == (model.__module__, model.__qualname__)
    if not again and (name in CLASSES or name in names()):
        raise ValueError(f"register_model: a model named {name!r} already exists")
    if missing := sorted(getattr(model, "__abstractmethods__", ())):
        raise TypeError(f"register_model: {model.__name__} needs {', '.join(missing)}, see zoo.Model")
    found[name] = model
    return model


def names() -> list[str]:
    """Returns the names of all models that can be created."""
    return sorted([*FUNCTIONS, *(f"{task}_{cell}" for task in CLASSES for cell in CELLS)])


def list_models(pattern: str = "*", pretrained: bool = False) -> list[str]:
    """Returns the names of models, in alphabetical order.

    Args:
        pattern: Which names, with * and ?, for example `char_lm*`.
        pretrained: Whether to list the trained models, for `load`, or those for `create`.

    Example:
        >>> list_models("regressor_*lstm")[:3]
        ['regressor_cifg_lstm', 'regressor_layer_norm_lstm', 'regressor_lstm']
    """
    return sorted(name for name in (bundle.shipped() if pretrained else names()) if fnmatchcase(name, pattern))


def create(name: str, **arguments: Any) -> Model:
    """Creates a model with fresh weights.

    Args:
        name: Its name, for example `char_lm_lstm`.
        **arguments: The fields of its config record, for example of `zoo.models.CharLMConfig`.

    Raises:
        ValueError: If the name or an argument is unknown (the message suggests the most similar one),
            or if an argument is missing.
    """
    if name in FUNCTIONS:
        return FUNCTIONS[name](**arguments)
    if name not in names():
        hint = "; this is a trained model, use load" if name in bundle.shipped() else nearest(name, names())
        raise ValueError(f"unknown model {name!r}{hint}; a name is a task, _ and a cell: {', '.join(CELLS)}")
    model, cell = find_class(name)
    if cell_name(arguments.setdefault("cell", cell)) != cell:
        raise ValueError(f"cell: got {arguments['cell']!r}, but {name} has {cell!r}")
    return model(model.config_class.from_dict(arguments))


def find_class(name: str, source: str = "") -> tuple[type[Model], str]:
    """Returns the class and the cell of a model name.

    Args:
        name: For example `char_lm_lstm`.
        source: Where the name comes from, for messages.

    Raises:
        ValueError: If no registered class has this name.
    """
    for task, model in CLASSES.items():
        if name.startswith(f"{task}_") and (cell := name.removeprefix(f"{task}_")) in CELLS:
            return model, cell
    where = f"{source}: " if source else ""
    hint = "; if its class is in a package of yours, import it first (--allow_import PACKAGE)" if source else ""
    raise ValueError(f"{where}unknown model {name!r}{nearest(name, names())}{hint}")


for _model in (CharLMModel, RegressorModel, Seq2SeqModel, SeqClassifierModel, SeqTaggerModel):
    register_model(_model)
