"""Sequence-to-sequence models."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from zoo.batch import IGNORE, PairBatch
from zoo.checks import check_sizes
from zoo.decoding import GREEDY, Decoded, Sampling, collect, stream
from zoo.models.base import Features, Model
from zoo.models.config import ModelConfig
from zoo.models.texts import ScoredText, as_list, encode_text, sampling_of, search_texts
from zoo.nn import EncoderDecoder, State
from zoo.nn.networks import HEAD_AXES, input_axes
from zoo.vocab import END, START, OnUnknown, SymbolKind, Vocab

MAX_LENGTH = 10_000  # otherwise a model that never predicts the end would decode for hours


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig(ModelConfig):
    """Describes a `Seq2SeqModel`.

    Args:
        source_vocab: The source's symbols in the order of their ids.
        target_vocab: The target's symbols, with `<start>` and `<end>`.
        source_symbols: How sources are split: `characters`, `bytes`, `words` or `bpe`, see `zoo.symbols`.
        target_symbols: How targets are split.
        source_tokenizer: For `bpe`: the tokenizer of the sources, as JSON of Hugging Face's `tokenizers`.
        target_tokenizer: That of the targets.
        embedding_dim: Width of both embeddings. None is one-hot.
        reverse_source: Read the source from its end.
        max_length: Maximum number of symbols to decode, up to 10,000.
        hidden_size: See `ModelConfig`, as for the other fields.
    """

    source_vocab: tuple[str, ...]
    target_vocab: tuple[str, ...]
    source_symbols: SymbolKind = "characters"
    target_symbols: SymbolKind = "characters"
    source_tokenizer: str | None = None
    target_tokenizer: str | None = None
    embedding_dim: int | None = None
    reverse_source: bool = False
    max_length: int = 50

    tunable: ClassVar[frozenset[str]] = ModelConfig.tunable | {"max_length"}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_max_length(self.max_length)


def check_max_length(max_length: int) -> None:
    """Raises ValueError if a decoded sequence may be too long, or have no symbol."""
    check_sizes(max_length=max_length)
    if max_length > MAX_LENGTH:
        raise ValueError(f"max_length: got {max_length}, expected at most {MAX_LENGTH}")


class Seq2SeqModel(Model):
    """Maps a sequence of symbols to another one.

    Example:
        >>> vocab = ("<pad>", "<start>", "<end>", "a", "b")
        >>> model = Seq2SeqModel(Seq2SeqConfig(source_vocab=vocab, target_vocab=vocab, hidden_size=8))
        >>> len(model.translate(["abba", "b"]))
        2
    """

    task_name = "seq2seq"
    config_class = Seq2SeqConfig
    config: Seq2SeqConfig
    network: EncoderDecoder
    takes = "texts"

    @cached_property
    def source_vocab(self) -> Vocab:
        """The symbols that the model reads."""
        return Vocab(self.config.source_vocab, self.config.source_symbols, self.config.source_tokenizer)

    @cached_property
    def target_vocab(self) -> Vocab:
        """The symbols that the model predicts."""
        return Vocab(self.config.target_vocab, self.config.target_symbols, self.config.target_tokenizer)

    def build_network(self) -> EncoderDecoder:
        """See `Model`."""
        return EncoderDecoder(
            len(self.source_vocab),
            len(self.target_vocab),
            embedding_dim=self.config.embedding_dim,
            reverse_source=self.config.reverse_source,
            **self.config.recurrent_arguments(),
        )

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

    # -- plain values

    def translate(
        self,
        texts: str | Sequence[str],
        *,
        temperature: float = 0.0,
        seed: int | None = None,
        on_unknown: OnUnknown | None = None,
        **sampling: Any,
    ) -> list[str]:
        """Translates some texts. `search` finds more likely translations, and several of them.

        Args:
            texts: One source, or a list of sources. None may be empty.
            temperature: 0 takes the most likely symbol each time. Above 0, symbols are sampled.
            seed: The random seed. None draws a seed.
            on_unknown: What to do with unknown symbols of a source, see `zoo.Vocab.encode`.
            **sampling: `top_k`, `top_p`, `repetition_penalty`: see `zoo.decoding.Sampling`.
                `allowed`, `forbidden`: strings of the only symbols to predict, and of symbols
                never to predict.

        Returns:
            A list with one target per source, also for a single source.

        Raises:
            ValueError: If a text is empty or has an unknown symbol, or an option is outside its range.
        """
        with self.evaluating():
            chosen = sampling_of(self.target_vocab, temperature=temperature, **sampling)
            rows = self._decode(self._batch(texts, on_unknown), chosen, seed)
        return [self.target_vocab.decode(row.ids) for row in rows]

    @torch.no_grad()
    def search(
        self, texts: str | Sequence[str], beam: int = 5, *, on_unknown: OnUnknown | None = None, **options: Any
    ) -> list[list[ScoredText]]:
        """Finds the most likely targets of each text, the best one first.

        Args:
            texts: See `translate`.
            beam: Number of beams, and maximum number of targets returned.
            on_unknown: See `translate`.
            **options: `length_penalty`, `alpha`, `allowed`, `forbidden`: see `zoo.models.texts.search_texts`.
        """
        with self.evaluating():
            logits, state = self._start(self._batch(texts, on_unknown))
            length = self.config.max_length
            return search_texts(self.network.decoder, self.target_vocab, logits, state, length, beam, **options)

    def infer(self, values: str | Sequence[str], on_unknown: OnUnknown | None = None) -> list[dict[str, Any]]:
        """Returns the greedy translation of some texts.

        Args:
            values: See `Model`.
            on_unknown: See `translate`.
        """
        return self.answer(self._batch(values, on_unknown))

    def answer(self, batch: PairBatch) -> list[dict[str, Any]]:
        """Returns the greedy translation of each source."""
        with self.evaluating():
            decoded = [row.ids for row in self._decode(batch, sampling_of(self.target_vocab, temperature=0.0))]
        sources, lengths, targets = batch.source.tolist(), batch.source_lengths.tolist(), batch.target.tolist()
        rows = []
        for source, length, target, ids in zip(sources, lengths, targets, decoded, strict=True):
            row = {"input": self.source_vocab.decode(source[:length]), "prediction": self.target_vocab.decode(ids)}
            if len(target) > 1 and target[1] != IGNORE:
                row["target"] = self.target_vocab.decode(i for i in target[1:] if i != IGNORE)
            rows.append(row)
        return rows

    @torch.no_grad()
    def features(self, values: str | Sequence[str]) -> Features:
        """Gives the encoder's hidden states for some texts: see `Model`."""
        batch = self._batch(values)
        with self.evaluating():
            outputs, state = self.network.encode(batch.source, batch.source_lengths)
        if self.config.reverse_source:
            index = self.network.mirror(batch.source, batch.source_lengths)[:, :, None].expand_as(outputs)
            real = torch.arange(outputs.shape[1]) < batch.source_lengths[:, None]  # (B, S)
            outputs = outputs.gather(1, index) * real[:, :, None].to(outputs.device)
        return Features(outputs, batch.source_lengths, state)

    def parse(self, word: str) -> str:
        """See `Model`."""
        return word

    def _batch(self, texts: str | Sequence[str], on_unknown: OnUnknown | None = None) -> PairBatch:
        rows = [torch.tensor(encode_text(self.source_vocab, text, on_unknown)) for text in as_list(texts)]
        source = pad_sequence(rows, batch_first=True).to(self.device)
        target = source.new_full((len(rows), 2), IGNORE)
        target[:, 0] = self.target_vocab.id(START)
        return PairBatch(source, torch.tensor([len(row) for row in rows]), target)

    @torch.no_grad()
    def _start(self, batch: PairBatch) -> tuple[Tensor, State]:
        """Returns the first logits (B, V), and the state after them."""
        _, state = self.network.encode(batch.source, batch.source_lengths)
        start = batch.source.new_full((len(batch.source),), self.target_vocab.id(START))
        return self.network.decoder.step(start, state)

    def _decode(self, batch: PairBatch, sampling: Sampling = GREEDY, seed: int | None = None) -> list[Decoded]:
        """Decodes: each step reads the symbol that the previous step chose."""
        logits, state = self._start(batch)
        length, end = self.config.max_length, self.target_vocab.id(END)
        return collect(stream(self.network.decoder.stepper(), logits, state, length, sampling, seed=seed, end=end))
