"""Config records: plain values that describe a model."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

from zoo.checks import brief, nearest
from zoo.choices import CellSpec, InitName, Norm

PLAIN: dict[Any, type] = {
    str: str,
    int: int,
    float: float,
    bool: bool,
    NoneType: NoneType,
    Literal: str,
    tuple: list,
    dict: dict,
}


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The fields that all models have in common. Subclasses add their own.

    A field is a str, int, float, bool, None or a tuple of strings or floats. Lists become tuples.

    Args:
        cell: Recurrent cell, one of `zoo.nn.CELLS`, or a dict with its `name` and options.
        hidden_size: Units of each layer and direction.
        num_layers: Recurrent layers.
        dropout: Dropout between recurrent layers, see `zoo.nn.StackOptions`, as for the next ones.
        variational_dropout: Dropout of a layer's inputs, with one mask for all steps.
        weight_drop: Dropout of recurrent weights.
        zoneout: Probability that a number of the state stays as it was.
        residual: Whether a layer's inputs are added to its outputs.
        norm: Normalization of a layer's inputs.
        mlp: Whether a gated MLP follows each layer.
        convolution: Steps that a convolution of a layer's inputs looks at; 0 is none.
        learn_state: Whether the first state is learned.
        head_dropout: Dropout before the last, linear layer.
        init: Initialization of the weights, `torch` or `keras`, see `zoo.nn.initialize`.
    """

    cell: CellSpec = "lstm"
    hidden_size: int = 128
    num_layers: int = 1
    dropout: float = 0.0
    variational_dropout: float = 0.0
    weight_drop: float = 0.0
    zoneout: float = 0.0
    residual: bool = False
    norm: Norm = "none"
    mlp: bool = False
    convolution: int = 0
    learn_state: bool = False
    head_dropout: float = 0.0
    init: InitName = "torch"

    tunable: ClassVar[frozenset[str]] = frozenset(
        {"dropout", "head_dropout", "init"}
    )  # same weights fit if they differ

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))

    @classmethod
    def check_class(cls) -> None:
        """Checks that a subclass is a record of plain values.

        Raises:
            TypeError: If it has annotations but no decorator, or a field of another type.
        """
        known = {field.name for field in fields(cls)}
        for name, kind in get_type_hints(cls).items():
            if ClassVar in (kind, get_origin(kind)):
                continue
            if name in vars(ModelConfig) and name not in ModelConfig.names():
                raise TypeError(f"{cls.__name__}: {name}: ModelConfig has a member of this name; choose another")
            if name not in known:
                raise TypeError(f"{cls.__name__}: {name} is no field; add @dataclass(frozen=True, kw_only=True)")
            plain = all((get_origin(one) or one) in PLAIN for one in alternatives(kind))
            if not plain or not item_kinds(kind) <= {str, float}:
                raise TypeError(
                    f"{cls.__name__}: {name}: got the type {kind}, "
                    "expected str, int, float, bool, Literal, tuple[str, ...], tuple[float, ...], or one or None"
                )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all fields."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Makes a record from plain values, for example from a file.

        Raises:
            ValueError: If a name is unknown, a value is missing, or a value has the wrong type.
        """
        kinds = {name: kind for name, kind in get_type_hints(cls).items() if name in cls.names()}
        for name, value in values.items():
            if name not in kinds:
                raise ValueError(f"{cls.__name__} has no field {brief(name)}{nearest(str(name), kinds)}")
            check_kind(name, value, kinds[name])
        if missing := [field.name for field in fields(cls) if field.default is MISSING and field.name not in values]:
            raise ValueError(f"{cls.__name__} needs {', '.join(missing)}")
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as plain values for JSON and checkpoints, with lists in place of tuples."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def recurrent_arguments(self) -> dict[str, Any]:
        """Returns the arguments that all networks of `zoo.nn` take."""
        names = (
            *("hidden_size", "num_layers", "cell", "dropout", "variational_dropout", "weight_drop", "zoneout"),
            *("residual", "norm", "mlp", "convolution", "learn_state", "head_dropout", "init"),
        )
        return {name: getattr(self, name) for name in names}


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The types that an annotated type is a union of; itself if it is none."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def item_kinds(kind: Any) -> set[Any]:
    """The types of the items, if an annotated type is a tuple or a union with one."""
    return {get_args(one)[0] if get_args(one) else str for one in alternatives(kind) if get_origin(one) is tuple}


def check_kind(name: str, value: Any, kind: Any) -> None:
    """Raises ValueError if a plain value does not have an annotated type. `True` is not an int."""
    taken = {PLAIN[get_origin(one) or one] for one in alternatives(kind)}
    if float in taken:
        taken.add(int)
    if list in taken:
        taken.add(tuple)
    items = {*item_kinds(kind), *([int] if float in item_kinds(kind) else [])}
    fitting = not isinstance(value, list | tuple) or all(type(item) in items for item in value)
    if type(value) not in taken or not fitting:
        raise ValueError(f"{name}: got {brief(value)}, expected {kind.__name__ if isinstance(kind, type) else kind}")
