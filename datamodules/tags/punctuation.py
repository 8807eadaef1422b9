"""Texts without upper case and punctuation, and the edits that restore both."""

from itertools import groupby
from typing import Any

from datamodules.baselines.tags import Unit
from datamodules.checks import check_fractions, check_sizes
from datamodules.parts import Part, split_sizes
from datamodules.tags.data import TagData, TaggedText
from datamodules.texts.files import TextFile
from datamodules.texts.gutenberg import Gutenberg
from datamodules.texts.text import TextData
from zoo.tags import KEEP, UPPER

MARKS = ",.;:?!"
INSIDE = "'\u2019-"  # part of a word between two letters
DASHES = ("--", "\u2014", "\u2013")  # between words


class Punctuation(TagData):
    """Restoring upper case and punctuation: each letter's tag says how to edit a plain text.

    The plain text has letters, digits and single spaces, and apostrophes and hyphens within words. Other characters,
    for example quotation marks, are left out for good. `=` keeps a letter, `^` makes it upper case, and a mark in the
    tag is written after it. Texts need no labels: they have what is to be restored.

    The beginning of each text is for training, what follows for validation, and its end for the test. Each part is cut
    into pieces of about `length` letters, between words.

    Args:
        books: Books of Project Gutenberg, by number. A missing one is downloaded. Their license is left out.
        paths: Text files in UTF-8, folders, and patterns such as `texts/*.txt`.
        marks: The punctuation marks to restore.
        length: Letters of an example.
        val_fraction: Fraction of each text held out for validation.
        test_fraction: Fraction of each text held out for the test, at its end.
        min_count: Letters that occur fewer times in the training part become `<unk>`.
        batch_size: Pieces per optimizer step, over all devices.
        predict_inputs: Plain texts for `predict`. Default: the last part.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    kind = "characters"
    what = "pieces"

    def __init__(
        self,
        books: list[int] | None = None,
        paths: list[str] | str | None = None,
        marks: str = MARKS,
        length: int = 200,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        min_count: int = 5,
        batch_size: int = 32,
        predict_inputs: list[str] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(min_count, True, None, batch_size, predict_inputs, seed)
        check_fractions(val_fraction, test_fraction)
        check_sizes(length=length)
        if (books is None) == (paths is None):
            raise ValueError(f"got {'neither' if books is None else 'both'} of books and paths, expected one of them")
        wrong = [mark for mark in marks if mark.isalnum() or mark.isspace() or mark in (*INSIDE, KEEP, UPPER)]
        if wrong or not marks or len(set(marks)) < len(marks):
            raise ValueError(
                f"marks: got {marks!r}, expected punctuation marks, each once, none of {INSIDE}{KEEP}{UPPER}"
            )
        self.books, self.paths, self.marks, self.length = books, paths, marks, length
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        whole: dict[str, Any] = {"strip_lines": True, "join_lines": True, "val_fraction": 0, "test_fraction": 0}
        self.texts: TextData
        if books is not None:
            self.texts = Gutenberg(books, strip_license=True, **whole)
        else:
            self.texts = TextFile(paths, **whole)  # type: ignore[arg-type]

    def prepare_data(self) -> None:
        """Downloads the books that are missing."""
        self.texts.prepare_data()

    def read(self) -> dict[Part, list[TaggedText]]:
        """See `TagData`."""
        parts: dict[Part, list[TaggedText]] = {"train": [], "val": [], "test": []}
        for name in self.texts.documents():
            found = pieces(edits_of(self.texts.read(name), self.marks), self.length)
            if not found:
                raise ValueError(f"{name}: the text has no letters")
            train, val, _ = split_sizes(len(found), self.val_fraction, self.test_fraction)
            parts["train"] += found[:train]
            parts["val"] += found[train : train + val]
            parts["test"] += found[train + val :]
        self._sources.update(self.texts.sources)
        return parts

    def units(self, text: TaggedText) -> list[Unit]:
        """See `TagData`: words, and spaces."""
        pairs = zip(text.symbols, text.tags, strict=True)
        groups = (list(group) for _, group in groupby(pairs, lambda pair: pair[0] == " "))
        return [("".join(letter for letter, _ in group), tuple(tag for _, tag in group)) for group in groups]


def edits_of(text: str, marks: str = MARKS) -> list[tuple[str, str]]:
    """Returns the letters of a text without upper case and punctuation, each with the tag that restores both.

    Example:
        >>> edits_of("Oh, I")
        [('o', '^'), ('h', '=,'), (' ', '='), ('i', '^')]
    """
    found: list[tuple[str, str]] = []
    for dash in DASHES:
        text = text.replace(dash, " ")
    for word in text.split():
        begun = False
        for place, letter in enumerate(word):
            if letter.isalnum() or (begun and letter in INSIDE and word[place + 1 : place + 2].isalnum()):
                if found and not begun:
                    found.append((" ", KEEP))
                begun, small = True, letter.lower()
                upper = small != letter and small.upper() == letter
                found.append((small, UPPER) if upper and len(small) == 1 else (letter, KEEP))
            elif letter in marks and found and len(found[-1][1]) == 1:  # of several marks, the first one
                found[-1] = (found[-1][0], found[-1][1] + letter)
    return found


def pieces(letters: list[tuple[str, str]], length: int) -> list[TaggedText]:
    """Cuts a text at spaces into pieces of at least `length` letters; the last one may be shorter."""
    found, start = [], 0
    for place, (letter, _) in enumerate([*letters, (" ", KEEP)]):
        if letter == " " and (place - start >= length or start < place == len(letters)):
            symbols, tags = zip(*letters[start:place], strict=True)
            found.append(TaggedText(symbols, tags))
            start = place + 1
    return found
