"""Pictures as parts of a page: SVG whose lines and letters have the colours of the page, light or dark."""

import io
import re
from collections.abc import Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFilter

INK = "#010101"  # becomes the colour of the page's letters; black itself is left out of SVG as the default
TEAL, ORANGE = "#009688", "#f4511e"  # readable on white and on dark grey
SHADES = LinearSegmentedColormap.from_list("shades", [(0, 0.59, 0.53, 0.0), (0, 0.59, 0.53, 1.0)])
STYLE: Any = {"svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False, "font.size": 10}


def new(width: float, height: float, *columns: float) -> tuple[Figure, list[Axes]]:
    """A figure of one row, in inches, with the relative widths of its columns."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, [*figure.subplots(1, len(columns) or 1, squeeze=False, width_ratios=columns or None)[0]]


def svg(figure: Figure, name: str, says: str) -> str:
    """The figure as a part of a page.

    Args:
        figure: The figure; black and `INK` become the colour of the page's letters.
        name: Makes its ids different from those of other pictures.
        says: What it shows, for readers who can't see it.
    """
    file = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = re.sub(r"^.*?(?=<svg)", "", file.getvalue(), flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<svg (.*?)>", f'<svg role="img" aria-label="{escape(says)}" \\1>', text, count=1, flags=re.DOTALL)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(|href=")#', rf"\1#{name}-", text)
    text = re.sub(r"#0[01]0[01]0[01]\b", "currentColor", text)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)  # the page's letters
    lines = "".join(line for line in text.splitlines() if line.strip())
    return f'<div class="picture" style="max-width:{4 * figure.get_figwidth():.1f}rem">{lines}</div>'


def heatmap(axis: Axes, values: Any, columns: Sequence[str], rows: Sequence[str]) -> None:
    """Draws probabilities from 0 (the page) to 1 (teal), with a name at each row and column."""
    axis.imshow(np.asarray(values), cmap=SHADES, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axis.set_xticks(range(len(columns)), columns)
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0)


STROKES = {  # in a square of 20: the lines of a digit, as a hand draws them
    "2": [[(4, 5), (6, 2), (11, 1), (15, 4), (14, 8), (9, 13), (3, 18), (9, 17), (17, 18)]],
    "3": [[(4, 3), (9, 1), (14, 3), (13, 7), (8, 9), (14, 11), (15, 15), (11, 18), (4, 17)]],
    "5": [[(15, 2), (6, 2), (5, 8), (11, 8), (15, 11), (14, 16), (9, 18), (4, 16)]],
    "7": [[(3, 3), (10, 2), (16, 3), (12, 9), (9, 14), (8, 19)]],
}


def digit(name: str) -> Image.Image:
    """A digit of 28 x 28 pixels, white on black, drawn by lines. The models have not seen it."""
    scale = 8
    image = Image.new("L", (28 * scale, 28 * scale))
    draw = ImageDraw.Draw(image)
    for stroke in STROKES[name]:
        points = [((x + 4) * scale, (y + 4) * scale) for x, y in stroke]
        draw.line(points, fill=255, width=int(2.2 * scale), joint="curve")
        for x, y in points:
            draw.circle((x, y), 1.1 * scale, fill=255)
    return image.filter(ImageFilter.GaussianBlur(scale / 2)).resize((28, 28), Image.Resampling.BOX)
