"""Classifying the sequences of a table."""

import sys
from pathlib import Path
from typing import Any

from datamodules.labels.tables import Columns, read_sequences
from datamodules.sources.tables import read_cells
from zoo.cli.errors import UsageError
from zoo.methods.seq_classifier import SeqClassifierMethods

STANDARD_INPUT = "standard input.csv"
AT_ONCE = 32  # sequences


def infer(model: SeqClassifierMethods, path: str) -> list[dict[str, Any]]:
    """Returns a row for each sequence of a file, see `Model.infer`. `-` reads CSV from standard input.

    A file without the model's `sequence_column` is one sequence.

    Raises:
        UsageError: If the file can't be read, or does not fit the model.
    """
    config = model.config
    name = STANDARD_INPUT if path == "-" else path
    try:
        cells = read_cells(name, sys.stdin.buffer.read() if path == "-" else None)
        by = config.sequence_column if config.sequence_column in cells else None
        found = read_sequences(name, cells, Columns("", "", config.input_columns or (), by))
        if config.sequence_column is not None and by is None and len(found) == 1:
            print(f"{name}: one sequence, because there is no column {config.sequence_column!r}", file=sys.stderr)
        pieces = (found[start : start + AT_ONCE] for start in range(0, len(found), AT_ONCE))
        rows = [row for piece in pieces for row in model.infer([steps for _, steps in piece])]
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    where = "" if len(found) == 1 and by is None else f"{Path(name).name}: "
    return [{**row, "input": path if not where else f"{where}{key}"} for row, (key, _) in zip(rows, found, strict=True)]
