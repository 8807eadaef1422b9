"""What sequence classifiers do with sequences and texts."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from zoo import html
from zoo.batch import IGNORE, ClassBatch
from zoo.checks import brief, check_positive, check_sizes
from zoo.choices import Pooling
from zoo.methods import images
from zoo.methods.arrays import Array, pad, softmax
from zoo.methods.base import Methods
from zoo.methods.session import Pushed
from zoo.methods.texts import TextConfig, as_list, encode_text
from zoo.methods.windows import read_window
from zoo.vocab import OnUnknown, Vocab


class Classified(NamedTuple):
    """The class of an input.

    Example:
        >>> Classified("odd", 0.75, {"even": 0.25, "odd": 0.75})
        Classified('odd', probability 0.7500, of 2 classes)
    """

    label: str
    probability: float
    probabilities: dict[str, float]  # of every class

    def __repr__(self) -> str:
        return f"Classified({self.label!r}, probability {self.probability:.4f}, of {len(self.probabilities)} classes)"

    def _repr_html_(self) -> str:
        return html.bars(self.label, self.probabilities)


@dataclass(frozen=True, kw_only=True)
class SeqClassifierConfig(TextConfig):
    """Describes a `SeqClassifierModel`. Give either `input_size` or `vocab`.

    Args:
        classes: Names of the classes in the order of their ids.
        input_size: Features of each step, or None if the inputs are symbols.
        vocab: The input symbols in the order of their ids, or None if the inputs are features.
        input_columns: The names of the features. With names, the model reads tables.
        sequence_column: The column of a table that tells which rows are the steps of a sequence. None: a table is
            one sequence.
        mean: What to subtract from each feature (D,). None: nothing.
        scale: What to divide it by (D,). None: nothing.
        num_steps: Steps of every sequence. None takes sequences of any length.
        max_length: Steps that the model reads. It leaves out the rest of longer sequences. None: all.
        bidirectional: Also read from the right.
        pooling: `last` state, or `mean` or `max` of the outputs over time.
        embedding_dim: Width of the symbols' embedding. None is one-hot.
        lowercase: See `TextConfig`, as for the other fields.
    """

    classes: tuple[str, ...]
    input_size: int | None = None
    vocab: tuple[str, ...] | None = None
    input_columns: tuple[str, ...] | None = None
    sequence_column: str | None = None
    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    num_steps: int | None = None
    max_length: int | None = None
    bidirectional: bool = False
    pooling: Pooling = "last"
    embedding_dim: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(**{} if self.max_length is None else {"max_length": self.max_length})
        if (self.mean is None) != (self.scale is None):
            raise ValueError("mean, scale: got one of them, expected both")
        for name in ("input_columns", "mean", "scale"):
            value = getattr(self, name)
            if value is not None and len(value) != self.input_size:
                raise ValueError(f"{name}: got {len(value)}, expected {self.input_size}, one for each feature")
        for value in self.scale or ():
            check_positive(scale=value)


class SeqClassifierMethods(Methods):
    """Predicts the class of a sequence of features, or of symbols."""

    task_name = "seq_classifier"
    config_class = SeqClassifierConfig
    config: SeqClassifierConfig

    @cached_property
    def vocab(self) -> Vocab | None:
        """The symbols that the model reads, or None if it reads features."""
        config = self.config
        return None if config.vocab is None else Vocab(config.vocab, config.symbols, config.tokenizer)

    @abstractmethod
    def logits(self, batch: ClassBatch) -> Array:
        """Maps the inputs of a batch to the logits of each class (B, C), float32."""

    def classify(self, inputs: Any, on_unknown: OnUnknown | None = None) -> list[Classified]:
        """Predicts the class of some inputs.

        Args:
            inputs: One input, or a list of inputs. If the model reads symbols: texts. If it reads tables: column
                name -> T numbers, for example a dict or a data frame; or arrays (T, D), in the data's own units. If
                it reads other features: arrays or nested lists (T, D), an array (N, T, D), or PIL images of
                T x D grey pixels, white on black. Integers from 0 to 255 are divided by 255. Floats must
                be in the data's own units (pixels in [0, 1]).
            on_unknown: What to do with unknown symbols of texts, see `zoo.Vocab.encode`.

        Returns:
            A list with one class per input, with its probability, also for a single input.

        Raises:
            ValueError: If an input does not have the type, length or size that the model takes, or
                has an unknown symbol.
        """
        return [self._classified(row) for row in self._probabilities(self._batch(inputs, on_unknown)).tolist()]

    def _classified(self, chances: list[float]) -> Classified:
        classes, best = self.config.classes, max(chances)
        return Classified(classes[chances.index(best)], best, dict(zip(classes, chances, strict=True)))

    def classify_steps(self, values: Any, on_unknown: OnUnknown | None = None) -> list[Classified]:
        """Predicts the class of one input after each of its steps.

        Args:
            values: One input, see `classify`.
            on_unknown: See `classify`.

        Raises:
            ValueError: See `classify`; and if the model needs its whole input, see `session`.
        """
        batch = self._batch([values] if isinstance(values, str) else values, on_unknown)
        inputs, state = np.asarray(batch.inputs), self.session().state
        if len(inputs) != 1:
            raise ValueError(f"got {len(inputs)} inputs, expected one")
        found = []
        for step in range(inputs.shape[1]):
            logits, state = self.advance((inputs[:, step : step + 1], np.array([1])), state)
            found.append(self._classified(softmax(logits)[0].tolist()))
        return found

    def push(self, values: Any, state: tuple[Array, ...], on_unknown: OnUnknown | None = None) -> Pushed:
        """See `Session.push`."""
        single = [values] if isinstance(values, str) else values
        batch = self._batch_of(single, on_unknown, None)
        if len(batch.inputs) != 1:
            raise ValueError(f"session: got {len(batch.inputs)} inputs, expected a piece of one")
        steps = batch.inputs.shape[1]
        logits, state = self.advance((np.asarray(batch.inputs), np.array([steps])), state)
        return Pushed(self._classified(softmax(logits)[0].tolist()), state, steps)

    def complete(self, beginnings: str | Sequence[str]) -> list[str]:
        """Completes some words with the most likely next symbol.

        Raises:
            ValueError: If the model does not read symbols. See also `classify`.
        """
        if self.vocab is None:
            raise ValueError("complete: this model reads features; use classify")
        return [text + found.label for text, found in zip(as_list(beginnings), self.classify(beginnings), strict=True)]

    def infer(self, values: Any, on_unknown: OnUnknown | None = None) -> list[dict[str, Any]]:
        """Gives the class of each input, see `classify`, and its probability."""
        return self.answer(self._batch(values, on_unknown))

    def answer(self, batch: ClassBatch) -> list[dict[str, Any]]:
        """Gives the most likely class, and its probability."""
        self.check(batch)
        chances = self._probabilities(batch)
        best, predicted = chances.max(-1).tolist(), chances.argmax(-1).tolist()
        classes = self.config.classes
        rows = []
        for row, (number, chance) in enumerate(zip(predicted, best, strict=True)):
            target = int(batch.targets[row])
            entry = {"prediction": classes[number], "probability": round(chance, 4)}
            if target != IGNORE:
                entry["target"] = classes[target]
            rows.append({**self._input(batch, row), **entry})
        return rows

    def _probabilities(self, batch: ClassBatch) -> Array:
        """Returns the probability of each class (B, C), float32."""
        return softmax(self.logits(batch))

    @property
    def reads_tables(self) -> bool:
        """Whether the model reads tables, by the names of their columns."""
        return self.config.input_columns is not None

    def parse(self, word: str) -> Any:
        """See `Model`: a text, or the path of an image."""
        return word if self.vocab is not None else images.read(word)

    @property
    def takes(self) -> str:
        """See `Model`."""
        steps = self.config.num_steps
        if self.vocab is not None:
            return "texts" if steps is None else f"texts of {steps} symbols"
        if self.config.input_columns is not None:
            return f"tables with the columns {', '.join(self.config.input_columns)}"
        return f"images or arrays of {steps or 'any number of'} steps x {self.config.input_size} features"

    def _batch(self, inputs: Any, on_unknown: OnUnknown | None = None) -> ClassBatch:
        return self._batch_of(inputs, on_unknown, self.config.num_steps)

    def _batch_of(self, inputs: Any, on_unknown: OnUnknown | None, steps: int | None) -> ClassBatch:
        """Makes a batch of inputs, each of which must have so many steps if they are given."""
        if self.reads_tables:
            return self._padded(self._tables(inputs))
        if self.vocab is None:
            features: Any = images.features(inputs, steps, self.config.input_size or 0)
            return ClassBatch(features, self._unknown(len(features)))
        texts = [self.config.clean(text) for text in as_list(inputs)]
        most = self.config.max_length
        pieces = texts if most is None else [list(self.vocab.split(text))[:most] for text in texts]
        rows = [encode_text(self.vocab, piece, on_unknown) for piece in pieces]
        for text, row in zip(texts, rows, strict=True):
            if steps is not None and len(row) != steps:
                raise ValueError(f"{brief(text)} has {len(row)} symbols, expected {steps}")
        return self._padded(rows)

    def _padded(self, rows: list[Any]) -> ClassBatch:
        """Returns a batch of sequences, cut to `max_length`."""
        rows = [row[: self.config.max_length] for row in rows]
        padded: Any = pad(rows)
        lengths: Any = np.array([len(row) for row in rows])
        return ClassBatch(padded, self._unknown(len(rows)), lengths)

    @staticmethod
    def _unknown(rows: int) -> Any:
        """Returns the targets (B,) of inputs whose class is not known."""
        return np.full(rows, IGNORE)

    def _tables(self, inputs: Any) -> list[Any]:
        """Returns tables or arrays as arrays (T, D)."""
        names, single = self.config.input_columns or (), isinstance(inputs, Mapping) or hasattr(inputs, "columns")
        rows: list[Any] = []
        for table in [inputs] if single or getattr(inputs, "ndim", 0) == 2 else inputs:
            if isinstance(table, Mapping) or hasattr(table, "columns"):
                rows.append(read_window(table, names)[0])
                continue
            try:
                found = np.asarray(table, dtype=np.float64)
            except (TypeError, ValueError, OverflowError):
                raise ValueError(f"expected tables with the columns {', '.join(names)}, or arrays (T, D)") from None
            if found.ndim != 2 or found.shape[1] != len(names) or not found.size:
                raise ValueError(f"got shape {found.shape}, expected (T, {len(names)}): {', '.join(names)}")
            if not np.isfinite(found).all():
                raise ValueError("got a number that is not finite")
            rows.append(found)
        if not rows:
            raise ValueError("got no table, expected at least one")
        return rows

    def check(self, batch: ClassBatch) -> None:
        """Raises ValueError if a row of a batch does not have the number of steps that the model takes."""
        found = {batch.inputs.shape[1]} if batch.lengths is None else set(batch.lengths.tolist())
        if self.config.num_steps is not None and (wrong := found - {self.config.num_steps}):
            raise ValueError(f"got an input of {min(wrong)} steps, expected {self.config.num_steps}")

    def _input(self, batch: ClassBatch, row: int) -> dict[str, str]:
        if self.vocab is None:
            return {}
        ids: Any = batch.inputs[row] if batch.lengths is None else batch.inputs[row, : batch.lengths[row]]
        return {"input": self.vocab.decode(ids.tolist())}
