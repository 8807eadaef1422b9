"""The closed choices that networks and the records that describe them share."""

from collections.abc import Mapping
from typing import Any, Literal

CellSpec = dict[str, Any] | str  # a name, or {name: ..., option: value, ...}
InitName = Literal["torch", "keras"]
Norm = Literal["none", "layer", "rms"]
Pooling = Literal["last", "mean", "max"]
AttentionName = Literal["none", "additive", "dot", "general", "multi_head"]
BridgeName = Literal["none", "linear"]


def cell_name(cell: CellSpec) -> str:
    """Returns the name of a cell that is given as a name, or as a name with options."""
    return str(cell.get("name", "")) if isinstance(cell, Mapping) else cell
