"""Encoding the documents of a `TextData`: one pass over the texts, then the vocabulary, then the ids of each part.

See `datamodules.texts.encoding` for the steps.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.examples import Mapped
from datamodules.parts import Part, split_sizes
from datamodules.symbols import BPE_SIZE, bpe_vocab, counted_vocab, read_tokenizer, train_bpe
from datamodules.texts.encoding import (
    Converter,
    Numbering,
    Numbers,
    by_table,
    by_tokenizer,
    convert,
    count,
    counted,
    texts,
    to_character,
)
from zoo.vocab import UNK, Vocab

if TYPE_CHECKING:
    from datamodules.texts.text import TextData

BPE_CHARACTERS = 2**26  # a new tokenizer learns from the first 64 million characters of the training part
Bounds = dict[Part, list[tuple[int, int]]]  # of each document


class Encoded(NamedTuple):
    """Texts as ids."""

    vocab: Vocab
    parts: dict[Part, Mapped]
    names: dict[Part, list[str]]  # of the documents of each part


class SkipError(ValueError):
    """A document can't be read, and is to be left out."""


class TextEncoder:
    """Encodes the documents of some data.

    Args:
        data: The data, with its options, and with the facts of a model that it follows.
    """

    def __init__(self, data: "TextData") -> None:
        self.data = data

    def encode(self, scratch: Path, most: float) -> Encoded:
        """Encodes all texts. Above `most` bytes, the ids are written to files in `scratch`."""
        kind = self.data.facts.get("symbols", self.data.symbols)
        numbering, numbers = Numbering(kind), Numbers(scratch / "numbers", most)
        names, ends = [], [0]
        for name, text in self.data.documents().items():
            try:
                for piece in self.data.pieces(name, text):
                    numbers.append(numbering.number(piece))
            except SkipError as error:
                numbers.truncate(ends[-1])
                self.data.note(f"{error} (left out)")
                continue
            names.append(name)
            ends.append(numbers.size)
        if not names:
            raise ValueError(f"no file can be read: {'; '.join(self.data.notes)}")
        values = numbers.values()
        bounds = self._split(values, ends, kind)
        vocab = self.data.vocab_of(lambda: self._learn(values, bounds, numbering))
        parts: dict[Part, Mapped] = {}
        for part, stretches in bounds.items():
            self.data.unknown.part = part
            into = Numbers(scratch / f"{part}.bin", 0 if numbers.on_disk else math.inf)
            if pieces := [stretch for stretch in stretches if stretch[0] < stretch[1]]:
                parts[part] = convert(values, pieces, self._converter(values, pieces, numbering, vocab), into)
        if numbers.on_disk:
            numbers.file.unlink()
        kept = {part: [n for n, (a, b) in zip(names, bounds[part], strict=True) if a < b] for part in parts}
        return Encoded(vocab, parts, kept)

    def _split(self, values: NDArray[Any], ends: list[int], kind: str) -> Bounds:
        """Returns start and end of each document's part. Bytes are not divided within a character."""
        found: Bounds = {"train": [], "val": [], "test": []}
        for start, end in pairwise(ends):
            train, val, _ = split_sizes(end - start, self.data.val_fraction, self.data.test_fraction)
            cuts = [start, start + train, start + train + val, end]
            if kind in ("bytes", "bpe"):
                cuts[1:3] = [to_character(values, cut) for cut in cuts[1:3]]
            for part, bounds in zip(found, pairwise(cuts), strict=True):
                found[part].append(bounds)
        return found

    def _learn(self, values: NDArray[Any], bounds: Bounds, numbering: Numbering) -> Vocab:
        """Returns the vocabulary of the texts."""
        names = numbering.names
        if numbering.symbols == "bytes":
            return Vocab(names, "bytes")
        if numbering.symbols == "bpe":
            if self.data.tokenizer is not None:
                return bpe_vocab(read_tokenizer(self.data.tokenizer))
            sample = (text for a, b in bounds["train"] for text in texts(values[a:b]))
            return bpe_vocab(train_bpe(some(sample, BPE_CHARACTERS), self.data.vocab_size or BPE_SIZE))
        if numbering.symbols == "characters" and self.data.min_count is None:
            everything = [stretch for stretches in bounds.values() for stretch in stretches]
            return Vocab.of(counted(count(values, everything, len(names)), names))
        found = counted(count(values, bounds["train"], len(names)), names)
        return counted_vocab(found, numbering.symbols, (), self.data.min_count or 1)

    def _converter(
        self, values: NDArray[Any], bounds: list[tuple[int, int]], numbering: Numbering, vocab: Vocab
    ) -> Converter:
        """Returns what turns provisional numbers into ids. Counts the symbols of a part that are unknown."""
        if numbering.symbols == "bpe":
            return by_tokenizer(vocab)
        vocab.encode("", self.data.on_unknown)  # raises ValueError for unk without <unk>
        names = numbering.names
        found: Counter[str] = Counter()
        if unknown := vocab.unknown(names):  # otherwise, there is nothing to count
            counts = counted(count(values, bounds, len(names)), names)
            found = Counter({name: counts[name] for name in unknown if counts[name]})
        self.data.unknown.add("vocab", found, sum(end - start for start, end in bounds))
        refused = self.data.on_unknown == "error" or (self.data.on_unknown is None and UNK not in vocab)
        if found and refused:
            self.data.unknown.refused.add(self.data.unknown.part)  # setup raises the error, with all counts
        default = -1 if refused or self.data.on_unknown == "skip" else vocab.id(UNK)
        ids = {name: number for number, name in enumerate(vocab)}
        return by_table(np.array([ids.get(name, default) for name in names], dtype=np.int64))


def some(texts: Iterable[str], most: int) -> Iterator[str]:
    """Yields texts until they have this many characters."""
    for text in texts:
        yield text
        most -= len(text)
        if most <= 0:
            return
