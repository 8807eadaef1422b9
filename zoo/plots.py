"""The pictures of a run. Each function returns a matplotlib figure, and works without a display."""

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from zoo import fonts, series

Series = Sequence[tuple[float, float]]  # (epoch, value)
COUNTED_CLASSES = 40  # up to so many, a confusion matrix has its counts in its cells
NAMED_CLASSES = 120  # up to so many, each class has its name at the axes
LISTED_CONFUSIONS = 24
NAME_WIDTH = 24
CELL_WIDTH = 12  # of a decoded text in a table
LINE_WIDTH = 88
SHOWN_EPOCHS = 4  # of long decoded texts
GREEN, RED = "#d4ecd0", "#fbd9d3"


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that a notebook shows as the last value of a cell, without pyplot."""

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        self.savefig(data, format="png", dpi=80)  # fits the width of a page
        return data.getvalue()


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
    missing = [_set_text(label, label.get_text()) for label in legend.get_texts()]
    _add_note(figure, missing)
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
    _add_note(figure, missing)
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
        missing.append(_set_text(line, text))
    return missing


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


def text_samples(samples: Sequence[tuple[int, str]], width: int = LINE_WIDTH) -> Figure:
    """Draws the generated texts of several epochs, one below the other.

    Args:
        samples: (epoch, text), oldest first.
        width: Characters in a line.
    """
    page = _Page(width)
    for epoch, text in samples:
        page.add(f"epoch {epoch}", color="C0", weight="bold")
        for line in fonts.wrap(" ".join(text.split()), width):
            page.add(line)
        page.skip()
    return page.draw()


def decoded_pairs(sources: Sequence[str], targets: Sequence[str], samples: Sequence[tuple[int, list[str]]]) -> Figure:
    """Draws predictions for some sources after several epochs: green if they are correct.

    Short texts are in a table. Of long texts, each source is followed by its target and the predictions.

    Args:
        sources: N sources.
        targets: Their true targets.
        samples: (epoch, N predictions), oldest first.
    """
    written = [*targets, *(text for _, row in samples for text in row)]
    if max(map(fonts.columns, written), default=0) > CELL_WIDTH or max(map(fonts.columns, sources)) > 2 * CELL_WIDTH:
        return _decoded_blocks(sources, targets, samples)
    figure = Figure(figsize=(2.4 + 1.1 * len(samples), 0.8 + 0.32 * len(sources)), layout="constrained")
    axis = figure.subplots()
    right = np.array([[p == t for p, t in zip(row, targets, strict=True)] for _, row in samples]).T
    axis.imshow(np.where(right, 0.85, 0.3), cmap="RdYlGn", vmin=0, vmax=1.15, aspect="auto", alpha=0.6)
    missing = []
    for x, (_, row) in enumerate(samples):
        for y, text in enumerate(row):
            missing.append(_set_text(axis.text(x, y, "", ha="center", va="center", fontsize=8), text))
    axis.set_xticks(range(len(samples)), [str(epoch) for epoch, _ in samples])
    axis.set_yticks(range(len(sources)), sources)
    missing += [_set_text(label, text) for label, text in zip(axis.get_yticklabels(), sources, strict=True)]
    axis.set(xlabel="epoch", title="decoded freely")
    _add_note(figure, missing)
    return figure


def _decoded_blocks(sources: Sequence[str], targets: Sequence[str], samples: Sequence[tuple[int, list[str]]]) -> Figure:
    """Draws pairs one below the other. Consecutive epochs with the same prediction share its lines."""
    chosen = sorted({round(i) for i in np.linspace(0, len(samples) - 1, SHOWN_EPOCHS)})
    page = _Page(LINE_WIDTH + 12)
    for number, (source, target) in enumerate(zip(sources, targets, strict=True)):
        rows: list[tuple[list[int], str]] = []
        for epoch, predictions in (samples[i] for i in chosen):
            if rows and rows[-1][1] == predictions[number]:
                rows[-1][0].append(epoch)
            else:
                rows.append(([epoch], predictions[number]))
        page.add_named("source", source)
        page.add_named("target", target)
        for epochs, text in rows:
            name = f"epoch {epochs[0]}" + (f"-{epochs[-1]}" if len(epochs) > 1 else "")
            page.add_named(name, text, background=GREEN if text == target else RED)
        page.skip()
    return page.draw()


class _Page:
    """Lines of monospaced text, from top to bottom.

    Args:
        width: Columns of a line.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows: list[tuple[float, float, str, str | None, dict[str, Any]]] = []  # y, x, text, background, options
        self.height = 0.0  # in lines

    def add(self, text: str, x: float = 0.0, background: str | None = None, **options: Any) -> None:
        """Adds a line at column x."""
        self.rows.append((self.height, x, text, background, options))
        self.height += 1.0

    def add_named(self, name: str, text: str, background: str | None = None) -> None:
        """Adds a wrapped text with its name on the left."""
        for number, line in enumerate(fonts.wrap(text, LINE_WIDTH)):
            if not number:
                self.add(name, color="0.4")
                self.height -= 1.0
            self.add(line, x=12.0, background=background)

    def skip(self) -> None:
        """Adds some space."""
        self.height += 0.6

    def draw(self) -> Figure:
        """Draws the lines."""
        found = [fonts.drawable(text, fonts.MONO) for _, _, text, _, _ in self.rows]
        note = fonts.note(drawn.missing for drawn in found)
        below = fonts.wrap(note, max(self.width, 80)) if note else []
        total = self.height + len(below)
        column, line, margin = 0.071, 0.175, 0.1  # inches
        figure = Figure(figsize=(2 * margin + column * self.width, line * total + 2 * margin))
        width, height = figure.get_size_inches()
        for (y, x, _, background, options), text in zip(self.rows, found, strict=True):
            left, top = (margin + column * x) / width, 1 - (margin + line * y) / height
            if background is not None:
                size = (1 - left - margin / width, line / height)
                corner = (left, top - size[1])
                figure.patches.append(Rectangle(corner, *size, facecolor=background, transform=figure.transFigure))
            place = figure.text(left, top - line / height / 2, text.text, fontsize=8.5, va="center", **options)
            place.set(fontfamily=text.families, parse_math=False)
        for y, row in enumerate(reversed(below)):
            figure.text(margin / width, (margin + line * y) / height, row, fontsize=7, color="0.4", va="bottom")
        return figure


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


def _set_text(place: Text, text: str, family: str = fonts.SANS) -> str:
    """Writes a text with fonts that have its characters. Returns the characters that no font has."""
    found = fonts.drawable(text, family)
    place.set(text=found.text, fontfamily=found.families, parse_math=False)
    return found.missing


def _add_note(figure: Figure, missing: Iterable[str]) -> None:
    """Says below a picture which characters could not be drawn."""
    if text := fonts.note(missing):
        lines = fonts.wrap(text, int(18 * figure.get_figwidth()))
        figure.supxlabel("\n".join(lines), fontsize=7, color="0.4", x=0.01, ha="left")


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
