"""Sequence regressors."""

from typing import Any, Literal, get_args

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import Metric

from zoo import plots
from zoo.batch import ValueBatch
from zoo.nn import RegressorNet
from zoo.nn.recurrent import CellName, InitName, check_choice
from zoo.tasks.base import Loss, Stage, Task
from zoo.tasks.metrics import Mean

Normalize = Literal["none", "dataset", "instance"]


class Regressor(Task):
    """Predicts numbers from a sequence of numbers.

    The scaling lives in here: inputs come in, and predictions go out, in the data's units. The loss
    is the mean squared error of the scaled values; `mse` and `mae` are in the data's units.

    Args:
        input_size: Features of each step, D; None asks the data.
        target_size: Values to predict, K; None asks the data.
        num_steps: Steps of every sequence, T; None asks the data, or takes sequences of any length.
        normalize: `none`; `dataset`: minus `mean`, over `scale`; `instance`: minus each sequence's
            own mean, over its own standard deviation (1 where that is 0); None asks the data.
        mean: The training data's mean, for `dataset`; None asks the data.
        scale: The training data's standard deviation, for `dataset`; None asks the data.
        hidden_size: Units of each layer.
        num_layers: Recurrent layers.
        cell: `rnn`, `rnn_relu`, `lstm` or `gru`.
        dropout: Between layers, see `zoo.nn.Recurrent`.
        head_dropout: Before the last, linear layer.
        init: `torch` or `keras`, see `zoo.nn.initialize`.
        lr: Learning rate of Adam.

    Example:
        >>> task = Regressor(input_size=1, target_size=1, normalize="instance")
        >>> task.configure_model()
        >>> task(torch.tensor([[[10.0], [20.0], [30.0]]])).shape
        torch.Size([1, 1])
    """

    model_prefix = "regressor"
    facts = ("input_size", "target_size", "num_steps", "normalize", "mean", "scale")
    requires = (("input_size",), ("target_size",), ("normalize",))
    keeps = ("num_steps", "mean", "scale")
    monitor = ("val/loss", "min")
    shown = ("mae",)
    item = "sequences"
    figure_name = "predictions"
    remembers = ("_last_predictions",)
    network: RegressorNet

    def __init__(
        self,
        input_size: int | None = None,
        target_size: int | None = None,
        num_steps: int | None = None,
        normalize: Normalize | None = None,
        mean: float | None = None,
        scale: float | None = None,
        hidden_size: int = 20,
        num_layers: int = 1,
        cell: CellName = "lstm",
        dropout: float = 0.0,
        head_dropout: float = 0.0,
        init: InitName = "torch",
        lr: float = 1e-3,
    ) -> None:
        super().__init__(lr)
        self.save_hyperparameters()
        if normalize is not None:
            check_choice("normalize", normalize, get_args(Normalize))
        self._last_predictions: list[tuple[Tensor, Tensor]] = []

    def build_network(self) -> RegressorNet:
        """See `Task`."""
        if self.hparams["normalize"] == "dataset" and None in (self.hparams["mean"], self.hparams["scale"]):
            raise ValueError("normalize: dataset needs mean and scale, which the data does not offer; pass both")
        return RegressorNet(self.hparams["input_size"], self.hparams["target_size"], **self.recurrent_arguments())

    def build_metrics(self, stage: Stage) -> dict[str, Metric]:
        """See `Task`."""
        return {name: Mean() for name in ("mse", "mae")}

    def offset_and_scale(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """What to subtract from, and to divide by, for inputs (B, T, D); each (B, 1)."""
        if self.hparams["normalize"] == "instance":
            spread, mean = torch.std_mean(inputs, dim=(1, 2), correction=0)
            return mean[:, None], torch.where(spread > 0, spread, torch.ones_like(spread))[:, None]
        known = self.hparams["normalize"] == "dataset"
        offset, scale = (self.hparams["mean"], self.hparams["scale"]) if known else (0.0, 1.0)
        return inputs.new_full((len(inputs), 1), offset), inputs.new_full((len(inputs), 1), scale)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps inputs (B, T, D) to predictions (B, K), both in the data's units."""
        offset, scale = self.offset_and_scale(inputs)
        scaled = self.network((inputs - offset[:, None]) / scale[:, None])
        return scaled.float() * scale + offset

    def score(self, batch: ValueBatch, stage: Stage) -> Loss:
        """See `Task`."""
        mask = ~batch.targets.isnan()
        predicted = self(batch.inputs)
        error = torch.where(mask, predicted - batch.targets.nan_to_num(), torch.zeros_like(predicted))
        _, scale = self.offset_and_scale(batch.inputs)
        count = mask.sum()
        self.metric(stage, "mse").update(error.detach().square().sum(), count)
        self.metric(stage, "mae").update(error.detach().abs().sum(), count)
        if stage != "train":
            self._last_predictions.append((predicted, batch.targets))
        return Loss((error / scale).square().sum(), count)

    def on_validation_epoch_start(self) -> None:
        """Forgets the predictions of the last validation."""
        self._last_predictions = []

    def on_test_epoch_start(self) -> None:
        """Forgets the predictions of the last test."""
        self._last_predictions = []

    @staticmethod
    def num_items(batch: ValueBatch) -> int:
        """Sequences in a batch."""
        return len(batch.targets)

    def predict_step(self, batch: ValueBatch, batch_idx: int) -> list[dict[str, Any]]:
        """The predicted values."""
        predicted = self(batch.inputs)
        rows = []
        for inputs, values, targets in zip(batch.inputs, predicted, batch.targets, strict=True):
            row = {"input": _numbers(inputs.flatten()), "prediction": _numbers(values)}
            if not targets.isnan().any():
                row["target"] = _numbers(targets)
            rows.append(row)
        return rows

    # -- use

    def predict_values(self, sequences: Any) -> list[list[float]]:
        """Predicts what follows some sequences.

        Args:
            sequences: One sequence of T numbers, or a list or array (N, T) or (N, T, D) of them, in
                the data's own units.

        Returns:
            K values for each, in the data's own units: a list of lists, for one sequence too.

        Raises:
            ValueError: If a number is missing or not finite, or if there are not as many as the
                model takes.
        """
        return self._predict(self._inputs(sequences))

    @torch.no_grad()
    def _predict(self, inputs: Tensor) -> list[list[float]]:
        with self.evaluating():
            predicted = self(inputs)
        if not predicted.isfinite().all():
            raise ValueError("the prediction is not finite: the numbers are too large for this model")
        return predicted.tolist()

    def infer(self, values: Any) -> list[dict[str, Any]]:
        """The predicted values: see `predict_values`."""
        inputs = self._inputs(values)
        pairs = zip(inputs.flatten(1).tolist(), self._predict(inputs), strict=True)
        return [{"input": numbers, "prediction": found} for numbers, found in pairs]

    def parse(self, word: str) -> list[float]:
        """See `Task`: numbers with commas between them."""
        try:
            return [float(number) for number in word.split(",")]
        except ValueError:
            raise ValueError(f"got {word!r}, expected numbers with commas between them, as 1,2,3") from None

    @property
    def takes(self) -> str:
        """See `Task`."""
        steps, size = self.hparams["num_steps"], self.hparams["input_size"]
        return f"sequences of {steps or 'any number of'} steps" + ("" if size == 1 else f" x {size} numbers")

    def _inputs(self, sequences: Any) -> Tensor:
        """Sequences (N, T, D)."""
        steps, size = self.hparams["num_steps"], self.hparams["input_size"]
        try:
            inputs = torch.tensor(np.asarray(sequences, dtype=np.float64), device=self.device).float()
        except (TypeError, ValueError, OverflowError):
            raise ValueError("expected numbers, in sequences of one length") from None
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

    def figure(self) -> Figure | None:
        """Predicted against true values of the last validation or test, on this rank."""
        if not self._last_predictions:
            return None
        predicted, true = (torch.cat(parts).flatten().cpu() for parts in zip(*self._last_predictions, strict=True))
        known = ~true.isnan()
        return plots.predicted_against_true(predicted[known].numpy(), true[known].numpy())


def _numbers(values: Tensor) -> str:
    return " ".join(f"{value:.6g}" for value in values.tolist())
