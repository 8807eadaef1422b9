"""Sequence classifiers."""

from typing import Any

import torch
from torch import Tensor

from zoo.batch import ClassBatch
from zoo.decoding import Array
from zoo.methods.seq_classifier import SeqClassifierMethods
from zoo.models.base import Features, Model
from zoo.models.decoders import array
from zoo.models.graphs import Graph, after, first_state
from zoo.nn import ClassifierNet
from zoo.nn.networks import HEAD_AXES, input_axes


class SeqClassifierModel(SeqClassifierMethods, Model):
    """Predicts the class of a sequence of features, or of symbols.

    Example:
        >>> from zoo.models import SeqClassifierConfig
        >>> model = SeqClassifierModel(SeqClassifierConfig(classes=("even", "odd"), input_size=4))
        >>> model(torch.zeros(1, 10, 4)).shape
        torch.Size([1, 2])
    """

    network: ClassifierNet

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

    # -- what the methods compute with

    @torch.no_grad()
    def logits(self, batch: ClassBatch) -> Array:
        """See `SeqClassifierMethods`."""
        with self.evaluating():
            return array(self(self.tensor(batch.inputs), _lengths(batch)))

    @torch.no_grad()
    def features(self, values: Any) -> Features:
        """Gives the hidden states for some inputs: see `Model`."""
        batch = self._batch(values)
        inputs, lengths = self.tensor(batch.inputs), _lengths(batch)
        with self.evaluating():
            outputs, state = self.network.recurrent(self.network.input(self._scaled(inputs)), lengths=lengths)
        return Features(outputs, torch.full(inputs.shape[:1], inputs.shape[1]) if lengths is None else lengths, state)


def _lengths(batch: ClassBatch) -> Tensor | None:
    return None if batch.lengths is None else torch.as_tensor(batch.lengths)
