"""Sequences with a class, in a folder whose names are the classes."""

from collections.abc import Callable
from pathlib import Path

from datamodules.labels.tables import Cells, Columns, Labelled, holds_lists, read_sequences
from datamodules.sources.tables import read_cells
from datamodules.texts.files import decode, find_files

TABLES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
Read = Callable[[Path], bytes]


def read_folder(path: str, columns: Columns, read: Read) -> list[Labelled]:
    """Reads a folder with a folder for each class, or with a file for each class.

    Args:
        path: The folder.
        columns: The columns of its tables, if the sequences are numbers. Otherwise its files are texts.
        read: Returns the bytes of a file.

    Raises:
        ValueError: If the folder has no file of this kind, or a file is empty or can't be read.
    """
    folder = Path(path).expanduser()
    found: list[Labelled] = []
    for file in map(Path, find_files([path], suffixes=TABLES) if columns.features else find_files([path])):
        alone = file.parent == folder  # the file of a class
        label = file.stem if alone else file.relative_to(folder).parts[0]
        if columns.features:
            found += _labelled_table(str(file), read_cells(str(file), read(file)), columns, label, alone)
        else:
            text = decode(str(file), read(file))
            texts = text.splitlines() if alone else [text]
            kept = [Labelled(text.strip(), label) for text in texts if text.strip()]
            if not kept:
                raise ValueError(f"{file}: the file is empty")
            found += kept
    return found


def _labelled_table(path: str, cells: Cells, columns: Columns, label: str, alone: bool) -> list[Labelled]:
    """Returns the sequences of a file whose name or folder is their class."""
    if alone and columns.sequence is None and not holds_lists(cells, columns):
        raise ValueError(
            f"{path}: a file for a class has several sequences, expected sequence, the column that tells which rows "
            "belong together; or a folder for each class, and a file for each sequence"
        )
    return [Labelled(found, label) for _, found in read_sequences(path, cells, columns)]
