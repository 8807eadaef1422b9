"""Texts as sequences of symbols: what all of them have in common, and a literal string.

Legend: B batch, T time steps.
"""

import math
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from datamodules.base import SequenceData
from datamodules.baselines import counting
from datamodules.checks import check_fractions, check_predict_inputs
from datamodules.examples import Mapped
from datamodules.loader import BatchLoader, EpochSampler, LaneSampler, Sampler
from datamodules.parts import Part, Parts
from datamodules.symbols import check_symbols, read_tokenizer
from datamodules.texts.cache import TextCache, stamp_of
from datamodules.texts.cleaning import cleaned, plain
from datamodules.texts.encoder import Encoded, TextEncoder
from datamodules.texts.examples import Chunks, Windows
from datamodules.unknown import Unknown
from zoo.batch import IGNORE, TextBatch
from zoo.vocab import SymbolKind, Vocab

Text = str | Callable[[], Iterable[str]]

MOST_UNCACHED = 2**24  # bytes of all files; larger texts are encoded once, into the cache
MOST_IN_MEMORY = 2**24  # bytes of provisional numbers
MOST_COUNTED = 600_000  # characters that are counted for a baseline, which takes some seconds
LANE_CHARACTERS, MOST_LANES = 4000, 16  # of `eval_lanes: auto`; see docs/data.md for what they cost and gain


class TextData(SequenceData):
    """Documents, each split into contiguous training, validation and test parts.

    In mode `windows`, a part is cut into non-overlapping windows of T symbols, which are shuffled
    each epoch. The target is the window shifted by one. An incomplete window at the end is dropped.

    In mode `stream`, every symbol is used. The documents of a part are cut into chunks of T, one
    document after the other, and the chunks are divided into lanes, one per row of a batch. Each
    row continues the same row of the previous batch. See `LaneSampler`.

    Args:
        mode: `windows` or `stream`.
        seq_len: Symbols in a window or chunk, T.
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
        symbols: `characters`, `bytes`, `words`, or `bpe` (byte-level byte pair encoding), see `zoo.symbols`.
        min_count: For characters and words: symbols that occur fewer times in the training part become
            `<unk>`. With 1, only symbols that do not occur in it. None: for characters, the vocabulary
            has those of all parts, and no `<unk>`; for words, 1.
        vocab_size: For `bpe`: how many symbols to learn from the training part, at most. Default: 4,096.
        tokenizer: For `bpe`: a tokenizer.json of Hugging Face's `tokenizers` to use in place of a new one.
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
        symbols: SymbolKind = "characters",
        min_count: int | None = None,
        vocab_size: int | None = None,
        tokenizer: str | None = None,
        predict_inputs: list[str] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        check_fractions(val_fraction, test_fraction)
        check_symbols(symbols, min_count, vocab_size, tokenizer)
        if seq_len < 1:
            raise ValueError(f"seq_len: got {seq_len}, expected at least 1")
        if eval_lanes != "auto" and (not isinstance(eval_lanes, int) or eval_lanes < 1):
            raise ValueError(f"eval_lanes: got {eval_lanes!r}, expected auto, or at least 1")
        if mode not in ("windows", "stream"):
            raise ValueError(f"mode: got {mode!r}, expected windows or stream")
        self.mode, self.seq_len, self.eval_lanes = mode, seq_len, eval_lanes
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self.strip_lines, self.lowercase = strip_lines, lowercase
        self.ascii_only, self.join_lines = ascii_only, join_lines
        self.start_marker, self.end_marker, self.normalization = start_marker, end_marker, normalization
        self.symbols, self.min_count, self.vocab_size, self.tokenizer = symbols, min_count, vocab_size, tokenizer
        self.predict_inputs = predict_inputs
        self.advance: Callable[[int], Any] = _ignore  # called with the number of bytes that were read

    @abstractmethod
    def documents(self) -> Mapping[str, "Text"]:
        """Returns the raw texts, by name: each a string, or a function that yields it in pieces."""

    def files(self) -> list[str]:
        """Returns the files of the documents, in their order. By default, none."""
        return []

    def load(self) -> Parts:
        """See `SequenceData`."""
        files = self.files()
        cache = TextCache(self._options(), files)
        meta = cache.read() if files else None
        if meta is None and sum(stamp_of(file)[0] for file in files) <= MOST_UNCACHED:
            self.encoded = TextEncoder(self).encode(Path(), math.inf)
        elif meta is None:
            with cache.locked():  # another process may have written it meanwhile
                meta = cache.read()
                if meta is None:
                    meta = self._encode_into(cache, files)
        if meta is not None:
            self._take(cache, meta)
        self.vocab = self.encoded.vocab
        documents = self._long_enough()
        if self.mode == "windows":
            return {part: Windows(found, self.seq_len) for part, found in documents.items()}
        return {part: Chunks(found, self.seq_len, partial(self._lanes, part)) for part, found in documents.items()}

    def _encode_into(self, cache: TextCache, files: list[str]) -> dict[str, Any] | None:
        """Encodes the texts, and writes them into the cache. Returns its facts, or None if they are small."""
        if cache.outdated:
            self.note(f"{cache.outdated} has changed: encoding the texts again")
        stamps = list(map(stamp_of, files))
        total, shown = sum(size for size, _ in stamps), sys.stderr.isatty()
        with tqdm(total=total, unit="B", unit_scale=True, desc="encoding", disable=not shown, leave=False) as bar:
            self.advance = bar.update
            self.encoded = TextEncoder(self).encode(cache.scratch, MOST_IN_MEMORY)
        if not isinstance(next(iter(self.encoded.parts.values())).values, np.memmap):
            return None
        vocab = self.encoded.vocab
        facts = {
            "vocab": list(vocab),
            "kind": vocab.kind,
            "tokenizer": vocab.tokenizer,
            "names": self.encoded.names,
            "sources": self._sources,
            "unknown": self.unknown.state(),
            "notes": self.notes,
        }
        if not self.unknown.refuses():
            cache.write(self.encoded.parts, facts, stamps)
            return cache.read()
        return None

    def _take(self, cache: TextCache, meta: Mapping[str, Any]) -> None:
        """Uses an entry of the cache."""
        vocab = Vocab(meta["vocab"], meta["kind"], meta["tokenizer"])
        self.encoded = Encoded(vocab, cache.parts(meta), meta["names"])  # type: ignore[arg-type]
        self._sources, self.notes = dict(meta["sources"]), list(meta["notes"])
        self.unknown = Unknown.of(meta["unknown"])

    def _options(self) -> dict[str, Any]:
        """Returns everything that the encoded texts depend on, apart from the files."""
        names = ("strip_lines", "ascii_only", "join_lines", "start_marker", "end_marker", "min_count", "vocab_size")
        parts = ("val_fraction", "test_fraction", "on_unknown")
        tokenizer = read_tokenizer(self.tokenizer) if self.tokenizer is not None else None
        facts = {fact: self.facts[fact] for fact in ("vocab", "symbols", "tokenizer") if fact in self.facts}
        own = {"class": type(self).__name__, "symbols": self.symbols, "tokenizer": tokenizer, "facts": facts}
        return {**own, **self.spec_of_text, **{name: getattr(self, name) for name in (*names, *parts)}}

    def read(self, name: str) -> str:
        """Returns a document, cleaned as set by the options."""
        return "".join(self.pieces(name, self.documents()[name]))

    def pieces(self, name: str, text: "Text") -> Iterator[str]:
        """Yields a document in pieces, cleaned as set by the options.

        Raises:
            ValueError: If a marker is not found, or if the text is empty.
        """
        blank, size = True, 0

        def watched(pieces: Iterable[str]) -> Iterator[str]:
            nonlocal blank
            for piece in pieces:
                blank = blank and piece.isspace()
                yield piece

        for piece in cleaned(
            name,
            watched([text] if isinstance(text, str) else text()),
            normalization=self.spec_of_text["normalization"],
            start_marker=self.start_marker,
            end_marker=self.end_marker,
            strip=self.strip_lines,
            lowercase=self.spec_of_text["lowercase"],
            ascii_only=self.ascii_only,
            join=self.join_lines,
        ):
            size += len(piece)
            yield piece
        if not size:
            raise ValueError(f"{name}: the text is empty{'' if blank else ' after cleaning'}")

    def cut(self) -> dict[Part, list[NDArray[Any]]]:
        """Returns the ids of each part: one array per document. Available after `setup`."""
        return {part: [found[i] for i in range(len(found))] for part, found in self.encoded.parts.items()}

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns the bits per character of a character 5-gram model, if the text is small: see `SequenceData`."""
        pieces = {name: self.encoded.parts.get(name) for name in ("train", part)}
        sizes = [math.inf if documents is None else len(documents.values) for documents in pieces.values()]
        if self.vocab.kind != "characters" or sum(sizes) > MOST_COUNTED:
            return {}
        found = self.cut()
        train, other = ([self.vocab.decode(ids.tolist()) for ids in found[name]] for name in ("train", part))
        bits = counting.ngram_bits(train, other, len(self.vocab))
        return {f"character {counting.ORDER}-gram": {"bpc": bits}}

    def _long_enough(self) -> dict[Part, Mapped]:
        """Returns the parts without documents that are too short. Raises ValueError if a part has no others."""
        needed = self.seq_len + 1 if self.mode == "windows" else 2
        found: dict[Part, Mapped] = {}
        for part, documents in self.encoded.parts.items():
            short = np.flatnonzero(documents.lengths < needed)
            if len(short) == len(documents):
                name, length = self.encoded.names[part][0], documents.lengths[0]
                more = "" if len(short) == 1 else f", and {len(short) - 1} others are too short"
                raise ValueError(
                    f"{name}: its {part} part has {length} symbols, expected at least {needed} "
                    f"(seq_len is {self.seq_len}){more}; use a smaller seq_len or a larger part"
                )
            if len(short):
                self.note(f"{len(short)} of {len(documents)} documents are too short in their {part} part (left out)")
            found[part] = documents
        return found

    @property
    def spec_of_text(self) -> dict[str, Any]:
        """How texts are cleaned, for the model: `lowercase` and `normalization`."""
        return self.cleaning_of(self.lowercase, self.normalization)

    def _lanes(self, part: Part, chunks: int) -> int:
        if part == "train":
            return self.batch_size
        if self.eval_lanes != "auto":
            return self.eval_lanes
        return min(max(chunks * self.seq_len // LANE_CHARACTERS, 1), MOST_LANES)

    def sampler(self, part: Part, shuffle: bool) -> Sampler:
        """See `SequenceData`. A stream is never shuffled."""
        if self.mode == "stream":
            chunks: Any = self.parts[part]
            return LaneSampler(len(chunks), chunks.lanes, **self.place())
        return super().sampler(part, shuffle)

    def predict_dataloader(self) -> Any:
        """Returns one batch per text of `predict_inputs`, or batches of the last part if there are none."""
        if self.predict_inputs is None:
            return super().predict_dataloader() if self.mode == "windows" else self.loader(self.last_part())
        check_predict_inputs(self.predict_inputs)
        texts = (plain(text, **self.spec_of_text) for text in self.predict_inputs)
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
        vocab = self.vocab
        return {"vocab": list(vocab), "symbols": vocab.kind, "tokenizer": vocab.tokenizer, **self.spec_of_text}


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
          facts: vocab of 5, symbols characters, lowercase False
          sources: text (SHA-256 cc76a7c8...)
    """

    def __init__(self, text: str, **options: Any) -> None:
        super().__init__(**options)
        self.text = text

    def documents(self) -> Mapping[str, "Text"]:
        """See `TextData`."""
        self.record_source("text", self.text.encode())
        return {"text": self.text}


def _ignore(_: int) -> None:
    pass
