"""Predicting the last letter of a word."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from datamodules.base import SequenceData
from datamodules.baselines import counting
from datamodules.checks import check_fractions, check_predict_inputs
from datamodules.examples import NONE
from datamodules.parts import Part, Parts, random_split, with_validation
from datamodules.sources.files import FACTS, distinct, read_table
from datamodules.texts.gutenberg import book_path, read_book
from zoo.batch import IGNORE, ClassBatch

log = logging.getLogger(__name__)

WORDS = FACTS / "words.txt"
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


class WordCompletion(SequenceData):
    """Predicting the last letter of a word from its other letters.

    The words are ten built-in ones, the words of a file, or all words of some books. The held-out
    words are drawn at random with `split_seed`. No word is in two parts. Without held-out parts
    (both fractions 0), validation uses the training words. Its metrics then measure memorization.

    Args:
        path: A file with one word per line, or with words in its first column (text, CSV, JSON
            lines, Parquet). Default: the ten words.
        books: Ebook numbers of Project Gutenberg. Takes the distinct words of `word_length` letters
            a-z, in lower case, without Project Gutenberg's header and license.
        word_length: Letters in a word. None: any length from 2 up.
        val_fraction: Fraction of the words held out for validation.
        test_fraction: Fraction of the words held out for the test.
        split_seed: Determines which words are held out.
        batch_size: Words per optimizer step, over all devices.
        predict_inputs: Beginnings of words for `predict`. Default: the last part.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = ClassBatch

    def __init__(
        self,
        path: str | None = None,
        books: list[int] | None = None,
        word_length: int | None = 4,
        val_fraction: float = 0.0,
        test_fraction: float = 0.0,
        split_seed: int = 0,
        batch_size: int = 32,
        predict_inputs: list[str] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        check_fractions(val_fraction, test_fraction)
        if path is not None and books is not None:
            raise ValueError("path, books: got both, expected at most one of them")
        if word_length is not None and word_length < 2:
            raise ValueError(f"word_length: got {word_length}, expected at least 2")
        self.path, self.books, self.word_length = path, books, word_length
        self.val_fraction, self.test_fraction, self.split_seed = val_fraction, test_fraction, split_seed
        self.predict_inputs = predict_inputs

    def prepare_data(self) -> None:
        """Downloads the books that are missing."""
        for book in self.books or ():
            book_path(book)

    def words(self) -> list[str]:
        """Returns the distinct words. Words of books are sorted; words of a file keep their order.

        Raises:
            ValueError: If there are none, or if one has the wrong length.
        """
        if self.books is not None:
            letters = "{2,}" if self.word_length is None else f"{{{self.word_length}}}"
            text = "\n".join(read_book(self, book, strip_license=True) for book in self.books).lower()
            found = sorted(set(re.findall(rf"(?<![^\W_]|')[a-z]{letters}(?![^\W_]|'[a-z])", text)))
            name = f"books {self.books}"
        else:
            name = self.path or str(WORDS)
            table = read_table(name, as_text=True, data=self.read_source(name, Path(name).name))
            used, *ignored = table
            if ignored:
                log.warning("%s: the words are in column %s; ignored: %s", name, used, ", ".join(ignored))
            lines = (str(line).strip() for line in table[used] if line is not None)
            lines = (line.lower() if self.facts.get("lowercase") else line for line in lines)
            found = distinct(name, "word", filter(None, lines))
        if not found:
            raise ValueError(f"{name}: got no words, expected at least one")
        for word in found:
            if len(word) < 2 or len(word) != (self.word_length or len(word)):
                expected = f"{self.word_length} letters (word_length)" if self.word_length else "at least 2 letters"
                raise ValueError(f"{name}: the word {word!r} has {len(word)} letters, expected {expected}")
        return found

    def load(self) -> Parts:
        """See `SequenceData`."""
        words = self.words()
        letters = set("".join(words))
        own = ALPHABET if letters <= set(ALPHABET) else sorted(letters)
        self.vocab, self.classes = self.vocab_of(own), self.vocab_of(own, "classes")
        split = random_split(len(words), self.val_fraction, self.test_fraction, self.split_seed)
        self.split_words = {part: [words[row] for row in rows] for part, rows in split.items()}
        parts: Parts = {part: self._examples(part, words) for part, words in self.split_words.items()}
        return with_validation(parts)

    def _examples(self, part: str, words: list[str]) -> ClassBatch:
        self.unknown.part = part
        beginnings = [self.encode(word[:-1], self.vocab) for word in words]
        targets = self.encode_classes([word[-1] for word in words], self.classes).tolist()
        rows = [
            (ids, target)
            for word, ids, target in zip(words, beginnings, targets, strict=True)
            if len(ids) == len(word) - 1 and target != NONE  # without a letter, it would be another word
        ]
        self.unknown.drop(len(words) - len(rows), len(words))
        if not rows:
            raise ValueError("no word has known letters only")
        return self._batch(*zip(*rows, strict=True))

    def _batch(self, beginnings: Sequence[list[int]], targets: Sequence[int]) -> ClassBatch:
        rows = [torch.tensor(ids) for ids in beginnings]
        lengths = torch.tensor([len(row) for row in rows])
        return ClassBatch(pad_sequence(rows, batch_first=True), torch.tensor(targets), lengths)

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns the accuracy of a table of the words' ends: see `SequenceData`."""
        train = self.split_words.get("train", [])
        words = self.split_words.get(part, train)
        if not train:
            return {}
        accuracy = counting.share(counting.backoff(train, words), [word[-1] for word in words])
        return {"prefix table": {"accuracy": accuracy}}

    def predict_dataloader(self) -> Any:
        """Returns batches of `predict_inputs`, or of the last part if there are none."""
        if self.predict_inputs is None:
            return super().predict_dataloader()
        check_predict_inputs(self.predict_inputs)
        texts = [text.lower() if self.facts.get("lowercase") else text for text in self.predict_inputs]
        rows = [self.encode_input(text, self.vocab) for text in texts]
        return self.predict_loader(self._batch(rows, [IGNORE] * len(rows)))

    @property
    def spec(self) -> dict[str, Any]:
        """The letters, both as symbols and as classes: a-z, or the letters of the words if there are others."""
        letters = {"vocab": list(self.vocab), "classes": list(self.classes), "lowercase": self.books is not None}
        return letters if self.word_length is None else {**letters, "num_steps": self.word_length - 1}
