"""Symbols and their numbers.

A vocabulary is an ordered list of symbols; a symbol's id is its place in the list. It is a plain
Python object: it knows nothing of tensors, and it travels as a list of strings, so that it fits
into a checkpoint and into JSON.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

PAD, START, END = "<pad>", "<start>", "<end>"
OnUnknown = Literal["error", "skip"]


class Vocab(Sequence[str]):
    """An ordered set of symbols.

    Args:
        symbols: The symbols in the order of their ids. Usually single characters, and the special
            symbols `<pad>`, `<start>` and `<end>` where a task needs them.

    Raises:
        ValueError: If there are no symbols, or one stands there twice.

    Example:
        >>> vocab = Vocab.of("hello")
        >>> vocab.encode("hole")
        [1, 3, 2, 0]
        >>> vocab.decode([1, 3, 2, 0])
        'hole'
    """

    def __init__(self, symbols: Iterable[str]) -> None:
        self.symbols = tuple(symbols)
        self._ids = {symbol: number for number, symbol in enumerate(self.symbols)}
        if not self.symbols:
            raise ValueError("vocab: got no symbols, expected at least one")
        if len(self._ids) != len(self.symbols):
            twice = next(s for i, s in enumerate(self.symbols) if self._ids[s] != i)
            raise ValueError(f"vocab: the symbol {twice!r} stands there twice")

    @classmethod
    def of(cls, text: Iterable[str], specials: Sequence[str] = ()) -> "Vocab":
        """The vocabulary of a text: the special symbols, then each character once, sorted."""
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
        return isinstance(other, Vocab) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"Vocab({len(self)} symbols: {describe_symbols(self.symbols)})"

    def id(self, symbol: str) -> int:
        """The id of one symbol.

        Raises:
            ValueError: If the vocabulary lacks it.
        """
        if symbol not in self._ids:
            raise ValueError(f"the symbol {symbol!r} is not among the {describe(self)}")
        return self._ids[symbol]

    def encode(self, text: Iterable[str], on_unknown: OnUnknown = "error") -> list[int]:
        """The ids of a text's characters.

        Args:
            text: The text.
            on_unknown: What to do with a character outside the vocabulary: `error` or `skip`.

        Raises:
            ValueError: If a character is outside the vocabulary; it names it and its position.
        """
        ids = self._ids
        if on_unknown == "skip":
            return [ids[symbol] for symbol in text if symbol in ids]
        if on_unknown != "error":
            raise ValueError(f"on_unknown: got {on_unknown!r}, expected error or skip")
        try:
            return [ids[symbol] for symbol in text]
        except KeyError:
            position, symbol = next((i, s) for i, s in enumerate(text) if s not in ids)
            raise ValueError(
                f"the symbol {symbol!r} at position {position} is not among the {describe(self)}"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids: it stops before `<end>`, and leaves `<pad>` and `<start>` out."""
        text = []
        for number in ids:
            symbol = self.symbols[number]
            if symbol == END:
                break
            if symbol not in (PAD, START):
                text.append(symbol)
        return "".join(text)


def describe(vocab: Sequence[str]) -> str:
    """A vocabulary in a few words, for messages."""
    return f"{len(vocab)} symbols {describe_symbols(vocab)}"


def describe_symbols(symbols: Sequence[str], limit: int = 12) -> str:
    """The first symbols, quoted, for messages."""
    shown = " ".join(repr(symbol) for symbol in symbols[:limit])
    return shown if len(symbols) <= limit else f"{shown} ..."
