"""Reading and splitting pairs of texts."""

from typing import Any

from datamodules.sources.tables import check_columns, read_cells
from datamodules.texts.files import decode

Pair = tuple[str, str]


def read_pair_table(path: str, data: bytes, source: str | None = None, target: str | None = None) -> list[Pair]:
    """Reads two columns of a table: CSV, TSV, JSON lines or Parquet.

    Args:
        path: The file.
        data: Its content.
        source: The column of the sources. Default: the first of two columns.
        target: The column of the targets. Default: the second of two columns.

    Returns:
        The pairs, (source, target). An empty cell is an empty text.

    Raises:
        ValueError: If the file is empty or can't be read, if a row has too few or too many cells, if a column does
            not exist, or if there are more than two columns and they are not named.
    """
    if not data.strip():
        raise ValueError(f"{path}: the file is empty")
    cells = read_cells(path, data)
    check_columns(path, [name for name in (source, target) if name is not None], cells)
    if None in (source, target):
        if len(cells) != 2:
            raise ValueError(f"{path}: got the columns {', '.join(cells)}; expected two, or set source and target")
        first, second = cells
        source = source or (first if target != first else second)
        target = target or (second if source != second else first)
    if source == target:
        raise ValueError(
            f"source, target: got {source!r} for both, expected two columns; {path} has {', '.join(cells)}"
        )
    return [(_text(a), _text(b)) for a, b in zip(cells[str(source)], cells[str(target)], strict=True)]


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def read_lines(source: tuple[str, bytes], target: tuple[str, bytes]) -> list[Pair]:
    """Reads two files line by line.

    Args:
        source: The path and the content of the file of sources.
        target: Those of the file of targets.

    Raises:
        ValueError: If a file is empty or not UTF-8, or if one has more lines than the other.
    """
    sides = []
    for path, data in (source, target):
        if not data.strip():
            raise ValueError(f"{path}: the file is empty")
        lines = decode(path, data).replace("\r\n", "\n").removesuffix("\n").split("\n")
        sides.append(lines)
    counts = [len(lines) for lines in sides]
    if counts[0] != counts[1]:
        raise ValueError(
            f"{source[0]} has {counts[0]:,} lines, and {target[0]} has {counts[1]:,}; expected equal numbers"
        )
    return list(zip(*sides, strict=True))
