"""Sequence-to-sequence models."""

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.batch import PairBatch
from zoo.decoding import Array
from zoo.methods.seq2seq import Seq2SeqMethods
from zoo.models.base import Features, Model
from zoo.models.decoders import NetworkDecoder, array
from zoo.models.graphs import Graph, after
from zoo.nn import EncoderDecoder, State
from zoo.nn.networks import HEAD_AXES, input_axes

OPTIONS = (
    *("embedding_dim", "reverse_source", "bidirectional", "bridge"),
    *("attention", "attention_heads", "input_feeding"),
)  # of an `EncoderDecoder`


class Seq2SeqModel(Seq2SeqMethods, Model):
    """Maps a sequence of symbols to another one.

    Example:
        >>> from zoo.models import Seq2SeqConfig
        >>> vocab = ("<pad>", "<start>", "<end>", "a", "b")
        >>> model = Seq2SeqModel(Seq2SeqConfig(source_vocab=vocab, target_vocab=vocab, hidden_size=8))
        >>> len(model.translate(["abba", "b"]))
        2
    """

    network: EncoderDecoder

    def build_network(self) -> EncoderDecoder:
        """See `Model`."""
        return EncoderDecoder(
            len(self.source_vocab),
            len(self.target_vocab),
            copy=[self._target_of(symbol) for symbol in self.source_vocab] if self.config.copy else None,
            **{name: getattr(self.config, name) for name in OPTIONS},
            **self.config.recurrent_arguments(),
        )

    def _target_of(self, symbol: str) -> int:
        """The id of a source symbol among the targets, -1 if there is none."""
        return self.target_vocab.id(symbol) if symbol in self.target_vocab else -1

    def symbol_axes(self) -> dict[str, tuple[int, str]]:
        """See `Model`."""
        sources = input_axes(self.network, "source_input", "encoder")
        targets = input_axes(self.network.decoder) | HEAD_AXES
        return {name: (axis, "source_vocab") for name, axis in sources.items()} | {
            f"decoder.{name}": (axis, "target_vocab") for name, axis in targets.items()
        }

    def forward(self, source: Tensor, source_lengths: Tensor, target_inputs: Tensor) -> Tensor:
        """Maps sources and the true symbols before each step to logits: the teacher-forced pass.

        Args:
            source: Ids (B, S), padded on the right.
            source_lengths: Symbols of each source (B,), int64.
            target_inputs: Ids (B, T): the start symbol, then the target's symbols.

        Returns:
            Logits of the symbol after each of the target inputs (B, T, V).
        """
        return self.network(source, source_lengths, target_inputs)

    def graphs(self) -> dict[str, Graph]:
        """See `Model`: the decoder's first state for some sources, and one step of it."""
        network = self.network

        def encode(source: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
            return network.start(source, lengths)

        def step(ids: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            logits, new = network.decoder.step(ids, state)
            return (logits, *new)

        def sources(rows: int, steps: int) -> tuple[Tensor, ...]:
            return torch.randint(len(self.source_vocab), (rows, steps)), torch.randint(1, steps + 1, (rows,))

        def inputs(rows: int, steps: int) -> tuple[Tensor, ...]:
            return torch.randint(len(self.target_vocab), (rows,)), *encode(*sources(rows, steps))

        state = network.decoder.state_names
        return {
            "encode": Graph(encode, ("source", "lengths"), state, sources),
            "step": Graph(step, ("ids", *state), ("logits", *after(state)), inputs),
        }

    # -- what the methods compute with

    @torch.no_grad()
    def encode(self, batch: PairBatch) -> State:
        """See `Seq2SeqMethods`."""
        with self.evaluating():
            return self.network.start(*self._tensors(batch))

    def decoder(self) -> NetworkDecoder:
        """See `Seq2SeqMethods`."""
        with self.evaluating():
            return NetworkDecoder(self.network.decoder)

    @torch.no_grad()
    def weights(self, batch: PairBatch, ids: Array) -> Array:
        """See `Seq2SeqMethods`."""
        with self.evaluating():
            return array(self.network.align(*self._tensors(batch), self.tensor(ids)))

    @torch.no_grad()
    def features(self, values: str | Sequence[str]) -> Features:
        """Gives the encoder's hidden states for some texts: see `Model`."""
        source, lengths = self._tensors(self._batch(self._cleaned(values)))
        with self.evaluating():
            outputs, state = self.network.encode(source, lengths)
        if self.config.reverse_source:
            index = self.network.mirror(source, lengths)[:, :, None].expand_as(outputs)
            real = torch.arange(outputs.shape[1]) < lengths[:, None]  # (B, S)
            outputs = outputs.gather(1, index) * real[:, :, None].to(outputs.device)
        return Features(outputs, lengths, state)

    def _tensors(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        return self.tensor(batch.source), torch.as_tensor(batch.source_lengths)
