"""Sequences with a class, texts or numbers: from a table, from a folder, from a file for each part, or from the Hub.

Legend: N examples, B batch size, T time steps, D features.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.base import SequenceData
from datamodules.baselines.classes import number_baselines, text_baselines
from datamodules.checks import check_fractions, check_predict_inputs, check_seed, check_sizes
from datamodules.examples import NONE, Mapped, void_missing
from datamodules.labels.files import read_folder
from datamodules.labels.tables import Columns, Labelled, read_rows
from datamodules.parts import Part, Parts, overlap, stratified_split, with_validation
from datamodules.sources import hub
from datamodules.sources.tables import read_cells
from datamodules.symbols import check_symbols, learn_vocab
from datamodules.texts.cleaning import plain
from zoo.batch import IGNORE, ClassBatch
from zoo.vocab import UNK, SymbolKind, Vocab

SHOWN = 8  # names in a note
PART_FILES: tuple[Part, ...] = ("train", "val", "test")


class LabelledExamples:
    """Sequences and their classes. Only the sequences of a batch are padded.

    Args:
        sequences: The ids of each text, or numbers with D features.
        targets: The class of each sequence (N,), int64.
    """

    batch_type = ClassBatch

    def __init__(self, sequences: Mapped, targets: Tensor) -> None:
        self.sequences, self.targets = sequences, targets

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, index: Tensor) -> ClassBatch:
        """See `Examples`."""
        inputs, lengths = self.sequences.padded(index)
        return void_missing(ClassBatch(inputs, self.targets[index.clamp(min=0)], lengths), index)


class LabelledSequences(SequenceData):
    """Texts or sequences of numbers, and their classes, for example names and their languages.

    Give `path`; or `train` with or without `val` and `test`; or `dataset`. Parts that are not given are drawn at
    random with `split_seed`, in each class the same share. Equal sequences are in the same part. Sequences of a batch
    have similar lengths.

    Args:
        path: A table: CSV or TSV with column names in the first line, JSON lines, or Parquet. Or a folder:
            with a folder for each class, and a file for each example; or with a file for each class
            (`French.txt`), and an example on each line.
        text: The column of the texts. A cell may be a list of symbols, which are joined with spaces.
        label: The column of the classes.
        features: The columns of numbers, in place of a text. A cell is a number, or a list of numbers with one
            for each step.
        sequence: For numbers: the column that tells which rows are the steps of a sequence, in their order.
            None: each row has a whole sequence, as lists; or each file of a folder is one.
        train: A table with the training part.
        val: A table with the validation part. None: `val_fraction` of the training part.
        test: A table with the test part. None: `test_fraction` of the training part.
        dataset: The name of a dataset of the Hugging Face Hub, `user/name`, with its own parts. It is downloaded
            once.
        subset: For `dataset`: which of its subsets. None: the default.
        revision: For `dataset`: a commit, branch or tag. None: the newest.
        val_fraction: Fraction held out for validation.
        test_fraction: Fraction held out for the test.
        split_seed: Determines which examples are held out.
        symbols: `characters`, `bytes`, `words` or `bpe`, see `zoo.symbols`.
        min_count: For characters and words: symbols that occur fewer times in the training part become `<unk>`.
            None: for characters, the vocabulary has those of all parts, and no `<unk>`; for words, 1.
        vocab_size: For `bpe`: how many symbols to learn, at most. Default: 4,096.
        tokenizer: For `bpe`: a tokenizer.json of Hugging Face's `tokenizers` to use in place of a new one.
        max_length: Steps of a sequence, at most. The model does not read the rest of a longer one. None: no limit.
        class_weights: `balanced`: rare classes count more in the training loss, so that all classes count the
            same in sum. `none`: all sequences count the same.
        lowercase: Whether to convert the texts to lower case. A model that does so needs no option.
        normalization: A Unicode normal form, applied first. If the model already has one, that one.
        normalize: How the model scales numbers. `standard`: minus each column's mean in the training part, over its
            standard deviation. `none`.
        batch_size: Sequences per optimizer step, over all devices.
        predict_inputs: Texts for `predict`, or sequences of numbers (N, T, D). Default: the last part.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.
    """

    makes = ClassBatch

    def __init__(
        self,
        path: str | None = None,
        text: str = "text",
        label: str = "label",
        features: list[str] | None = None,
        sequence: str | None = None,
        train: str | None = None,
        val: str | None = None,
        test: str | None = None,
        dataset: str | None = None,
        subset: str | None = None,
        revision: str | None = None,
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
        normalize: Literal["none", "standard"] = "standard",
        batch_size: int = 32,
        predict_inputs: list[str] | list[list[list[float]]] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        check_fractions(val_fraction, test_fraction)
        check_symbols(symbols, min_count, vocab_size, tokenizer)
        check_seed("split_seed", split_seed)
        check_sizes(max_length=max_length)
        if class_weights not in ("none", "balanced"):
            raise ValueError(f"class_weights: got {class_weights!r}, expected none or balanced")
        if normalize not in ("none", "standard"):
            raise ValueError(f"normalize: got {normalize!r}, expected none or standard")
        self.path, self.train, self.val, self.test = path, train, val, test
        self.dataset, self.subset, self.revision = dataset, subset, revision
        self.text, self.label, self.features, self.sequence = text, label, features, sequence
        self.columns = Columns(text, label, tuple(features or ()), sequence)
        self.val_fraction, self.test_fraction, self.split_seed = val_fraction, test_fraction, split_seed
        self.symbols, self.min_count, self.vocab_size, self.tokenizer = symbols, min_count, vocab_size, tokenizer
        self.max_length, self.lowercase, self.normalization = max_length, lowercase, normalization
        self.class_weights, self.normalize, self.predict_inputs = class_weights, normalize, predict_inputs
        self._check_origin()
        self._check_columns()

    def _check_origin(self) -> None:
        """Checks that the sequences have one origin."""
        origins = {"path": self.path, "train": self.train, "dataset": self.dataset}
        given = [name for name, value in origins.items() if value is not None]
        if len(given) != 1:
            raise ValueError(f"path, train, dataset: got {' and '.join(given) or 'none'}, expected one of them")
        if self.train is None and (self.val is not None or self.test is not None):
            raise ValueError(f"val, test: got files of parts, and {given[0]}; give the training part as train")
        for name in ("subset", "revision"):
            if self.dataset is None and getattr(self, name) is not None:
                raise ValueError(f"{name}: got {getattr(self, name)!r}, but no dataset of the Hub")

    def _check_columns(self) -> None:
        """Checks that each column has one use, and that options for texts are not given for numbers."""
        columns, features = self.columns, self.features
        if isinstance(features, str):
            raise ValueError(f"features: got {features!r}, expected a list of columns")
        if features is not None and (not features or len(set(features)) < len(features)):
            raise ValueError(f"features: got {features}, expected at least one column, and each once")
        if not features:
            if columns.text == columns.label:
                raise ValueError(f"text, label: got {columns.text!r} for both, expected two columns")
            if columns.sequence is not None:
                raise ValueError(f"sequence: got {columns.sequence!r}, but no features: a text is in one row")
            return
        used = {"label": columns.label, "sequence": columns.sequence}
        if self.path is not None and Path(self.path).expanduser().is_dir():
            del used["label"]  # names of folders or files are the classes
        for name, column in used.items():
            if column in features:
                raise ValueError(f"features, {name}: got {column!r} for both, expected two columns")
        unset = {"symbols": "characters", "lowercase": False}
        for name in ("symbols", "min_count", "vocab_size", "tokenizer", "lowercase", "normalization"):
            if (value := getattr(self, name)) != unset.get(name):
                raise ValueError(f"{name}: got {value!r}, but features are numbers, and have no symbols")

    # -- reading and splitting

    def prepare_data(self) -> None:
        """Downloads a dataset of the Hub."""
        if self.dataset is not None:
            hub.download(self.dataset, self.revision)

    def load(self) -> Parts:
        """See `SequenceData`."""
        other = "vocab" if self.columns.features else "input_size"
        if self.facts.get(other) is not None:
            kinds = ("texts", "numbers") if self.columns.features else ("numbers", "texts")
            raise ValueError(f"the model reads {kinds[0]}, and these sequences are {kinds[1]}")
        self._cut = 0
        self.rows: dict[Part, list[Labelled]] = {part: found for part, found in self._split().items() if found}
        if self.columns.features:
            self._measure()
        else:
            self.vocab = self.vocab_of(self._learn)
        labels = {row.label for found in self.rows.values() for row in found}
        self.classes = list(self.facts.get("classes") or sorted(labels))
        if len(self.classes) < 2:
            raise ValueError(f"label: got one class, {self.classes[0]!r}, expected at least 2")
        self._note_unseen()
        parts: Parts = {part: self._examples(part, found) for part, found in self.rows.items()}
        if self._cut:
            self.note(f"{self._cut:,} {self.what} cut to {self.spec['max_length']} {self.steps} (max_length)")
        return with_validation(parts)

    @property
    def what(self) -> str:
        """What an example is, in the plural, for messages."""
        return "sequences" if self.columns.features else "texts"

    @property
    def steps(self) -> str:
        """What it consists of, in the plural, for messages."""
        return "steps" if self.columns.features else "symbols"

    def _learn(self) -> Vocab:
        everything = [row.value for found in self.rows.values() for row in found]
        return learn_vocab(
            [row.value for row in self.rows["train"]] if "train" in self.rows else everything,
            everything,
            symbols=self.symbols,
            min_count=self.min_count,
            vocab_size=self.vocab_size,
            tokenizer=self.tokenizer,
        )

    def _measure(self) -> None:
        """Takes mean and standard deviation of each column from the training part."""
        rows = self.rows.get("train") or [row for found in self.rows.values() for row in found]
        steps = np.concatenate([row.value for row in rows]).astype(np.float64)
        deviation = steps.std(axis=0)
        self.mean: list[float] = steps.mean(axis=0).tolist()
        self.scale: list[float] = np.where(deviation > 0, deviation, 1.0).tolist()

    def _split(self) -> dict[Part, list[Labelled]]:
        if self.path is not None:
            if Path(self.path).expanduser().is_dir():
                rows = read_folder(self.path, self.columns, self._read_member)
                return self._draw(self._cleaned(rows), self.val_fraction, self.test_fraction)
            return self._draw(self._table(self.path), self.val_fraction, self.test_fraction)
        given = self._hub_parts() if self.dataset is not None else self._files()
        if "train" not in given:
            return given
        missing = [0.0 if part in given else getattr(self, f"{part}_fraction") for part in ("val", "test")]
        drawn = self._draw(given["train"], *missing)
        return {**drawn, **{part: rows for part, rows in given.items() if part != "train"}}

    def _files(self) -> dict[Part, list[Labelled]]:
        files = {"train": self.train, "val": self.val, "test": self.test}
        return {part: self._table(str(files[part])) for part in PART_FILES if files[part] is not None}

    def _table(self, path: str) -> list[Labelled]:
        cells = read_cells(path, self.read_source(path, Path(path).name))
        return self._cleaned(read_rows(path, cells, self.columns))

    def _read_member(self, file: Path) -> bytes:
        """Reads a file of the folder `path`."""
        return self.read_source(file, str(file.relative_to(Path(str(self.path)).expanduser())))

    def _hub_parts(self) -> dict[Part, list[Labelled]]:
        name = str(self.dataset)
        found = hub.read_dataset(name, self.subset, self.revision)
        parts: dict[Part, list[Labelled]] = {}
        self.note(f"{name}: commit {found.commit}")
        if found.others:
            self.note(f"{name}: parts that are left out: {', '.join(found.others)}")
        for part, cells in found.parts.items():
            where = f"{name}, {part} part"
            if part != "train" and not any(cell is not None for cell in cells.get(self.columns.label, [""])):
                self.note(f"{where}: it has no classes, and is left out")
                continue
            self.record_source(f"{name}/{part}", json.dumps(cells, default=str).encode())
            parts[part] = self._cleaned(read_rows(where, cells, self.columns))
        return parts

    def _cleaned(self, rows: list[Labelled]) -> list[Labelled]:
        """Returns rows as a model reads them: texts are cleaned, and numbers are cut."""
        if not self.columns.features:
            return [row._replace(value=self._clean(row.value)) for row in rows]
        most = self._most
        self._cut += sum(most is not None and len(row.value) > most for row in rows)
        return [row._replace(value=row.value[:most]) for row in rows]

    @property
    def _most(self) -> int | None:
        """How many steps a model reads."""
        most: int | None = self.facts.get("max_length", self.max_length)
        return most

    def _clean(self, text: str) -> str:
        return plain(text, **self.cleaning_of(self.lowercase, self.normalization))

    def _draw(self, rows: list[Labelled], val_fraction: float, test_fraction: float) -> dict[Part, list[Labelled]]:
        """Returns the parts: of each class the same share. Equal sequences are in one part, and are noted."""
        keys, labels = [row.key for row in rows], [row.label for row in rows]
        classes: dict[Any, set[str]] = {}
        for key, label in zip(keys, labels, strict=True):
            classes.setdefault(key, set()).add(label)
        if twice := len(rows) - len(classes):
            self.note(f"{twice:,} of {len(rows):,} {self.what} are duplicates: each is in the part of the first")
        if torn := sum(len(found) > 1 for found in classes.values()):
            self.note(f"{torn:,} of {len(classes):,} distinct {self.what} have several classes")
        drawn = stratified_split(keys, labels, val_fraction, test_fraction, self.split_seed)
        return {part: [rows[place] for place in places] for part, places in drawn.items()}

    def _note_unseen(self) -> None:
        """Notes what makes results on held-out parts look better, or worse, than the model is."""
        for text in overlap({part: [row.key for row in rows] for part, rows in self.rows.items()}, self.what):
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
        numeric = bool(self.columns.features)
        sequences: list[Any] = [row.value if numeric else self._encoded(row.value) for row in rows]
        targets = self.encode_classes([row.label for row in rows], self.classes)
        known = [i for i, steps in enumerate(sequences) if len(steps) and targets[i] != NONE]
        self.unknown.drop(len(rows) - len(known), len(rows))
        if not known:
            unknown = "their classes" if numeric else "their symbols or classes"
            raise ValueError(f"no {self.what} of the {part} part can be used: the model knows none of {unknown}")
        return LabelledExamples(Mapped.of([sequences[i] for i in known]), targets[known])

    def _encoded(self, text: str) -> list[int]:
        """Returns the ids of a text, as far as a model reads it."""
        symbols = list(self.vocab.split(text))
        self._cut += self._most is not None and len(symbols) > self._most
        return self.encode(symbols[: self._most], self.vocab)

    def lengths(self, part: Part) -> NDArray[np.int64] | None:
        """See `SequenceData`."""
        examples: Any = self.parts[part]
        return examples.sequences.lengths

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns what simple methods reach: see `SequenceData`.

        They are the most common class; for texts, naive Bayes over character n-grams; and for numbers, a logistic
        regression on a summary of each sequence.
        """
        train, other = (self.rows.get(name, []) for name in ("train", part))
        other = other or train  # validation on the training part
        if not train:
            return {}
        simple = number_baselines if self.columns.features else text_baselines
        return simple(
            [self._seen(row) for row in train],
            [row.label for row in train],
            [self._seen(row) for row in other],
            [row.label for row in other],
        )

    def _seen(self, row: Labelled) -> Any:
        """Returns what a model reads of a sequence."""
        if self.columns.features or self._most is None:
            return row.value
        symbols = list(self.vocab.split(row.value))[: self._most]
        return self.vocab.decode(self.vocab.encode(symbols, "unk" if UNK in self.vocab else "skip"))

    def predict_dataloader(self) -> Any:
        """Returns batches of `predict_inputs`, or of the last part, in their order, if there are none."""
        if self.predict_inputs is None:
            return super().predict_dataloader()
        given: list[Any] = self.predict_inputs
        if self.columns.features:
            if not len(given):
                raise ValueError("predict_inputs: got no sequence, expected at least one")
        else:
            check_predict_inputs(given)
        examples = Mapped.of([self._input(value) for value in given])
        return self.predict_loader(LabelledExamples(examples, torch.full((len(given),), IGNORE)))

    def _input(self, value: Any) -> Any:
        """Returns one of the `predict_inputs` as ids, or as numbers (T, D)."""
        size = len(self.columns.features)
        if not size:
            if not isinstance(value, str):
                raise ValueError(f"predict_inputs: got {value!r}, expected a text")
            return self.encode_input(list(self.vocab.split(self._clean(value)))[: self._most], self.vocab)
        try:
            found = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            found = np.empty(0)
        if found.ndim != 2 or found.shape[1] != size or not found.size or not np.isfinite(found).all():
            raise ValueError(f"predict_inputs: expected sequences of {size} numbers for each step, got {value!r:.60}")
        return found[: self._most]

    @property
    def spec(self) -> dict[str, Any]:
        """The symbols or columns, the classes in alphabetical order, how sequences are prepared, and class weights."""
        own: Mapping[str, Any]
        if self.columns.features:
            scaling = {} if self.normalize == "none" else {"mean": self.mean, "scale": self.scale}
            own = {
                "input_size": len(self.columns.features),
                "input_columns": list(self.columns.features),
                "sequence_column": self.columns.sequence,
                **{name: self.facts.get(name, value) for name, value in scaling.items()},
            }
        else:
            vocab = self.vocab
            own = {
                "vocab": list(vocab),
                "symbols": vocab.kind,
                "tokenizer": vocab.tokenizer,
                **self.cleaning_of(self.lowercase, self.normalization),
            }
        return {
            **own,
            "classes": list(self.classes),
            "max_length": self._most,
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
