"""The pictures of a run. Each function returns a matplotlib figure, and works without a display."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

MONO = "DejaVu Sans Mono"
Series = Sequence[tuple[float, float]]  # (epoch, value)


def curves(history: Mapping[str, Series]) -> Figure:
    """Draws learning curves: one panel per metric, one line per stage.

    Args:
        history: `stage/metric` -> points (epoch, value).
    """
    names = sorted({name.split("/", 1)[1] for name in history}, key=lambda n: (n != "loss", n))
    columns = min(3, max(1, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    figure = Figure(figsize=(4.5 * columns, 3.2 * rows), layout="constrained")
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axis, name in zip(axes, names, strict=False):
        for stage, style in (("train", "C0-"), ("val", "C1-"), ("test", "C2")):
            points = history.get(f"{stage}/{name}", ())
            if stage == "test" and points:
                axis.axhline(points[-1][1], color=style, linestyle=":", label=f"test {points[-1][1]:.4g}")
            elif points:
                x, y = zip(*points, strict=True)
                axis.plot(x, y, style, marker="." if len(x) < 30 else "", label=f"{stage} {y[-1]:.4g}")
        axis.set(title=name.replace("_", " "), xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    return figure


def confusion(matrix: ArrayLike, classes: Sequence[str]) -> Figure:
    """Draws a confusion matrix with its counts, shaded by the share of each true class.

    Args:
        matrix: Counts (C, C): rows are true classes, columns are predicted classes.
        classes: The names of the C classes.
    """
    counts = np.asarray(matrix)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    few = len(classes) <= 40  # more counts and names would not be readable
    size = 2.5 + 0.35 * min(len(classes), 40)
    figure = Figure(figsize=(size, size), layout="constrained")
    axis = figure.subplots()
    axis.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1)  # the square root keeps rare errors visible
    for (true, predicted), count in np.ndenumerate(counts):
        if count and few:
            color = "white" if share[true, predicted] > 0.4 else "black"
            axis.text(predicted, true, str(count), ha="center", va="center", fontsize=7, color=color)
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    axis.set(xlabel="predicted", ylabel="true", title=f"{accuracy:.2%} of {counts.sum()} correct")
    if few:
        axis.set_xticks(range(len(classes)), classes)
        axis.set_yticks(range(len(classes)), classes)
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


def text_samples(samples: Sequence[tuple[int, str]], width: int = 88) -> Figure:
    """Draws the generated texts of several epochs, one below the other.

    Args:
        samples: (epoch, text), oldest first.
        width: Characters in a line.
    """
    lines = []
    for epoch, text in samples:
        flat = _drawable(" ".join(text.split()))
        lines.append((f"epoch {epoch}", [flat[i : i + width] for i in range(0, len(flat), width)] or [""]))
    total = sum(len(rows) + 1.6 for _, rows in lines) or 1.0
    figure = Figure(figsize=(6.7, 0.22 * total + 0.2))
    y = 1.0 - 0.6 / total
    for title, rows in lines:
        figure.text(0.02, y, title, fontsize=8, color="C0", weight="bold", va="top")
        for row in rows:
            y -= 1 / total
            figure.text(0.02, y, row, fontsize=8.5, va="top", parse_math=False, family=MONO)
        y -= 1.6 / total
    return figure


def decoded_pairs(sources: Sequence[str], targets: Sequence[str], samples: Sequence[tuple[int, list[str]]]) -> Figure:
    """Draws predictions for some sources after several epochs: green if they are correct.

    Args:
        sources: N sources.
        targets: Their true targets.
        samples: (epoch, N predictions), oldest first.
    """
    figure = Figure(figsize=(2.4 + 1.1 * len(samples), 0.8 + 0.32 * len(sources)), layout="constrained")
    axis = figure.subplots()
    right = np.array([[p == t for p, t in zip(row, targets, strict=True)] for _, row in samples]).T
    axis.imshow(np.where(right, 0.85, 0.3), cmap="RdYlGn", vmin=0, vmax=1.15, aspect="auto", alpha=0.6)
    font = _font("".join(targets) + "".join(p for _, row in samples for p in row))
    for x, (_, row) in enumerate(samples):
        for y, text in enumerate(row):
            short = text if len(text) <= 12 else text[:11] + "..."
            if font is None:  # no font on this machine can draw it
                short = "correct" if right[y, x] else "wrong"
            axis.text(x, y, short, ha="center", va="center", fontsize=8, parse_math=False, **(font or {}))
    axis.set_xticks(range(len(samples)), [str(epoch) for epoch, _ in samples])
    axis.set_yticks(range(len(sources)), sources, parse_math=False)
    axis.set(xlabel="epoch", title="decoded freely")
    return figure


def _drawable(text: str) -> str:
    """Replaces symbols that are not in the monospaced font with question marks."""
    glyphs = _glyphs(font_manager.findfont(MONO))
    return "".join(symbol if ord(symbol) in glyphs else "?" for symbol in text)


def _font(text: str) -> dict[str, Any] | None:
    """Returns the arguments for a font on this machine that can draw a text, or None if there is none."""
    needed = {ord(symbol) for symbol in text}
    if needed <= _glyphs(font_manager.findfont("DejaVu Sans")):
        return {"family": "DejaVu Sans"}
    for font in font_manager.fontManager.ttflist:
        if "Last Resort" not in font.name and needed <= _glyphs(font.fname):  # its glyphs are all boxes
            return {"family": font.name}
    return None


def _glyphs(path: str) -> set[int]:
    return set(font_manager.get_font(path).get_charmap())


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
