"""Sequence regressors.

Legend: B batch, T time steps, D inputs, K targets, H steps ahead, Q quantiles.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from zoo.batch import ValueBatch
from zoo.models import times as calendars
from zoo.models.base import Features, Model
from zoo.models.graphs import Graph, after, first_state
from zoo.models.regressor_config import RegressorConfig
from zoo.models.windows import read_window
from zoo.nn import RegressorNet

EPSILON = 1e-5  # added to an instance's variance, in units of the dataset's variance (as in RevIN, Kim et al. 2022)


class Scaling(NamedTuple):
    """What to subtract and what to divide by, float32. Each is (B or 1, 1, D or 1), of targets (B or 1, 1, K or 1)."""

    offset: Tensor
    scale: Tensor
    target_offset: Tensor
    target_scale: Tensor


class RegressorModel(Model):
    """Predicts numbers from a sequence of numbers. The scaling is a part of the model.

    Example:
        >>> model = RegressorModel(RegressorConfig(input_size=1, target_size=1, normalize="instance"))
        >>> model(torch.tensor([[[10.0], [20.0], [30.0]]])).shape
        torch.Size([1, 1])
    """

    task_name = "regressor"
    config_class = RegressorConfig
    config: RegressorConfig
    network: RegressorNet

    def build_network(self) -> RegressorNet:
        """See `Model`."""
        config = self.config
        steps = (config.horizon or 1) if config.strategy == "direct" else 1
        return RegressorNet(
            config.input_size + 2 * len(config.calendar),
            steps * config.target_size * (len(config.quantiles) or 1),
            linear_size=(config.num_steps or 0) * config.input_size if config.linear else None,
            **config.recurrent_arguments(),
        )

    def scaling(self, inputs: Tensor) -> Scaling:
        """Returns how to scale inputs (B, T, D) and their targets."""
        config = self.config
        inputs = inputs.to(torch.promote_types(inputs.dtype, torch.float32))  # not in half precision
        if config.normalize == "instance":
            variance, mean = torch.var_mean(inputs, dim=1, correction=0, keepdim=True)
            whole = self.constant("scale", config.scale, inputs) if isinstance(config.scale, tuple) else None
            least: Any = (config.scale or 1.0) if whole is None else whole[..., : config.input_size]
            scale = (variance + EPSILON * least**2).sqrt()
            if config.input_size == 1:
                return Scaling(mean, scale, mean, scale)
            places: Any = list(config.sources)
            return Scaling(mean, scale, mean[..., places], scale[..., places])
        known = config.normalize != "none"
        mean = self.constant("mean", config.mean if known else 0.0, inputs)
        scale = self.constant("scale", config.scale if known else 1.0, inputs)
        if mean.shape[-1] == 1:
            return Scaling(mean, scale, mean, scale)
        size = config.input_size
        return Scaling(mean[..., :size], scale[..., :size], mean[..., size:], scale[..., size:])

    def target_constant(self, name: str, like: Tensor) -> Tensor:
        """Returns the config's `scale` or `naive_error` of the targets (1, 1, K or 1), on a tensor's device."""
        value = getattr(self.config, name)
        return self.constant(name, value, like)[..., -self.config.target_size :]

    def forward(self, inputs: Tensor, times: Tensor | None = None) -> Tensor:
        """Maps inputs (B, T, D) to predictions (B, K), or (B, H, K) with a horizon, float32, in the data's units.

        Args:
            inputs: The window, in the data's units.
            times: Of the window and the steps to predict (B, T + H), int64, in seconds since 1970. Only a calendar
                needs them.
        """
        return self.point(self.distribution(inputs, times))

    def point(self, predicted: Tensor) -> Tensor:
        """Returns the prediction among the quantiles (B, H, K, Q): the median. Without a horizon, (B, K)."""
        median = predicted[..., self._median]
        return median[:, 0] if self.config.horizon is None else median

    def distribution(self, inputs: Tensor, times: Tensor | None = None) -> Tensor:
        """Returns the quantiles (B, H, K, Q), in the data's units; without quantiles, the mean, Q = 1.

        In evaluation mode, they are sorted, so that they do not cross (Chernozhukov et al. 2010).
        """
        config, scaling = self.config, self.scaling(inputs)
        window = ((inputs - scaling.offset) / scaling.scale).to(self.dtype)
        if config.calendar and times is None:
            raise ValueError(f"times: this model needs them for its calendar, {', '.join(config.calendar)}")
        known = None if not config.calendar or times is None else calendars.calendar(times, config.calendar)
        steps = inputs.shape[1]
        features = window if known is None else torch.cat([window, known[:, :steps].to(window.dtype)], dim=-1)
        if config.strategy == "recursive":
            later = None if known is None else known[:, steps:].to(window.dtype)
            ahead = config.horizon or 1
            scaled = self.network.unroll(features, ahead, lambda step, values: self._next(step, values, later))
        else:
            scaled = self.network(features, window.flatten(1) if config.linear else None)
        return self._unscaled(scaled, scaling)

    def _unscaled(self, scaled: Tensor, scaling: Scaling) -> Tensor:
        """Returns the quantiles (B, H, K, Q) of what the network says."""
        config = self.config
        shape = (scaled.shape[0], config.horizon or 1, config.target_size, len(config.quantiles) or 1)
        predicted = scaled.reshape(shape).float() * scaling.target_scale[..., None] + scaling.target_offset[..., None]
        return predicted if self.training or shape[-1] == 1 else predicted.sort(dim=-1).values

    @property
    def _median(self) -> int:
        return self.config.quantiles.index(0.5) if self.config.quantiles else 0

    def _next(self, step: int, values: Tensor, known: Tensor | None) -> Tensor:
        """Returns the input (B, D) after a predicted step: its values (B, K * Q), and its calendar (B, H, N)."""
        medians = values.reshape(values.shape[0], self.config.target_size, -1)[..., self._median]
        places: Any = [self.config.sources.index(place) for place in range(self.config.input_size)]
        inputs = medians[:, places]
        return inputs if known is None else torch.cat([inputs, known[:, step]], dim=-1)

    def graphs(self) -> dict[str, Graph]:
        """See `Model`: the quantiles of each value, or its mean; with a state, if all that was read is in it."""
        config = self.config
        whole = config.num_steps or config.normalize == "instance" or config.calendar or config.strategy == "recursive"
        first = {} if whole else first_state(self.network.recurrent)

        def sequence(inputs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
            if not first:
                return (self.distribution(inputs, *rest),)
            scaling = self.scaling(inputs)
            outputs, new = self.network.recurrent(((inputs - scaling.offset) / scaling.scale).to(self.dtype), rest)
            return (self._unscaled(self.network.head(outputs[:, -1]), scaling), *new)

        def example(rows: int, steps: int) -> tuple[Tensor, ...]:
            steps = config.num_steps if config.linear and config.num_steps else steps
            inputs = torch.rand(rows, steps, config.input_size)
            if config.calendar:
                return inputs, torch.randint(2**31, (rows, steps + (config.horizon or 1)))
            start = tuple(one.expand(rows, *one.shape[1:]) for one in first.values())
            return inputs, *sequence(inputs, *start)[1:]

        inputs = ("inputs", "times")[: 2 if config.calendar else 1]
        return {"sequence": Graph(sequence, (*inputs, *first), ("quantiles", *after(first)), example, first)}

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
        inputs = torch.tensor(window, device=self.device).float()[None]
        given = table[str(config.time_column)] if times is None and config.time_column in table else times
        known = None if given is None else self._times(given, rows, len(window))
        if config.calendar and known is None:
            raise ValueError(f"times: this model needs them for its calendar, {', '.join(config.calendar)}")
        seconds = None if known is None else torch.tensor(known.astype(np.int64), device=self.device)[None]
        predicted = self._predict(inputs, seconds)
        values = self.point(predicted)[0].T.tolist()
        quantiles = predicted[0].permute(1, 2, 0).tolist() if config.quantiles else []
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
        return self.answer(ValueBatch(inputs, inputs.new_full(shape, np.nan)))

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
        for inputs, one, targets in zip(batch.inputs, values, batch.targets, strict=True):
            row = {"input": inputs.flatten().tolist(), "prediction": one.tolist()}
            if not targets.isnan().any():
                row["target"] = targets.tolist()
            rows.append(row)
        return rows

    def _row(self, batch: ValueBatch, values: Tensor, predicted: Tensor, row: int) -> dict[str, Any]:
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
            if not batch.targets[row].isnan().any():
                found[f"target{mark}"] = batch.targets[row, :, place].tolist()
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

    @torch.no_grad()
    def features(self, values: Any) -> Features:
        """Gives the hidden states for some sequences: see `Model`."""
        inputs = self._inputs(values)
        if self.config.calendar:
            raise ValueError("features: this model also reads a calendar; use its network")
        scaling = self.scaling(inputs)
        with self.evaluating():
            outputs, state = self.network.recurrent(((inputs - scaling.offset) / scaling.scale).to(self.dtype))
        return Features(outputs, torch.full((len(inputs),), inputs.shape[1]), state)

    @torch.no_grad()
    def _predict(self, inputs: Tensor, times: Tensor | None = None) -> Tensor:
        """Returns the quantiles (B, H, K, Q) for inputs (B, T, D)."""
        with self.evaluating():
            predicted = self.distribution(inputs, times)
        if not predicted.isfinite().all():
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

    def _inputs(self, sequences: Any) -> Tensor:
        """Converts sequences to a tensor (N, T, D)."""
        steps, size = self.config.num_steps, self.config.input_size
        try:
            inputs = torch.tensor(np.asarray(sequences, dtype=np.float64), device=self.device).float()
        except (TypeError, ValueError, OverflowError):
            raise ValueError("expected numbers, in sequences of the same length") from None
        if not inputs.numel():
            raise ValueError("got no numbers, expected at least one sequence")
        if size == 1 and inputs.ndim in (1, 2):
            inputs = inputs.reshape(-1, inputs.shape[-1], 1)
        elif inputs.ndim == 2:
            inputs = inputs[None]
        if inputs.ndim != 3 or inputs.shape[2] != size:
            raise ValueError(f"got numbers of shape {tuple(inputs.shape)}, expected (N, T, {size})")
        if steps is not None and inputs.shape[1] != steps:
            raise ValueError(f"got {inputs.shape[1]} numbers, expected {steps}")
        if not inputs.isfinite().all():
            raise ValueError("got a number that is not finite, or too large")
        return inputs
