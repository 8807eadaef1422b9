"""Sequence classifiers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from zoo import html
from zoo.batch import IGNORE, ClassBatch
from zoo.checks import check_positive, check_sizes
from zoo.models import images
from zoo.models.base import Features, Model
from zoo.models.graphs import Graph, after, first_state
from zoo.models.texts import TextConfig, as_list, encode_text
from zoo.models.windows import read_window
from zoo.nn import ClassifierNet
from zoo.nn.networks import HEAD_AXES, Pooling, input_axes
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


class SeqClassifierModel(Model):
    """Predicts the class of a sequence of features, or of symbols.

    Example:
        >>> model = SeqClassifierModel(SeqClassifierConfig(classes=("even", "odd"), input_size=4))
        >>> model(torch.zeros(1, 10, 4)).shape
        torch.Size([1, 2])
    """

    task_name = "seq_classifier"
    config_class = SeqClassifierConfig
    config: SeqClassifierConfig
    network: ClassifierNet

    @cached_property
    def vocab(self) -> Vocab | None:
        """The symbols that the model reads, or None if it reads features."""
        config = self.config
        return None if config.vocab is None else Vocab(config.vocab, config.symbols, config.tokenizer)

    def build_network(self) -> ClassifierNet:
        """See `Model`."""
        return ClassifierNet(
            len(self.config.classes),
            input_size=self.config.input_size,
            vocab_size=None if self.vocab is None else len(self.vocab),
            embedding_dim=self.config.embedding_dim,
            pooling=self.config.pooling,
            bidirectional=self.config.bidirectional,
            **self.config.recurrent_arguments(),
        )

    def symbol_axes(self) -> dict[str, tuple[int, str]]:
        """See `Model`."""
        inputs = {} if self.vocab is None else input_axes(self.network)
        return {name: (axis, "vocab") for name, axis in inputs.items()} | {
            name: (axis, "classes") for name, axis in HEAD_AXES.items()
        }

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Maps features (B, T, D) or ids (B, T), of `lengths` (B,) real steps, to logits (B, C).

        Features are in the data's own units.
        """
        return self.network(self._scaled(inputs), lengths)

    def _scaled(self, inputs: Tensor) -> Tensor:
        """Returns features as the network reads them."""
        if self.config.mean is None:
            return inputs.to(self.dtype) if inputs.is_floating_point() else inputs
        inputs = inputs.to(torch.promote_types(inputs.dtype, torch.float32))  # not in half precision
        mean, scale = (self.constant(name, getattr(self.config, name), inputs) for name in ("mean", "scale"))
        return ((inputs - mean) / scale).to(self.dtype)

    def graphs(self) -> dict[str, Graph]:
        """See `Model`: the logits of each class; with a state, if all that was read is in it."""
        network, config = self.network, self.config
        first = {} if config.bidirectional or config.pooling != "last" else first_state(network.recurrent)

        def sequence(inputs: Tensor, lengths: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            if not state:
                return (self(inputs, lengths),)
            outputs, new = network.recurrent(network.input(self._scaled(inputs)), state, lengths)
            return (network.head(network.pool(outputs, lengths)), *new)

        def example(rows: int, steps: int) -> tuple[Tensor, ...]:
            vocab, size = config.vocab, config.input_size or 1
            inputs = torch.rand(rows, steps, size) if vocab is None else torch.randint(len(vocab), (rows, steps))
            lengths = torch.randint(1, steps + 1, (rows,))
            start = tuple(one.expand(rows, *one.shape[1:]) for one in first.values())
            return inputs, lengths, *sequence(inputs, lengths, *start)[1:]

        return {
            "sequence": Graph(sequence, ("inputs", "lengths", *first), ("logits", *after(first)), example, first),
        }

    # -- plain values

    @torch.no_grad()
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
        chances = self._probabilities(self._batch(inputs, on_unknown))
        classes = self.config.classes
        return [
            Classified(classes[row.index(max(row))], max(row), dict(zip(classes, row, strict=True)))
            for row in chances.tolist()
        ]

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
        best, predicted = self._probabilities(batch).max(-1)
        classes = self.config.classes
        rows = []
        for row, (number, chance) in enumerate(zip(predicted.tolist(), best.tolist(), strict=True)):
            target = int(batch.targets[row])
            entry = {"prediction": classes[number], "probability": round(chance, 4)}
            if target != IGNORE:
                entry["target"] = classes[target]
            rows.append({**self._input(batch, row), **entry})
        return rows

    @torch.no_grad()
    def features(self, values: Any) -> Features:
        """Gives the hidden states for some inputs: see `Model`."""
        batch = self._batch(values)
        steps = batch.inputs.shape[1]
        lengths = torch.full((len(batch.inputs),), steps) if batch.lengths is None else batch.lengths
        with self.evaluating():
            inputs = self.network.input(self._scaled(batch.inputs))
            outputs, state = self.network.recurrent(inputs, lengths=batch.lengths)
        return Features(outputs, lengths, state)

    @torch.no_grad()
    def _probabilities(self, batch: ClassBatch) -> Tensor:
        """Returns the probability of each class (B, C), float32."""
        with self.evaluating():
            return self(batch.inputs, batch.lengths).float().softmax(-1)

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
        steps = self.config.num_steps
        if self.reads_tables:
            return self._padded([torch.tensor(table) for table in self._tables(inputs)])
        if self.vocab is None:
            features = images.features(inputs, steps, self.config.input_size or 0).to(self.device, self.dtype)
            return ClassBatch(features, torch.full((len(features),), IGNORE))
        texts = [self.config.clean(text) for text in as_list(inputs)]
        most = self.config.max_length
        pieces = texts if most is None else [list(self.vocab.split(text))[:most] for text in texts]
        rows = [torch.tensor(encode_text(self.vocab, piece, on_unknown)) for piece in pieces]
        for text, row in zip(texts, rows, strict=True):
            if steps is not None and len(row) != steps:
                raise ValueError(f"{text!r} has {len(row)} symbols, expected {steps}")
        return self._padded(rows)

    def _padded(self, rows: list[Tensor]) -> ClassBatch:
        """Returns a batch of sequences, cut to `max_length`."""
        rows = [row[: self.config.max_length] for row in rows]
        lengths = torch.tensor([len(row) for row in rows])
        padded = pad_sequence(rows, batch_first=True).to(self.device)
        return ClassBatch(padded, torch.full((len(rows),), IGNORE), lengths)

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
        ids: Tensor = batch.inputs[row] if batch.lengths is None else batch.inputs[row, : batch.lengths[row]]
        return {"input": self.vocab.decode(ids.tolist())}
