"""Fonts for texts in pictures: which of this machine's fonts can draw a text, and what to do without one."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from matplotlib import font_manager

SANS, MONO = "DejaVu Sans", "DejaVu Sans Mono"  # they come with matplotlib
VISIBLE = {"\n": "\u21b5", "\r": "\u21b5", "\t": "\u21e5"}  # arrows, as on keys
NOTO = {  # the first word of a character's Unicode name -> its script, and a font that has it
    **dict.fromkeys(("HANGUL", "HALFWIDTH"), ("Hangul", "Noto Sans CJK")),
    **dict.fromkeys(("CJK", "FULLWIDTH", "IDEOGRAPHIC"), ("Chinese characters", "Noto Sans CJK")),
    **dict.fromkeys(("HIRAGANA", "KATAKANA"), ("Japanese kana", "Noto Sans CJK")),
}


class Drawable(NamedTuple):
    """A text that can be drawn."""

    text: str  # characters without a font are replaced with question marks
    families: list[str]  # matplotlib's `family`: each character is drawn in the first font that has it
    missing: str  # the distinct characters without a font


def drawable(text: str, family: str = SANS) -> Drawable:
    """Returns a text as it can be drawn on this machine, and the fonts for it.

    Args:
        text: Any text.
        family: The font for all characters that it has.

    Example:
        >>> drawable("naïve")
        Drawable(text='naïve', families=['DejaVu Sans'], missing='')
    """
    text = "".join(VISIBLE.get(symbol, symbol) for symbol in text)
    text = "".join("\ufffd" if unicodedata.category(symbol) in ("Cc", "Cs") else symbol for symbol in text)
    families, left = [family], {ord(symbol) for symbol in text} - _glyphs(font_manager.findfont(family))
    while left:  # take the font that has most of them
        name, found = max(((name, left & _glyphs(path)) for name, path in _fonts()), key=lambda font: len(font[1]))
        if not found:
            break
        families.append(name)
        left -= found
    missing = "".join(sorted(map(chr, left)))
    return Drawable("".join("?" if symbol in missing else symbol for symbol in text), families, missing)


def note(missing: Iterable[str]) -> str:
    """Returns a line about characters that no font here can draw, and which font to install. Empty without any.

    Args:
        missing: The `missing` characters of some texts.

    Example:
        >>> note(["나무"])
        'drawn as ?: 2 characters that no font here has (Hangul: install Noto Sans CJK)'
    """
    symbols = sorted(set("".join(missing)))
    if not symbols:
        return ""
    scripts = dict.fromkeys(_script(symbol) for symbol in symbols)
    hints = ", ".join(f"{script}: install {font}" for script, font in scripts)
    plural = "s" if len(symbols) > 1 else ""
    return f"drawn as ?: {len(symbols)} character{plural} that no font here has ({hints})"


def _script(symbol: str) -> tuple[str, str]:
    if unicodedata.category(symbol) in ("So", "Sk", "Cn", "Co"):
        return "symbols", "Noto Emoji or Noto Sans Symbols"
    first = unicodedata.name(symbol, "unnamed").split()[0].split("-")[0]
    return NOTO.get(first, (first.capitalize(), f"Noto Sans {first.capitalize()}"))


def columns(text: str) -> int:
    """Returns the width of a text in columns of a monospaced font: Chinese, Japanese and Korean take two."""
    wide = sum(unicodedata.east_asian_width(symbol) in "WF" for symbol in text)
    return len(text) + wide - sum(unicodedata.combining(symbol) > 0 for symbol in text)


def wrap(text: str, width: int) -> list[str]:
    """Returns the lines of a text, at most `width` columns each. It breaks at spaces where a line has one.

    Example:
        >>> wrap("the quick brown fox", 10)
        ['the quick ', 'brown fox']
        >>> wrap("abcdefgh", 5)
        ['abcde', 'fgh']
    """
    lines, line = [], ""
    for symbol in text:
        if line and columns(line + symbol) > width and not (symbol == " " and not line.endswith(" ")):
            kept, space, rest = line.rpartition(" ")
            kept, rest = (kept + space, rest) if space and len(rest) < len(line) // 2 else (line, "")
            lines.append(kept)
            line = rest
        line += symbol
    return [*lines, line]


def shorten(text: str, width: int) -> str:
    """Returns a text of at most `width` columns. What is cut is replaced with an ellipsis."""
    if columns(text) <= width:
        return text
    while columns(text) > width - 1:
        text = text[:-1]
    return text + "\u2026"


@lru_cache(maxsize=1)
def _fonts() -> list[tuple[str, str]]:
    """The names and files of this machine's upright fonts. The last resort's glyphs are all boxes."""
    fonts = font_manager.fontManager.ttflist
    upright = [font for font in fonts if font.style == "normal" and "Last Resort" not in font.name]
    return [(SANS, font_manager.findfont(SANS)), *((font.name, font.fname) for font in upright)]


@lru_cache(maxsize=256)
def _glyphs(path: str) -> frozenset[int]:
    return frozenset(font_manager.get_font(path).get_charmap())
