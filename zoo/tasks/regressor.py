"""Training sequence regressors."""

from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.batch import ValueBatch
from zoo.checks import check_choice
from zoo.models import RegressorModel
from zoo.models.regressor import Normalize
from zoo.nn import CellName, InitName
from zoo.tasks.base import Loss, Stage, Task
from zoo.tasks.metrics import Mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Regressor(Task):
    """Trains a model to predict numbers from a sequence of numbers.

    The scaling is part of the model. The loss is the mean squared error of the scaled values. The
    metrics `mse` and `mae` are in the units of the data.

    Args:
        input_size: Features per step, D. None: taken from the data.
        target_size: Values to predict, K. None: taken from the data.
        num_steps: Steps of each sequence, T. None: taken from the data, or any length.
        normalize: `none`, `dataset` or `instance`, see `zoo.models.RegressorConfig`. None: taken from the data.
        mean: The mean of the training data. None: taken from the data.
        scale: The standard deviation of the training data. None: taken from the data.
        hidden_size: Units per layer.
        num_layers: Number of recurrent layers.
        cell: `rnn`, `rnn_relu`, `lstm` or `gru`.
        dropout: Dropout between layers, see `zoo.nn.Recurrent`.
        head_dropout: Dropout before the last, linear layer.
        init: `torch` or `keras`, see `zoo.nn.initialize`.
        lr: Learning rate of Adam.
    """

    model_class = RegressorModel
    batch_type = ValueBatch
    facts = ("input_size", "target_size", "num_steps", "normalize", "mean", "scale")
    keeps = ("num_steps", "mean", "scale")
    shown = ("mae",)
    item = "sequences"
    figure_name = "predictions"
    remembers = ("_last_predictions",)
    model: RegressorModel

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
        if normalize is not None:
            check_choice("normalize", normalize, get_args(Normalize))
        self._last_predictions: list[tuple[Tensor, Tensor]] = []

    def build_metrics(self, stage: Stage) -> dict[str, Metric]:
        """See `Task`."""
        return {name: Mean() for name in ("mse", "mae")}

    def score(self, batch: ValueBatch, stage: Stage) -> Loss:
        """See `Task`."""
        if stage != "train":
            self.model.check(batch)
        mask = ~batch.targets.isnan()
        predicted = self.model(batch.inputs)
        error = torch.where(mask, predicted - batch.targets.nan_to_num().float(), torch.zeros_like(predicted))
        _, scale = self.model.offset_and_scale(batch.inputs)
        count = mask.sum()
        self.metric(stage, "mse").update(error.detach().square().sum(), count)
        self.metric(stage, "mae").update(error.detach().abs().sum(), count)
        if stage != "train":
            self._last_predictions.append((predicted, batch.targets))
        return Loss((error / scale[:, 0]).square().sum(), count)

    def on_validation_epoch_start(self) -> None:
        """Clears the predictions of the last validation."""
        self._last_predictions = []

    def on_test_epoch_start(self) -> None:
        """Clears the predictions of the last test."""
        self._last_predictions = []

    def figure(self) -> "Figure | None":
        """Draws predicted against true values of the last validation or test, on this rank."""
        from zoo import plots

        if not self._last_predictions:
            return None
        predicted, true = (torch.cat(parts).flatten().cpu() for parts in zip(*self._last_predictions, strict=True))
        known = ~true.isnan()
        return plots.predicted_against_true(predicted[known].numpy(), true[known].numpy())
