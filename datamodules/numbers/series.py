"""Forecasting: windows of time series, and the steps that follow.

Legend: R rows of the series, N windows, B batch size, T steps of a window, D inputs, H steps ahead (horizon),
K targets, C columns: the inputs, and then the targets that are no inputs.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.base import SequenceData
from datamodules.baselines import series as simple
from datamodules.checks import check_fractions, check_sizes
from datamodules.examples import void_missing
from datamodules.parts import Part, Parts, split_sizes, with_validation
from datamodules.sources.files import FACTS
from datamodules.sources.tables import (
    Fill,
    Table,
    check_columns,
    check_complete,
    fill_gaps,
    infer_step,
    read_cells,
    read_series,
)
from datamodules.sources.times import parse_times
from zoo.batch import ValueBatch

log = logging.getLogger(__name__)

CO2 = FACTS / "co2.csv"
Scale = Literal["none", "standard", "instance"]
Calendar = Literal["minute", "hour", "weekday", "month", "yearday"]
CHUNK = 2**23  # numbers of the windows that baselines forecast at once
MAX_NUMBERS = 2**25  # numbers of the windows that the ridge regression learns from
RIDGE = "ridge regression"


class Layout(NamedTuple):
    """Which columns of a series are inputs and targets, and how long a window is."""

    inputs: list[int]  # D columns
    targets: list[int]  # K columns
    window: int  # T
    horizon: int  # H


class SeriesWindows:
    """Examples that are windows of a series, cut when they are taken.

    Args:
        values: The series (R, C), float32. It may be memory-mapped.
        times: The time of each row (R,), in seconds since 1970.
        starts: The first row of each window (N,).
        layout: Columns and lengths.

    Example:
        >>> rows = np.arange(5, dtype=np.float32)[:, None]
        >>> windows = SeriesWindows(rows, np.arange(5), np.array([0, 1]), Layout([0], [0], 3, 1))
        >>> windows.take(torch.tensor([1])).inputs[0, :, 0], windows.take(torch.tensor([1])).targets
        (tensor([1., 2., 3.]), tensor([[[4.]]]))
    """

    batch_type = ValueBatch

    def __init__(
        self, values: NDArray[np.float32], times: NDArray[np.int64], starts: NDArray[np.int64], layout: Layout
    ) -> None:
        self.values, self.times, self.starts, self.layout = values, times, starts, layout

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, index: Tensor) -> ValueBatch:
        """See `Examples`."""
        window, horizon = self.layout.window, self.layout.horizon
        rows = self.starts[index.clamp(min=0).numpy()][:, None] + np.arange(window + horizon)  # (B, T + H)
        block = torch.from_numpy(np.asarray(self.values[rows]))  # (B, T + H, C)
        batch = ValueBatch(
            block[:, :window, self.layout.inputs],
            block[:, window:, self.layout.targets],
            torch.from_numpy(np.asarray(self.times[rows])),
        )
        return void_missing(batch, index)

    def windows(self, numbers: int) -> Iterator[simple.Windows]:
        """Yields all windows in float64, some at a time: at most so many numbers, if a window has not more."""
        size = (self.layout.window + self.layout.horizon) * self.values.shape[1]
        for index in torch.arange(len(self)).split(max(1, numbers // size)):
            batch = self.take(index)
            yield simple.Windows(batch.inputs.double().numpy(), batch.targets.double().numpy())

    def history(self, first: int, count: int, steps: int) -> NDArray[np.float64]:
        """Returns the last steps of the targets before the horizon of some windows: (count, steps, K)."""
        ends = self.starts[first : first + count, None] + self.layout.window
        return self.values[ends + np.arange(-steps, 0)][:, :, self.layout.targets].astype(np.float64)


class TimeSeries(SequenceData):
    """Forecasting columns of a table over time.

    An example is a window of rows, and the rows that follow it. The parts are consecutive in time: training,
    validation, test. The targets of a window are all in its own part. A training window lies wholly in the training
    part; windows of the other parts may begin in an earlier part, because its rows are known by then.

    The numbers of the training part give the scale of all columns, and the error of the seasonal naive forecast,
    which MASE is measured by. The model has the scaling inside.

    Args:
        path: A table with a line for each time: CSV or TSV with column names in the first line, JSON lines, or
            Parquet. Default: the monthly CO2 at Mauna Loa, from 1958 to 2001.
        time: The column of times. Default: the first column.
        inputs: The columns that the model reads. Default: all columns of numbers.
        targets: The columns to forecast. Default: the inputs.
        window: Rows that the model reads, T.
        horizon: Rows to forecast, H.
        stride: Rows from the start of a window to the start of the next.
        val_fraction: Fraction of the rows for validation.
        test_fraction: Fraction of the rows for the test.
        split_rows: Numbers of rows for training, validation and test, in place of fractions. Rows after them are
            left out.
        split_dates: The first dates of validation and test, in place of fractions. A third date ends the test.
        normalize: How the model scales its inputs. `standard`: minus each column's mean in the training part, over
            its standard deviation. `instance`: the same with mean and standard deviation of each window. `none`.
        calendar: What the model gets to know of each row's time: `minute` (of the hour), `hour`, `weekday`, `month`,
            `yearday`, as sine and cosine.
        season: Rows of a season, for MASE and for the seasonal naive forecast. 1: the last value is repeated.
        fill: What to do about empty cells and missing times. `none`: an error. `forward`: repeat the last number.
            `linear`: draw a line to the next number, which looks ahead.
        regular: Whether times must follow each other in equal steps. If not, rows count as steps, for example
            business days.
        time_format: The format of the times, as in Python's `strptime`. Default: ISO 8601, for example 2024-01-31.
        batch_size: Windows per optimizer step, over all devices.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = ValueBatch

    def __init__(
        self,
        path: str | None = None,
        time: str | None = None,
        inputs: list[str] | None = None,
        targets: list[str] | None = None,
        window: int = 24,
        horizon: int = 1,
        stride: int = 1,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        split_rows: list[int] | None = None,
        split_dates: list[str] | None = None,
        normalize: Scale = "standard",
        calendar: list[Calendar] | None = None,
        season: int = 1,
        fill: Fill = "none",
        regular: bool = True,
        time_format: str | None = None,
        batch_size: int = 32,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        check_fractions(val_fraction, test_fraction)
        check_sizes(window=window, horizon=horizon, stride=stride, season=season)
        choices: dict[str, tuple[Any, Any]] = {"normalize": (Scale, [normalize]), "fill": (Fill, [fill])}
        for name, (kind, values) in {**choices, "calendar": (Calendar, calendar or [])}.items():
            if wrong := [value for value in values if value not in get_args(kind)]:
                raise ValueError(f"{name}: got {wrong[0]!r}, expected one of {', '.join(get_args(kind))}")
        for name, columns in {"inputs": inputs, "targets": targets}.items():
            if columns is not None and (not columns or len(set(columns)) < len(columns)):
                raise ValueError(f"{name}: got {columns}, expected at least one column, and each once")
        if split_rows is not None and split_dates is not None:
            raise ValueError("split_rows, split_dates: got both, expected one of them")
        self.path, self.time, self.inputs, self.targets = path, time, inputs, targets
        self.window, self.horizon, self.stride = window, horizon, stride
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.split_rows, self.split_dates = split_rows, split_dates
        self.normalize, self.calendar, self.season = normalize, calendar, season
        self.fill, self.regular, self.time_format = fill, regular, time_format

    # -- reading

    def load(self) -> Parts:
        """See `SequenceData`."""
        table = self._table()
        self.columns = table.names
        self.time_column = table.time
        inputs = list(table.names) if self.inputs is None else self.inputs
        wanted = inputs if self.targets is None else self.targets
        if self.normalize == "instance" and (other := [name for name in wanted if name not in inputs]):
            raise ValueError(
                f"normalize: instance scales a target as the input of its name, but {other[0]!r} is no input; "
                "add it to inputs, or take standard"
            )
        places = {name: place for place, name in enumerate(table.names)}
        self.layout = Layout([places[n] for n in inputs], [places[n] for n in wanted], self.window, self.horizon)
        self.borders = self._borders(table)
        start, end = self.borders.get("train", (0, len(table.values)))
        self._measure(table.values[start:end])
        values, times = table.values.astype(np.float32), table.times.astype(np.int64)
        parts: Parts = {
            part: SeriesWindows(values, times, self._starts(table.where, part), self.layout) for part in self.borders
        }
        return with_validation(parts)

    def _table(self) -> Table:
        """Reads the columns, and fills or refuses what is missing."""
        name = self.path or str(CO2)
        data = self.read_source(name, Path(name).name)
        known = None
        if self.inputs is not None:
            known = [*self.inputs, *(column for column in self.targets or () if column not in self.inputs)]
        elif self.targets is not None:
            check_columns(name, self.targets, read_cells(name, data))
        table = read_series(name, self.time, known, self.time_format, data)
        step = infer_step(table) if self.regular else None
        self.freq = None if step is None else str(step)
        if self.fill == "none":
            check_complete(table, step)
            return table
        table, filled = fill_gaps(table, step, self.fill)
        if filled:
            self.note(filled)
        return table

    def _measure(self, known: NDArray[np.float64]) -> None:
        """Takes the scale of all columns and the error of the naive forecast from the training rows."""
        columns = [*self.layout.inputs, *self.layout.targets]
        mean, scale = known.mean(axis=0)[columns], known.std(axis=0)[columns]
        self.mean: list[float] = mean.tolist()
        self.scale: list[float] = np.where(scale > 0, scale, 1.0).tolist()
        self.naive_error: list[float] | None = None
        if len(known) > self.season:
            found = simple.naive_errors(known[:, self.layout.targets], self.season)
            self.naive_error = found.tolist() if (found > 0).all() else None
        if self.naive_error is None:
            self.note("there is no MASE: the training part repeats itself, or is not longer than a season")

    # -- splitting

    def _borders(self, table: Table) -> dict[Part, tuple[int, int]]:
        """Returns the first row of each part, and the row after its last."""
        rows = len(table.times)
        if self.split_rows is not None:
            ends = self._ends_of_rows(table.where, rows)
        elif self.split_dates is not None:
            ends = self._ends_of_dates(table)
        else:
            ends = np.cumsum(split_sizes(rows, self.val_fraction, self.test_fraction)).tolist()
        if ends[-1] < rows:
            self.note(f"{Path(table.where).name}: the last {rows - ends[-1]:,} of {rows:,} rows are in no part")
        names: tuple[Part, ...] = ("train", "val", "test")
        return {n: (a, b) for n, a, b in zip(names, [0, *ends], ends, strict=False) if b > a}

    def _ends_of_rows(self, where: str, rows: int) -> list[int]:
        sizes = self.split_rows or []
        if len(sizes) != 3 or min(sizes) < 0 or not 0 < sum(sizes) <= rows:
            raise ValueError(
                f"split_rows: got {sizes}, expected rows for training, validation and test; {where} has {rows:,}"
            )
        return np.cumsum(sizes).tolist()

    def _ends_of_dates(self, table: Table) -> list[int]:
        dates = self.split_dates or []
        if len(dates) not in (2, 3):
            raise ValueError(f"split_dates: got {dates}, expected the first dates of validation and test")
        found = parse_times("split_dates", dates)
        ends = np.searchsorted(table.times, found).tolist() + [len(table.times)] * (3 - len(dates))
        if sorted(ends) != ends or ends[-1] == 0:
            raise ValueError(f"split_dates: got {dates}, expected dates in order, after the first row's")
        return ends

    def _starts(self, where: str, part: Part) -> NDArray[np.int64]:
        """Returns the first rows of a part's windows."""
        first, end = self.borders[part]
        before = 0 if part == "train" else min(first, self.window)  # rows of earlier parts that windows may read
        starts = np.arange(first - before, end - self.window - self.horizon + 1, self.stride)
        if not len(starts):
            parts = f"{self.window} (window) + {self.horizon} (horizon)" + (f" - {before}" if before else "")
            raise ValueError(
                f"{where}: its {part} part has {end - first} rows, expected at least "
                f"{self.window + self.horizon - before} = {parts}"
            )
        return starts

    # -- what the model and the user get to know

    @property
    def spec(self) -> dict[str, Any]:
        """Columns, window, horizon and scaling: what the model needs to forecast from a table alone."""
        names = self.columns
        own = {"mean": self.mean, "scale": self.scale, "naive_error": self.naive_error, "normalize": self.normalize}
        return {
            "input_size": len(self.layout.inputs),
            "target_size": len(self.layout.targets),
            "num_steps": self.window,
            "horizon": self.horizon,
            "input_columns": [names[place] for place in self.layout.inputs],
            "target_columns": [names[place] for place in self.layout.targets],
            "time_column": self.time_column,
            "time_format": self.time_format,
            "freq": self.freq,
            "calendar": list(self.calendar or ()),
            "season": self.season,
            **{name: self.facts.get(name, value) for name, value in own.items()},
        }

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns the errors of simple forecasts: see `SequenceData`.

        - `last value`: the last row of the window, repeated.
        - `seasonal naive`: the last season before the horizon, repeated. Only for a `season` above 1.
        - `ridge regression`: from the window's numbers to all steps and targets at once, on windows scaled as the
          model's. It is fitted on the training part; the validation part chooses its penalty.
        """
        examples: Any = self.parts[part]
        reach = self.season if self.season > 1 else 0
        if len(examples) and examples.starts[0] + self.window < reach:
            reach = 0  # the first season is not over
        regression = self._regression()
        sums: dict[str, dict[str, float]] = {}
        done = 0
        for windows in examples.windows(CHUNK):
            count = len(windows.targets)
            past = examples.history(done, count, max(1, reach))
            forecasts = {"last value": simple.last_value(past, self.horizon)}
            if reach:
                forecasts["seasonal naive"] = simple.seasonal_naive(past, self.horizon, reach)
            if regression is not None:
                forecasts[RIDGE] = simple.ridge_forecast(regression, windows, self._scaling())
            for name, forecast in forecasts.items():
                found = self._errors(forecast, windows.targets)
                known = sums.setdefault(name, dict.fromkeys(found, 0.0))
                sums[name] = {metric: known[metric] + count * value for metric, value in found.items()}
            done += count
        return {name: {metric: value / done for metric, value in found.items()} for name, found in sums.items()}

    def _errors(self, forecast: NDArray[np.float64], targets: NDArray[np.float64]) -> dict[str, float]:
        spec = self.spec
        naive = None if spec["naive_error"] is None else np.array(spec["naive_error"])
        return simple.errors(forecast, targets, np.array(spec["scale"][len(self.layout.inputs) :]), naive)

    def _scaling(self) -> simple.Scaling:
        spec = self.spec
        inputs = spec["input_columns"]
        sources = [inputs.index(name) if name in inputs else None for name in spec["target_columns"]]
        return simple.Scaling(spec["normalize"], np.array(spec["mean"]), np.array(spec["scale"]), sources)

    def _regression(self) -> Any:
        """Returns the ridge regression. None without a training part."""
        train: Any = self.parts.get("train")
        if train is None:
            return None
        numbers = len(train) * self.window * len(self.layout.inputs)
        stride = -(-numbers // MAX_NUMBERS)
        if stride > 1:
            log.info("%s: learns from every %sth window of the training part", RIDGE, stride)
        chosen = SeriesWindows(train.values, train.times, train.starts[::stride], train.layout)
        validation: Any = self.parts.get("val", train)
        parts = [next(examples.windows(2 * MAX_NUMBERS)) for examples in (chosen, validation)]
        model, alpha = simple.ridge(parts[0], parts[1], self._scaling())
        log.info("%s: penalty %g, chosen on the validation part", RIDGE, alpha)
        return model
