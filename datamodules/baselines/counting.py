"""Baselines that count: the most common answer, a table of prefixes, and character n-grams."""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

ORDER = 5  # of the n-grams


def majority(train: Iterable[Hashable], answers: Sequence[Hashable]) -> float:
    """Returns the share of answers that are the most common one of the training part."""
    return answers.count(Counter(train).most_common(1)[0][0]) / len(answers)


def backoff(train: list[str], words: list[str]) -> list[str]:
    """Returns the most common last letter after the longest suffix of each word's beginning that the table has.

    Ties go to the letter that is more common in general.
    """
    general = Counter(word[-1] for word in train)
    table: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for word in train:
        for start in range(len(word)):
            table[word[start:-1]][word[-1]] += 1
    guesses = []
    for word in words:
        known = next(word[start:-1] for start in range(len(word)) if word[start:-1] in table)
        guesses.append(max(table[known], key=lambda letter: (table[known][letter], general[letter])))
    return guesses


def ngram_bits(train: list[str], test: list[str], symbols: int, order: int = ORDER) -> float:
    """Returns the bits per character of an n-gram model (Witten and Bell 1991), each text read from its beginning.

    The chance of c after the context h is (count(h c) + kinds(h) p(c | h without its first)) /
    (count(h) + kinds(h)), where kinds(h) is how many different characters came after h; below the
    shortest context all symbols are equally likely.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text in train:
        for i, symbol in enumerate(text):
            for n in range(min(order - 1, i) + 1):
                counts[text[i - n : i]][symbol] += 1
    totals = {context: sum(found.values()) for context, found in counts.items()}
    bits, characters = 0.0, 0
    for text in test:
        for i in range(1, len(text)):
            chance = 1.0 / symbols
            for n in range(min(order - 1, i) + 1):
                context = text[i - n : i]
                if context not in totals:
                    break
                kinds = len(counts[context])
                chance = (counts[context][text[i]] + kinds * chance) / (totals[context] + kinds)
            bits -= math.log2(chance)
        characters += len(text) - 1
    return bits / characters


def share(guesses: list[str], answers: list[str]) -> float:
    """Returns the share of right guesses."""
    return sum(guess == answer for guess, answer in zip(guesses, answers, strict=True)) / len(answers)
