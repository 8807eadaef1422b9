"""The picture of a sweep: what mattered, and the trials over each option that was searched."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.ticker import NullFormatter

from zoo import fonts
from zoo.plots.figure import Figure, add_note, label_ticks, set_text

COLUMNS = 3
NAME_WIDTH = 18


class Point(NamedTuple):
    """A trial in the picture."""

    values: Mapping[str, Any]  # option -> value
    reached: float
    pruned: bool = False


class Searched(NamedTuple):
    """An option in the picture."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: Sequence[str] = ()  # in their order; empty for numbers


def sweep(
    metric: str, options: Sequence[Searched], points: Sequence[Point], importances: Mapping[str, float], rises: bool
) -> Figure:
    """Draws the importance of each option, and a scatter of the trials over its values.

    Args:
        metric: The name of the metric.
        options: The options that were searched.
        points: The trials that reached a value.
        importances: Option -> importance, with a sum of 1. Empty if it is not known.
        rises: Whether higher values are better.
    """
    panels = len(options) + 1
    columns = 2 if panels == 4 else min(COLUMNS, panels)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows), layout="constrained")
    first, *rest = np.ravel(figure.subplots(rows, columns, squeeze=False))
    missing = _draw_importances(first, [option.name for option in options], importances)
    done = [point for point in points if not point.pruned]
    best = (max if rises else min)(done, key=lambda point: point.reached, default=None)
    for axis, option in zip(rest, options, strict=False):
        for chosen, style in (
            ([point for point in points if point.pruned], {"marker": "x", "color": "0.6", "label": "pruned"}),
            ([point for point in done if point is not best], {"marker": "o", "color": "C0", "label": "finished"}),
            ([best] if best else [], {"marker": "*", "color": "C1", "s": 130, "label": "best"}),
        ):
            if chosen:
                axis.scatter(_places(option, chosen), [point.reached for point in chosen], alpha=0.8, **style)
        if option.choices:
            shown = [fonts.shorten(choice, NAME_WIDTH) for choice in option.choices]
            missing += label_ticks(axis.xaxis, shown, rotation=0 if sum(map(len, shown)) < 32 else 60)
            axis.set_xlim(-0.5, len(option.choices) - 0.5)
        else:
            _draw_range(axis, option)
        missing.append(set_text(axis.set_xlabel(""), option.name))
        axis.set_ylabel(metric, parse_math=False)
        axis.grid(alpha=0.3)
    for axis in rest[len(options) :]:
        axis.set_axis_off()
    if points:
        handles, labels = rest[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize="small")
    add_note(figure, missing)
    return figure


def _draw_importances(axis: Any, names: Sequence[str], importances: Mapping[str, float]) -> list[str]:
    """Draws a bar for each option, the most important one at the top. Returns the missing characters."""
    axis.set_title("importance", fontsize="medium")
    if not importances:
        axis.text(0.5, 0.5, "not known:\ntoo few different values", ha="center", va="center", color="0.4")
        axis.set_axis_off()
        return []
    ordered = sorted(names, key=lambda name: importances.get(name, 0.0))
    axis.barh(range(len(ordered)), [importances.get(name, 0.0) for name in ordered], color="C0")
    axis.set_xlim(0, 1)
    axis.grid(axis="x", alpha=0.3)
    return label_ticks(axis.yaxis, [fonts.shorten(name.rpartition(".")[2], NAME_WIDTH) for name in ordered])


def _draw_range(axis: Any, option: Searched) -> None:
    """Sets the axis of an option to its range, with some space at both ends."""
    if option.log:
        axis.set_xscale("log")
        if option.high / option.low > 10:  # otherwise the numbers between powers of ten overlap
            axis.xaxis.set_minor_formatter(NullFormatter())
        space = (option.high / option.low) ** 0.05
        axis.set_xlim(option.low / space, option.high * space)
    else:
        space = 0.05 * (option.high - option.low)
        axis.set_xlim(option.low - space, option.high + space)


def _places(option: Searched, points: Sequence[Point]) -> list[Any]:
    values = [point.values[option.name] for point in points]
    return [option.choices.index(value) for value in values] if option.choices else values
