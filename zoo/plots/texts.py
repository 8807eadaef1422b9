"""Texts that a model generated or decoded, after several epochs."""

from collections.abc import Sequence

import numpy as np

from zoo import fonts
from zoo.plots.figure import LINE_WIDTH, Figure, Page, add_note, label_ticks, set_text

CELL_WIDTH = 12  # of a decoded text in a table
SHOWN_EPOCHS = 4  # of long decoded texts
GREEN = "#d4ecd0"
"""The background of a correct text."""
RED = "#fbd9d3"
"""The background of a wrong text."""


def text_samples(samples: Sequence[tuple[int, str]], width: int = LINE_WIDTH) -> Figure:
    """Draws the generated texts of several epochs, one below the other.

    Args:
        samples: (epoch, text), oldest first.
        width: Characters in a line.
    """
    page = Page(width)
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
            missing.append(set_text(axis.text(x, y, "", ha="center", va="center", fontsize=8), text))
    axis.set_xticks(range(len(samples)), [str(epoch) for epoch, _ in samples])
    missing += label_ticks(axis.yaxis, sources)
    axis.set(xlabel="epoch", title="decoded freely")
    add_note(figure, missing)
    return figure


def _decoded_blocks(sources: Sequence[str], targets: Sequence[str], samples: Sequence[tuple[int, list[str]]]) -> Figure:
    """Draws pairs one below the other. Consecutive epochs with the same prediction share its lines."""
    chosen = sorted({round(i) for i in np.linspace(0, len(samples) - 1, SHOWN_EPOCHS)})
    page = Page(LINE_WIDTH + 12)
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
