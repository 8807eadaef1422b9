"""What sequence taggers do with texts."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from zoo import tags
from zoo.batch import IGNORE, TagBatch
from zoo.methods.arrays import Array, pad, softmax
from zoo.methods.base import Methods
from zoo.methods.session import Pushed
from zoo.methods.texts import TextConfig, as_list, encode_text
from zoo.symbols import join
from zoo.tags import Span
from zoo.vocab import UNK, OnUnknown, Vocab

Tokens = str | Sequence[str]  # a text, or its symbols


class Tagged(NamedTuple):
    """The tags of an input.

    Example:
        >>> Tagged(["in", "Paris"], ["O", "B-place"], [0.75, 0.5]).spans
        [Span(label='place', start=1, end=2)]
    """

    symbols: list[str]
    tags: list[str]
    probabilities: list[float]  # of each tag

    @property
    def spans(self) -> list[Span]:
        """The spans that tags as `B-X` and `I-X` mark."""
        return list(tags.spans(self.tags))


@dataclass(frozen=True, kw_only=True)
class SeqTaggerConfig(TextConfig):
    """Describes a `SeqTaggerModel`.

    Args:
        tags: Names of the tags in the order of their ids.
        vocab: The symbols in the order of their ids.
        bidirectional: Also read from the right.
        embedding_dim: Width of the symbols' embedding. None is one-hot.
        letters: The letters of the symbols, which are words, in the order of their ids: `<pad>`, `<unk>`, and others.
        spelling_size: Units of each direction of a network that reads the letters of a word. 0: words are not spelled.
        lowercase: See `TextConfig`, as for the other fields.
    """

    tags: tuple[str, ...]
    vocab: tuple[str, ...]
    bidirectional: bool = True
    embedding_dim: int | None = None
    letters: tuple[str, ...] | None = None
    spelling_size: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.spelling_size < 0:
            raise ValueError(f"spelling_size: got {self.spelling_size}, expected at least 0")
        if self.spelling_size and self.embedding_dim is None:
            raise ValueError("spelling_size: it needs an embedding_dim")
        if self.spelling_size and self.letters is None:
            raise ValueError(f"spelling_size: it needs the letters of words, and the symbols are {self.symbols}")


class SeqTaggerMethods(Methods):
    """Predicts a tag for each symbol of a text."""

    task_name = "seq_tagger"
    config_class = SeqTaggerConfig
    config: SeqTaggerConfig

    @cached_property
    def vocab(self) -> Vocab:
        """The symbols that the model reads."""
        return Vocab(self.config.vocab, self.config.symbols, self.config.tokenizer)

    @cached_property
    def edits(self) -> bool:
        """Whether the tags say how to edit the text, see `zoo.tags.edited`."""
        return tags.is_edits(self.config.tags)

    @abstractmethod
    def logits(self, batch: TagBatch) -> Array:
        """Maps the symbols of a batch to the logits of each tag (B, T, C), float32."""

    def tag(self, texts: Tokens | Sequence[Tokens], on_unknown: OnUnknown | None = None) -> list[Tagged]:
        """Predicts the tag of each symbol of some texts.

        Args:
            texts: A text, or a list of texts. Each is a string, or a list of its symbols, for example words.
            on_unknown: What to do with unknown symbols, see `zoo.Vocab.encode`. `skip` leaves them out.

        Returns:
            A list with the symbols of each text and their tags, also for a single text.

        Raises:
            ValueError: If a text is empty, or has an unknown symbol.
        """
        rows = self._symbols(texts, on_unknown)
        return self._tagged(self.logits(self._batch(rows, on_unknown)), rows)

    def push(self, values: Any, state: tuple[Array, ...], on_unknown: OnUnknown | None = None) -> Pushed:
        """See `Session.push`."""
        rows = self._symbols([values], on_unknown)
        batch = self._batch(rows, on_unknown)
        inputs = (batch.inputs, batch.lengths, *(() if batch.letters is None else (batch.letters,)))
        logits, state = self.advance(tuple(map(np.asarray, inputs)), state)
        return Pushed(self._tagged(logits, rows)[0], state, len(rows[0]))

    def edit(self, texts: str | Sequence[str], on_unknown: OnUnknown | None = None) -> list[str]:
        """Edits some texts as the tags say, for example restores upper case and punctuation.

        Raises:
            ValueError: If the tags of this model are no edits. See also `tag`.
        """
        if not self.edits:
            raise ValueError(f"edit: the tags of this model are no edits: {', '.join(self.config.tags[:8])}; use tag")
        return [tags.edited(found.symbols, found.tags) for found in self.tag(texts, on_unknown)]

    def infer(self, values: Any, on_unknown: OnUnknown | None = None) -> list[dict[str, Any]]:
        """Gives the tags of each input, see `tag`; or the edited text, if they are edits."""
        rows = self._symbols(values, on_unknown)
        return self._rows(self._batch(rows, on_unknown), rows)

    def answer(self, batch: TagBatch) -> list[dict[str, Any]]:
        """Gives the tags of each row, or the edited text, if they are edits."""
        names = self.config.vocab
        rows = [[names[number] for number in ids] for ids in batch.inputs.tolist()]
        if batch.letters is not None and self.config.letters is not None:  # they also tell unknown words
            known = Vocab(self.config.letters)
            spelled = [[known.decode([i for i in word if i]) for word in words] for words in batch.letters.tolist()]
            rows = [
                [name if UNK in word else word for name, word in zip(*both, strict=True)]
                for both in zip(rows, spelled, strict=True)
            ]
        lengths = batch.lengths.tolist()
        return self._rows(batch, [row[:length] for row, length in zip(rows, lengths, strict=True)])

    def _rows(self, batch: TagBatch, rows: list[list[str]]) -> list[dict[str, Any]]:
        found = []
        for (symbols, predicted, _), targets in zip(
            self._tagged(self.logits(batch), rows), batch.targets.tolist(), strict=True
        ):
            entry: dict[str, Any] = {"input": self._joined(symbols), "prediction": self._shown(symbols, predicted)}
            if targets[0] != IGNORE:
                real = [self.config.tags[target] for target in targets[: len(symbols)]]
                entry["target"] = self._shown(symbols, real)
            found.append(entry)
        return found

    def _joined(self, symbols: list[str]) -> str:
        return " ".join(symbols) if self.vocab.kind == "words" else join(symbols, self.vocab.kind)

    def _shown(self, symbols: list[str], found: list[str]) -> Any:
        return tags.edited(symbols, found) if self.edits else found

    def _tagged(self, logits: Array, rows: list[list[str]]) -> list[Tagged]:
        every = softmax(logits)
        chances, best = every.max(-1), every.argmax(-1)
        names = self.config.tags
        return [
            Tagged(row, [names[number] for number in ids[: len(row)]], sure[: len(row)])
            for row, ids, sure in zip(rows, best.tolist(), chances.tolist(), strict=True)
        ]

    @property
    def takes(self) -> str:
        """See `Model`."""
        return "texts"

    def _symbols(self, texts: Tokens | Sequence[Tokens], on_unknown: OnUnknown | None = None) -> list[list[str]]:
        """Returns the symbols of each text, without those to skip."""
        given = [texts] if isinstance(texts, str) else texts
        rows = [self._split(text) for text in (given if isinstance(given, list | tuple) else [given])]
        if not rows:
            raise ValueError("got no text, expected at least one")
        return [[one for one in row if one in self.vocab] for row in rows] if on_unknown == "skip" else rows

    def _split(self, text: Any) -> list[str]:
        if isinstance(text, list | tuple):  # its symbols
            return [self.config.clean(symbol) for symbol in as_list(text)]
        (whole,) = as_list(text)
        cleaned = self.config.clean(whole)
        return cleaned.split() if self.vocab.kind == "words" else list(self.vocab.split(cleaned))

    def _batch(self, rows: list[list[str]], on_unknown: OnUnknown | None = None) -> TagBatch:
        ids = [encode_text(self.vocab, row, on_unknown) for row in rows]
        padded: Any = pad(ids)
        lengths: Any = np.array([len(row) for row in ids])
        return TagBatch(padded, np.full_like(padded, IGNORE), lengths, self._spelled(rows))

    def _spelled(self, rows: list[list[str]]) -> Any:
        """Returns the letters of each word (B, T, L), if the model reads them."""
        if self.config.letters is None or not self.config.spelling_size:
            return None
        known = Vocab(self.config.letters)
        flat = pad([known.encode(word) for row in rows for word in row])
        return pad(np.split(flat, np.cumsum([len(row) for row in rows])[:-1]))
