"""Cleaning texts piece by piece, with the same result as for the whole text at once."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

LONGEST_LINE = 2**22  # characters; a longer line is cut, at a space if it has one


def at_lines(pieces: Iterable[str]) -> Iterator[str]:
    """Yields a text in pieces that end with a line, except the last one. Line ends become line feeds."""
    rest = ""
    for piece in pieces:
        text = rest + piece
        cut = text.rfind("\n") + 1
        if not cut and len(text) > LONGEST_LINE:
            cut = text.rfind(" ") + 1 or LONGEST_LINE
        if cut:
            yield text[:cut].replace("\r\n", "\n")
        rest = text[cut:]
    if rest:
        yield rest.replace("\r\n", "\n")


def between(name: str, pieces: Iterable[str], start: str | None, end: str | None) -> Iterator[str]:
    """Yields a text from the first occurrence of a marker up to that of another one after it.

    Args:
        name: The document, for messages.
        pieces: The text.
        start: The first marker. None: the beginning.
        end: The second marker. None: the end.

    Raises:
        ValueError: If a marker is not found.
    """
    rest, begun, pieces = "", start is None, iter(pieces)
    for piece in pieces:
        rest += piece
        if not begun:
            place = rest.find(start or "")
            if place < 0:
                rest = rest[-len(start or "") :]
                continue
            rest, begun = rest[place:], True
        if end is None:
            yield rest
            rest = ""
            continue
        if (place := rest.find(end)) >= 0:
            yield rest[:place]
            for _ in pieces:  # read the file to its end, for its digest
                pass
            return
        kept = len(end) - 1  # the marker may have begun there
        yield rest[: len(rest) - kept]
        rest = rest[len(rest) - kept :] if kept else ""
    if not begun or end is not None:
        argument, marker = ("end_marker", end) if begun else ("start_marker", start)
        raise ValueError(f"{argument}: {marker!r} not found in {name}; null takes the whole text")


def plain(text: str, lowercase: bool, normalization: Any) -> str:
    """Returns a text in a Unicode normal form, or as it is if that is None, and in lower case if asked."""
    text = text if normalization is None else unicodedata.normalize(normalization, text)
    return text.lower() if lowercase else text


def strip_lines(text: str) -> str:
    """Returns a text without white space at both ends of its lines."""
    return "\n".join(line.strip() for line in text.split("\n"))


def only_ascii(text: str) -> str:
    """Returns a text without the characters that are not ASCII."""
    return text.encode("ascii", "ignore").decode("ascii")


def joined(pieces: Iterable[str]) -> Iterator[str]:
    """Yields the lines of a text without the empty ones, with spaces between them."""
    space = ""
    for piece in at_lines(pieces):
        if text := " ".join(line for line in piece.split("\n") if line):
            yield space + text
            space = " "


def cleaned(
    name: str,
    pieces: Iterable[str],
    *,
    normalization: Any,
    start_marker: str | None,
    end_marker: str | None,
    strip: bool,
    lowercase: bool,
    ascii_only: bool,
    join: bool,
) -> Iterator[str]:
    """Yields a cleaned text in pieces, see `TextData` for the options, which apply in this order.

    Raises:
        ValueError: If a marker is not found.
    """
    found: Iterable[str] = at_lines(pieces)
    if normalization is not None:
        found = map(partial(unicodedata.normalize, normalization), found)
    if start_marker is not None or end_marker is not None:
        found = at_lines(between(name, found, start_marker, end_marker))
    steps: list[tuple[bool, Callable[[str], str]]] = [
        (strip, strip_lines),
        (lowercase, str.lower),
        (ascii_only, only_ascii),
    ]
    for wanted, step in steps:
        found = map(step, found) if wanted else found
    yield from joined(found) if join else found
