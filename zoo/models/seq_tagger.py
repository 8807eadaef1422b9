"""Sequence taggers."""

from typing import Any

import torch
from torch import Tensor

from zoo.batch import TagBatch
from zoo.decoding import Array
from zoo.methods.seq_tagger import SeqTaggerMethods
from zoo.models.base import Features, Model
from zoo.models.decoders import array
from zoo.models.graphs import Graph, after, first_state
from zoo.nn import TaggerNet
from zoo.nn.networks import HEAD_AXES, input_axes


class SeqTaggerModel(SeqTaggerMethods, Model):
    """Predicts a tag for each symbol of a text.

    Example:
        >>> from zoo.models import SeqTaggerConfig
        >>> model = SeqTaggerModel(SeqTaggerConfig(tags=("vowel", "other"), vocab=("a", "b")))
        >>> model(torch.zeros(1, 10, dtype=torch.int64)).shape
        torch.Size([1, 10, 2])
    """

    network: TaggerNet

    def build_network(self) -> TaggerNet:
        """See `Model`."""
        return TaggerNet(
            len(self.config.tags),
            vocab_size=len(self.vocab),
            embedding_dim=self.config.embedding_dim,
            num_letters=None if self.config.letters is None else len(self.config.letters),
            spelling_size=self.config.spelling_size,
            bidirectional=self.config.bidirectional,
            **self.config.recurrent_arguments(),
        )

    def symbol_axes(self) -> dict[str, tuple[int, str]]:
        """See `Model`."""
        letters = {} if self.network.speller is None else {"speller.input.weight": (0, "letters")}
        return {
            **{name: (axis, "vocab") for name, axis in input_axes(self.network).items()},
            **letters,
            **{name: (axis, "tags") for name, axis in HEAD_AXES.items()},
        }

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, letters: Tensor | None = None) -> Tensor:
        """Maps ids (B, T), of `lengths` (B,) real symbols, to logits (B, T, C).

        A model with a `spelling_size` also needs the letters (B, T, L) of each symbol, see `zoo.batch.TagBatch`.
        """
        return self.network(inputs, lengths, letters)

    def graphs(self) -> dict[str, Graph]:
        """See `Model`: the logits of each tag; with a state, if the model reads in one direction."""
        network = self.network
        letters = 0 if network.speller is None else len(self.config.letters or ())
        first = {} if self.config.bidirectional else first_state(network.recurrent)

        def sequence(ids: Tensor, lengths: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
            spelled, state = (rest[0], rest[1:]) if letters else (None, rest)
            outputs, new = network.recurrent(network.read(ids, spelled), state or None, lengths)
            return (network.head(outputs), *(new if first else ()))

        def example(rows: int, steps: int) -> tuple[Tensor, ...]:
            ids, lengths = torch.randint(len(self.vocab), (rows, steps)), torch.randint(1, steps + 1, (rows,))
            spelled = (torch.randint(letters, (rows, steps, steps + 1)),) if letters else ()
            start = tuple(one.expand(rows, *one.shape[1:]) for one in first.values())
            return ids, lengths, *spelled, *sequence(ids, lengths, *spelled, *start)[1:]

        inputs = ("ids", "lengths", "letters")[: 3 if letters else 2]
        return {"sequence": Graph(sequence, (*inputs, *first), ("logits", *after(first)), example, first)}

    # -- what the methods compute with

    @torch.no_grad()
    def logits(self, batch: TagBatch) -> Array:
        """See `SeqTaggerMethods`."""
        ids, lengths, letters = self._tensors(batch)
        with self.evaluating():
            return array(self(ids, lengths, letters))

    @torch.no_grad()
    def features(self, values: Any) -> Features:
        """Gives the hidden states for some inputs: see `Model`."""
        ids, lengths, letters = self._tensors(self._batch(self._symbols(values)))
        with self.evaluating():
            outputs, state = self.network.recurrent(self.network.read(ids, letters), lengths=lengths)
        return Features(outputs, lengths, state)

    def _tensors(self, batch: TagBatch) -> tuple[Tensor, Tensor, Tensor | None]:
        letters = None if batch.letters is None else self.tensor(batch.letters)
        return self.tensor(batch.inputs), torch.as_tensor(batch.lengths), letters
