"""Tables with a column of times and columns of numbers.

Legend: R rows, C columns.
"""

import csv
import difflib
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from datamodules.sources.files import check_file, read_table
from datamodules.sources.times import Step, Times, check_order, find_gap, parse_times, place_on_grid, show, step_of

Fill = Literal["none", "forward", "linear"]
TEXTS = (".txt", ".text", ".md")
SEPARATORS = {".csv": ",", ".tsv": "\t"}
MISSING = {"", "na", "n/a", "nan", "null", "none"}  # cells without a number, in lower case


class Table(NamedTuple):
    """Columns of numbers over time."""

    where: str  # the file's name, for messages
    time: str  # the name of the column of times
    names: tuple[str, ...]  # of the columns of numbers
    times: Times  # (R,)
    values: NDArray[np.float64]  # (R, C), NaN where there is no number

    def last(self, rows: int) -> "Table":
        """Returns the last rows. Messages then count from the first of them."""
        return self._replace(times=self.times[-rows:], values=self.values[-rows:])


def read_series(
    path: str,
    time: str | None = None,
    columns: Sequence[str] | None = None,
    time_format: str | None = None,
    data: bytes | None = None,
) -> Table:
    """Reads a table over time: CSV, TSV, JSON lines or Parquet.

    Args:
        path: The file.
        time: The column of times. Default: the first column.
        columns: The columns of numbers. Default: all others.
        time_format: See `parse_times`.
        data: The content of the file. Default: read it from `path`.

    Raises:
        ValueError: If a column does not exist, a row is too short or too long, a cell is no number or no time, or
            the times are not in order. The message gives the row. Cells without a number become NaN.
    """
    cells = read_cells(path, data)
    time = next(iter(cells)) if time is None else time
    names = [name for name in cells if name != time] if columns is None else list(columns)
    check_columns(path, [time, *names], cells)
    if time in names:
        raise ValueError(f"{path}: column {time!r} has the times; expected other columns for inputs and targets")
    if not names:
        raise ValueError(f"{path}: got one column, {time}, expected a column of times and others of numbers")
    times = parse_times(f"{path}: column {time!r}", cells[time], time_format)
    check_order(f"{path}: column {time!r}", times)
    values = np.stack([numbers(f"{path}: column {name!r}", cells[name]) for name in names], axis=1)
    return Table(path, time, tuple(names), times, values)


def read_cells(path: str, data: bytes | None = None) -> dict[str, list[Any]]:
    """Reads a file: column name -> its R cells. Cells of CSV and TSV are texts.

    Raises:
        FileNotFoundError: If the file is not found.
        ValueError: If it can't be read, has no rows, or has a row with another number of cells than the first line.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SEPARATORS:
        cells = read_table(path, data=data)
    else:
        cells = _split(path, check_file(path).read_bytes() if data is None else data, SEPARATORS[suffix])
    if not any(map(len, cells.values())):
        raise ValueError(f"{path}: got no rows, expected a line of column names and rows")
    return cells


def _split(path: str, data: bytes, separator: str) -> dict[str, list[str]]:
    try:
        lines = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=separator, strict=True)
        names, *rows = [line for line in lines if line] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV in UTF-8: {error}") from error
    names = [name.strip() for name in names]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{path}: two columns have the name {sorted(twice)[0]!r}")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise ValueError(f"{path}: row {number}: got {len(row)} cells, expected {len(names)}: {', '.join(names)}")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def check_columns(path: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raises ValueError for a column that does not exist. The message has the most similar name."""
    known = list(known)
    if Path(path).suffix.lower() in TEXTS:
        raise ValueError(
            f"{path}: got a text, expected a table with the columns {', '.join(names)}; TextFile takes texts"
        )
    for name in names:
        if name not in known:
            found = difflib.get_close_matches(name, known, 1, 0.5)
            hint = f"did you mean {found[0]!r}? It" if found else "it"
            raise ValueError(f"{path}: column {name!r} not found; {hint} has {', '.join(known)}")


def numbers(where: str, cells: Sequence[Any]) -> NDArray[np.float64]:
    """Returns cells (R,) as numbers, NaN for empty cells.

    Raises:
        ValueError: If a cell is anything else. The message gives its row.
    """
    try:
        found = np.array(cells, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        found = np.array([_number(where, row, cell) for row, cell in enumerate(cells, 1)])
    if found.ndim != 1 or np.isinf(found).any():
        row = int(np.isinf(found).nonzero()[0][0])
        raise ValueError(f"{where}, row {row + 1}: got {cells[row]!r}, expected a finite number")
    return found


def _number(where: str, row: int, cell: Any) -> float:
    if cell is None or str(cell).strip().lower() in MISSING:
        return math.nan
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{where}, row {row}: got {cell!r}, expected a number") from None


def check_complete(table: Table, step: Step | None) -> None:
    """Checks that no number and no time is missing.

    Args:
        table: The table.
        step: The step between its times. None: any.

    Raises:
        ValueError: If something is missing. The message gives the column and the row.
    """
    if len(missing := np.argwhere(np.isnan(table.values))):
        row, column = missing[0]
        more = f" ({len(missing):,} such cells)" if len(missing) > 1 else ""
        raise ValueError(
            f"{table.where}: column {table.names[column]!r}, row {row + 1} ({show(table.times[row])}): "
            f"no number{more}; set fill to forward or linear"
        )
    if step is not None and (gap := find_gap(table.times, step)) is not None:
        raise ValueError(
            f"{table.where}: column {table.time!r}, row {gap + 1}: {show(table.times[gap])} follows "
            f"{show(table.times[gap - 1])}, expected a step of {step}; "
            f"set fill to forward or linear, or regular to false"
        )


def fill_gaps(table: Table, step: Step | None, how: Fill) -> tuple[Table, str]:
    """Fills missing numbers, and adds rows for missing times.

    Args:
        table: The table.
        step: The step between its times. None: rows are not added.
        how: `forward` repeats the last number; `linear` draws a line to the next one, which looks ahead.

    Returns:
        The table, and what was filled, as text. The text is empty if nothing was missing.

    Raises:
        ValueError: If there is no number to fill from.
    """
    if how not in get_args(Fill):
        raise ValueError(f"fill: got {how!r}, expected one of {', '.join(get_args(Fill))}")
    times, values = table.times, table.values
    if step is not None and find_gap(times, step) is not None:
        grid, places = place_on_grid(f"{table.where}: column {table.time!r}", times, step)
        spread = np.full((len(grid), values.shape[1]), np.nan)
        spread[places] = values
        times, values = grid, spread
    missing = np.isnan(values)
    said = _said(table, times, missing)
    filled = values.copy()
    for column, name in enumerate(table.names):
        known = np.flatnonzero(~missing[:, column])
        first, last = (known[0], known[-1]) if len(known) else (len(values), -1)
        if first > 0 or (how == "linear" and last < len(values) - 1):
            row = 0 if first > 0 else last + 1
            raise ValueError(
                f"{table.where}: column {name!r}, row {row + 1}: no number, and none "
                f"{'before' if first > 0 else 'after'} it to fill it from; leave out these rows"
            )
        rows = np.arange(len(values))
        if how == "linear":
            filled[:, column] = np.interp(rows, known, values[known, column])
        else:
            filled[:, column] = values[known[np.searchsorted(known, rows, "right") - 1], column]
    return table._replace(times=times, values=filled), said and f"{said}; filled ({how})"


def _said(table: Table, times: Times, missing: NDArray[np.bool_]) -> str:
    """Returns what is missing, as text."""
    added = len(times) - len(table.times)
    cells = int(missing.sum()) - added * missing.shape[1]
    parts = [f"{added:,} of {len(times):,} times"] if added else []
    for column, name in enumerate(table.names if cells else ()):
        if count := int(missing[:, column].sum()) - added:
            first = show(times[missing[:, column].argmax()])
            parts.append(f"{count:,} of {len(times):,} numbers of {name!r} (first: {first})")
    return f"{Path(table.where).name}: missing: {', '.join(parts)}" if parts else ""


def infer_step(table: Table) -> Step:
    """Returns the step between the times of a table.

    Raises:
        ValueError: If it has less than two rows.
    """
    if len(table.times) < 2:
        raise ValueError(f"{table.where}: got {len(table.times)} row, expected at least 2")
    return step_of(table.times)
