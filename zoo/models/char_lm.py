"""Character language models."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from zoo.decoding import Array
from zoo.methods.arrays import pad
from zoo.methods.char_lm import CharLMMethods
from zoo.methods.texts import as_list
from zoo.models.base import Features, Model
from zoo.models.decoders import NetworkDecoder, array
from zoo.models.graphs import Graph, after, first_state
from zoo.nn import CharNet, State
from zoo.nn.networks import HEAD_AXES, input_axes


class CharLMModel(CharLMMethods, Model):
    """Predicts the next character of a text, and generates texts.

    Example:
        >>> from zoo.models import CharLMConfig
        >>> model = CharLMModel(CharLMConfig(vocab=("a", "b"), hidden_size=8))
        >>> logits, state = model(torch.tensor([[0, 1, 0]]))
        >>> logits.shape
        torch.Size([1, 3, 2])
        >>> model
        CharLMModel: char_lm_lstm, 402 parameters, takes texts
    """

    network: CharNet

    def build_network(self) -> CharNet:
        """See `Model`."""
        config = self.config
        options = {"embedding_dim": config.embedding_dim, "tie_weights": config.tie_weights}
        return CharNet(len(self.vocab), **options, **config.recurrent_arguments())  # type: ignore[arg-type]

    def symbol_axes(self) -> dict[str, tuple[int, str]]:
        """See `Model`."""
        inputs = input_axes(self.network)
        return {name: (axis, "vocab") for name, axis in {**inputs, **HEAD_AXES}.items()}

    def forward(self, ids: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Maps ids (B, T) to the logits of the next symbol at each step (B, T, V), and the last state."""
        return self.network(ids, state)

    def graphs(self) -> dict[str, Graph]:
        """See `Model`: the logits of the next symbol, of whole texts and of one step."""
        network, first = self.network, first_state(self.network.recurrent)

        def sequence(ids: Tensor, lengths: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            outputs, new = network.recurrent(network.input(ids), state, lengths)
            return (network.head(outputs), *new)

        def step(ids: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            logits, new = network.step(ids, state)
            return (logits, *new)

        def example(rows: int, steps: int) -> tuple[Tensor, ...]:
            ids = torch.randint(len(self.vocab), (rows, steps))
            return (ids, torch.randint(1, steps + 1, (rows,)), *network(ids)[1])

        return {
            "sequence": Graph(sequence, ("ids", "lengths", *first), ("logits", *after(first)), example, first),
            "step": Graph(
                step,
                ("ids", *first),
                ("logits", *after(first)),
                lambda rows, steps: (torch.randint(len(self.vocab), (rows,)), *example(rows, steps)[2:]),
                first,
            ),
        }

    # -- what the methods compute with

    @torch.no_grad()
    def logits(self, ids: Any) -> Array:
        """See `CharLMMethods`."""
        with self.evaluating():
            return array(self(self.tensor(ids))[0])

    @torch.no_grad()
    def read(self, ids: Array, lengths: Array) -> tuple[Array, State]:
        """See `CharLMMethods`."""
        with self.evaluating():
            logits, state = self.network.read(self.tensor(ids), torch.from_numpy(lengths))
        return array(logits), state

    def decoder(self) -> NetworkDecoder:
        """See `CharLMMethods`."""
        with self.evaluating():
            return NetworkDecoder(self.network)

    @torch.no_grad()
    def features(self, values: str | Sequence[str]) -> Features:
        """Gives the hidden states for some texts: see `Model`."""
        ids = [self.vocab.encode(self.config.clean(text)) for text in as_list(values)]
        lengths = torch.tensor([len(row) for row in ids])
        inputs = self.network.input(self.tensor(pad(ids)))
        with self.evaluating():
            outputs, state = self.network.recurrent(inputs, lengths=lengths)
        return Features(outputs, lengths, state)
