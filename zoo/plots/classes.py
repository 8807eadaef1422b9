"""The confusion matrix of a classifier."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from zoo import fonts
from zoo.plots.figure import Figure, add_note, set_text

COUNTED_CLASSES = 40  # up to so many, a confusion matrix has its counts in its cells
NAMED_CLASSES = 120  # up to so many, each class has its name at the axes
LISTED_CONFUSIONS = 24
NAME_WIDTH = 24


def confusion(matrix: ArrayLike, classes: Sequence[str]) -> Figure:
    """Draws a confusion matrix, shaded by the share of each true class.

    Up to 40 classes, the counts are in its cells. Above that, the most frequent confusions are listed beside it.

    Args:
        matrix: Counts (C, C): rows are true classes, columns are predicted classes.
        classes: The names of the C classes.
    """
    counts = np.asarray(matrix)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    counted = len(classes) <= COUNTED_CLASSES
    shown = [fonts.shorten(name, NAME_WIDTH) for name in classes]
    longest = max(map(fonts.columns, shown), default=1)
    digits = len(str(counts.max(initial=0)))
    cell = max(0.35, 0.1 + 0.065 * digits) if counted else max(5.0 / len(classes), 0.115)  # inches
    side = cell * min(len(classes), NAMED_CLASSES)
    beside = 0.0 if counted else 1.2 + 0.064 * 2 * longest
    figure = Figure(
        figsize=(max(4.0, side + 1.0 + 0.08 * longest) + beside, side + 1.3 + 0.07 * longest), layout="constrained"
    )
    axis, *rest = figure.subplots(
        1, 1 if counted else 2, squeeze=False, width_ratios=None if counted else (side + 1.0, beside)
    )[0]
    axis.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1)  # the square root keeps rare errors visible
    if counted:
        for (true, predicted), count in np.ndenumerate(counts):
            if count:
                color = "white" if share[true, predicted] > 0.4 else "black"
                axis.text(predicted, true, str(count), ha="center", va="center", fontsize=7, color=color)
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    axis.set(xlabel="predicted", ylabel="true", title=f"{accuracy:.2%} of {counts.sum():,} correct")
    missing = _name_classes(axis, shown, 8 if counted else min(8.0, 60 * cell))
    if not counted:
        missing += _list_confusions(rest[0], counts, shown, 0.2 / side)
    add_note(figure, missing)
    return figure


def _name_classes(axis: Axes, names: Sequence[str], size: float) -> list[str]:
    """Writes the names of classes at both axes: every n-th if there are too many. Returns the missing characters."""
    places = range(0, len(names), math.ceil(len(names) / NAMED_CLASSES) or 1)
    chosen = [fonts.drawable(names[place]) for place in places]
    upright = max((fonts.columns(name.text) for name in chosen), default=1) > 3
    axis.set_xticks(places, [name.text for name in chosen], rotation=90 if upright else 0)
    axis.set_yticks(places, [name.text for name in chosen])
    for label, name in zip([*axis.get_xticklabels(), *axis.get_yticklabels()], [*chosen, *chosen], strict=True):
        label.set(fontfamily=name.families, fontsize=size, parse_math=False)
    return [name.missing for name in chosen]


def _list_confusions(axis: Axes, counts: NDArray[Any], names: Sequence[str], step: float) -> list[str]:
    """Lists the most frequent confusions, a line every `step` of the axis. Returns the missing characters."""
    axis.set_axis_off()
    wrong = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    order = np.argsort(-wrong, axis=None, kind="stable")[:LISTED_CONFUSIONS]
    pairs = [divmod(int(place), len(counts)) for place in order if wrong.flat[place]]
    axis.text(0, 1, "most frequent confusions" if pairs else "no confusions", weight="bold", fontsize=8, va="top")
    if pairs:
        axis.text(0, 1 - step, "count  true \u2192 predicted  (share of true)", fontsize=7, color="0.4", va="top")
    missing = []
    for row, (true, predicted) in enumerate(pairs, 1):
        share = wrong[true, predicted] / counts[true].sum()
        text = f"{wrong[true, predicted]:,}  {names[true]} \u2192 {names[predicted]}  ({share:.0%})"
        line = axis.text(0, 1 - (row + 1) * step, "", fontsize=8, va="top")
        missing.append(set_text(line, text))
    return missing
