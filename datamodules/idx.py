"""Files in the IDX format, of bytes: http://yann.lecun.com/exdb/mnist.

A header of big-endian numbers of 32 bits (0x800 plus the number of axes, then the size of each axis), and the values.
"""

import math
from pathlib import Path

BYTES = 0x800  # the values are unsigned bytes


def check_idx(path: Path, axes: int) -> str:
    """Checks an IDX file of bytes before a reader allocates what its header says.

    Args:
        path: The file.
        axes: How many axes it is to have.

    Returns:
        The path, for torchvision's readers.

    Raises:
        ValueError: If it is no such file, or of another size than its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(4 * (1 + axes))
    kind, *shape = (int.from_bytes(header[place : place + 4], "big") for place in range(0, 4 * (1 + axes), 4))
    if kind != BYTES + axes:
        raise ValueError(f"{path}: expected an IDX file of bytes with {axes} axes")
    expected = 4 * (1 + axes) + math.prod(shape)
    if size != expected:
        raise ValueError(f"{path}: got {size} bytes, expected {expected}, as its header says {shape}")
    return str(path)
