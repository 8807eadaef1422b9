"""Learning curves of a run or of several, and the search for a learning rate."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from zoo import series
from zoo.plots.figure import Figure, add_note, set_text

Series = Sequence[tuple[float, float]]
"""A curve: pairs of epoch and value."""


def curves(source: Any) -> Figure:
    """Draws learning curves: one panel per metric, one line per stage.

    Args:
        source: A trainer or a task, of its last training; the folder of a run; or a mapping
            `stage/metric` -> points (epoch, value).

    Raises:
        TypeError: If it is something else, or a trainer that has not trained a task.
        ValueError: If it has no metrics.
    """
    history = _history(source)
    if not history:
        raise ValueError("curves: there are no metrics yet; train first")
    names = sorted({name.split("/", 1)[1] for name in history}, key=lambda n: (n != "loss", n))
    figure, axes = _panels(names)
    for axis, name in zip(axes, names, strict=True):
        for stage, style in (("train", "C0-"), ("val", "C1-"), ("test", "C2")):
            points = history.get(f"{stage}/{name}", ())
            if stage == "test" and points:
                axis.axhline(points[-1][1], color=style, linestyle=":", label=f"test {points[-1][1]:.4g}")
            elif points:
                x, y = zip(*points, strict=True)
                axis.plot(x, y, style, marker="." if len(x) < 30 else "", label=f"{stage} {y[-1]:.4g}")
        axis.legend(fontsize="small")
    return figure


def compared_curves(sources: Mapping[str, Any], others: Sequence[Mapping[str, Series]] = ()) -> Figure:
    """Draws the learning curves of several runs: one panel per metric, one colour per run.

    Args:
        sources: For each run, by what the legend calls it: a trainer, a task, the folder of a run, or a
            mapping, as in `curves`.
        others: Further runs, drawn in grey, which the legend only counts.

    Raises:
        TypeError: If a source is something else, or a trainer that has not trained a task.
        ValueError: If there are no metrics.
    """
    histories = {name: _history(source) for name, source in sources.items()}
    everything = [*others, *histories.values()]
    if not any(everything):
        raise ValueError("compared_curves: there are no metrics yet; train first")
    names = sorted({name.split("/", 1)[1] for h in everything for name in h}, key=lambda n: (n != "loss", n))
    stages = [stage for stage in STAGE_STYLES if any(f"{stage}/{name}" in h for h in everything for name in names)]
    figure, axes = _panels(names)
    colors = colormaps["tab10"].colors  # type: ignore[attr-defined]
    for axis, name in zip(axes, names, strict=True):
        lines = [("0.8", history) for history in others]
        lines += [(colors[i % len(colors)], history) for i, history in enumerate(histories.values())]
        for color, history in lines:
            for stage in stages:
                if points := history.get(f"{stage}/{name}", ()):
                    x, y = zip(*points, strict=True)
                    axis.plot(x, y, color=color, **_style(stage, len(x)))
    handles = [Line2D([], [], color=colors[i % len(colors)], linewidth=3) for i in range(len(histories))]
    named = list(histories)
    if others:
        handles.append(Line2D([], [], color="0.8", linewidth=3))
        named.append(f"{len(others)} other run{'s' if len(others) > 1 else ''}")
    handles += [Line2D([], [], color="0.2", **_style(stage, 30)) for stage in stages]
    columns = max(1, min(4, len(named), int(100 * figure.get_figwidth() / 9 / (8 + max(map(len, named), default=0)))))
    legend = figure.legend(handles, named + stages, loc="outside lower center", ncols=columns, fontsize="small")
    missing = [set_text(label, label.get_text()) for label in legend.get_texts()]
    add_note(figure, missing)
    return figure


STAGE_STYLES: dict[str, dict[str, Any]] = {
    "train": {"linestyle": "--", "linewidth": 1.0},
    "val": {"linestyle": "-", "linewidth": 1.6},
    "test": {"linestyle": "", "marker": "*", "markersize": 9},
}


def _style(stage: str, points: int) -> dict[str, Any]:
    """A single point would be no line."""
    return {"marker": "." if points == 1 else "", **STAGE_STYLES[stage]}


def samples(source: Any) -> Figure | None:
    """Draws the picture of a task: samples, decoded pairs, predictions or a confusion matrix.

    Args:
        source: A trainer or a task.

    Returns:
        The figure, or None if the task has no picture yet.

    Raises:
        TypeError: If it is something else, or a trainer that has not trained a task.
    """
    task = _task(source)
    if not hasattr(task, "figure"):
        raise TypeError(f"samples: got {type(task).__name__}, expected a trainer with a task, or a task")
    return task.figure()


def _task(source: Any) -> Any:
    """Returns the task of a trainer, which is None before it trained. Returns anything else unchanged."""
    return source.lightning_module if hasattr(source, "lightning_module") else source


def _history(source: Any) -> Mapping[str, Series]:
    if isinstance(source, str | Path):
        return series.of_folder(source)
    if isinstance(source, Mapping):
        return source
    task = _task(source)
    if not hasattr(task, "history"):
        raise TypeError(
            f"curves: got {type(task).__name__}, expected a trainer with a task, a task, a run's folder, or a mapping"
        )
    return dict(sorted(task.history.items()))


def _panels(names: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Returns a figure with one panel per metric."""
    columns = 2 if len(names) == 4 else min(3, max(1, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    figure = Figure(figsize=(4.5 * columns, 3.2 * rows), layout="constrained")
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for axis, name in zip(axes, names, strict=False):
        axis.set(title=name.replace("_", " "), xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    return figure, axes[: len(names)]


def search(rates: Sequence[float], losses: Sequence[float], found: float) -> Figure:
    """Draws the search for a learning rate.

    Args:
        rates: The learning rates that were tried.
        losses: The smoothed training loss at each.
        found: The learning rate that was chosen.
    """
    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axis = figure.subplots()
    axis.plot(rates, losses)
    axis.axvline(found, color="C1", linestyle="--", label=f"chosen: {found:g}")
    axis.set(xscale="log", xlabel="learning rate", ylabel="training loss (smoothed)", title="learning rate finder")
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
    return figure
