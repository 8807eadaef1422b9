"""Tagged texts as they lie in files: CoNLL's columns, and tables."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from datamodules.sources.tables import check_columns, read_cells
from datamodules.tags.data import TaggedText
from datamodules.texts.files import decode

TABLES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
UNIVERSAL = (".conllu", ".conllup")  # of Universal Dependencies


class TagColumns(NamedTuple):
    """Which columns hold symbols and tags: a table's by name, those of CoNLL by number, from 1; -1 is the last one."""

    tokens: str | int | None  # None: `tokens`; or 1, and 2 of Universal Dependencies
    tags: str | int | None  # None: `tags`; or -1, and 4 of Universal Dependencies
    sequence: str | None = None  # of a table with a symbol in each row: which rows belong together


def read_tagged(path: str, data: bytes, columns: TagColumns) -> list[TaggedText]:
    """Reads a file of tagged texts.

    A table has a text in each row, with lists or with texts that are split at white space; or with a column
    `sequence`, a symbol. Any other file is taken for CoNLL: a symbol in each line, in columns with white space
    between them, and an empty line after each text.

    Args:
        path: The file.
        data: Its content.
        columns: Which columns to read.

    Raises:
        ValueError: If the file is empty or can't be read, a column does not exist, or a symbol has no tag. The
            message gives the line or the row.
    """
    if not data.strip():
        raise ValueError(f"{path}: the file is empty")
    suffix = Path(path).suffix.lower()
    kind = int if suffix not in TABLES else str
    if kind is int:  # the command line has texts
        columns = columns._replace(tokens=_number(columns.tokens), tags=_number(columns.tags))
    for name in ("tokens", "tags"):
        if not isinstance(value := getattr(columns, name), kind | None):
            wanted = "the number of a column, from 1" if kind is int else "the name of a column"
            raise ValueError(f"{name}: got {value!r}, but {Path(path).name} needs {wanted}")
    if columns.sequence is not None and kind is int:
        raise ValueError(f"sequence: got {columns.sequence!r}, but {Path(path).name} has no named columns")
    found = list(_table(path, read_cells(path, data), columns) if kind is str else _lines(path, data, columns))
    if not found:
        raise ValueError(f"{path}: it has no text")
    return found


def _number(column: str | int | None) -> str | int | None:
    """Returns the number that a text is, or else what is given."""
    return int(column) if isinstance(column, str) and re.fullmatch(r"-?[0-9]+", column) else column


def count(columns: int) -> str:
    """How many columns there are, in words."""
    return f"{columns} column{'s' * (columns > 1)}"


def _lines(path: str, data: bytes, columns: TagColumns) -> Iterator[TaggedText]:
    """Yields the texts of a file in CoNLL's format."""
    universal = Path(path).suffix.lower() in UNIVERSAL
    first, last = (2, 4) if universal else (1, -1)
    places = [first if columns.tokens is None else columns.tokens, last if columns.tags is None else columns.tags]
    symbols: list[str] = []
    tags: list[str] = []
    width, begun = 0, 0  # the columns of the first line with any, and its number
    for number, line in enumerate([*decode(path, data).split("\n"), ""], 1):
        line = line.strip("\r ")  # noqa: PLW2901
        cells = line.split("\t") if "\t" in line else re.split(" +", line)  # a word may have other spaces
        if not line.strip() or cells[0] == "-DOCSTART-":
            if symbols:
                yield TaggedText(tuple(symbols), tuple(tags))
            symbols, tags = [], []
            continue
        if universal and (cells[0].startswith("#") or not cells[0].isdigit()):  # comments, and words of several words
            continue
        width, begun = width or len(cells), begun or number
        if len(cells) != width:
            raise ValueError(
                f"{path}: line {number}: got {count(len(cells))}, and {width} in line {begun}; expected as many in each"
            )
        if len(cells) < 2 or max(abs(int(place)) for place in places) > len(cells):
            raise ValueError(
                f"{path}: line {number}: got {count(len(cells))}, expected a symbol "
                f"and a tag, in the columns {places[0]} and {places[1]}"
            )
        symbol, tag = (cells[int(place) - (int(place) > 0)].strip() for place in places)
        if not symbol or not tag:
            raise ValueError(f"{path}: line {number}: the {'tag' if symbol else 'symbol'} is empty")
        symbols.append(symbol)
        tags.append(tag)


def _table(path: str, cells: Mapping[str, Sequence[Any]], columns: TagColumns) -> Iterator[TaggedText]:
    """Yields the texts of a table."""
    names = [str(columns.tokens or "tokens"), str(columns.tags or "tags")]
    check_columns(path, names if columns.sequence is None else [*names, columns.sequence], cells)
    rows = list(zip(*(cells[name] for name in names), strict=True))
    if columns.sequence is not None:
        texts: dict[str, tuple[list[str], list[str]]] = {}
        for number, (name, pair) in enumerate(zip(cells[columns.sequence], rows, strict=True), 1):
            for column, cell in zip(names, pair, strict=True):
                if isinstance(cell, list) or cell is None or not str(cell).strip():
                    raise ValueError(f"{path}: row {number}: column {column!r}: got {cell!r}, expected one symbol")
            text = texts.setdefault(str(name), ([], []))
            for side, cell in zip(text, pair, strict=True):
                side.append(str(cell).strip())
        yield from (TaggedText(tuple(symbols), tuple(tags)) for symbols, tags in texts.values())
        return
    for number, pair in enumerate(rows, 1):
        for column, cell in zip(names, pair, strict=True):
            if isinstance(cell, list | tuple) and None in cell:
                raise ValueError(f"{path}: row {number}: column {column!r}: an entry of the list is empty")
        symbols, tags = (
            tuple(map(str, cell) if isinstance(cell, list | tuple) else str("" if cell is None else cell).split())
            for cell in pair
        )
        if not symbols or len(symbols) != len(tags):
            raise ValueError(
                f"{path}: row {number}: got {len(symbols)} symbols and {len(tags)} tags, expected a tag for each symbol"
            )
        yield TaggedText(symbols, tags)
