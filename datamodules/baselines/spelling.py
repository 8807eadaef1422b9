"""A baseline for pronunciations: that of the word that is spelled most alike."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

NGRAM = 3  # letters


def nearest(known: Sequence[str], words: Sequence[str]) -> list[int]:
    """Returns, for each word, the place of the known word that shares most of its letter trigrams (Dice's coefficient).

    Words have a mark at both ends. Of equal ones, the first is taken.

    Example:
        >>> nearest(["cat", "house", "mouse"], ["mousse", "at"])
        [2, 0]
    """
    places: defaultdict[str, list[int]] = defaultdict(list)
    sizes = np.zeros(len(known))
    for place, word in enumerate(known):
        found = ngrams(word)
        sizes[place] = len(found)
        for ngram in found:
            places[ngram].append(place)
    arrays = {ngram: np.array(found) for ngram, found in places.items()}
    best = []
    for word in words:
        found = ngrams(word)
        shared = np.zeros(len(known))
        for ngram in found:
            if ngram in arrays:
                shared[arrays[ngram]] += 1
        best.append(int((2 * shared / (sizes + len(found))).argmax()))
    return best


def symbol_error_rate(guesses: Sequence[Sequence[int]], right: Sequence[Sequence[Sequence[int]]]) -> float:
    """Returns the errors per symbol of guesses. Of several right ones, the nearest counts, and the first of these.

    Example:
        >>> symbol_error_rate([[1, 2, 3]], [[[4, 2, 3], [5, 6, 7, 8]]])
        0.3333333333333333
    """
    from torchmetrics.functional.text import edit_distance

    errors = count = 0
    for guess, several in zip(guesses, right, strict=True):
        texts = ["".join(map(chr, ids)) for ids in several]
        distances = edit_distance(["".join(map(chr, guess))] * len(texts), texts, reduction="none").tolist()
        nearest = min(range(len(texts)), key=distances.__getitem__)
        errors, count = errors + int(distances[nearest]), count + len(texts[nearest])
    return errors / count


def ngrams(word: str) -> set[str]:
    """The distinct trigrams of a word with a mark at both ends."""
    marked = f"^{word}$"
    return {marked[start : start + NGRAM] for start in range(max(1, len(marked) - NGRAM + 1))}
