"""Reading files of bytes in the IDX format: http://yann.lecun.com/exdb/mnist.

The header holds big-endian 32-bit integers: 0x800 plus the number of axes, then the size of each axis. The
values follow.
"""

import math
from pathlib import Path

import torch

BYTES = 0x800  # the values are unsigned bytes


def read_idx(path: Path, axes: int, data: bytes | None = None) -> torch.Tensor:
    """Reads an IDX file of unsigned bytes, after checking its size against its header.

    Args:
        path: The file.
        axes: The expected number of axes.
        data: The content of the file. Default: read it from `path`.

    Returns:
        The values, uint8, in the shape that the header gives.

    Raises:
        ValueError: If it is not such a file, or if its size does not match its header.
    """
    data = path.read_bytes() if data is None else data
    start = 4 * (1 + axes)
    kind, *shape = (int.from_bytes(data[place : place + 4], "big") for place in range(0, start, 4))
    if kind != BYTES + axes:
        raise ValueError(f"{path}: expected an IDX file of bytes with {axes} axes")
    expected = start + math.prod(shape)
    if len(data) != expected:
        raise ValueError(f"{path}: got {len(data)} bytes, expected {expected} from the shape {shape} in its header")
    values = torch.frombuffer(bytearray(data), dtype=torch.uint8)  # a copy: tensors are writable
    return values[start:].view(shape)
