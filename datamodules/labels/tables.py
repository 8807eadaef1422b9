"""Sequences with a class, as they lie in tables.

Legend: R rows, T time steps, D features.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.sources.tables import check_columns, numbers

Cells = Mapping[str, Sequence[Any]]  # column name -> R cells


class Columns(NamedTuple):
    """Which columns of a table hold what."""

    text: str
    label: str
    features: tuple[str, ...] = ()  # D columns of numbers; none: the sequences are texts
    sequence: str | None = None  # which rows belong together; None: each row has a whole sequence


class Labelled(NamedTuple):
    """A sequence and the name of its class."""

    value: Any  # a text, or numbers (T, D), float64
    label: str

    @property
    def key(self) -> Any:
        """Something that is equal for equal sequences."""
        return self.value if isinstance(self.value, str) else self.value.tobytes()


def read_rows(path: str, cells: Cells, columns: Columns) -> list[Labelled]:
    """Returns the sequences of a table with a column of classes.

    Args:
        path: Its name, for messages.
        cells: Its columns.
        columns: Which of them hold what.

    Raises:
        ValueError: If a column does not exist, a cell is empty, a number can't be read, or a sequence has several
            classes. The message gives the row.
    """
    check_columns(path, [*([] if columns.features else [columns.text]), columns.label], cells)
    labels = [_filled(path, columns.label, row, cell) for row, cell in enumerate(cells[columns.label], 1)]
    if not columns.features:
        texts = [_text(path, columns.text, row, cell) for row, cell in enumerate(cells[columns.text], 1)]
        return [Labelled(text, label) for text, label in zip(texts, labels, strict=True)]
    if columns.sequence is None and not holds_lists(cells, columns):
        raise ValueError(
            f"{path}: column {columns.features[0]!r} has a number in each row, expected sequence, the column that "
            "tells which rows belong together; or a list of numbers in each row"
        )
    found = read_sequences(path, cells, columns)
    if columns.sequence is None or holds_lists(cells, columns):
        return [Labelled(values, label) for (_, values), label in zip(found, labels, strict=True)]
    classes: dict[str, str] = {}
    names = [_filled(path, columns.sequence, row, cell) for row, cell in enumerate(cells[columns.sequence], 1)]
    for row, (name, label) in enumerate(zip(names, labels, strict=True), 1):
        if classes.setdefault(name, label) != label:
            raise ValueError(
                f"{path}: row {row}: column {columns.label!r}: got {label!r}, but the sequence {name!r} "
                f"began with {classes[name]!r}"
            )
    return [Labelled(values, classes[name]) for name, values in found]


def read_sequences(path: str, cells: Cells, columns: Columns) -> list[tuple[str, NDArray[np.float64]]]:
    """Returns the sequences of numbers of a table, each with its name, in the order of their first rows.

    Each row is one if its cells are lists. Otherwise, the rows with the same `sequence` are one; or without this
    column, all rows.

    Raises:
        ValueError: If a column does not exist, or a cell is no number. The message gives the row.
    """
    check_columns(path, columns.features, cells)
    if holds_lists(cells, columns):
        rows = zip(*(cells[name] for name in columns.features), strict=True)
        names = map(str, cells.get(columns.sequence or "", range(1, len(cells[columns.features[0]]) + 1)))
        return [
            (name, _listed(path, columns, row, lists))
            for row, (name, lists) in enumerate(zip(names, rows, strict=True), 1)
        ]
    check_columns(path, [] if columns.sequence is None else [columns.sequence], cells)
    values = np.stack([_complete(path, name, cells[name]) for name in columns.features], axis=1)
    if columns.sequence is None:
        return [(Path(path).name, values)]
    members: dict[str, list[int]] = {}
    for row, cell in enumerate(cells[columns.sequence]):
        members.setdefault(_filled(path, columns.sequence, row + 1, cell), []).append(row)
    return [(name, values[rows]) for name, rows in members.items()]


def holds_lists(cells: Cells, columns: Columns) -> bool:
    """Returns whether the cells of the features are lists, so that a row is a sequence."""
    first = cells.get(columns.features[0], ())
    return len(first) > 0 and isinstance(first[0], list | tuple | np.ndarray)


def _listed(path: str, columns: Columns, row: int, lists: Sequence[Any]) -> NDArray[np.float64]:
    """Returns the sequence of a row whose cells are lists."""
    for name, cell in zip(columns.features, lists, strict=True):
        if not isinstance(cell, list | tuple | np.ndarray) or not len(cell):
            raise ValueError(f"{path}: row {row}: column {name!r}: got {cell!r}, expected a list of numbers")
    if len(sizes := {len(cell) for cell in lists}) > 1:
        raise ValueError(f"{path}: row {row}: its lists have {min(sizes)} to {max(sizes)} numbers, expected the same")
    where = f"{path}: row {row}"
    found = [_complete(where, name, cell) for name, cell in zip(columns.features, lists, strict=True)]
    return np.stack(found, axis=1)


def _complete(where: str, name: str, cells: Sequence[Any]) -> NDArray[np.float64]:
    if any(isinstance(cell, list | tuple | np.ndarray) for cell in cells):
        raise ValueError(f"{where}: column {name!r}: got lists in a list, expected numbers; give each column a name")
    found = numbers(f"{where}: column {name!r}", cells)
    if len(missing := np.flatnonzero(np.isnan(found))):
        raise ValueError(f"{where}: column {name!r}, row {missing[0] + 1}: no number")
    return found


def _filled(path: str, name: str, row: int, cell: Any) -> str:
    """Returns a cell as text.

    Raises:
        ValueError: If it is empty.
    """
    if cell is None or not str(cell).strip():
        raise ValueError(f"{path}: row {row}: column {name!r} is empty")
    return str(cell).strip()


def _text(path: str, name: str, row: int, cell: Any) -> str:
    """Returns a cell as the text of a sequence. A list of symbols is joined with spaces."""
    _filled(path, name, row, " ".join(map(str, cell)) if isinstance(cell, list) else cell)
    return " ".join(map(str, cell)) if isinstance(cell, list) else str(cell)
