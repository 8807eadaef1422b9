"""Books of Project Gutenberg."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from datamodules.base import SequenceData
from datamodules.sources.cache import cached
from datamodules.texts.files import decode
from datamodules.texts.text import Text, TextData

GUTENBERG_URL = "https://www.gutenberg.org/ebooks/{book}.txt.utf-8"


class Gutenberg(TextData):
    """Books of Project Gutenberg, by number.

    A book that is not in the cache (`gutenberg/<number>.txt`) is downloaded from gutenberg.org.

    Args:
        books: Ebook numbers, such as 11 for Alice's Adventures in Wonderland.
        strip_license: Whether to remove Project Gutenberg's header and license.
        **options: See `TextData`.
    """

    def __init__(self, books: list[int], strip_license: bool = False, **options: Any) -> None:
        super().__init__(**options)
        if not books or min(books) < 1:
            raise ValueError(f"books: got {books}, expected one or more ebook numbers")
        self.books, self.strip_license = books, strip_license

    def prepare_data(self) -> None:
        """Downloads the books that are missing."""
        for book in self.books:
            book_path(book)

    def files(self) -> list[str]:
        """See `TextData`."""
        return [str(book_path(book)) for book in self.books]

    def documents(self) -> Mapping[str, Text]:
        """See `TextData`."""
        return {f"book {book}": partial(self._book, book) for book in self.books}

    def _book(self, book: int) -> Iterator[str]:
        yield read_book(self, book, self.strip_license)

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), "strip_license": self.strip_license}


def book_path(book: int) -> Path:
    """Returns the path of a book in the cache. A missing book is downloaded."""
    return cached(f"gutenberg/{book}.txt", GUTENBERG_URL.format(book=book), _check_book)


def read_book(datamodule: SequenceData, book: int, strip_license: bool = False) -> str:
    """Returns the text of a book, with line feeds as line ends.

    Args:
        datamodule: The datamodule that records the file in its `sources`.
        book: The ebook number.
        strip_license: Whether to remove Project Gutenberg's header and license.

    Raises:
        ValueError: If the book is not UTF-8, or if its header and license are not found.
    """
    path = book_path(book)
    data = datamodule.read_source(path, f"gutenberg/{book}.txt")
    text = decode(str(path), data).replace("\r\n", "\n")
    if not strip_license:
        return text
    lines = text.split("\n")
    marks = [i for i, line in enumerate(lines) if line.startswith("***") and "PROJECT GUTENBERG EBOOK" in line]
    if len(marks) < 2:
        raise ValueError(
            f"strip_license: Project Gutenberg's '*** START OF' and '*** END OF' lines not found in {path}"
        )
    body = "\n".join(lines[marks[0] + 1 : marks[-1]]).strip("\n")
    last = body.rpartition("\n")[2]  # older books end with an extra line by Project Gutenberg
    return body.removesuffix(last).rstrip("\n") if re.match("End of (the )?Project Gutenberg", last) else body


def _check_book(path: Path) -> None:
    text = path.read_bytes()
    if b"Project Gutenberg" not in text or b"END OF TH" not in text:
        raise ValueError("it is not a complete book of Project Gutenberg")
