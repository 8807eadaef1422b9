"""What sequence-to-sequence models do with texts."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from zoo.batch import IGNORE, PairBatch
from zoo.checks import check_sizes
from zoo.choices import AttentionName, BridgeName
from zoo.decoding import GREEDY, Array, Decoded, Decoder, Hypothesis, LengthPenalty, Sampling, collect, stream
from zoo.methods.alignment import Alignment
from zoo.methods.arrays import pad
from zoo.methods.base import Methods
from zoo.methods.config import ModelConfig
from zoo.methods.texts import CleaningConfig, ScoredText, as_list, encode_text, sampling_of, search_ids
from zoo.symbols import join
from zoo.vocab import END, START, UNK, OnUnknown, SymbolKind, Vocab

MAX_LENGTH = 10_000  # otherwise a model that never predicts the end would decode for hours


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig(CleaningConfig):
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
        bidirectional: Whether the encoder reads from both ends.
        bridge: How the decoder's first state is made, see `zoo.nn.EncoderDecoder`.
        attention: How the decoder looks at the source, see `zoo.nn.attention`.
        attention_heads: Of `multi_head`.
        input_feeding: Whether what the decoder found is an input of its next step.
        copy: Whether symbols may be copied from the source.
        max_length: Maximum number of symbols to decode, up to 10,000.
        lowercase: See `CleaningConfig`, as for the other fields. Sources are cleaned.
    """

    source_vocab: tuple[str, ...]
    target_vocab: tuple[str, ...]
    source_symbols: SymbolKind = "characters"
    target_symbols: SymbolKind = "characters"
    source_tokenizer: str | None = None
    target_tokenizer: str | None = None
    embedding_dim: int | None = None
    reverse_source: bool = False
    bidirectional: bool = False
    bridge: BridgeName = "none"
    attention: AttentionName = "none"
    attention_heads: int = 4
    input_feeding: bool = False
    copy: bool = False
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


class Seq2SeqMethods(Methods):
    """Maps a sequence of symbols to another one."""

    task_name = "seq2seq"
    config_class = Seq2SeqConfig
    config: Seq2SeqConfig
    takes = "texts"

    @cached_property
    def source_vocab(self) -> Vocab:
        """The symbols that the model reads."""
        return Vocab(self.config.source_vocab, self.config.source_symbols, self.config.source_tokenizer)

    @cached_property
    def target_vocab(self) -> Vocab:
        """The symbols that the model predicts."""
        return Vocab(self.config.target_vocab, self.config.target_symbols, self.config.target_tokenizer)

    @property
    def decoding(self) -> dict[str, Any]:
        """See `Methods`: the first symbol that is read, the last one that is written, and those that never are."""
        vocab = self.target_vocab
        never = list(sampling_of(vocab, unknown=self._copies_unknown).forbidden)
        ends = {"start": vocab.id(START), "end": vocab.id(END)}
        return {**ends, "never": never, "temperature": 0.0, "length": self.config.max_length}

    # -- what computes

    @abstractmethod
    def encode(self, batch: PairBatch) -> Any:
        """Returns the decoder's first state for the sources of a batch."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """Prepares the weights, and returns what predicts the next symbol."""

    @abstractmethod
    def weights(self, batch: PairBatch, ids: Array) -> Array:
        """Returns how much the decoder looks at each source symbol (B, T, S), while it reads ids (B, T).

        Raises:
            ValueError: If the model has no attention.
        """

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
        chosen = sampling_of(self.target_vocab, temperature=temperature, unknown=self._copies_unknown, **sampling)
        texts = self._cleaned(texts)
        batch = self._batch(texts, on_unknown)
        return self._written([row.ids for row in self._decode(batch, chosen, seed)], batch, texts)

    def search(
        self, texts: str | Sequence[str], beam: int = 5, *, on_unknown: OnUnknown | None = None, **options: Any
    ) -> list[list[ScoredText]]:
        """Finds the most likely targets of each text, the best one first.

        Args:
            texts: See `translate`.
            beam: Number of beams, and maximum number of targets returned.
            on_unknown: See `translate`.
            **options: `length_penalty`, `alpha`, `coverage`, `allowed`, `forbidden`: see
                `zoo.methods.texts.search_ids`.
        """
        texts = self._cleaned(texts)
        batch = self._batch(texts, on_unknown)
        found = self._search(batch, beam, **options)
        places = [place for place, row in enumerate(found) for _ in row]
        repeated = PairBatch(*(part[places] for part in batch[:3]))
        ids = [one.ids for row in found for one in row]
        written = iter(self._written(ids, repeated, [texts[place] for place in places]))
        return [[ScoredText(next(written), one.log_prob, one.score) for one in row] for row in found]

    def align(
        self,
        texts: str | Sequence[str],
        targets: str | Sequence[str] | None = None,
        on_unknown: OnUnknown | None = None,
        beam: int = 1,
        length_penalty: LengthPenalty = "none",
    ) -> list[Alignment]:
        """Says where the model looks while it translates.

        Args:
            texts: See `translate`.
            targets: What to look at in place of the model's own translations: a target for each text.
            on_unknown: See `translate`.
            beam: Beams of its own translations, see `search`, as for `length_penalty`.
            length_penalty: What their log-probabilities are divided by.

        Raises:
            ValueError: If the model has no attention, or there are not as many targets as texts.
        """
        batch, vocab = self._batch(self._cleaned(texts), on_unknown), self.target_vocab
        if targets is None:
            return self.aligned(batch, beam, length_penalty)
        given = [targets] if isinstance(targets, str) else targets
        if len(given) != len(batch.source):
            raise ValueError(f"targets: got {len(given)} for {len(batch.source)} texts")
        return self._alignments(batch, [[*vocab.encode(text), vocab.id(END)] for text in given])

    def aligned(self, batch: PairBatch, beam: int = 1, length_penalty: LengthPenalty = "none") -> list[Alignment]:
        """Says where the model looks while it translates the sources of a batch, see `align`."""
        return self._alignments(batch, self._best(batch, beam, length_penalty))

    def _alignments(self, batch: PairBatch, found: list[list[int]]) -> list[Alignment]:
        weights, vocab = self.weights(batch, self._read(found)), self.target_vocab
        return [
            Alignment(
                [self.source_vocab[number] for number in source[:length]],
                [vocab[number] for number in ids],
                rows[: len(ids), :length].tolist(),
            )
            for source, length, ids, rows in zip(
                batch.source.tolist(), batch.source_lengths.tolist(), found, weights, strict=True
            )
        ]

    def infer(
        self,
        values: str | Sequence[str],
        on_unknown: OnUnknown | None = None,
        beam: int | None = None,
        length_penalty: LengthPenalty = "none",
    ) -> list[dict[str, Any]]:
        """Returns the translation of some texts.

        Args:
            values: See `Model`.
            on_unknown: See `translate`.
            beam: Number of beams of a search. None takes the most likely symbol each time.
            length_penalty: Of a search, see `search`.
        """
        batch = self._batch(self._cleaned(values), on_unknown)
        if beam is None:
            return self._rows(batch, self.translate(values, on_unknown=on_unknown))
        found = self.search(values, beam, on_unknown=on_unknown, length_penalty=length_penalty)
        return self._rows(batch, [row[0].text for row in found])

    def answer(self, batch: PairBatch, beam: int = 1, length_penalty: LengthPenalty = "none") -> list[dict[str, Any]]:
        """Returns the translation of each source: the greedy one, or the best of several beams, see `search`."""
        return self._rows(batch, [self.target_vocab.decode(ids) for ids in self._best(batch, beam, length_penalty)])

    def _best(self, batch: PairBatch, beam: int, length_penalty: LengthPenalty) -> list[list[int]]:
        """Returns the ids of the best translation of each source that greedy decoding or a search finds."""
        if beam > 1:
            return [row[0].ids for row in self._search(batch, beam, length_penalty=length_penalty)]
        chosen = sampling_of(self.target_vocab, temperature=0.0, unknown=self._copies_unknown)
        return [row.ids for row in self._decode(batch, chosen)]

    def _search(self, batch: PairBatch, beam: int, **options: Any) -> list[list[Hypothesis]]:
        options["unknown"] = self._copies_unknown
        decoder, length = self.decoder(), self.config.max_length
        return search_ids(decoder, self.target_vocab, *self._start(decoder, batch), length, beam, **options)

    def _rows(self, batch: PairBatch, predictions: list[str]) -> list[dict[str, Any]]:
        sources, lengths, targets = batch.source.tolist(), batch.source_lengths.tolist(), batch.target.tolist()
        rows: list[dict[str, Any]] = []
        for source, length, target, text in zip(sources, lengths, targets, predictions, strict=True):
            row: dict[str, Any] = {"input": self.source_vocab.decode(source[:length]), "prediction": text}
            if len(target) > 1 and target[1] != IGNORE:
                row["target"] = self._text(target)
            rows.append(row)
        if batch.references is not None:
            for row, several in zip(rows, batch.references.tolist(), strict=True):
                row["references"] = [self._text(target) for target in several if target[0] != IGNORE]
        return rows

    def _text(self, target: list[int]) -> str:
        """Returns the text of a target with its start symbol, before padding."""
        return self.target_vocab.decode(number for number in target[1:] if number != IGNORE)

    @property
    def _copies_unknown(self) -> bool:
        """Whether `<unk>` may be predicted: it then stands for a symbol of the source."""
        return self.config.copy and UNK in self.target_vocab

    def _written(self, decoded: list[list[int]], batch: PairBatch, texts: Sequence[str]) -> list[str]:
        """Returns the texts of some ids. A copied `<unk>` is the unknown symbol of the source that was looked at most.

        Args:
            decoded: Ids, up to the end symbol.
            batch: Their sources.
            texts: The same, cleaned, as they were written.
        """
        vocab = self.target_vocab
        unknown = vocab.id(UNK) if self._copies_unknown else None
        if not any(unknown in ids for ids in decoded):
            return [vocab.decode(ids) for ids in decoded]
        weights = self.weights(batch, self._read(decoded))
        if UNK in self.source_vocab:  # before all others
            weights = weights + (batch.source == self.source_vocab.id(UNK))[:, None]
        found = []
        looked_at = weights.argmax(-1).tolist()
        for ids, text, length, looked in zip(decoded, texts, batch.source_lengths.tolist(), looked_at, strict=True):
            symbols = [*self.source_vocab.split(text)]
            if len(symbols) > length:  # unknown ones were skipped
                symbols = [symbol for symbol in symbols if symbol in self.source_vocab]
            known = [symbols[looked[t]] if number == unknown else vocab[number] for t, number in enumerate(ids)]
            found.append(join(known[: known.index(END)] if END in known else known, vocab.kind))
        return found

    def _read(self, decoded: list[list[int]]) -> Array:
        """Returns the ids (B, T) that the decoder has read before each symbol of some predictions."""
        start = self.target_vocab.id(START)
        return pad([[start, *ids[:-1]] for ids in decoded])

    def _cleaned(self, texts: str | Sequence[str]) -> list[str]:
        return [self.config.clean(text) for text in as_list(texts)]

    def _batch(self, texts: Sequence[str], on_unknown: OnUnknown | None = None) -> PairBatch:
        """Makes a batch of cleaned texts."""
        rows = [encode_text(self.source_vocab, text, on_unknown) for text in texts]
        source: Any = pad(rows)
        target: Any = np.full((len(rows), 2), IGNORE)
        target[:, 0] = self.target_vocab.id(START)
        lengths: Any = np.array([len(row) for row in rows])
        return PairBatch(source, lengths, target)

    def _start(self, decoder: Decoder, batch: PairBatch) -> tuple[Array, Any]:
        """Returns the first logits (B, V), and the state after them."""
        return decoder(np.full(len(batch.source), self.target_vocab.id(START)), self.encode(batch))

    def _decode(self, batch: PairBatch, sampling: Sampling = GREEDY, seed: int | None = None) -> list[Decoded]:
        """Decodes: each step reads the symbol that the previous step chose."""
        decoder, length, end = self.decoder(), self.config.max_length, self.target_vocab.id(END)
        seed = self.draw_seed() if seed is None else seed
        return collect(stream(decoder, *self._start(decoder, batch), length, sampling, seed=seed, end=end))
