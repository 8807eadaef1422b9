"""Sequences of numbers and the number that follows.

Legend: N examples, T time steps.
"""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.base import SequenceData
from datamodules.checks import check_fractions, check_sizes
from datamodules.parts import Part, Parts, split_sizes, with_validation
from datamodules.sources.files import FACTS, read_table
from zoo.batch import ValueBatch

THREE_STEPS = FACTS / "three_steps.csv"


class NumericSequences(SequenceData):
    """Predicting the next number of a sequence.

    The parts are consecutive in time: training, validation, test. No window overlaps two parts.
    Without held-out parts (both fractions 0), validation uses the training examples. Its metrics
    then measure memorization.

    Args:
        path: A file of numbers: CSV or TSV with column names in the first line, JSON lines, or
            Parquet. Default: thirteen rows, from 1 2 3 -> 4 to 40 50 60 -> 70.
        column: The column that holds a series, from top to bottom. It is cut into windows. Default:
            each row is an example, and its last column is the number to predict.
        window: Numbers in a window, T, for `column`.
        normalize: How the model scales the numbers. `none`: not at all. `dataset`: minus the mean of
            the training part, divided by its standard deviation. `instance`: the same with mean
            and standard deviation of each sequence.
        val_fraction: Fraction held out for validation.
        test_fraction: Fraction held out for the test.
        batch_size: Sequences per optimizer step, over all devices.
        predict_inputs: Sequences for `predict`, all of the same length. Default: the last part.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = ValueBatch

    def __init__(
        self,
        path: str | None = None,
        column: str | None = None,
        window: int = 3,
        normalize: Literal["none", "dataset", "instance"] = "dataset",
        val_fraction: float = 0.0,
        test_fraction: float = 0.0,
        batch_size: int = 32,
        predict_inputs: list[list[float]] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        check_fractions(val_fraction, test_fraction)
        check_sizes(window=window)
        if normalize not in ("none", "dataset", "instance"):
            raise ValueError(f"normalize: got {normalize!r}, expected none, dataset or instance")
        if column is not None and path is None:
            raise ValueError(f"column: got {column!r} but no path; pass the path of the file with this column")
        self.path, self.column, self.window, self.normalize = path, column, window, normalize
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.predict_inputs = predict_inputs

    def load(self) -> Parts:
        """See `SequenceData`."""
        name = self.path or str(THREE_STEPS)
        data = self.read_source(name, Path(name).name)
        table = read_numbers(name, None if self.column is None else [self.column], data)
        self.steps = table.shape[1] - 1 if self.column is None else self.window
        sizes = split_sizes(len(table), self.val_fraction, self.test_fraction)
        pieces = dict(zip(("train", "val", "test"), np.split(table, np.cumsum(sizes)[:2]), strict=True))
        parts: Parts = {}
        part: Part
        for part, piece in pieces.items():  # type: ignore[assignment]
            if len(piece):
                parts[part] = self._examples(name, part, piece)
        # Over all training numbers: the inputs and the targets. A model that is already trained has its own.
        known = pieces["train"] if len(pieces["train"]) else table
        self.mean = self.facts.get("mean", float(known.mean()))
        self.scale = self.facts.get("scale", float(known.std()) or 1.0)
        return with_validation(parts)

    def _examples(self, name: str, part: Part, piece: NDArray[np.float64]) -> ValueBatch:
        if self.column is not None:
            if len(piece) <= self.window:
                raise ValueError(
                    f"{name}: its {part} part has {len(piece)} numbers, expected at least window + 1 = "
                    f"{self.window + 1}"
                )
            piece = np.lib.stride_tricks.sliding_window_view(piece[:, 0], self.window + 1)
        rows = torch.tensor(piece, dtype=torch.float32)
        return ValueBatch(rows[:, :-1, None], rows[:, -1:])

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns the errors of repeating the last number: see `SequenceData`."""
        found: Any = self.parts[part]  # in memory
        error = (found.rows.inputs[:, -1] - found.rows.targets).double()
        return {"last value": {"mae": float(error.abs().mean()), "mse": float(error.square().mean())}}

    def predict_dataloader(self) -> Any:
        """Returns batches of `predict_inputs`, or of the last part if there are none."""
        if self.predict_inputs is None:
            return super().predict_dataloader()
        lengths = {len(row) for row in self.predict_inputs}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"predict_inputs: got sequences of {sorted(lengths)} numbers, expected equal lengths")
        inputs = torch.tensor(self.predict_inputs, dtype=torch.float32)[:, :, None]
        return self.predict_loader(ValueBatch(inputs, torch.full((len(inputs), 1), math.nan)))

    @property
    def spec(self) -> dict[str, Any]:
        """Numbers per step, numbers to predict, steps, and the scaling, which the model applies."""
        normalize = self.facts.get("normalize", self.normalize)
        scaling = {} if normalize == "none" else {"mean": self.mean, "scale": self.scale}
        return {"input_size": 1, "target_size": 1, "num_steps": self.steps, "normalize": normalize, **scaling}


def read_numbers(path: str, columns: list[str] | None, data: bytes | None = None) -> NDArray[np.float64]:
    """Reads columns of numbers.

    Args:
        path: The file.
        columns: The names of the columns. None: all columns.
        data: The content of the file. Default: read it from `path`.

    Returns:
        The numbers (rows, columns).

    Raises:
        ValueError: If a column is missing, or if a cell is not a finite number. The message gives its row.
    """
    table = read_table(path, data=data)
    for name in columns or ():
        if name not in table:
            raise ValueError(f"{path}: column {name!r} not found, expected one of {', '.join(table)}")
    names = columns or list(table)
    if all(_is_number(name) for name in names):
        raise ValueError(f"{path}: expected column names in the first line, got {','.join(names)}")
    if columns is None and len(names) < 2:
        raise ValueError(
            f"{path}: got one column, {names[0]}, expected at least two; for a series, pass its name as `column`"
        )
    values = [[_number(path, name, row, cell) for row, cell in enumerate(table[name], 1)] for name in names]
    return np.array(values).T


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(path: str, column: str, row: int, cell: Any) -> float:
    try:
        number = math.nan if cell is None else float(cell)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{path}: column {column!r}, row {row}: got {cell!r}, expected a finite number")
    return number
