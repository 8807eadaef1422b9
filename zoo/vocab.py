"""Symbols and their ids.

A vocabulary is an ordered list of symbols: characters, bytes, words or those of a BPE tokenizer. The id
of a symbol is its position in the list. A vocabulary is a plain Python object without tensors.
Checkpoints and JSON store it as a list of strings.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Literal, get_args

from zoo.symbols import Spacing, SymbolKind, characters_of, check_symbol_kind, join, load_tokenizer, split

PAD, START, END, UNK = "<pad>", "<start>", "<end>", "<unk>"
OnUnknown = Literal["error", "skip", "unk"]


class Vocab(Sequence[str]):
    """An ordered set of symbols.

    Args:
        symbols: The symbols in the order of their ids. Usually single characters, and the special
            symbols `<pad>`, `<start>` and `<end>` if a task needs them, and `<unk>`, which stands for
            all other symbols.
        kind: How texts are split into symbols: `characters`, `bytes`, `words` or `bpe`, see `zoo.symbols`.
        tokenizer: For `bpe`: the tokenizer, as JSON of Hugging Face's `tokenizers`.

    Raises:
        ValueError: If there are no symbols, if there is a duplicate, or if the tokenizer is not one of
            byte-level BPE, or has other symbols.

    Example:
        >>> vocab = Vocab.of("hello")
        >>> vocab.encode("hole")
        [1, 3, 2, 0]
        >>> vocab.decode([1, 3, 2, 0])
        'hole'
    """

    def __init__(self, symbols: Iterable[str], kind: SymbolKind = "characters", tokenizer: str | None = None) -> None:
        self.symbols, self.kind, self.tokenizer = tuple(symbols), kind, tokenizer
        self._ids = {symbol: number for number, symbol in enumerate(self.symbols)}
        if not self.symbols:
            raise ValueError("vocab: got no symbols, expected at least one")
        if len(self._ids) != len(self.symbols):
            twice = next(s for i, s in enumerate(self.symbols) if self._ids[s] != i)
            raise ValueError(f"vocab: duplicate symbol {twice!r}")
        check_symbol_kind(kind)
        if (kind == "bpe") != (tokenizer is not None):
            raise ValueError(f"tokenizer: got {'none' if kind == 'bpe' else 'one'}, with {kind} as symbols")
        if tokenizer is not None and (missing := load_tokenizer(tokenizer).get_vocab().keys() - self._ids.keys()):
            raise ValueError(f"tokenizer: it has {len(missing):,} symbols that the vocabulary lacks: {min(missing)!r}")

    @classmethod
    def of(cls, text: Iterable[str], specials: Sequence[str] = ()) -> "Vocab":
        """The vocabulary of a text: the special symbols, then the distinct characters, sorted."""
        return cls([*specials, *sorted(set(text))])

    def __len__(self) -> int:
        return len(self.symbols)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self.symbols[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._ids

    def __eq__(self, other: object) -> bool:
        mine = (self.symbols, self.kind, self.tokenizer)
        return isinstance(other, Vocab) and mine == (other.symbols, other.kind, other.tokenizer)

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"Vocab({len(self)} symbols: {describe_symbols(self.symbols)})"

    def id(self, symbol: str) -> int:
        """The id of one symbol.

        Raises:
            ValueError: If it is not in the vocabulary.
        """
        if symbol not in self._ids:
            raise ValueError(f"the symbol {symbol!r} is not among the {describe(self)}")
        return self._ids[symbol]

    def split(self, text: Iterable[str]) -> Iterable[str]:
        """The symbols of a text. Symbols that are already split stay as they are."""
        whole = isinstance(text, str) and self.kind != "characters"
        return split(text, self.kind, self.tokenizer) if whole else text  # type: ignore[arg-type]

    def unknown(self, text: Iterable[str]) -> Counter[str]:
        """The symbols of a text that are not in the vocabulary, with their counts.

        Example:
            >>> Vocab.of("abc").unknown("abxax")
            Counter({'x': 2})
        """
        return Counter([symbol for symbol in self.split(text) if symbol not in self._ids])

    def encode(self, text: Iterable[str], on_unknown: OnUnknown | None = None) -> list[int]:
        """The ids of a text's symbols.

        Args:
            text: The text, or a list of symbols.
            on_unknown: What to do with a symbol that is not in the vocabulary: `error`, `skip`, or
                `unk`, which replaces it with `<unk>`. None: `unk` if the vocabulary has `<unk>`,
                otherwise `error`.

        Raises:
            ValueError: If a symbol is not in the vocabulary. The message gives its position.
        """
        ids, text = self._ids, self.split(text)
        if on_unknown not in (None, *get_args(OnUnknown)):
            raise ValueError(f"on_unknown: got {on_unknown!r}, expected one of {', '.join(get_args(OnUnknown))}")
        if on_unknown == "unk" and UNK not in ids:
            raise ValueError(f"on_unknown: got unk, but this vocabulary has no {UNK}; use error or skip")
        if on_unknown == "skip":
            return [ids[symbol] for symbol in text if symbol in ids]
        if on_unknown != "error" and UNK in ids:
            return [ids.get(symbol, ids[UNK]) for symbol in text]
        try:
            return [ids[symbol] for symbol in text]
        except KeyError:
            position, symbol = next((i, s) for i, s in enumerate(text) if s not in ids)
            raise ValueError(
                f"the symbol {symbol!r} at position {position} is not among the {describe(self)}"
            ) from None

    def decode(self, ids: Iterable[int], before: int | None = None) -> str:
        """The text of some ids, up to the first `<end>`.

        Other special symbols stay visible, as `<pad>` and `<start>`. Skip the `<start>` at the
        beginning of a target before you decode it.

        Args:
            ids: The ids.
            before: The id before them: between words, it decides whether the text begins with a space.

        Example:
            >>> vocab = Vocab(["<pad>", "<start>", "<end>", "a", "b"])
            >>> vocab.decode([3, 4, 2, 0]), vocab.decode([3, 0, 4])
            ('ab', 'a<pad>b')
        """
        symbols = takewhile(lambda symbol: symbol != END, (self.symbols[number] for number in ids))
        return join(symbols, self.kind, "" if before is None else self.symbols[before])

    def spacings(self) -> list[Spacing]:
        """How many characters each symbol stands for, and whether spaces are usual beside it."""
        return [characters_of(symbol, self.kind) for symbol in self.symbols]


def describe(vocab: Sequence[str]) -> str:
    """A short description of a vocabulary, for messages."""
    return f"{len(vocab)} symbols {describe_symbols(vocab)}"


def describe_symbols(symbols: Sequence[str], limit: int = 12) -> str:
    """The first symbols, quoted, for messages."""
    shown = " ".join(repr(symbol) for symbol in symbols[:limit])
    return shown if len(symbols) <= limit else f"{shown} ..."
