"""The check of a layer of another package, when a stack is built of it."""

import torch
from torch import Tensor

from zoo.nn.layer import Layer

ROWS = 2


@torch.no_grad()
def check_layer(layer: Layer, input_size: int) -> None:
    """Runs one step of a layer, and checks that it does what `Layer` says.

    Raises:
        ValueError: If it does not.
    """
    where = f"the cell {layer.cell_name}"
    width, shapes = (getattr(layer, name, None) for name in ("output_size", "state_shapes"))
    if not isinstance(width, int):
        raise ValueError(f"{where}: output_size: got {width!r}, expected the number of outputs")
    if not isinstance(shapes, tuple) or not all(isinstance(shape, tuple) for shape in shapes):
        expected = "expected the shapes of one row's state, for example ((hidden_size,),)"
        raise ValueError(f"{where}: state_shapes: got {shapes!r}, {expected}")
    weights = dict(layer.named_parameters())
    if not weights:
        raise ValueError(f"{where}: it has no weights")
    if unknown := set(layer.recurrent_weights) - weights.keys():
        raise ValueError(f"{where}: recurrent_weights: it has no parameter {', '.join(sorted(unknown))}")
    inputs = next(iter(weights.values())).new_zeros(ROWS, input_size)
    with torch.random.fork_rng(devices=[]):
        found = layer.step(inputs, layer.init_state(ROWS))
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[1], tuple):
        raise ValueError(f"{where}: step: got {type(found).__name__}, expected outputs and a state, a tuple of tensors")
    output, state = found
    if len(state) != len(shapes):
        raise ValueError(f"{where}: step: got a state of {len(state)} tensors, and state_shapes has {len(shapes)}")
    _check_shape(f"{where}: step: outputs", output, (ROWS, width))
    for one, shape in zip(state, shapes, strict=True):
        _check_shape(f"{where}: step: a state", one, (ROWS, *shape))


def _check_shape(where: str, found: object, expected: tuple[int, ...]) -> None:
    got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if got != expected:
        raise ValueError(f"{where}: got {got}, expected the shape {expected} for {ROWS} rows")
