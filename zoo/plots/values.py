"""Predicted numbers, and forecasts with their quantiles.

Legend: T steps of a window, H steps ahead, K targets, Q quantiles.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zoo.plots.figure import Figure

SHOWN_TARGETS = 3
SHOWN_PAST = 3  # times the horizon


class Forecast(NamedTuple):
    """A window and its forecast, in the data's units."""

    past: Sequence[NDArray[np.float32] | None]  # of each target (T,); None if it is no input
    quantiles: NDArray[np.float32]  # (H, K, Q)
    targets: NDArray[np.float32]  # (H, K), NaN where there is none


def forecasts(found: Sequence[Forecast], names: Sequence[str], levels: Sequence[float]) -> Figure:
    """Draws forecasts beside what happened: a column for each forecast, a row for each target.

    Args:
        found: The forecasts.
        names: The names of the K targets. The first three are drawn.
        levels: The Q quantiles, 0.5 among them; empty for a mean.
    """
    names = names[:SHOWN_TARGETS]
    figure = Figure(figsize=(1.2 + 3.4 * len(found), 0.6 + 2.6 * len(names)), layout="constrained")
    axes = figure.subplots(len(names), len(found), squeeze=False)
    middle = list(levels).index(0.5) if levels else 0
    for column, forecast in enumerate(found):
        steps = np.arange(1, len(forecast.targets) + 1)
        for row, name in enumerate(names):
            axis = axes[row][column]
            past = forecast.past[row]
            if past is not None:
                shown = past[-SHOWN_PAST * len(steps) :]
                axis.plot(np.arange(1 - len(shown), 1), shown, color="0.4", label="window")
                axis.plot([0, 1], [shown[-1], forecast.targets[0, row]], color="k", linewidth=1)
            axis.plot(steps, forecast.targets[:, row], "k.-", linewidth=1, markersize=4, label="true")
            if len(levels) > 1:
                low, high = forecast.quantiles[:, row, 0], forecast.quantiles[:, row, -1]
                band = f"quantiles {levels[0]:g} to {levels[-1]:g}"
                axis.fill_between(steps, low, high, color="C1", alpha=0.3, linewidth=0, label=band)
            label = "median" if levels else "forecast"
            axis.plot(steps, forecast.quantiles[:, row, middle], "C1-", linewidth=1.6, label=label)
            axis.axvline(0.5, color="0.7", linewidth=0.8, linestyle=":")
            axis.grid(alpha=0.3)
            if column == 0:
                axis.set_ylabel(name, parse_math=False)
            if row == len(names) - 1:
                axis.set_xlabel("steps after the window")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize="small")
    return figure


def predicted_against_true(predicted: ArrayLike, true: ArrayLike) -> Figure:
    """Draws predicted against true values (N,). Perfect predictions lie on the diagonal."""
    x, y = np.asarray(true), np.asarray(predicted)
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axis = figure.subplots()
    axis.axline((float(x.mean()), float(x.mean())), slope=1, color="grey", linewidth=1)
    axis.plot(x, y, ".", alpha=0.7)
    error = float(np.abs(x - y).mean())
    axis.set(xlabel="true", ylabel="predicted", title=f"mean absolute error {error:.4g}")
    axis.grid(alpha=0.3)
    return figure
