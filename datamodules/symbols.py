"""Vocabularies learned from texts, and tokenizers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from datamodules.sources.files import check_file
from zoo.vocab import UNK, SymbolKind, Vocab, check_symbol_kind, load_tokenizer, split

BPE_SIZE = 4096  # symbols of a trained tokenizer, by default
SMALLEST_BPE = 257  # 256 bytes, and one merge


def check_symbols(symbols: SymbolKind, min_count: int | None, vocab_size: int | None, tokenizer: str | None) -> None:
    """Checks the options of a vocabulary.

    Raises:
        ValueError: If one is out of range, or has no effect with these symbols.
    """
    check_symbol_kind(symbols)
    if min_count is not None and (min_count < 1 or symbols not in ("characters", "words")):
        expected = "at least 1" if min_count < 1 else "none: every text can be written in them"
        raise ValueError(f"min_count: got {min_count}, with {symbols} as symbols; expected {expected}")
    if vocab_size is not None and (symbols != "bpe" or tokenizer is not None):
        raise ValueError(f"vocab_size: got {vocab_size}, but only a new bpe tokenizer has a size to choose")
    if vocab_size is not None and vocab_size < SMALLEST_BPE:
        raise ValueError(f"vocab_size: got {vocab_size}, expected at least {SMALLEST_BPE}")
    if tokenizer is not None and symbols != "bpe":
        raise ValueError(f"tokenizer: got {tokenizer}, with {symbols} as symbols; use symbols bpe")


def learn_vocab(
    train: Iterable[str],
    others: Iterable[str] = (),
    *,
    symbols: SymbolKind = "characters",
    specials: Sequence[str] = (),
    min_count: int | None = None,
    vocab_size: int | None = None,
    tokenizer: str | None = None,
) -> Vocab:
    """Returns the vocabulary of some texts.

    Args:
        train: The texts of the training part.
        others: Those of the other parts: their characters are in the vocabulary, unless `min_count` is set.
        symbols: How texts are split, see `zoo.symbols`.
        specials: Special symbols, which come first.
        min_count: For characters and words: symbols that occur fewer times in the training part become `<unk>`.
            None: for characters, there is no `<unk>`; for words, 1.
        vocab_size: For `bpe`: how many symbols to learn, at most, without the special ones. Default: 4,096.
        tokenizer: For `bpe`: the path of a tokenizer.json, which replaces the training.

    Raises:
        ValueError: If the tokenizer can't be read, or is not byte-level BPE.
    """
    if symbols == "bytes":
        return Vocab([*specials, *map(chr, range(256))], "bytes")
    if symbols == "bpe":
        text = read_tokenizer(tokenizer) if tokenizer else train_bpe(train, vocab_size or BPE_SIZE)
        return bpe_vocab(text, specials)
    if symbols == "characters" and min_count is None:
        return Vocab.of(set().union(*map(set, chain(train, others))), specials)
    counts: Counter[str] = Counter()
    for text in train:
        counts.update(split(text, symbols))
    return counted_vocab(counts, symbols, specials, min_count or 1)


def counted_vocab(counts: Counter[str], symbols: SymbolKind, specials: Sequence[str], min_count: int) -> Vocab:
    """Returns `<unk>` and the symbols that occur often enough: words by count, characters sorted."""
    frequent = sorted(symbol for symbol, count in counts.items() if count >= min_count)
    if symbols == "words":
        frequent.sort(key=lambda word: -counts[word])
    return Vocab([*specials, UNK, *frequent], symbols)


def bpe_vocab(tokenizer: str, specials: Sequence[str] = ()) -> Vocab:
    """Returns the vocabulary of a BPE tokenizer: special symbols, then its own in their order."""
    ids: dict[str, int] = load_tokenizer(tokenizer).get_vocab()
    return Vocab([*specials, *sorted(ids, key=ids.__getitem__)], "bpe", tokenizer)


def read_tokenizer(path: str) -> str:
    """Returns the JSON of a tokenizer file.

    Raises:
        FileNotFoundError: If the file is not found.
        ValueError: If it is not a byte-level BPE tokenizer of Hugging Face's `tokenizers`.
    """
    file: Path = check_file(path)
    try:
        text = file.read_text(encoding="utf-8")
        load_tokenizer(text)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    return text


def train_bpe(texts: Iterable[str], vocab_size: int) -> str:
    """Trains a byte-level BPE tokenizer, and returns its JSON. Every text can be written in its symbols."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str())
