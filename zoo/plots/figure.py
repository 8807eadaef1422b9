"""What all pictures share: the figure, texts in fonts that have their characters, and pages of text."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib.figure
from matplotlib.axis import Axis
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from zoo import fonts

LINE_WIDTH = 88
SHOWN_DPI = 80  # a picture of a notebook fits the width of a page


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that a notebook shows as the last value of a cell, without pyplot."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        data = io.BytesIO()
        self.savefig(data, format="png", dpi=2 * SHOWN_DPI, pil_kwargs={"optimize": True})  # sharp on every screen
        width, height = self.get_size_inches() * SHOWN_DPI
        return data.getvalue(), {"width": int(width), "height": int(height)}


def set_text(place: Text, text: str, family: str = fonts.SANS) -> str:
    """Writes a text with fonts that have its characters. Returns the characters that no font has."""
    found = fonts.drawable(text, family)
    place.set(text=found.text, fontfamily=found.families, parse_math=False)
    return found.missing


def label_ticks(axis: Axis, texts: Sequence[str], **options: Any) -> list[str]:
    """Writes a text at each of 0, 1, ... of an axis. Returns the characters that no font has, of each text."""
    found = [fonts.drawable(text) for text in texts]
    axis.set_ticks(range(len(found)), [text.text for text in found], parse_math=False, **options)
    for label, text in zip(axis.get_ticklabels(), found, strict=True):
        label.set_fontfamily(text.families)
    return [text.missing for text in found]


def add_note(figure: Figure, missing: Iterable[str]) -> None:
    """Says below a picture which characters could not be drawn."""
    if text := fonts.note(missing):
        lines = fonts.wrap(text, int(18 * figure.get_figwidth()))
        figure.supxlabel("\n".join(lines), fontsize=7, color="0.4", x=0.01, ha="left")


class Page:
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
