"""Training sequence regressors.

Legend: B batch, T time steps, H steps ahead, K targets, Q quantiles.
"""

from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo.batch import ValueBatch
from zoo.checks import check_choice
from zoo.methods.regressor_config import Normalize, Strategy
from zoo.methods.times import Calendar
from zoo.models import RegressorModel
from zoo.nn import CellSpec, InitName, Norm
from zoo.tasks.base import Loss, Stage, Task
from zoo.tasks.metrics import Mean, Share, summed_pinball

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_FORECASTS = 4  # in the picture
KEPT_FORECASTS = 16  # for the picture, of a whole part


class Regressor(Task):
    """Trains a model to predict numbers from a sequence of numbers.

    The scaling is part of the model. The loss is the mean squared error of the scaled values, or the pinball loss of
    the scaled quantiles (Koenker and Bassett 1978). The metrics `mse` and `mae` are in the units of the data.

    With a horizon, there are more: `scaled_mse` and `scaled_mae`, in standard deviations of the training part;
    `mase`, the absolute error over that of the seasonal naive forecast in the training part (Hyndman and Koehler
    2006); and, with quantiles, `coverage`, the share of targets between the lowest and the highest.

    Args:
        input_size: Inputs per step, D. None: taken from the data.
        target_size: Values to predict, K. None: taken from the data.
        num_steps: Steps of each sequence, T. None: taken from the data, or any length.
        normalize: `none`, `dataset`, `standard` or `instance`, see `zoo.models.RegressorConfig`. None: taken from the
            data.
        mean: The mean of the training data, or of each input and target. None: taken from the data.
        scale: The standard deviation of the training data, likewise. None: taken from the data.
        horizon: Steps to predict, H. None: taken from the data, or one.
        strategy: `direct`: all steps at once. `recursive`: step by step, each prediction is the next input.
        quantiles: Quantiles to predict, for example 0.1, 0.5 and 0.9. None: the mean.
        linear: Whether to add a linear map from the window to the prediction, as LSTNet does (Lai et al. 2018).
        input_columns: The names of the inputs. None: taken from the data, as the next seven.
        target_columns: The names of the targets.
        time_column: The name of the column of times.
        time_format: The format of the times in files.
        freq: The step between times, for example `1 month`.
        calendar: What the model knows of each time: `minute`, `hour`, `weekday`, `month`, `yearday`.
        season: Steps of a season.
        naive_error: The error that MASE divides by, for each target.
        hidden_size: Units per layer.
        num_layers: Number of recurrent layers.
        cell: A recurrent cell, for example `lstm`, or a dict with its `name` and options.
            docs/cells.md has all.
        dropout: Dropout between layers, see `zoo.nn.Recurrent`.
        variational_dropout: Dropout of each layer's inputs, with one mask for all steps.
        weight_drop: Dropout of recurrent weights, with one mask for all steps.
        zoneout: The probability that a number of the state stays as it was at a step.
        residual: Whether each layer's inputs are added to its outputs.
        norm: A normalization of each layer's inputs: `none`, `layer` or `rms`.
        mlp: Whether a gated MLP follows each layer. It needs `residual`.
        convolution: Steps that a causal convolution of each layer's inputs looks at; 0 is none. It needs `residual`.
        learn_state: Whether the state before the first step is learned.
        head_dropout: Dropout before the last, linear layer.
        init: `torch` or `keras`, see `zoo.nn.initialize`.
        lr: Learning rate of Adam.
    """

    model_class = RegressorModel
    batch_type = ValueBatch
    facts = (
        *("input_size", "target_size", "num_steps", "normalize", "mean", "scale", "horizon", "input_columns"),
        *("target_columns", "time_column", "time_format", "freq", "calendar", "season", "naive_error"),
    )
    keeps = ("num_steps", "mean", "scale", "naive_error", "season", "time_column", "time_format", "freq")
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
        mean: float | list[float] | None = None,
        scale: float | list[float] | None = None,
        horizon: int | None = None,
        strategy: Strategy = "direct",
        quantiles: list[float] | None = None,
        linear: bool = False,
        input_columns: list[str] | None = None,
        target_columns: list[str] | None = None,
        time_column: str | None = None,
        time_format: str | None = None,
        freq: str | None = None,
        calendar: list[Calendar] | None = None,
        season: int | None = None,
        naive_error: list[float] | None = None,
        hidden_size: int = 20,
        num_layers: int = 1,
        cell: CellSpec = "lstm",
        dropout: float = 0.0,
        variational_dropout: float = 0.0,
        weight_drop: float = 0.0,
        zoneout: float = 0.0,
        residual: bool = False,
        norm: Norm = "none",
        mlp: bool = False,
        convolution: int = 0,
        learn_state: bool = False,
        head_dropout: float = 0.0,
        init: InitName = "torch",
        lr: float = 1e-3,
    ) -> None:
        super().__init__(lr)
        if normalize is not None:
            check_choice("normalize", normalize, get_args(Normalize))
        check_choice("strategy", strategy, get_args(Strategy))
        self.hparams["quantiles"] = list(quantiles or ())
        self._last_predictions: list[tuple[Tensor, ...]] = []
        self._seen, self._stride = 0, 1  # forecasts of this epoch, and how many of them are not kept

    def build_metrics(self, stage: Stage) -> dict[str, Metric]:
        """See `Task`."""
        config = self.model.config
        names = ["mse", "mae"]
        if config.horizon is not None:
            names += ["scaled_mse", "scaled_mae"] if config.scale is not None else []
            names += ["mase"] if config.naive_error is not None else []
        coverage = {"coverage": Share()} if config.quantiles else {}
        return {**{name: Mean() for name in names}, **coverage}

    def score(self, batch: ValueBatch, stage: Stage) -> Loss:
        """See `Task`."""
        config = self.model.config
        if stage != "train" or config.horizon is not None:
            self.model.check(batch)
        mask = ~batch.targets.isnan()
        targets = batch.targets.nan_to_num().float()
        quantiles = self.model.distribution(batch.inputs, batch.times)  # (B, H, K, Q)
        predicted = self.model.point(quantiles)
        error = torch.where(mask, predicted - targets, torch.zeros_like(predicted))
        scale = self.model.scaling(batch.inputs).target_scale  # (B or 1, 1, K or 1)
        scale = scale[:, 0] if config.horizon is None else scale
        count = mask.sum()
        self._update(stage, error.detach(), count)
        if config.quantiles:
            inside = (
                mask & (targets >= quantiles[..., 0].view_as(error)) & (targets <= quantiles[..., -1].view_as(error))
            )
            self.metric(stage, "coverage").update(inside.sum(), count)
        if stage != "train":
            self._remember(batch, predicted, quantiles)
        if not config.quantiles:
            return Loss((error / scale).square().sum(), count)
        errors = (targets.view(quantiles.shape[:-1])[..., None] - quantiles) / scale.view(*scale.shape[:1], 1, -1, 1)
        return Loss(summed_pinball(errors, config.quantiles, mask.view(quantiles.shape[:-1])), count)

    def _update(self, stage: Stage, error: Tensor, count: Tensor) -> None:
        """Updates the metrics with the errors (B, K) or (B, H, K) of the predictions, 0 where there is no target."""
        config = self.model.config
        self.metric(stage, "mse").update(error.square().sum(), count)
        self.metric(stage, "mae").update(error.abs().sum(), count)
        if config.horizon is None:
            return
        if config.scale is not None:
            scaled = error / self.model.target_constant("scale", error)
            self.metric(stage, "scaled_mse").update(scaled.square().sum(), count)
            self.metric(stage, "scaled_mae").update(scaled.abs().sum(), count)
        if config.naive_error is not None:
            scaled = error / self.model.target_constant("naive_error", error)
            self.metric(stage, "mase").update(scaled.abs().sum(), count)

    def _remember(self, batch: ValueBatch, predicted: Tensor, quantiles: Tensor) -> None:
        """Keeps the last predictions for the picture: all, or with a horizon some forecasts of the whole part."""
        if self.model.config.horizon is None:
            self._last_predictions.append((predicted, batch.targets))
            return
        for row in range(-self._seen % self._stride, len(predicted), self._stride):
            self._last_predictions.append((batch.inputs[row], quantiles[row], batch.targets[row]))
            if len(self._last_predictions) > KEPT_FORECASTS:
                self._last_predictions = self._last_predictions[::2]
                self._stride *= 2
                break
        self._seen += len(predicted)

    def on_validation_epoch_start(self) -> None:
        """Clears the predictions of the last validation."""
        self._last_predictions, self._seen, self._stride = [], 0, 1

    def on_test_epoch_start(self) -> None:
        """Clears the predictions of the last test."""
        self._last_predictions, self._seen, self._stride = [], 0, 1

    def figure(self) -> "Figure | None":
        """Draws the last validation or test, on this rank: predicted against true values, or some forecasts."""
        from zoo import plots

        if not self._last_predictions:
            return None
        if self.model.config.horizon is not None:
            return self._draw_forecasts()
        predicted, true = (torch.cat(parts).flatten().cpu() for parts in zip(*self._last_predictions, strict=True))
        known = ~true.isnan()
        return plots.predicted_against_true(predicted[known].numpy(), true[known].numpy())

    def _draw_forecasts(self) -> "Figure":
        from zoo.plots import Forecast, forecasts

        config, kept = self.model.config, self._last_predictions
        chosen = [kept[round(i * (len(kept) - 1) / (SHOWN_FORECASTS - 1))] for i in range(SHOWN_FORECASTS)]
        chosen = list({id(sample): sample for sample in chosen}.values())
        drawn = []
        for window, quantiles, targets in chosen:
            known = [None if place is None else window[:, place].cpu().numpy() for place in config.sources]
            drawn.append(Forecast(known, quantiles.float().cpu().numpy(), targets.cpu().numpy()))
        names = config.target_columns or tuple(f"target {place}" for place in range(config.target_size))
        return forecasts(drawn, names, config.quantiles)
