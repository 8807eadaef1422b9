"""The base class of all datamodules: parts, loaders, sources and facts."""

import hashlib
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.checks import check_seed, check_sizes
from datamodules.description import describe
from datamodules.examples import NONE, Examples, as_examples
from datamodules.loader import BatchLoader, BucketSampler, EpochSampler, Sampler
from datamodules.parts import Part, Parts, check_parts
from datamodules.sources.files import check_file
from datamodules.symbols import read_tokenizer
from datamodules.unknown import Unknown
from zoo.vocab import UNK, OnUnknown, Vocab

log = logging.getLogger(__name__)


EVALUATED = {"validate": "val", "test": "test"}  # stage -> the part that it needs
PART_NAMES = {"train": "training", "val": "validation", "test": "test"}
INPUTS = "predict_inputs"


class SequenceData(L.LightningDataModule, ABC):
    """Data in up to three parts.

    If the trainer's task already knows facts, for example the vocabulary of a loaded model, the data
    is encoded with these (`facts`), and not with its own. Symbols and classes that the model does
    not know are an error, unless `on_unknown` is set before `setup`:

    - `skip`: unknown symbols are left out, and so are examples of unknown classes.
    - `unk`: unknown symbols become `<unk>`, if the vocabulary has it. This is the default then.

    `unknown` counts them.

    Args:
        batch_size: Examples per optimizer step, over all devices.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of
            `seed_everything`.

    Raises:
        ValueError: If the batch size is below 1, or the seed is negative.
    """

    makes: ClassVar[Any] = None  # the type of the batches, if it is always the same

    def __init__(self, batch_size: int, seed: int | None = None) -> None:
        super().__init__()
        check_sizes(batch_size=batch_size)
        check_seed("seed", seed or 0)
        self.batch_size, self.seed = batch_size, seed
        self.parts: dict[Part, Examples] = {}
        self.facts: dict[str, Any] = {}
        self.on_unknown: OnUnknown | None = None
        self.unknown = Unknown()
        self.notes: list[str] = []
        self._read_with: OnUnknown | None = None  # the `on_unknown` of the last `load`
        self._sources: dict[str, str] = {}

    def __repr__(self) -> str:
        """The arguments that are not the default, and after `setup` the parts, facts and sources."""
        return describe(self)

    __str__ = __repr__  # Lightning's own would build a loader for each part

    # -- what a subclass defines

    @abstractmethod
    def load(self) -> Parts:
        """Reads and checks the data, and returns its parts.

        Read files with `read_source`, and pass other data to `record_source`, so that they are in
        `sources`.
        """

    @property
    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """The facts that a task may ask for, as plain values. Available after `setup`."""

    def collate(self, batch: Any) -> Any:
        """Changes a batch before it is returned. By default, returns it unchanged."""
        return batch

    def lengths(self, part: Part) -> NDArray[np.int64] | None:
        """Returns the number of steps of each example of a part (N,), if they differ.

        A batch then has examples of similar lengths, see `BucketSampler`.
        """
        return None

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns what simple methods reach on a part: name -> metric of the task, without its stage -> value.

        They are fitted on the training part, and take seconds. By default, there are none.
        """
        return {}

    # -- what the data is, after `setup`

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"

    @property
    def batch_type(self) -> type:
        """The NamedTuple class of the examples.

        Raises:
            RuntimeError: Before `setup`.
        """
        if not self.parts:
            raise RuntimeError("batch_type: call setup() first")
        return next(iter(self.parts.values())).batch_type

    @property
    def sources(self) -> dict[str, str]:
        """The SHA-256 of each source, by name, as recorded when it was read. Empty before `setup`."""
        return dict(self._sources)

    def read_source(self, path: str | Path, name: str | None = None) -> bytes:
        """Reads a file once and records the SHA-256 of its bytes.

        Args:
            path: The file.
            name: Its name in `sources`. Default: the path as given.

        Raises:
            FileNotFoundError: If the file is not found.
            ValueError: If it is a folder.
        """
        data = check_file(str(path)).read_bytes()
        self.record_source(str(path) if name is None else name, data)
        return data

    def record_source(self, name: str, data: bytes) -> None:
        """Records the SHA-256 of data under a name in `sources`."""
        self._sources[name] = hashlib.sha256(data).hexdigest()

    def note(self, text: str) -> None:
        """Logs what a user should know of this data, for example what was left out, and keeps it in `notes`."""
        self.notes.append(text)
        log.info("%s", text)

    # -- encoding with the facts of a model

    def vocab_of(self, own: Sequence[str] | Callable[[], Vocab], fact: str = "vocab") -> Vocab:
        """Returns the model's vocabulary, or the data's own if no model has one.

        Args:
            own: The data's own symbols, or a function that learns its vocabulary.
            fact: What the model calls it.

        Raises:
            ValueError: If the data has a file for its option `tokenizer`, and it is not that of the model.
        """
        if fact not in self.facts:
            return own() if callable(own) else Vocab(own)
        kind, tokenizer = fact.removesuffix("vocab") + "symbols", fact.removesuffix("vocab") + "tokenizer"
        if not fact.endswith("vocab"):  # names, for example of classes
            return Vocab(self.facts[fact])
        found = Vocab(self.facts[fact], self.facts.get(kind, "characters"), self.facts.get(tokenizer))
        file: str | None = getattr(self, "tokenizer", None)
        if file is not None and found.tokenizer is not None and read_tokenizer(file) != found.tokenizer:
            raise ValueError(f"tokenizer: {file} is not the one of the model; leave it out, the model has its own")
        return found

    def cleaning_of(self, lowercase: bool, normalization: str | None) -> dict[str, Any]:
        """Returns how texts are cleaned, as facts: as for the model, if it says so, else as the options say."""
        return {
            "lowercase": bool(self.facts.get("lowercase") or lowercase),
            "normalization": self.facts.get("normalization") or normalization,
        }

    def encode(self, text: Iterable[str], vocab: Vocab, fact: str = "vocab") -> list[int]:
        """Returns the ids of a text's symbols. Counts unknown symbols, and treats them as `on_unknown` says.

        The text may be a list of symbols.

        Set `unknown.part` before, so that only the part that is used counts.
        """
        symbols = list(vocab.split(text))
        found = vocab.unknown(symbols)
        self.unknown.add(fact, found, len(symbols))
        if found and (self.on_unknown == "error" or (self.on_unknown is None and UNK not in vocab)):
            self.unknown.refused.add(self.unknown.part)  # setup raises the error, with all counts
            return vocab.encode(symbols, "skip")
        return vocab.encode(symbols, self.on_unknown)

    def encode_input(self, text: Iterable[str], vocab: Vocab) -> list[int]:
        """Returns the ids of one of the `predict_inputs`, a text or a list of symbols.

        Raises:
            ValueError: If a symbol is unknown (see `on_unknown`), or if no symbol is known.
        """
        symbols = list(vocab.split(text))
        ids = vocab.encode(symbols, self.on_unknown)
        if not ids:
            raise ValueError(f"predict_inputs: {text!r} has no symbol that the model knows")
        self.unknown.part = INPUTS
        self.unknown.add("vocab", vocab.unknown(symbols), len(symbols))
        return ids

    def encode_classes(self, names: Sequence[str], classes: Sequence[str]) -> torch.Tensor:
        """Returns the ids (N,) of the classes of N examples. Counts unknown classes; their id is `NONE`."""
        vocab = Vocab(classes)
        found = vocab.unknown(names)
        self.unknown.add("classes", found, len(names))
        if found and self.on_unknown != "skip":
            self.unknown.refused.add(self.unknown.part)
        ids = {name: number for number, name in enumerate(vocab)}
        return torch.tensor([ids.get(name, NONE) for name in names])

    def unknown_in(self, stage: str) -> str:
        """Returns what the model did not know in the data of a stage, and what became of it. Empty if nothing."""
        text = self.unknown.text(self._counted(stage))
        return f"{text} ({'left out' if self.on_unknown == 'skip' else 'read as ' + UNK})" if text else ""

    def _counted(self, stage: str | None) -> set[str] | None:
        """Returns the parts that a stage reads; None for all."""
        if stage == "predict":
            part = self.last_part() if getattr(self, "predict_inputs", None) is None else INPUTS
        elif stage in EVALUATED:
            part = EVALUATED[stage]
        else:
            return None
        same = part == "val" and self.parts.get("val") is self.parts.get("train")
        return {"train" if same else part}

    def _load(self) -> None:
        self.parts, self.unknown, self.notes, self._sources = {}, Unknown(), [], {}
        try:
            self.parts = check_parts(type(self).__name__, self.load())
        except Exception:
            self._check_unknown(None)  # the cause may be what was left out
            raise

    def _check_unknown(self, stage: str | None) -> None:
        counted = self._counted(stage)
        if self.unknown.refuses(counted):
            raise ValueError(
                f"{type(self).__name__}: {self.unknown.text(counted)}; to leave them out, add --on_unknown skip "
                "(in Python: set `on_unknown` of the data)"
            )

    # -- Lightning's hooks

    def setup(self, stage: str | None = None) -> None:
        """Loads and checks the data, once. Loads it again for a model with other facts.

        Raises:
            TypeError: If `load` did not return parts, see `check_parts`.
            ValueError: If a part has an unknown name or no examples, if a part that the stage needs is
                missing, if the task takes other batches, or if the data has symbols or classes that the
                model does not know.
        """
        name = type(self).__name__
        if "parts" not in vars(self):
            raise TypeError(f"{name}: call super().__init__(batch_size, seed) in its __init__")
        task = None if self.trainer is None else self.trainer.lightning_module
        facts = getattr(task, "known_facts", {})
        wanted = getattr(task, "batch_type", None)
        if wanted is not None and self.makes is not None and not issubclass(self.makes, wanted):
            raise ValueError(
                f"{type(task).__name__} does not fit {name}: expected batches of type {wanted.__name__}, "
                f"got {self.makes.__name__}"
            )
        if not self.parts or (task is not None and self._is_outdated(facts)):
            self.facts, self._read_with = facts, self.on_unknown
            self._load()
        needed = "train" if stage == "fit" else EVALUATED.get(stage or "")
        if needed is not None and needed not in self.parts:
            raise ValueError(f"{name}: this data has no {PART_NAMES[needed]} part; it has {', '.join(self.parts)}")
        self._check_unknown(stage)

    def _is_outdated(self, facts: Mapping[str, Any]) -> bool:
        """Returns whether the data was read with other facts of a model, or with another `on_unknown`."""
        if self.on_unknown != self._read_with and self.unknown:
            return True
        own = self.spec
        dropped = self.facts.keys() - facts.keys()  # a new task takes the data's own
        return bool(dropped) or any(own[fact] != value for fact, value in facts.items() if fact in own)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Moves a batch, except its lengths: packing needs them on the CPU, and copying them back would block."""
        moved = super().transfer_batch_to_device(batch, device, dataloader_idx)
        lengths = [name for name in getattr(batch, "_fields", ()) if name.endswith("lengths")]
        return moved._replace(**{name: getattr(batch, name) for name in lengths}) if lengths else moved

    def train_dataloader(self) -> Any:
        """Returns batches of the training part, shuffled."""
        return self.loader("train", shuffle=True)

    def val_dataloader(self) -> Any:
        """Returns batches of the validation part, or an empty list if there is none."""
        return self.loader("val") if "val" in self.parts else []

    def test_dataloader(self) -> Any:
        """Returns batches of the test part.

        Raises:
            ValueError: If this data has no test part.
        """
        if "test" not in self.parts:
            raise ValueError(f"{type(self).__name__}: this data has no test part; it has {', '.join(self.parts)}")
        return self.loader("test")

    def predict_dataloader(self) -> Any:
        """Returns batches of the last part (see `last_part`), without empty rows."""
        return self.predict_loader(self.parts[self.last_part()])

    # -- loaders

    def last_part(self) -> Part:
        """Returns `test`, `val` or `train`: the first of them that exists."""
        return next(name for name in ("test", "val", "train") if name in self.parts)  # type: ignore[return-value]

    def loader(self, part: Part, shuffle: bool = False) -> BatchLoader:
        """Returns batches of a part."""
        return BatchLoader(self.parts[part], self.sampler(part, shuffle), self.collate)

    def sampler(self, part: Part, shuffle: bool) -> Sampler:
        """Returns the order of a part's batches: by length if the examples have various `lengths`."""
        seed = self.order_seed() if shuffle else 0
        if (lengths := self.lengths(part)) is not None:
            return BucketSampler(lengths, self.batch_size, shuffle=shuffle, seed=seed, **self.place())
        return EpochSampler(len(self.parts[part]), self.batch_size, shuffle=shuffle, seed=seed, **self.place())

    def predict_loader(self, examples: Any) -> BatchLoader:
        """Returns batches of examples in order. Each example occurs once over all ranks."""
        examples = as_examples(examples)
        sampler = EpochSampler(len(examples), self.batch_size, fill=False, **self.place())
        return BatchLoader(examples, sampler, self.collate)

    def order_seed(self) -> int:
        """Returns the seed of the batch order."""
        return int(os.environ.get("PL_GLOBAL_SEED", "0")) if self.seed is None else self.seed

    def place(self) -> dict[str, Any]:
        """Returns rank and world size. Without a trainer: one process."""
        if self.trainer is None:
            return {"rank": 0, "world_size": 1}
        return {"rank": self.trainer.global_rank, "world_size": self.trainer.world_size}
