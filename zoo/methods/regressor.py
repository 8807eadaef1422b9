"""What sequence regressors do with numbers and tables.

Legend: B batch, T time steps, D inputs, K targets, H steps ahead, Q quantiles.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.batch import ValueBatch
from zoo.methods import times as calendars
from zoo.methods.arrays import Array
from zoo.methods.base import Methods
from zoo.methods.regressor_config import RegressorConfig
from zoo.methods.session import Pushed
from zoo.methods.windows import read_window
from zoo.vocab import OnUnknown


class RegressorMethods(Methods):
    """Predicts numbers from a sequence of numbers."""

    task_name = "regressor"
    config_class = RegressorConfig
    config: RegressorConfig

    @abstractmethod
    def predicted(self, inputs: Any, times: Any = None) -> Array:
        """Maps inputs (B, T, D) to the quantiles (B, H, K, Q), float32; without quantiles, the mean, Q = 1.

        Args:
            inputs: The window, in the data's units.
            times: Of the window and the steps to predict (B, T + H), int64, in seconds since 1970. Only a calendar
                needs them.
        """

    def point(self, predicted: Any) -> Any:
        """Returns the prediction among the quantiles (B, H, K, Q): the median. Without a horizon, (B, K)."""
        median = predicted[..., self._median]
        return median[:, 0] if self.config.horizon is None else median

    @property
    def _median(self) -> int:
        return self.config.quantiles.index(0.5) if self.config.quantiles else 0

    # -- plain values

    def predict_values(self, sequences: Any) -> list[Any]:
        """Predicts what follows some sequences.

        Args:
            sequences: One sequence of T numbers, or a list or array (N, T) or (N, T, D) of them, in
                the data's own units.

        Returns:
            K values for each, in the data's own units: a list of lists, for one sequence too. With a horizon, H
            lists of K values for each.

        Raises:
            ValueError: If a number is missing or not finite, if a sequence does not have the
                length that the model takes, or if the model also reads a calendar.
        """
        return self.point(self._predict(self._inputs(sequences))).tolist()

    def push(self, values: Any, state: tuple[Array, ...], on_unknown: OnUnknown | None = None) -> Pushed:
        """See `Session.push`."""
        inputs = self._inputs(values)
        if len(inputs) != 1:
            raise ValueError(f"session: got {len(inputs)} sequences, expected a piece of one")
        predicted, state = self.advance((inputs,), state)
        return Pushed(self.point(self._finite(predicted))[0].tolist(), state, inputs.shape[1])

    def forecast(self, table: Mapping[str, Any], times: Any = None) -> dict[str, Any]:
        """Forecasts what follows the last rows of a table.

        Args:
            table: Column name -> numbers, for example a dict or a data frame. The last T rows are the window. Other
                columns than the model's inputs are ignored.
            times: Their times, ISO texts or datetimes. Default: the table's column `time_column`, if it has one.

        Returns:
            `times`, H texts, or None if they are not known; `values`, target -> H numbers; and `quantiles`,
            target -> quantile, as text -> H numbers, which is empty without quantiles.

        Raises:
            ValueError: If a column is missing, if it has too few rows, if a number is missing in the window, or if
                the times do not follow each other as in the training data.
        """
        config = self.config
        if config.input_columns is None or config.target_columns is None or config.horizon is None:
            raise ValueError("forecast: this model knows no columns; use predict_values")
        window, rows = read_window(table, config.input_columns, config.num_steps or 1)
        inputs = window.astype(np.float32)[None]
        given = table[str(config.time_column)] if times is None and config.time_column in table else times
        known = None if given is None else self._times(given, rows, len(window))
        if config.calendar and known is None:
            raise ValueError(f"times: this model needs them for its calendar, {', '.join(config.calendar)}")
        seconds = None if known is None else known.astype(np.int64)[None]
        predicted = self._predict(inputs, seconds)
        values = self.point(predicted)[0].T.tolist()
        quantiles = predicted[0].transpose(1, 2, 0).tolist() if config.quantiles else []
        names = config.target_columns
        future = None if known is None or config.freq is None else known[len(window) :]
        return {
            "times": None if future is None else [calendars.show(time, config.freq) for time in future],
            "values": dict(zip(names, values, strict=True)),
            "quantiles": {
                name: {f"{level:g}": steps for level, steps in zip(config.quantiles, levels, strict=True)}
                for name, levels in zip(names, quantiles, strict=False)
            },
        }

    def _times(self, given: Any, rows: int, steps: int) -> Any:
        """Returns the times of the window, and of the steps to predict if they are known."""
        times = calendars.as_times(given)
        if len(times) != rows:
            raise ValueError(f"times: got {len(times)}, expected {rows}, one for each row")
        times = times[-steps:]
        freq = self.config.freq
        if freq is None:
            return times
        calendars.check_steps(times, freq, rows - steps + 1)
        return np.concatenate([times, calendars.following(times, freq, self.config.horizon or 1)])

    def infer(self, values: Any) -> list[dict[str, Any]]:
        """Gives the predicted values: see `predict_values`."""
        inputs = self._inputs(values)
        shape = (len(inputs), *([] if self.config.horizon is None else [self.config.horizon]), self.config.target_size)
        targets: Any = np.full(shape, np.nan)
        return self.answer(ValueBatch(inputs, targets))

    def answer(self, batch: ValueBatch) -> list[dict[str, Any]]:
        """Gives the predicted values, in the data's units: see `Model`.

        With a horizon, the input is the last time of the window, if it is known; a column has the H values of a
        target, and others have its quantiles.
        """
        self.check(batch)
        predicted = self._predict(batch.inputs, batch.times)
        values = self.point(predicted)
        if self.config.horizon is not None:
            return [self._row(batch, values, predicted, row) for row in range(len(values))]
        rows = []
        for inputs, one, targets in zip(batch.inputs, values, batch.targets.tolist(), strict=True):
            row = {"input": inputs.flatten().tolist(), "prediction": one.tolist()}
            if not np.isnan(targets).any():
                row["target"] = targets
            rows.append(row)
        return rows

    def _row(self, batch: ValueBatch, values: Array, predicted: Array, row: int) -> dict[str, Any]:
        config, steps = self.config, batch.inputs.shape[1]
        names = config.target_columns or tuple(map(str, range(config.target_size)))
        found: dict[str, Any] = {"input": batch.inputs[row].flatten().tolist()}
        if batch.times is not None:
            last = np.datetime64(int(batch.times[row, steps - 1]), "s")
            found["input"] = calendars.show(last, config.freq)
        for place, name in enumerate(names):
            mark = f"_{name}" if len(names) > 1 else ""
            found[f"prediction{mark}"] = values[row, :, place].tolist()
            for number, level in enumerate(config.quantiles):
                found[f"quantile_{level:g}{mark}"] = predicted[row, :, place, number].tolist()
            targets = batch.targets[row].tolist()
            if not np.isnan(targets).any():
                found[f"target{mark}"] = [values[place] for values in targets]
        return found

    def check(self, batch: ValueBatch) -> None:
        """Raises ValueError if a batch does not have the numbers of steps that the model takes and predicts."""
        steps, horizon = batch.inputs.shape[1], self.config.horizon
        if self.config.num_steps is not None and steps != self.config.num_steps:
            raise ValueError(f"got {steps} numbers, expected {self.config.num_steps}")
        found = batch.targets.shape[1] if batch.targets.ndim == 3 else None
        if found != horizon:
            ahead = ["one step ahead" if steps is None else f"a horizon of {steps}" for steps in (found, horizon)]
            raise ValueError(f"got targets with {ahead[0]}, expected {ahead[1]}")

    def _predict(self, inputs: Any, times: Any = None) -> Array:
        """Returns the quantiles (B, H, K, Q) for inputs (B, T, D)."""
        return self._finite(self.predicted(inputs, times))

    @staticmethod
    def _finite(predicted: Array) -> Array:
        if not np.isfinite(predicted).all():
            raise ValueError("the prediction is not finite: the numbers are too large for this model")
        return predicted

    @property
    def reads_tables(self) -> bool:
        """Whether the model forecasts from a table, by the names of its columns."""
        return self.config.input_columns is not None and self.config.horizon is not None

    def parse(self, word: str) -> list[float]:
        """See `Model`: numbers separated by commas."""
        try:
            return [float(number) for number in word.split(",")]
        except ValueError:
            raise ValueError(f"got {word!r}, expected numbers separated by commas, for example 1,2,3") from None

    @property
    def takes(self) -> str:
        """See `Model`."""
        steps, size = self.config.num_steps, self.config.input_size
        if self.reads_tables:
            named = ", ".join((self.config.time_column or "times", *(self.config.input_columns or ())))
            return f"a CSV file of at least {steps} rows, with the columns {named}"
        return f"sequences of {steps or 'any number of'} steps" + ("" if size == 1 else f" x {size} numbers")

    def _inputs(self, sequences: Any) -> Any:
        """Converts sequences to an array (N, T, D), float32."""
        steps, size = self.config.num_steps, self.config.input_size
        try:
            with np.errstate(over="ignore"):  # refused below
                inputs = np.asarray(sequences, dtype=np.float64).astype(np.float32)
        except (TypeError, ValueError, OverflowError):
            raise ValueError("expected numbers, in sequences of the same length") from None
        if not inputs.size:
            raise ValueError("got no numbers, expected at least one sequence")
        if size == 1 and inputs.ndim in (1, 2):
            inputs = inputs.reshape(-1, inputs.shape[-1], 1)
        elif inputs.ndim == 2:
            inputs = inputs[None]
        if inputs.ndim != 3 or inputs.shape[2] != size:
            raise ValueError(f"got numbers of shape {tuple(inputs.shape)}, expected (N, T, {size})")
        if steps is not None and inputs.shape[1] != steps:
            raise ValueError(f"got {inputs.shape[1]} numbers, expected {steps}")
        if not np.isfinite(inputs).all():
            raise ValueError("got a number that is not finite, or too large")
        return inputs
