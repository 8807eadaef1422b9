"""What a model computes outside of Python: functions of tensors, with examples of their inputs."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

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
    """

    run: Callable[..., Tensors]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: Callable[[int, int], Tensors]


def state_names(count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the tensors of a state, before and after."""
    return tuple(f"state_{i}" for i in range(count)), tuple(f"new_state_{i}" for i in range(count))
