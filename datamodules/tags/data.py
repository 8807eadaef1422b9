"""Texts with a tag for each symbol: what all of them have in common.

Legend: N examples, B batch size, T time steps.
"""

from abc import abstractmethod
from collections import Counter
from itertools import compress
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.base import SequenceData
from datamodules.baselines.tags import Unit, most_frequent
from datamodules.checks import check_predict_inputs
from datamodules.examples import Mapped, void_missing
from datamodules.parts import Part, Parts, with_validation
from datamodules.symbols import check_symbols, counted_vocab
from datamodules.texts.cleaning import plain
from zoo.batch import IGNORE, TagBatch
from zoo.tags import outside_of
from zoo.vocab import PAD, UNK, SymbolKind, Vocab


class TaggedText(NamedTuple):
    """The symbols of a text, and the tag of each."""

    symbols: tuple[str, ...]
    tags: tuple[str, ...]


class TagExamples:
    """Symbols and their tags. Only the sequences of a batch are padded.

    Args:
        sequences: The ids of the symbols of each text.
        targets: The ids of their tags. None: there are none.
        words: The number of each symbol, which is a word, in `spellings`. None: symbols are no words.
        spellings: The ids of the letters of each word.

    Example:
        >>> TagExamples(Mapped.of([[5, 6], [7]]), Mapped.of([[1, 0], [1]])).take(torch.tensor([0, 1])).targets
        tensor([[   1,    0],
                [   1, -100]])
    """

    batch_type = TagBatch

    def __init__(
        self,
        sequences: Mapped,
        targets: Mapped | None = None,
        words: Mapped | None = None,
        spellings: Mapped | None = None,
    ) -> None:
        self.sequences, self.targets, self.words, self.spellings = sequences, targets, words, spellings

    def __len__(self) -> int:
        return len(self.sequences)

    def take(self, index: torch.Tensor) -> TagBatch:
        """See `Examples`."""
        inputs, lengths = self.sequences.padded(index)
        none = torch.full_like(inputs, IGNORE)
        targets = none if self.targets is None else self.targets.padded(index, IGNORE)[0]
        letters = None
        if self.words is not None and self.spellings is not None:
            words, _ = self.words.padded(index)
            letters = self.spellings.padded(words.flatten())[0].unflatten(0, words.shape)
        return void_missing(TagBatch(inputs, targets, lengths, letters), index)


class TagData(SequenceData):
    """Texts with a tag for each symbol.

    Args:
        min_count: Symbols that occur fewer times in the training part become `<unk>`.
        lowercase: Whether to convert the symbols to lower case. A model that does so needs no option.
        normalization: A Unicode normal form of the symbols, applied first. If the model already has one, that one.
        batch_size: Texts per optimizer step, over all devices.
        predict_inputs: Texts for `predict`. Default: the last part.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = TagBatch
    kind: ClassVar[SymbolKind]
    what: ClassVar[str]  # an example, in the plural

    def __init__(
        self,
        min_count: int,
        lowercase: bool,
        normalization: Any,
        batch_size: int,
        predict_inputs: list[str] | None,
        seed: int | None,
    ) -> None:
        super().__init__(batch_size, seed)
        check_symbols(self.kind, min_count, None, None)
        self.min_count, self.predict_inputs = min_count, predict_inputs
        self._cleaning = (lowercase, normalization)

    @abstractmethod
    def read(self) -> dict[Part, list[TaggedText]]:
        """Returns the texts of each part."""

    def units(self, text: TaggedText) -> list[Unit]:
        """Returns what the baseline looks up in a text. By default, its symbols."""
        return [(symbol, (tag,)) for symbol, tag in zip(*text, strict=True)]

    def load(self) -> Parts:
        """See `SequenceData`."""
        self.rows = {part: found for part, found in self.read().items() if found}
        everything = [row for found in self.rows.values() for row in found]
        self.vocab = self.vocab_of(self._learn)
        known = {tag for row in everything for tag in row.tags}
        outside = outside_of(known)
        self.tag_names = list(self.facts.get("tags") or sorted(known, key=lambda tag: (tag != outside, tag)))
        if len(self.tag_names) < 2:
            raise ValueError(f"got one tag, {self.tag_names[0]!r}, expected at least 2")
        self.letters = self._learn_letters() if self.kind == "words" else None
        self._note_unseen()
        return with_validation({part: self._examples(part, found) for part, found in self.rows.items()})

    def _learn(self) -> Vocab:
        rows = self.rows.get("train") or [row for found in self.rows.values() for row in found]
        counts = Counter(self._clean(symbol) for row in rows for symbol in row.symbols)
        return counted_vocab(counts, self.kind, (), self.min_count)

    def _learn_letters(self) -> Vocab:
        if self.facts.get("letters") is not None:
            return Vocab(self.facts["letters"])
        return Vocab([PAD, UNK, *sorted({letter for word in self.vocab if word != UNK for letter in word})])

    def _clean(self, symbol: str) -> str:
        return plain(symbol, **self.cleaning_of(*self._cleaning))

    def _note_unseen(self) -> None:
        seen = {tag for row in self.rows.get("train", []) for tag in row.tags}
        for part, rows in self.rows.items():
            if seen and (unseen := sorted({tag for row in rows for tag in row.tags} - seen)):
                self.note(f"tags of the {part} part that the training part does not have: {', '.join(unseen)}")

    def _examples(self, part: Part, rows: list[TaggedText]) -> TagExamples:
        self.unknown.part = part
        ids = {tag: number for number, tag in enumerate(self.tag_names)}
        texts, sequences, targets = [], [], []
        for row in rows:
            unknown = Counter(tag for tag in row.tags if tag not in ids)
            self.unknown.add("tags", unknown, len(row.tags))
            if unknown and self.on_unknown != "skip":
                self.unknown.refused.add(part)
            symbols, tags = [*map(self._clean, row.symbols)], row.tags
            found = self.encode(symbols, self.vocab)
            if len(found) < len(symbols):  # unknown symbols were left out
                kept = [symbol in self.vocab for symbol in symbols]
                symbols, tags = list(compress(symbols, kept)), tuple(compress(tags, kept))
            if found and not unknown:
                texts.append(symbols)
                sequences.append(found)
                targets.append([ids[tag] for tag in tags])
        self.unknown.drop(len(rows) - len(sequences), len(rows))
        if not sequences:
            raise ValueError(f"no {self.what} of the {part} part can be used: the model knows none of them whole")
        return TagExamples(Mapped.of(sequences), Mapped.of(targets), *self._spelled(texts))

    def _spelled(self, texts: list[list[str]]) -> tuple[Mapped, Mapped] | tuple[None, None]:
        """Returns the words of each text as numbers, and the ids of the letters of each word."""
        if self.letters is None:
            return None, None
        numbers: dict[str, int] = {}
        words = [[numbers.setdefault(word, len(numbers)) for word in text] for text in texts]
        return Mapped.of(words), Mapped.of([self.letters.encode(word) for word in numbers])

    def lengths(self, part: Part) -> NDArray[np.int64]:
        """See `SequenceData`."""
        examples: Any = self.parts[part]
        return examples.sequences.lengths  # type: ignore[no-any-return]

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns what the most frequent tags of each symbol or word reach: see `SequenceData`."""
        if "train" not in self.rows:
            return {}
        train, other = self.rows["train"], self.rows.get(part) or self.rows["train"]
        return {"most frequent tags": most_frequent(*([self.units(row) for row in rows] for rows in (train, other)))}

    def predict_dataloader(self) -> Any:
        """Returns batches of `predict_inputs`, or of the last part, in their order, if there are none."""
        if self.predict_inputs is None:
            return super().predict_dataloader()
        check_predict_inputs(self.predict_inputs)
        texts = list(map(self._split, self.predict_inputs))
        rows = [self.encode_input(text, self.vocab) for text in texts]
        if self.on_unknown == "skip":
            texts = [[symbol for symbol in text if symbol in self.vocab] for text in texts]
        return self.predict_loader(TagExamples(Mapped.of(rows), None, *self._spelled(texts)))

    def _split(self, text: str) -> list[str]:
        """Returns the symbols of one of the `predict_inputs`."""
        cleaned = self._clean(text)
        return cleaned.split() if self.kind == "words" else list(cleaned)

    @property
    def spec(self) -> dict[str, Any]:
        """The tags, the symbols, and how texts are cleaned."""
        return {
            "tags": list(self.tag_names),
            "vocab": list(self.vocab),
            "symbols": self.vocab.kind,
            "tokenizer": self.vocab.tokenizer,
            "letters": None if self.letters is None else list(self.letters),
            **self.cleaning_of(*self._cleaning),
        }
