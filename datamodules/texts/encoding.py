"""Turning documents into arrays of ids, in pieces, in memory or in files.

It takes one pass over the documents: they are written as provisional numbers, in the order in which symbols first
occur. When all are known, the vocabulary is chosen, and the numbers are replaced by ids, part by part.
"""

import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.examples import Mapped, release, symbol_type
from zoo.vocab import SymbolKind, Vocab, split

Converter = Callable[[NDArray[Any]], Iterator[NDArray[Any]]]

PIECE = 2**22  # symbols
CODE_POINTS = 0x110000


class Numbers:
    """An array of numbers that grows at its end: in memory, or in a file once it is large.

    Args:
        file: Where to keep it.
        most: Bytes to keep in memory. More are moved to the file.
        dtype: The type of the numbers. Larger numbers widen it.
    """

    def __init__(self, file: Path, most: float, dtype: str = "uint8") -> None:
        self.file, self.most, self.dtype = file, most, np.dtype(dtype)
        self.size = 0
        self.pieces: list[NDArray[Any]] = []
        self.on_disk = False

    def append(self, numbers: NDArray[Any]) -> None:
        """Adds numbers at the end."""
        if len(numbers) and (wanted := np.dtype(symbol_type(int(numbers.max())))).itemsize > self.dtype.itemsize:
            self._widen(wanted)
        piece = np.ascontiguousarray(numbers, dtype=self.dtype)
        self.size += len(piece)
        if self.on_disk:
            with self.file.open("ab") as file:
                file.write(piece.data)
            return
        self.pieces.append(piece)
        if self.size * self.dtype.itemsize > self.most:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("wb") as file:
                for one in self.pieces:
                    file.write(one.data)
            self.pieces, self.on_disk = [], True

    def truncate(self, size: int) -> None:
        """Removes numbers at the end."""
        if self.on_disk:
            os.truncate(self.file, size * self.dtype.itemsize)
        else:
            self.pieces = [np.concatenate([np.zeros(0, self.dtype), *self.pieces])[:size]]
        self.size = size

    def values(self) -> NDArray[Any]:
        """Returns all numbers: an array, or a memory map of the file."""
        if self.on_disk and self.size:
            return np.memmap(self.file, dtype=self.dtype, mode="r")
        self.pieces = [np.concatenate([np.zeros(0, self.dtype), *self.pieces])]
        return self.pieces[0]

    def _widen(self, dtype: np.dtype[Any]) -> None:
        if self.on_disk:
            wide = self.file.with_suffix(".wide")
            with wide.open("wb") as file:
                for start in range(0, self.size, PIECE):
                    count = min(PIECE, self.size - start)
                    offset = start * self.dtype.itemsize
                    file.write(np.fromfile(self.file, self.dtype, count, offset=offset).astype(dtype).data)
            os.replace(wide, self.file)
        else:
            self.pieces = [piece.astype(dtype) for piece in self.pieces]
        self.dtype = dtype


class Numbering:
    """Gives symbols provisional numbers, in the order in which they first occur.

    Args:
        symbols: How texts are split. For `bpe`, the numbers are bytes.
    """

    def __init__(self, symbols: SymbolKind) -> None:
        self.symbols = symbols
        self._numbers: dict[str, int] = {}
        self._table = np.full(CODE_POINTS if symbols == "characters" else 0, -1, np.int32)

    @property
    def names(self) -> list[str]:
        """The symbols in the order of their numbers."""
        return list(map(chr, range(256))) if self.symbols in ("bytes", "bpe") else list(self._numbers)

    def number(self, text: str) -> NDArray[Any]:
        """Returns the numbers of a text's symbols."""
        if self.symbols in ("bytes", "bpe"):
            return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
        if self.symbols == "words":
            numbers = self._numbers
            words = split(text, "words")
            return np.frombuffer(array("I", [numbers.setdefault(word, len(numbers)) for word in words]), np.uint32)
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        found = self._table[points]
        if len(found) and found.min() < 0:
            for point in np.unique(points[found < 0]).tolist():
                self._table[point] = len(self._numbers)
                self._numbers[chr(point)] = len(self._numbers)
            found = self._table[points]
        return found


def count(numbers: NDArray[Any], bounds: list[tuple[int, int]], symbols: int) -> NDArray[np.int64]:
    """Returns how often each number occurs between some bounds (symbols,)."""
    found = np.zeros(symbols, np.int64)
    for start, end in bounds:
        for first in range(start, end, PIECE):
            found += np.bincount(numbers[first : min(first + PIECE, end)], minlength=symbols)
            release(numbers)
    return found


def convert(
    numbers: NDArray[Any],
    bounds: list[tuple[int, int]],
    pieces: Callable[[NDArray[Any]], Iterator[NDArray[Any]]],
    to: Numbers,
) -> Mapped:
    """Writes the ids of some stretches of provisional numbers, and returns them.

    Args:
        numbers: The provisional numbers.
        bounds: Start and end of each stretch.
        pieces: Yields the ids of a stretch.
        to: Where to write them.
    """
    ends = [0]
    for start, end in bounds:
        for ids in pieces(numbers[start:end]):
            to.append(ids)
        ends.append(to.size)
    return Mapped(to.values(), np.array(ends, dtype=np.int64))


def by_table(table: NDArray[np.int64]) -> Converter:
    """Returns a function that replaces numbers by ids. A number with a negative id is left out."""
    skips = bool((table < 0).any())
    narrow = table if skips else table.astype(symbol_type(int(table.max(initial=0))))

    def pieces(numbers: NDArray[Any]) -> Iterator[NDArray[Any]]:
        for start in range(0, len(numbers), PIECE):
            ids = narrow[numbers[start : start + PIECE]]
            release(numbers)
            yield ids[ids >= 0] if skips else ids

    return pieces


def by_tokenizer(vocab: Vocab) -> Converter:
    """Returns a function that splits bytes into the symbols of a BPE tokenizer."""

    def pieces(numbers: NDArray[Any]) -> Iterator[NDArray[Any]]:
        for text in texts(numbers):
            yield np.array(vocab.encode(text), dtype=np.uint32)

    return pieces


def texts(numbers: NDArray[Any], size: int = 2**18) -> Iterator[str]:
    """Yields a text, given as bytes, in pieces that end with a line if they can.

    A line that begins with white space stays with the line before: byte-level BPE reads them together.
    """
    start = 0
    while start < len(numbers):
        piece = bytes(numbers[start : start + size])
        if start + size < len(numbers):
            cut = next((i + 1 for i in range(len(piece) - 2, 0, -1) if piece[i] == 10 and piece[i + 1] > 32), 0)
            piece = piece[:cut] if cut else _whole_characters(piece)
        release(numbers)
        yield piece.decode("utf-8", "surrogatepass")
        start += len(piece)


def _whole_characters(piece: bytes) -> bytes:
    end = len(piece)
    while end > 1 and piece[end - 1] & 0xC0 == 0x80:
        end -= 1
    return piece[: end - 1] if piece[end - 1] >= 0xC0 else piece


def to_character(numbers: NDArray[Any], place: int) -> int:
    """Returns the start of the next character at or after a byte."""
    while place < len(numbers) and numbers[place] & 0xC0 == 0x80:
        place += 1
    return place


def counted(found: NDArray[np.int64], names: list[str]) -> Counter[str]:
    """Returns counts by name, without zeros."""
    return Counter({names[i]: int(found[i]) for i in np.flatnonzero(found)})
