"""What completing a held-out word is worth without a network.

    python benchmarks/word_baselines.py [--config configs/words_gutenberg.yaml]

Two baselines on the config's own split, both fitted on its training words alone:

- majority: the commonest last letter;
- back-off prefix table: the commonest last letter after the same three letters; if they never came, after the
  same last two of them, the same last one, and at the end the majority. Ties go to the letter that is commoner in
  general.
"""

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import yaml

from datamodules import WordCompletion


def majority(train: list[str], words: list[str]) -> list[str]:
    """The commonest last letter, for every word."""
    letter = Counter(word[-1] for word in train).most_common(1)[0][0]
    return [letter] * len(words)


def backoff(train: list[str], words: list[str]) -> list[str]:
    """The commonest last letter after the longest suffix of the word's beginning that the table has."""
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


def main() -> None:
    """Prints both accuracies on the test words."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/words_gutenberg.yaml")
    config = yaml.safe_load(Path(parser.parse_args().config).read_text())
    data = WordCompletion(**config["data"]["init_args"])
    data.prepare_data()
    data.setup()
    train, test = data.split_words["train"], data.split_words["test"]
    print(f"{len(train)} words to learn from, {len(test)} test words")
    for name, guess in (("majority", majority), ("back-off prefix table", backoff)):
        right = sum(letter == word[-1] for letter, word in zip(guess(train, test), test, strict=True))
        print(f"{name:<22} test/accuracy {right / len(test):.4f}  ({right} of {len(test)})")


if __name__ == "__main__":
    main()
