"""Sequences of numbers, and the number that comes next.

Legend: N examples, T time steps.
"""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.base import Part, Parts, SequenceData, check_fractions, split_sizes
from datamodules.cache import sha256
from datamodules.files import read_table
from zoo.batch import ValueBatch

THREE_STEPS = Path(__file__).parent / "facts" / "three_steps.csv"


class NumericSequences(SequenceData):
    """Some numbers in, the next one out.

    The parts follow each other in time: training first, the test last, and no window reaches from
    one into another. With no held-out part (both fractions 0), validation looks at the training
    examples: its figures tell what was memorised.

    Args:
        path: A file of numbers (CSV or TSV, whose first line names the columns, JSON lines, Parquet);
            None takes thirteen rows, from 1 2 3 -> 4 to 40 50 60 -> 70.
        column: A series in one column, from top to bottom, cut into windows. None takes each row as
            an example, whose last column is the number to predict.
        window: Numbers in a window, T, for `column`.
        normalize: What the model does to the numbers: `none`; `dataset`: minus the training part's
            mean, over its standard deviation; `instance`: the same of each sequence.
        val_fraction: Share for validation.
        test_fraction: Share for the test.
        batch_size: Sequences of each optimizer step, over all devices.
        predict_inputs: Sequences for `predict`, all of one length; None takes the last part.
        seed: It fixes the batch order, with epoch and rank; None takes `seed_everything`'s.
    """

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
        if window < 1:
            raise ValueError(f"window: got {window}, expected at least 1")
        if normalize not in ("none", "dataset", "instance"):
            raise ValueError(f"normalize: got {normalize!r}, expected none, dataset or instance")
        if column is not None and path is None:
            raise ValueError(f"column: got {column!r} without a path, expected a file that has the column")
        self.path, self.column, self.window, self.normalize = path, column, window, normalize
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.predict_inputs = predict_inputs

    def load(self) -> Parts:
        """See `SequenceData`."""
        name = self.path or str(THREE_STEPS)
        table = read_numbers(name, None if self.column is None else [self.column])
        sizes = split_sizes(len(table), self.val_fraction, self.test_fraction)
        pieces = dict(zip(("train", "val", "test"), np.split(table, np.cumsum(sizes)[:2]), strict=True))
        parts: Parts = {}
        part: Part
        for part, piece in pieces.items():  # type: ignore[assignment]
            if len(piece):
                parts[part] = self._examples(name, part, piece)
        # The scale of the training numbers: what a window sees, and what it is to predict.
        self.mean, self.scale = float(pieces["train"].mean()), float(pieces["train"].std()) or 1.0
        return parts if len(parts) > 1 else {**parts, "val": parts["train"]}

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

    def predict_dataloader(self) -> Any:
        """Batches of `predict_inputs`, or else of the last part."""
        if self.predict_inputs is None:
            return super().predict_dataloader()
        lengths = {len(row) for row in self.predict_inputs}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"predict_inputs: got sequences of {sorted(lengths)} numbers, expected all of one length")
        inputs = torch.tensor(self.predict_inputs, dtype=torch.float32)[:, :, None]
        return self.predict_loader(ValueBatch(inputs, torch.full((len(inputs), 1), math.nan)))

    @property
    def spec(self) -> dict[str, Any]:
        """One number a step, how many steps, one to predict, and the scaling, which the model does."""
        scaling = {"mean": self.mean, "scale": self.scale} if self.normalize == "dataset" else {}
        steps = self.parts["train"].inputs.shape[1]
        return {"input_size": 1, "target_size": 1, "num_steps": steps, "normalize": self.normalize, **scaling}

    @property
    def sources(self) -> dict[str, str]:
        """See `SequenceData`."""
        path = Path(self.path or THREE_STEPS)
        return {path.name: sha256(path)}


def read_numbers(path: str, columns: list[str] | None) -> NDArray[np.float64]:
    """Reads columns of numbers.

    Args:
        path: The file.
        columns: Which ones; None takes all.

    Returns:
        The numbers (rows, columns).

    Raises:
        ValueError: If a column is missing, or a cell isn't a finite number; it names the row.
    """
    table = read_table(path)
    for name in columns or ():
        if name not in table:
            raise ValueError(f"{path}: there is no column {name!r}; it has {', '.join(table)}")
    names = columns or list(table)
    if all(_is_number(name) for name in names):
        raise ValueError(f"{path}: the first line is {','.join(names)}, expected the names of the columns")
    if columns is None and len(names) < 2:
        raise ValueError(f"{path}: got one column, {names[0]}; expected at least two, or give its name as `column`")
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
