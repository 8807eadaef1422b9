"""The closed choices that networks and the records that describe them share."""

from collections.abc import Mapping
from typing import Any, Literal

CellSpec = dict[str, Any] | str
"""A cell: its name, or a dictionary with its `name` and options."""
InitName = Literal["torch", "keras"]
"""How weights are initialized: as `torch.nn` or as Keras does."""
Norm = Literal["none", "layer", "rms"]
"""The normalization around a layer."""
Pooling = Literal["last", "mean", "max"]
"""How the outputs of all steps become one vector."""
AttentionName = Literal["none", "additive", "dot", "general", "multi_head"]
"""How a decoder scores the outputs of the encoder."""
BridgeName = Literal["none", "linear"]
"""How the encoder's last state becomes the decoder's first one."""


def cell_name(cell: CellSpec) -> str:
    """Returns the name of a cell that is given as a name, or as a name with options."""
    return str(cell.get("name", "")) if isinstance(cell, Mapping) else cell
