"""Columns of tables, from people who use a model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.checks import nearest


def read_window(table: Mapping[str, Any], names: tuple[str, ...], steps: int | None = None) -> tuple[Any, int]:
    """Returns the last rows of some columns (steps, D), float64, and the number of all rows.

    Args:
        table: Column name -> numbers.
        names: The columns.
        steps: How many rows. None: all, at least 1.

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
        if column.ndim != 1 or len(column) < (steps or 1):
            raise ValueError(f"column {name!r}: got {column.size} rows, expected at least {steps or 1}")
        if columns and len(column) != len(columns[0]):
            raise ValueError(f"column {name!r}: got {len(column)} rows, but {names[0]!r} has {len(columns[0])}")
        columns.append(column)
    steps = len(columns[0]) if steps is None else steps
    window = np.stack([column[-steps:] for column in columns], axis=1)
    missing = np.argwhere(~np.isfinite(window))
    if len(missing):
        row, place = missing[0]
        raise ValueError(f"column {names[place]!r}, row {len(columns[0]) - steps + row + 1}: no number")
    return window, len(columns[0])
