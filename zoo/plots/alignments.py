"""Where a decoder looks: the weights of an attention."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.plots.figure import Figure, add_note, label_ticks, set_text

SYMBOL = 0.24  # inches; of a row or column
MOST = 60  # symbols on an axis; a longer text is cut
SPACE = "\u2423"


def alignments(rows: Sequence[Sequence[tuple[str, Sequence[str], Sequence[str], Any]]]) -> Figure:
    """Draws the weights of some predictions: the darker, the more a step looks at a symbol of the source.

    Args:
        rows: Rows of pictures. Each is a title, the source's symbols, the target's symbols, and weights (T, S).
    """
    rows = [[_cut(*picture) for picture in row] for row in rows]
    pictures = [picture for row in rows for picture in row]
    wide, high = max(len(one[1]) for one in pictures), max(len(one[2]) for one in pictures)
    longest = max(len(symbol) for one in pictures for symbol in one[1])  # of a label that is written upwards
    columns = max(map(len, rows))
    width, height = 0.8 + SYMBOL * max(wide, 5), 0.7 + 0.09 * longest + SYMBOL * max(high, 4)
    figure = Figure(figsize=(columns * width, len(rows) * height), layout="constrained")
    missing = []
    for axes, row in zip(figure.subplots(len(rows), columns, squeeze=False), rows, strict=True):
        for axis in axes[len(row) :]:
            axis.axis("off")
        for axis, (title, source, target, weights) in zip(axes, row, strict=False):
            axis.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
            shown = [[symbol.replace(" ", SPACE) for symbol in symbols] for symbols in (source, target)]
            missing += label_ticks(axis.xaxis, shown[0], fontsize=8, rotation=0 if longest <= 2 else 90)
            missing += label_ticks(axis.yaxis, shown[1], fontsize=8)
            axis.xaxis.tick_top()
            axis.tick_params(length=0)
            missing.append(set_text(axis.set_title("", fontsize=9), title))
    add_note(figure, missing)
    return figure


def _cut(
    title: str, source: Sequence[str], target: Sequence[str], weights: Any
) -> tuple[str, list[str], list[str], Any]:
    """Leaves out what is beyond the first `MOST` symbols, and says so in the title."""
    if max(len(source), len(target)) > MOST:
        title = f"{title}, up to {MOST} symbols".removeprefix(", ")
    return title, [*source[:MOST]], [*target[:MOST]], np.asarray(weights, dtype=float)[:MOST, :MOST]
