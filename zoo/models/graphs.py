"""What a model computes outside of Python: functions of tensors, with examples of their inputs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from zoo.nn import Recurrent

Tensors = tuple[Tensor, ...]


@dataclass(frozen=True)
class Graph:
    """A function of tensors that a model offers for export.

    Args:
        run: The function.
        inputs: The names of its tensors.
        outputs: The names of what it returns.
        example: Makes inputs for a number of rows and a number of steps. An axis whose size changes with either is free
            in an exported graph.
        first: The first state, by the names of its inputs: tensors of one row. What an input `x` becomes is the output
            `new_x`.
    """

    run: Callable[..., Tensors]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: Callable[[int, int], Tensors]
    first: Mapping[str, Tensor] = field(default_factory=dict)


def first_state(recurrent: Recurrent) -> dict[str, Tensor]:
    """The first state of recurrent layers, by name."""
    return dict(zip(recurrent.state_names, recurrent.init_state(1), strict=True))


def after(names: Iterable[str]) -> tuple[str, ...]:
    """The names of the tensors of a state, after some steps."""
    return tuple(f"new_{name}" for name in names)
