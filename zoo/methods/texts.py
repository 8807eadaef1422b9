"""What models that generate texts share: checking texts, and beam search with texts as results."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from zoo import html
from zoo.checks import brief
from zoo.decoding import Array, Decoder, Hypothesis, LengthPenalty, Sampling, beam_search
from zoo.methods.config import ModelConfig
from zoo.vocab import END, PAD, START, UNK, OnUnknown, SymbolKind, Vocab

Normalization = Literal["NFC", "NFD", "NFKC", "NFKD"]


@dataclass(frozen=True, kw_only=True)
class CleaningConfig(ModelConfig):
    """The fields of models that read texts: how a text is cleaned.

    Args:
        lowercase: Whether to convert texts to lower case.
        normalization: A Unicode normal form, applied first.
        hidden_size: See `ModelConfig`, as for the other fields.
    """

    lowercase: bool = False
    normalization: Normalization | None = None

    def clean(self, text: str) -> str:
        """Returns a text as the model reads it."""
        text = text if self.normalization is None else unicodedata.normalize(self.normalization, text)
        return text.lower() if self.lowercase else text


@dataclass(frozen=True, kw_only=True)
class TextConfig(CleaningConfig):
    """The fields of models that read texts of one kind: also how a text is split into symbols.

    Args:
        symbols: `characters`, `bytes`, `words` or `bpe`, see `zoo.symbols`.
        tokenizer: For `bpe`: the tokenizer, as JSON of Hugging Face's `tokenizers`.
        lowercase: See `CleaningConfig`, as for the other fields.
    """

    symbols: SymbolKind = "characters"
    tokenizer: str | None = None


class ScoredText(NamedTuple):
    """A text that beam search found.

    Example:
        >>> ScoredText("on", -1.75, -0.875)
        ScoredText('on', log_prob -1.7500, score -0.8750)
    """

    text: str
    log_prob: float  # of the whole text, natural logarithm
    score: float  # log_prob divided by the length penalty; texts are ranked by it

    def __repr__(self) -> str:
        return f"ScoredText({self.text!r}, log_prob {self.log_prob:.4f}, score {self.score:.4f})"

    def _repr_html_(self) -> str:
        return html.scored(self.text, self.log_prob, self.score)


def as_list(texts: str | Sequence[str]) -> list[str]:
    """Returns texts as a list. A single text becomes a list of one.

    Raises:
        ValueError: If one is not a string, or is empty.
    """
    found: list[Any] = list(texts) if isinstance(texts, list | tuple) else [texts]
    for text in found or [found]:
        if not isinstance(text, str) or not text:
            kind = "an empty text" if isinstance(text, str) else brief(text)
            raise ValueError(f"got {kind}, expected a text, or a list of texts; none may be empty")
    return found


def encode_text(vocab: Vocab, text: Iterable[str], on_unknown: OnUnknown | None) -> list[int]:
    """Returns the ids of a text, or of its symbols, at least one. See `Vocab.encode`.

    Raises:
        ValueError: If a symbol is unknown, or if no symbol is known.
    """
    ids = vocab.encode(text, on_unknown)
    if not ids:
        raise ValueError("got a text without any known symbol")
    return ids


def end_of(vocab: Vocab) -> int | None:
    """Returns the id of the end symbol, or None if the vocabulary has none."""
    return vocab.id(END) if END in vocab else None


def sampling_of(
    vocab: Vocab, allowed: str | None = None, forbidden: str = "", unknown: bool = False, **options: Any
) -> Sampling:
    """Makes a `Sampling` from strings of allowed and forbidden symbols.

    The end symbol is always allowed. With `<unk>` in the vocabulary, `<pad>` and `<start>` never are, and neither is
    `<unk>`, unless `unknown` says so.

    Raises:
        ValueError: If an option is outside its range, or a symbol is not in the vocabulary.
    """
    end = end_of(vocab)
    ids = None if allowed is None else (*vocab.encode(allowed, "error"), *(() if end is None else (end,)))
    special = (PAD, START) if unknown else (UNK, PAD, START)
    never = [vocab.id(symbol) for symbol in special if UNK in vocab and symbol in vocab]
    return Sampling(allowed=ids, forbidden=(*vocab.encode(forbidden, "error"), *never), **options)


def search_ids(
    decoder: Decoder,
    vocab: Vocab,
    logits: Array,
    state: Any,
    length: int,
    beam: int,
    *,
    length_penalty: LengthPenalty = "none",
    alpha: float = 0.6,
    coverage: float = 0.0,
    allowed: str | None = None,
    forbidden: str = "",
    unknown: bool = False,
) -> list[list[Hypothesis]]:
    """Finds the most likely sequences of each row, the best one first.

    Args:
        decoder: What predicts the next symbol.
        vocab: Its symbols.
        logits: Logits of the first symbol (B, V).
        state: The state after them.
        length: Maximum number of symbols.
        beam: See `zoo.decoding.beam_search`, as for `length_penalty`, `alpha` and `coverage`.
        length_penalty: `none`, `average` or `wu`.
        alpha: The exponent of `wu`.
        coverage: The factor of the coverage penalty.
        allowed: The only symbols to predict. None allows all.
        forbidden: Symbols never to predict.
        unknown: Whether `<unk>` may be predicted.
    """
    return beam_search(
        decoder,
        logits,
        state,
        length,
        beam,
        end=end_of(vocab),
        length_penalty=length_penalty,
        alpha=alpha,
        coverage=coverage,
        sampling=sampling_of(vocab, allowed, forbidden, unknown),
    )
