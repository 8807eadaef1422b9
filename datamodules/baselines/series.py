"""Simple forecasts of series, and their errors. scikit-learn is imported only here.

Legend: N windows, T steps of a window, D inputs, H steps ahead, K targets.
"""

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Normalize = Literal["none", "dataset", "standard", "instance"]
ALPHAS = tuple(10.0**power for power in range(-3, 4))  # of the ridge regression
EPSILON = 1e-5  # in an instance's variance, as in the model


class Windows(NamedTuple):
    """Windows of a part, in the data's units."""

    inputs: Numbers  # (N, T, D)
    targets: Numbers  # (N, H, K)


def last_value(history: Numbers, horizon: int) -> Numbers:
    """Repeats the last value of the targets' history (N, T, K): a forecast (N, H, K)."""
    return np.repeat(history[:, -1:], horizon, axis=1)


def seasonal_naive(history: Numbers, horizon: int, season: int) -> Numbers:
    """Repeats the last season of the targets' history (N, T, K): a forecast (N, H, K).

    Example:
        >>> seasonal_naive(np.array([[[1.0], [2.0], [3.0]]]), 3, 2)[0, :, 0]
        array([2., 3., 2.])
    """
    steps = np.arange(horizon) % season - season
    return history[:, steps]


def naive_errors(series: Numbers, season: int) -> Numbers:
    """Returns the mean absolute error of the seasonal naive forecast of one step, for each column of a series (R, K).

    It is the denominator of MASE (Hyndman and Koehler 2006, "Another look at measures of forecast accuracy"). The
    series is the training part.
    """
    return np.abs(series[season:] - series[:-season]).mean(axis=0)


def errors(forecast: Numbers, targets: Numbers, scale: Numbers, naive: Numbers | None) -> dict[str, float]:
    """Returns the errors of a forecast (N, H, K), by the names of the task's metrics.

    Args:
        forecast: The forecast, in the data's units.
        targets: What happened.
        scale: The standard deviation of each target (K,) in the training part.
        naive: The errors of the naive forecast (K,), see `naive_errors`. None: no MASE.
    """
    error = forecast - targets
    found = {
        "mae": np.abs(error).mean(),
        "mse": np.square(error).mean(),
        "scaled_mae": np.abs(error / scale).mean(),
        "scaled_mse": np.square(error / scale).mean(),
    }
    if naive is not None:
        found["mase"] = np.abs(error / naive).mean()
    return {name: float(value) for name, value in found.items()}


class Scaling(NamedTuple):
    """How windows are scaled: as in the model. Targets have the scale of a column of the series."""

    normalize: Normalize
    mean: Numbers  # of the inputs, then of the targets (D + K,), in the training part
    scale: Numbers  # their standard deviations
    sources: list[int | None]  # for each target, its place among the inputs

    def of(self, inputs: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Returns offset and scale of inputs (N, T, D), each (N or 1, 1, D), and of their targets."""
        size = inputs.shape[2]
        if self.normalize == "instance":
            offset = inputs.mean(axis=1, keepdims=True)
            scale = np.sqrt(inputs.var(axis=1, keepdims=True) + EPSILON * np.square(self.scale[:size]))
            places: Any = self.sources
            return offset, scale, offset[:, :, places], scale[:, :, places]
        known = self.normalize != "none"
        mean, deviation = (self.mean, self.scale) if known else (np.zeros_like(self.mean), np.ones_like(self.scale))
        return tuple(part[None, None] for part in (mean[:size], deviation[:size], mean[size:], deviation[size:]))  # type: ignore[return-value]


def ridge(train: Windows, validation: Windows, scaling: Scaling) -> tuple[Any, float]:
    """Fits a ridge regression from the window to all steps and targets at once, scaled as in the model.

    The penalty is the one of `ALPHAS` with the smallest mean squared error on the scaled validation part.

    Args:
        train: The windows to learn from.
        validation: The windows that choose the penalty.
        scaling: The scaling of the model.

    Returns:
        The regression, for `ridge_forecast`, and its penalty.
    """
    from sklearn.linear_model import Ridge

    x, y = _scaled(train, scaling)
    seen, wanted = _scaled(validation, scaling)
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SciPy, about a small penalty: the validation part decides
        for alpha in ALPHAS:
            model = Ridge(alpha=alpha).fit(x, y)
            found[alpha] = float(np.square(model.predict(seen).reshape(wanted.shape) - wanted).mean()), model
    alpha = min(found, key=lambda value: found[value][0])
    return found[alpha][1], alpha


def ridge_forecast(model: Any, windows: Windows, scaling: Scaling) -> Numbers:
    """Returns the forecast (N, H, K) of a ridge regression, in the data's units."""
    x, _ = _scaled(windows, scaling)
    _, _, offset, scale = scaling.of(windows.inputs)
    return model.predict(x).reshape(windows.targets.shape) * scale + offset


def _scaled(windows: Windows, scaling: Scaling) -> tuple[Numbers, Numbers]:
    """Returns windows (N, T * D) and targets (N, H * K), scaled."""
    offset, scale, target_offset, target_scale = scaling.of(windows.inputs)
    x = (windows.inputs - offset) / scale
    y = (windows.targets - target_offset) / target_scale
    return x.reshape(len(x), -1), y.reshape(len(y), -1)
