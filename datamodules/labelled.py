"""Texts with a class: from a table, from a folder, or from a file for each part.

Legend: N examples, B batch size, T time steps.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from datamodules.base import SequenceData
from datamodules.baselines.classes import text_baselines
from datamodules.checks import check_fractions, check_predict_inputs, check_seed, check_sizes
from datamodules.cleaning import plain
from datamodules.examples import NONE, Mapped, void_missing
from datamodules.parts import Part, Parts, overlap, split_sizes, with_validation
from datamodules.symbols import check_symbols, learn_vocab
from datamodules.tables import check_columns, read_cells
from datamodules.text_files import decode, find_files
from zoo.batch import IGNORE, ClassBatch
from zoo.vocab import SymbolKind, Vocab

SHOWN = 8  # names in a note
PART_FILES: tuple[Part, ...] = ("train", "val", "test")


class Labelled(NamedTuple):
    """A text and the name of its class."""

    text: str
    label: str


class LabelledExamples:
    """Symbols of texts, and their classes. Only the texts of a batch are padded.

    Args:
        texts: The ids of each text.
        targets: The class of each text (N,), int64.
    """

    batch_type = ClassBatch

    def __init__(self, texts: Mapped, targets: Tensor) -> None:
        self.texts, self.targets = texts, targets

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, index: Tensor) -> ClassBatch:
        """See `Examples`."""
        inputs, lengths = self.texts.padded(index)
        return void_missing(ClassBatch(inputs, self.targets[index.clamp(min=0)], lengths), index)


class LabelledSequences(SequenceData):
    """Texts and their classes, for example names and their languages, or reviews and their stars.

    Give `path`, or `train` with or without `val` and `test`. Parts are drawn at random with
    `split_seed`, in each class the same share. Examples with the same text are in the same part.
    Texts of a batch have similar lengths.

    Args:
        path: A table: CSV or TSV with column names in the first line, JSON lines, or Parquet. Or a folder:
            with a folder for each class, and a text file for each example; or with a text file for each
            class (`French.txt`), and an example on each line.
        text: The column of the texts.
        label: The column of the classes.
        train: A table with the training part.
        val: A table with the validation part. None: `val_fraction` of the training part.
        test: A table with the test part. None: `test_fraction` of the training part.
        val_fraction: Fraction held out for validation.
        test_fraction: Fraction held out for the test.
        split_seed: Determines which examples are held out.
        symbols: `characters`, `bytes`, `words` or `bpe`, see `zoo.symbols`.
        min_count: For characters and words: symbols that occur fewer times in the training part become `<unk>`.
            None: for characters, the vocabulary has those of all parts, and no `<unk>`; for words, 1.
        vocab_size: For `bpe`: how many symbols to learn, at most. Default: 4,096.
        tokenizer: For `bpe`: a tokenizer.json of Hugging Face's `tokenizers` to use in place of a new one.
        max_length: Symbols of a text, at most. The rest of a longer text is left out. None: no limit.
        class_weights: `balanced`: rare classes count more in the training loss, so that all classes count the
            same in sum. `none`: all texts count the same.
        lowercase: Whether to convert the texts to lower case. A model that does so needs no option.
        normalization: A Unicode normal form, applied first. If the model already has one, that one.
        batch_size: Texts per optimizer step, over all devices.
        predict_inputs: Texts for `predict`. Default: the last part.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = ClassBatch

    def __init__(
        self,
        path: str | None = None,
        text: str = "text",
        label: str = "label",
        train: str | None = None,
        val: str | None = None,
        test: str | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        split_seed: int = 0,
        symbols: SymbolKind = "characters",
        min_count: int | None = None,
        vocab_size: int | None = None,
        tokenizer: str | None = None,
        max_length: int | None = None,
        class_weights: Literal["none", "balanced"] = "none",
        lowercase: bool = False,
        normalization: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = None,
        batch_size: int = 32,
        predict_inputs: list[str] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        check_fractions(val_fraction, test_fraction)
        check_symbols(symbols, min_count, vocab_size, tokenizer)
        check_seed("split_seed", split_seed)
        if (path is None) == (train is None):
            raise ValueError(f"path, train: got {'neither' if path is None else 'both'}, expected one of them")
        if text == label:
            raise ValueError(f"text, label: got {text!r} for both, expected two columns")
        if path is not None and (val is not None or test is not None):
            raise ValueError("val, test: got files of parts, and path; give the training part as train")
        check_sizes(max_length=max_length)
        if class_weights not in ("none", "balanced"):
            raise ValueError(f"class_weights: got {class_weights!r}, expected none or balanced")
        self.path, self.text, self.label = path, text, label
        self.train, self.val, self.test = train, val, test
        self.val_fraction, self.test_fraction, self.split_seed = val_fraction, test_fraction, split_seed
        self.symbols, self.min_count, self.vocab_size, self.tokenizer = symbols, min_count, vocab_size, tokenizer
        self.max_length, self.lowercase, self.normalization = max_length, lowercase, normalization
        self.class_weights, self.predict_inputs = class_weights, predict_inputs

    # -- reading and splitting

    def load(self) -> Parts:
        """See `SequenceData`."""
        self.rows: dict[Part, list[Labelled]] = {part: found for part, found in self._split().items() if found}
        self.vocab = self.vocab_of(self._learn)
        labels = {row.label for found in self.rows.values() for row in found}
        self.classes = list(self.facts.get("classes") or sorted(labels))
        if len(self.classes) < 2:
            raise ValueError(f"label: got one class, {self.classes[0]!r}, expected at least 2")
        self._note_unseen()
        self._cut = 0
        parts: Parts = {part: self._examples(part, found) for part, found in self.rows.items()}
        if self._cut:
            self.note(f"{self._cut:,} texts are cut to {self.max_length} symbols (max_length)")
        return with_validation(parts)

    def _learn(self) -> Vocab:
        everything = [row.text for found in self.rows.values() for row in found]
        return learn_vocab(
            [row.text for row in self.rows["train"]] if "train" in self.rows else everything,
            everything,
            symbols=self.symbols,
            min_count=self.min_count,
            vocab_size=self.vocab_size,
            tokenizer=self.tokenizer,
        )

    def _split(self) -> dict[Part, list[Labelled]]:
        files = {"train": self.train, "val": self.val, "test": self.test}
        if self.path is not None:
            rows = self._folder(self.path) if Path(self.path).expanduser().is_dir() else self._table(self.path)
            return self._draw(rows, self.val_fraction, self.test_fraction)
        given: dict[Part, list[Labelled]] = {
            part: self._table(str(files[part])) for part in PART_FILES if files[part] is not None
        }
        missing = [0.0 if part in given else getattr(self, f"{part}_fraction") for part in ("val", "test")]
        drawn = self._draw(given["train"], *missing)
        return {**drawn, **{part: rows for part, rows in given.items() if part != "train"}}

    def _table(self, path: str) -> list[Labelled]:
        cells = read_cells(path, self.read_source(path, Path(path).name))
        check_columns(path, [self.text, self.label], cells)
        rows = []
        for number, (text, label) in enumerate(zip(cells[self.text], cells[self.label], strict=True), 1):
            for name, cell in ((self.text, text), (self.label, label)):
                if cell is None or not str(cell).strip():
                    raise ValueError(f"{path}: row {number}: column {name!r} is empty")
            rows.append(Labelled(self._clean(str(text)), str(label).strip()))
        if not rows:
            raise ValueError(f"{path}: got no rows, expected at least one")
        return rows

    def _folder(self, path: str) -> list[Labelled]:
        folder, rows = Path(path).expanduser(), []
        for file in map(Path, find_files([path])):
            text = decode(str(file), self.read_source(file, str(file.relative_to(folder))))
            by_line = file.parent == folder
            texts = [line for line in text.splitlines() if line.strip()] if by_line else [text]
            label = file.stem if by_line else file.relative_to(folder).parts[0]
            rows += [Labelled(self._clean(text.strip()), label) for text in texts if text.strip()]
            if not texts or not texts[0].strip():
                raise ValueError(f"{file}: the file is empty")
        return rows

    def _clean(self, text: str) -> str:
        return plain(text, **self.cleaning_of(self.lowercase, self.normalization))

    def _draw(self, rows: list[Labelled], val_fraction: float, test_fraction: float) -> dict[Part, list[Labelled]]:
        """Returns the parts: of each class the same share. Equal texts are in one part."""
        copies: defaultdict[str, list[Labelled]] = defaultdict(list)
        for row in rows:
            copies[row.text].append(row)
        if twice := len(rows) - len(copies):
            self.note(f"{twice:,} of {len(rows):,} texts are duplicates: each is in the part of the first")
        if torn := sum(len({row.label for row in same}) > 1 for same in copies.values()):
            self.note(f"{torn:,} of {len(copies):,} distinct texts have several classes")
        by_class: defaultdict[str, list[str]] = defaultdict(list)
        for text, same in copies.items():
            by_class[same[0].label].append(text)
        found: dict[Part, list[Labelled]] = {"train": [], "val": [], "test": []}
        held_out = 1 not in (val_fraction, test_fraction) and max(val_fraction, test_fraction) > 0
        for number, label in enumerate(sorted(by_class)):
            texts = by_class[label]
            if held_out and len(texts) == 1:
                raise ValueError(f"label: class {label!r} has one example, expected at least 2 to hold some out")
            order = np.random.RandomState([self.split_seed, number]).permutation(len(texts))
            sizes = _shares(len(texts), val_fraction, test_fraction)
            for part, places in zip(found, np.split(order, np.cumsum(sizes)[:2]), strict=True):
                found[part] += [row for place in np.sort(places) for row in copies[texts[place]]]
        return found

    def _note_unseen(self) -> None:
        """Notes what makes results on held-out parts look better, or worse, than the model is."""
        for text in overlap({part: [row.text for row in rows] for part, rows in self.rows.items()}, "texts"):
            self.note(text)
        labels = {row.label for row in self.rows.get("train", [])}
        for part, rows in self.rows.items():
            if labels and (unseen := sorted({row.label for row in rows} - labels)):
                more = f" and {len(unseen) - SHOWN} others" if len(unseen) > SHOWN else ""
                names = ", ".join(map(repr, unseen[:SHOWN])) + more
                self.note(f"classes of the {part} part without an example in the training part: {names}")

    # -- encoding

    def _examples(self, part: Part, rows: list[Labelled]) -> LabelledExamples:
        self.unknown.part = part
        texts = [self.encode(row.text, self.vocab) for row in rows]
        targets = self.encode_classes([row.label for row in rows], self.classes)
        known = [i for i, ids in enumerate(texts) if ids and targets[i] != NONE]
        self.unknown.drop(len(rows) - len(known), len(rows))
        if not known:
            raise ValueError(f"no text of the {part} part can be used: the model knows none of its symbols or classes")
        most = self.max_length or max(map(len, texts))
        self._cut += sum(len(texts[i]) > most for i in known)
        return LabelledExamples(Mapped.of([texts[i][:most] for i in known]), targets[known])

    def lengths(self, part: Part) -> NDArray[np.int64] | None:
        """See `SequenceData`."""
        examples: Any = self.parts[part]
        return examples.texts.lengths

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns what the most common class, and naive Bayes over character n-grams, reach: see `SequenceData`."""
        train, other = (self.rows.get(name, []) for name in ("train", part))
        other = other or train  # validation on the training part
        if not train:
            return {}
        return text_baselines(
            [row.text for row in train],
            [row.label for row in train],
            [row.text for row in other],
            [row.label for row in other],
        )

    def predict_dataloader(self) -> Any:
        """Returns batches of `predict_inputs`, or of the last part, in their order, if there are none."""
        if self.predict_inputs is None:
            return super().predict_dataloader()
        check_predict_inputs(self.predict_inputs)
        texts = [self.encode_input(self._clean(text), self.vocab) for text in self.predict_inputs]
        return self.predict_loader(self._batch(texts))

    def _batch(self, texts: Sequence[list[int]]) -> ClassBatch:
        rows = [torch.tensor(ids[: self.max_length]) for ids in texts]
        lengths = torch.tensor([len(row) for row in rows])
        return ClassBatch(pad_sequence(rows, batch_first=True), torch.full((len(rows),), IGNORE), lengths)

    @property
    def spec(self) -> dict[str, Any]:
        """The symbols, the classes in alphabetical order, how texts are cleaned, and the weights of the classes."""
        vocab = self.vocab
        return {
            "vocab": list(vocab),
            "symbols": vocab.kind,
            "tokenizer": vocab.tokenizer,
            "classes": list(self.classes),
            **self.cleaning_of(self.lowercase, self.normalization),
            "class_weights": self._weights(),
        }

    def _weights(self) -> list[float] | None:
        """Returns the weight of each class: inverse to its count in the training part, 0 if it has no example there.

        Their mean over the training part is 1.
        """
        if self.class_weights == "none" or "train" not in self.parts:
            return None
        examples: Any = self.parts["train"]
        counts = np.bincount(examples.targets.numpy(), minlength=len(self.classes))
        share = counts.sum() / np.count_nonzero(counts)
        return [float(share / count) if count else 0.0 for count in counts]


def _shares(size: int, val_fraction: float, test_fraction: float) -> tuple[int, int, int]:
    """Returns the sizes of the parts of a class, rounded to the nearest number; at least one example is trained on."""
    if 1 in (val_fraction, test_fraction):
        return split_sizes(size, val_fraction, test_fraction)
    val, test = round(size * val_fraction), round(size * test_fraction)
    while val + test >= size:
        val, test = (val - 1, test) if val > test else (val, test - 1)
    return size - val - test, val, test
