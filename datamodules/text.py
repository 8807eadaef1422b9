"""Texts as sequences of characters: books of Project Gutenberg, text files, a literal string.

Legend: B batch, T time steps, N windows or chunks.
"""

import re
import unicodedata
from abc import abstractmethod
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from datamodules.base import SequenceData
from datamodules.cache import cached
from datamodules.checks import check_fractions, check_predict_inputs
from datamodules.loader import BatchLoader, EpochSampler, LaneSampler, Sampler
from datamodules.parts import Part, Parts, split_sizes
from zoo.batch import IGNORE, TextBatch
from zoo.vocab import UNK, Vocab

LANE_CHARACTERS, MOST_LANES = 4000, 16  # of `eval_lanes: auto`; see docs/data.md for what they cost and gain
GUTENBERG_URL = "https://www.gutenberg.org/ebooks/{book}.txt.utf-8"


class TextData(SequenceData):
    """Documents of characters, each split into contiguous training, validation and test parts.

    In mode `windows`, a part is cut into non-overlapping windows of T characters, which are shuffled
    each epoch. The target is the window shifted by one. An incomplete window at the end is dropped.

    In mode `stream`, every character is used. The documents of a part are cut into chunks of T, one
    document after the other, and the chunks are divided into lanes, one per row of a batch. Each
    row continues the same row of the previous batch. See `LaneSampler`.

    Args:
        mode: `windows` or `stream`.
        seq_len: Characters in a window or chunk, T.
        batch_size: Windows or lanes per optimizer step, over all devices.
        eval_lanes: Lanes of validation and test in a stream. With 1, each document is read from
            start to end. More lanes are faster, but each starts from the zero state, which makes the
            loss a little higher. `auto`: one lane for every 4,000 characters of the part, from 1 to
            16. So parts below about 8,000 characters are read exactly. The number of devices and
            `batch_size` have no effect.
        val_fraction: Fraction of each document held out for validation. 0: none.
        test_fraction: Fraction of each document held out for the test, at its end. 0: none.
        strip_lines: Whether to strip white space from both ends of each line.
        lowercase: Whether to convert the text to lower case. A model that does so needs no option.
        ascii_only: Whether to remove characters that are not ASCII.
        join_lines: Whether to remove empty lines and join the others with spaces.
        start_marker: Start at the first occurrence of this string.
        end_marker: End before the first occurrence of this string after the start.
        normalization: A Unicode normal form, applied first. If the model already has one, that one.
        min_count: Symbols that occur fewer times in the training part become `<unk>`. With 1, only
            symbols that do not occur in it. None: the vocabulary has all symbols of all parts, and no
            `<unk>`.
        predict_inputs: Texts for `predict`. Default: the last part.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = TextBatch

    def __init__(
        self,
        mode: Literal["windows", "stream"] = "windows",
        seq_len: int = 60,
        batch_size: int = 32,
        eval_lanes: int | Literal["auto"] = "auto",
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        strip_lines: bool = False,
        lowercase: bool = False,
        ascii_only: bool = False,
        join_lines: bool = False,
        start_marker: str | None = None,
        end_marker: str | None = None,
        normalization: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = None,
        min_count: int | None = None,
        predict_inputs: list[str] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        check_fractions(val_fraction, test_fraction)
        for name, value in (("seq_len", seq_len), ("min_count", min_count or 1)):
            if value < 1:
                raise ValueError(f"{name}: got {value}, expected at least 1")
        if eval_lanes != "auto" and (not isinstance(eval_lanes, int) or eval_lanes < 1):
            raise ValueError(f"eval_lanes: got {eval_lanes!r}, expected auto, or at least 1")
        if mode not in ("windows", "stream"):
            raise ValueError(f"mode: got {mode!r}, expected windows or stream")
        self.mode, self.seq_len, self.eval_lanes = mode, seq_len, eval_lanes
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.strip_lines, self.lowercase = strip_lines, lowercase
        self.ascii_only, self.join_lines = ascii_only, join_lines
        self.start_marker, self.end_marker, self.normalization = start_marker, end_marker, normalization
        self.min_count, self.predict_inputs = min_count, predict_inputs

    @abstractmethod
    def documents(self) -> dict[str, str]:
        """Returns the raw texts, by name."""

    def load(self) -> Parts:
        """See `SequenceData`."""
        self.texts = {name: self.clean(name, text) for name, text in self.documents().items()}
        self.vocab = self.vocab_of(self._own_vocab())
        build = self._windows if self.mode == "windows" else self._chunks
        return {part: build(part, pieces) for part, pieces in self.cut().items()}

    def _own_vocab(self) -> list[str]:
        if self.min_count is None:
            return list(Vocab.of("".join(self.texts.values())))
        counts = Counter("".join(pieces["train"] for pieces in map(self._split, self.texts.values())))
        return [UNK, *sorted(symbol for symbol, count in counts.items() if count >= self.min_count)]

    def _split(self, text: str) -> dict[Part, str]:
        """Returns the parts of a document."""
        train, val, _ = split_sizes(len(text), self.val_fraction, self.test_fraction)
        return {"train": text[:train], "val": text[train : train + val], "test": text[train + val :]}

    def cut(self) -> dict[Part, list[np.ndarray[Any, Any]]]:
        """Returns the ids of each part: one piece per document. Empty parts are omitted.

        Raises:
            ValueError: If a piece is too short. The message names its document.
        """
        found: dict[Part, list[np.ndarray[Any, Any]]] = {"train": [], "val": [], "test": []}
        for name, text in self.texts.items():
            for part, piece in self._split(text).items():
                if piece:
                    self.unknown.part = part
                    ids = np.asarray(self.encode(piece, self.vocab), dtype=np.int64)
                    self._check_length(name, part, len(ids))
                    found[part].append(ids)
        return {part: pieces for part, pieces in found.items() if pieces}

    def clean(self, name: str, text: str) -> str:
        """Returns a document, cleaned as set by the options.

        Raises:
            ValueError: If a marker is not found, or if the text is empty.
        """
        given = text
        text = self._normalized(text.replace("\r\n", "\n"))
        start = 0 if self.start_marker is None else _find(name, text, "start_marker", self.start_marker, 0)
        end = len(text) if self.end_marker is None else _find(name, text, "end_marker", self.end_marker, start)
        text = text[start:end]
        if self.strip_lines:
            text = "\n".join(line.strip() for line in text.split("\n"))
        text = self._cased(text)
        if self.ascii_only:
            text = text.encode("ascii", "ignore").decode("ascii")
        if self.join_lines:
            text = " ".join(line for line in text.split("\n") if line)
        if not text:
            raise ValueError(f"{name}: the text is empty{' after cleaning' if given.strip() else ''}")
        return text

    def _normalized(self, text: str) -> str:
        form = self.spec_of_text["normalization"]
        return text if form is None else unicodedata.normalize(form, text)

    def _cased(self, text: str) -> str:
        return text.lower() if self.spec_of_text["lowercase"] else text

    @property
    def spec_of_text(self) -> dict[str, Any]:
        """How texts are cleaned, for the model: `lowercase` and `normalization`."""
        return {
            "lowercase": bool(self.facts.get("lowercase") or self.lowercase),
            "normalization": self.facts.get("normalization") or self.normalization,
        }

    def _check_length(self, name: str, part: Part, length: int) -> None:
        needed = self.seq_len + 1 if self.mode == "windows" else 2
        if length < needed:
            raise ValueError(
                f"{name}: its {part} part has {length} characters, expected at least {needed} "
                f"(seq_len is {self.seq_len}); use a smaller seq_len or a larger part"
            )

    def _windows(self, part: Part, pieces: list[np.ndarray[Any, Any]]) -> TextBatch:
        inputs, targets = [], []
        for ids in pieces:
            used = (len(ids) - 1) // self.seq_len * self.seq_len
            inputs.append(ids[:used].reshape(-1, self.seq_len))
            targets.append(ids[1 : used + 1].reshape(-1, self.seq_len))
        return TextBatch(torch.from_numpy(np.concatenate(inputs)), torch.from_numpy(np.concatenate(targets)))

    def _chunks(self, part: Part, pieces: list[np.ndarray[Any, Any]]) -> TextBatch:
        inputs, targets, resets = [], [], []
        for ids in pieces:
            padding = -(len(ids) - 1) % self.seq_len
            inputs.append(np.pad(ids[:-1], (0, padding)).reshape(-1, self.seq_len))
            targets.append(np.pad(ids[1:], (0, padding), constant_values=IGNORE).reshape(-1, self.seq_len))
            resets.append(np.arange(len(inputs[-1])) == 0)
        reset = np.concatenate(resets)
        lanes = self._lanes(part, len(reset))
        reset[LaneSampler.bounds(len(reset), lanes)[: min(lanes, len(reset))]] = True  # where lanes start
        return TextBatch(
            *(torch.from_numpy(array) for array in (np.concatenate(inputs), np.concatenate(targets), reset))
        )

    def _lanes(self, part: Part, chunks: int) -> int:
        if part == "train":
            return self.batch_size
        if self.eval_lanes != "auto":
            return self.eval_lanes
        return min(max(chunks * self.seq_len // LANE_CHARACTERS, 1), MOST_LANES)

    def sampler(self, part: Part, shuffle: bool) -> Sampler:
        """See `SequenceData`. A stream is never shuffled."""
        if self.mode == "stream":
            chunks = len(self.parts[part])
            return LaneSampler(chunks, self._lanes(part, chunks), **self.place())
        return super().sampler(part, shuffle)

    def predict_dataloader(self) -> Any:
        """Returns one batch per text of `predict_inputs`, or batches of the last part if there are none."""
        if self.predict_inputs is None:
            return super().predict_dataloader() if self.mode == "windows" else self.loader(self.last_part())
        check_predict_inputs(self.predict_inputs)
        texts = [self._cased(self._normalized(text)) for text in self.predict_inputs]
        rows = [torch.tensor(self.encode_input(text, self.vocab)) for text in texts]
        inputs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORE)
        sampler = EpochSampler(len(rows), 1, fill=False, **self.place())

        def trim(batch: TextBatch) -> TextBatch:
            real = batch.inputs[:, batch.inputs[0] != IGNORE]
            return TextBatch(real, torch.full_like(real, IGNORE))

        return BatchLoader(TextBatch(inputs, inputs), sampler, trim)

    @property
    def spec(self) -> dict[str, Any]:
        """The vocabulary (by default, the distinct characters of all parts, sorted), and how texts are cleaned."""
        return {"vocab": list(self.vocab), **self.spec_of_text}


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

    def documents(self) -> dict[str, str]:
        """See `TextData`."""
        return {f"book {book}": read_book(self, book, self.strip_license) for book in self.books}


class TextFile(TextData):
    """Text files in UTF-8.

    Args:
        paths: One file, or several. Each one is a document.
        **options: See `TextData`.
    """

    def __init__(self, paths: str | list[str], **options: Any) -> None:
        super().__init__(**options)
        if not paths:
            raise ValueError("paths: got none, expected at least one file")
        self.paths = [paths] if isinstance(paths, str) else paths

    def documents(self) -> dict[str, str]:
        """See `TextData`."""
        return {path: decode(path, self.read_source(path)) for path in self.paths}


class TextString(TextData):
    """A literal string.

    Args:
        text: The string.
        **options: See `TextData`.

    Example:
        >>> data = TextString("apple!", seq_len=5, val_fraction=0, test_fraction=0)
        >>> data.setup()
        >>> inputs, targets, _ = next(iter(data.train_dataloader()))
        >>> data.vocab.decode(inputs[0].tolist()), data.vocab.decode(targets[0].tolist())
        ('apple', 'pple!')
        >>> data
        TextString(text='apple!', seq_len=5, val_fraction=0, test_fraction=0)
          parts: train 1, in batches of 32
          facts: vocab of 5, lowercase False
          sources: text (SHA-256 cc76a7c8...)
    """

    def __init__(self, text: str, **options: Any) -> None:
        super().__init__(**options)
        self.text = text

    def documents(self) -> dict[str, str]:
        """See `TextData`."""
        self.record_source("text", self.text.encode())
        return {"text": self.text}


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


def decode(name: str, data: bytes) -> str:
    """Decodes UTF-8, without a byte order mark.

    Raises:
        ValueError: If it is not UTF-8. The message gives the position of the first invalid byte.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not UTF-8 at byte {error.start}; save it as UTF-8") from error


def _check_book(path: Path) -> None:
    text = path.read_bytes()
    if b"Project Gutenberg" not in text or b"END OF TH" not in text:
        raise ValueError("it is not a complete book of Project Gutenberg")


def _find(name: str, text: str, argument: str, marker: str, start: int) -> int:
    place = text.find(marker, start)
    if place < 0:
        raise ValueError(f"{argument}: {marker!r} not found in {name}; null takes the whole text")
    return place
