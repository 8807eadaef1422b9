"""The window of a table that a forecast begins from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.checks import nearest


def read_window(table: Mapping[str, Any], names: tuple[str, ...], steps: int) -> tuple[Any, int]:
    """Returns the last rows of some columns (steps, D), float64, and the number of all rows.

    Raises:
        ValueError: If a column is missing or too short, or if one of these rows has no number. The message gives the
            column and the row.
    """
    columns: list[Any] = []
    for name in names:
        if name not in table:
            raise ValueError(f"column {name!r} not found{nearest(name, map(str, table))}")
        try:
            column = np.asarray(table[name], dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"column {name!r}: expected numbers") from None
        if column.ndim != 1 or len(column) < steps:
            raise ValueError(f"column {name!r}: got {column.size} rows, expected at least {steps}")
        if columns and len(column) != len(columns[0]):
            raise ValueError(f"column {name!r}: got {len(column)} rows, but {names[0]!r} has {len(columns[0])}")
        columns.append(column)
    window = np.stack([column[-steps:] for column in columns], axis=1)
    missing = np.argwhere(~np.isfinite(window))
    if len(missing):
        row, place = missing[0]
        raise ValueError(f"column {names[place]!r}, row {len(columns[0]) - steps + row + 1}: no number")
    return window, len(columns[0])
