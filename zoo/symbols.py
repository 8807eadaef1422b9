"""Ways to split a text into symbols, and to join symbols into a text.

- `characters`: each character.
- `bytes`: each byte of the text in UTF-8. The symbol of byte 65 is `A`, that of byte 200 is `È`.
- `words`: words, punctuation marks and white space. A single space is left out where one is usual: not before
  a comma, not after an opening bracket. Where the text differs from this rule, a symbol says so: a space, or
  `GLUE`. So joining gives the same text, and `cat` is one symbol wherever it stands.
- `bpe`: byte-level byte pair encoding (Sennrich et al. 2016; on bytes: Radford et al. 2019), by Hugging Face's
  `tokenizers`.
"""

import codecs
import json
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

SymbolKind = Literal["characters", "bytes", "words", "bpe"]

GLUE = "\u2060"  # Unicode's word joiner: no space here
WORD = re.compile(r"\w+(?:['\u2019]\w+)*|\s|[^\w\s]")
OPENING = frozenset("([{\u00ab\u201c\u2018\u00a1\u00bf")
CLOSING = frozenset(")]}\u00bb\u201d\u2019.,;:!?%\u2026")
SPECIALS = frozenset({"<pad>", "<start>", "<end>", "<unk>"})


class Spacing(NamedTuple):
    """How many characters a symbol stands for, and whether a space is usual on each of its sides."""

    characters: int
    before: bool
    after: bool


def check_symbol_kind(kind: str) -> None:
    """Raises ValueError if there is no such kind of symbols."""
    if kind not in get_args(SymbolKind):
        raise ValueError(f"symbols: got {kind!r}, expected one of {', '.join(get_args(SymbolKind))}")


def split(text: str, kind: SymbolKind, tokenizer: str | None = None) -> list[str]:
    """Returns the symbols of a text.

    Args:
        text: The text.
        kind: How to split it.
        tokenizer: For `bpe`: the tokenizer, as JSON of Hugging Face's `tokenizers`.

    Example:
        >>> split("Oh dear! (said she)", "words")
        ['Oh', 'dear', '!', '(', 'said', 'she', ')']
        >>> split("é", "bytes")
        ['Ã', '©']
    """
    if kind == "words":
        return split_words(text)
    if kind == "bytes":
        return list(text.encode("utf-8", "surrogateescape").decode("latin-1"))
    if kind == "bpe":
        return load_tokenizer(tokenizer or "").encode(text, add_special_tokens=False).tokens
    return list(text)


def split_words(text: str) -> list[str]:
    """Returns the words of a text, see `split`."""
    found: list[str] = []
    last, gap = "", True  # whether there was a space since the last symbol; at the start, nothing is usual
    for piece in WORD.findall(text):
        if piece == " " and last and not gap and spacing(last).after:
            gap = True
            continue
        usual = bool(last) and spacing(last).after and spacing(piece).before
        if gap and last and not usual:
            found.append(" ")  # a space where none is usual
        elif not gap and usual:
            found.append(GLUE)
        found.append(piece)
        last, gap = piece, False
    if gap and last:
        found.append(" ")
    return found


def join(symbols: Iterable[str], kind: SymbolKind, before: str = "") -> str:
    """Returns the text of some symbols. Special symbols stay visible, as `<unk>`.

    Args:
        symbols: The symbols.
        kind: How they were split.
        before: For `words`: the symbol before them.

    Example:
        >>> join(["Oh", "dear", "!"], "words")
        'Oh dear!'
    """
    joiner = Joiner(kind, before)
    return "".join([*map(joiner.add, symbols), joiner.end()])


class Joiner:
    """Joins symbols that come one by one.

    Args:
        kind: How they were split.
        before: For `words`: the symbol before the first one.
    """

    def __init__(self, kind: SymbolKind, before: str = "") -> None:
        self.kind, self.last = kind, before
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, symbol: str) -> str:
        """Returns what the next symbol adds to the text: nothing for a part of a character."""
        if self.kind == "characters":
            return symbol
        if self.kind == "words":
            space = " " if self.last and spacing(self.last).after and spacing(symbol).before else ""
            self.last = symbol
            return space + ("" if symbol == GLUE else symbol)
        if symbol in SPECIALS:
            return self.decoder.decode(b"", True) + symbol
        return self.decoder.decode(bytes_of(symbol, self.kind))

    def end(self) -> str:
        """Returns the rest: a replacement character if the text ends within a character."""
        return self.decoder.decode(b"", True)


def bytes_of(symbol: str, kind: SymbolKind) -> bytes:
    """Returns the bytes that a symbol of kind `bytes` or `bpe` stands for."""
    if kind == "bytes":
        return symbol.encode("latin-1")
    table = byte_letters()
    return bytes(table[letter] for letter in symbol) if all(letter in table for letter in symbol) else symbol.encode()


@lru_cache(maxsize=1)
def byte_letters() -> dict[str, int]:
    """Returns the letter that byte-level BPE writes for each byte: itself if it is printable, else one from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(rest)}


@lru_cache(maxsize=2**16)
def spacing(symbol: str) -> Spacing:
    """Returns the size of a word, and whether spaces are usual beside it. An unknown word has no characters.

    Example:
        >>> spacing("cat"), spacing(",")
        (Spacing(characters=3, before=True, after=True), Spacing(characters=1, before=False, after=True))
    """
    if symbol == "<unk>":
        return Spacing(0, True, True)
    if symbol in SPECIALS or symbol == GLUE:
        return Spacing(0, False, False)
    if symbol.isspace():
        return Spacing(len(symbol), False, False)
    return Spacing(len(symbol), symbol not in CLOSING, symbol not in OPENING)


def characters_of(symbol: str, kind: SymbolKind) -> Spacing:
    """Returns how many characters of a text a symbol stands for. A character of several bytes counts at its first."""
    if kind == "words":
        return spacing(symbol)
    if kind == "characters" or symbol in SPECIALS:
        return Spacing(int(symbol not in SPECIALS or symbol == "<unk>"), False, False)
    return Spacing(sum(byte & 0xC0 != 0x80 for byte in bytes_of(symbol, kind)), False, False)


@lru_cache(maxsize=8)
def load_tokenizer(text: str) -> Any:
    """Returns a `tokenizers.Tokenizer` from its JSON.

    Raises:
        ValueError: If it is not a byte-level BPE tokenizer.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # otherwise it warns when a process forks
    from tokenizers import Tokenizer

    try:
        parsed = json.loads(text)
        kind, decoder = parsed["model"]["type"], (parsed["decoder"] or {}).get("type")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("tokenizer: expected a tokenizer.json of Hugging Face's tokenizers") from error
    if (kind, decoder) != ("BPE", "ByteLevel"):
        raise ValueError(f"tokenizer: got {kind} with the decoder {decoder}, expected byte-level BPE")
    try:
        return Tokenizer.from_str(text)
    except BaseException as error:  # a panic of the library is not an Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise ValueError(f"tokenizer: can't be read: {error}") from error
