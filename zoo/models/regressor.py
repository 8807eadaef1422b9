"""Sequence regressors."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from zoo.batch import ValueBatch
from zoo.checks import check_choice, check_positive
from zoo.models.base import Features, Model
from zoo.models.config import ModelConfig
from zoo.nn import RegressorNet

Normalize = Literal["none", "dataset", "instance"]
EPSILON = 1e-5  # added to an instance's variance, in units of the dataset's variance (as in RevIN, Kim et al. 2022)


@dataclass(frozen=True, kw_only=True)
class RegressorConfig(ModelConfig):
    """Describes a `RegressorModel`.

    Args:
        input_size: Features of each step, D.
        target_size: Values to predict, K.
        num_steps: Steps of every sequence, T. None takes sequences of any length.
        normalize: `none`; `dataset`: minus `mean`, over `scale`; `instance`: minus the mean of each
            feature of each sequence, over its standard deviation. For `instance`, a target is scaled
            as the feature of its number, or as the only feature, so that D must be 1 or K.
        mean: The training data's mean, for `dataset`.
        scale: The training data's standard deviation, for `dataset`. For `instance`, 0.3% of it
            (of 1, if None) is the smallest deviation, so that a constant sequence can be scaled.
        hidden_size: See `ModelConfig`, as for the other fields.
    """

    input_size: int
    target_size: int
    num_steps: int | None = None
    normalize: Normalize
    mean: float | None = None
    scale: float | None = None
    hidden_size: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("normalize", self.normalize, get_args(Normalize))
        if self.normalize == "dataset" and None in (self.mean, self.scale):
            raise ValueError("normalize: dataset needs mean and scale, which the data does not offer; pass both")
        if self.scale is not None:
            check_positive(scale=self.scale)
        if self.normalize == "instance" and self.input_size not in (1, self.target_size):
            raise ValueError(
                f"normalize: instance needs one feature, or as many as targets; got input_size {self.input_size} "
                f"and target_size {self.target_size}"
            )


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
        return RegressorNet(self.config.input_size, self.config.target_size, **self.config.recurrent_arguments())

    def offset_and_scale(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Gives what to subtract from inputs (B, T, D), and what to divide them by, each (B, 1, D or 1), float32."""
        inputs = inputs.to(torch.promote_types(inputs.dtype, torch.float32))  # not in half precision
        if self.config.normalize == "instance":
            variance, mean = torch.var_mean(inputs, dim=1, correction=0, keepdim=True)
            return mean, (variance + EPSILON * (self.config.scale or 1.0) ** 2).sqrt()
        known = self.config.normalize == "dataset"
        offset, scale = (self.config.mean, self.config.scale) if known else (0.0, 1.0)
        shape = (len(inputs), 1, 1)
        return inputs.new_full(shape, offset or 0.0), inputs.new_full(shape, scale or 1.0)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps inputs (B, T, D) to predictions (B, K), float32, both in the data's units."""
        offset, scale = self.offset_and_scale(inputs)
        scaled = self.network(((inputs - offset) / scale).to(self.dtype))
        return scaled.float() * scale[:, 0] + offset[:, 0]

    # -- plain values

    def predict_values(self, sequences: Any) -> list[list[float]]:
        """Predicts what follows some sequences.

        Args:
            sequences: One sequence of T numbers, or a list or array (N, T) or (N, T, D) of them, in
                the data's own units.

        Returns:
            K values for each, in the data's own units: a list of lists, for one sequence too.

        Raises:
            ValueError: If a number is missing or not finite, or if a sequence does not have the
                length that the model takes.
        """
        return self._predict(self._inputs(sequences)).tolist()

    def infer(self, values: Any) -> list[dict[str, Any]]:
        """Gives the predicted values: see `predict_values`."""
        inputs = self._inputs(values)
        return self.answer(ValueBatch(inputs, inputs.new_full((len(inputs), self.config.target_size), np.nan)))

    def answer(self, batch: ValueBatch) -> list[dict[str, Any]]:
        """Gives the predicted values, in the data's units."""
        self.check(batch)
        rows = []
        for inputs, values, targets in zip(batch.inputs, self._predict(batch.inputs), batch.targets, strict=True):
            row = {"input": inputs.flatten().tolist(), "prediction": values.tolist()}
            if not targets.isnan().any():
                row["target"] = targets.tolist()
            rows.append(row)
        return rows

    def check(self, batch: ValueBatch) -> None:
        """Raises ValueError if the sequences of a batch do not have the number of steps that the model takes."""
        steps = batch.inputs.shape[1]
        if self.config.num_steps is not None and steps != self.config.num_steps:
            raise ValueError(f"got {steps} numbers, expected {self.config.num_steps}")

    @torch.no_grad()
    def features(self, values: Any) -> Features:
        """Gives the hidden states for some sequences: see `Model`."""
        inputs = self._inputs(values)
        offset, scale = self.offset_and_scale(inputs)
        with self.evaluating():
            outputs, state = self.network.recurrent(((inputs - offset) / scale).to(self.dtype))
        return Features(outputs, torch.full((len(inputs),), inputs.shape[1]), state)

    @torch.no_grad()
    def _predict(self, inputs: Tensor) -> Tensor:
        with self.evaluating():
            predicted = self(inputs)
        if not predicted.isfinite().all():
            raise ValueError("the prediction is not finite: the numbers are too large for this model")
        return predicted

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
