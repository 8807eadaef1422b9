"""What each config's figure is worth without a network: the naive guess on the same data.

    python benchmarks/baselines.py configs/words_gutenberg.yaml configs/alice_lstm_heldout.yaml

Every baseline is fitted on the training part alone, and scored on the part that the config is scored on:

- a text: a character 5-gram model, interpolated after Witten and Bell (1991), in bits per character;
- a word's last letter: the commonest one after the same three letters; if they never came, after the same last two
  of them, the same last one, and at the end in general. Ties go to the letter that is commoner in general;
- other classes, and pairs: the commonest answer;
- numbers: the last one of the sequence again.
"""

import argparse
import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import yaml

import datamodules
from datamodules import NumericSequences, SequenceData, TimeSeries, ToySeq2Seq, WordCompletion
from datamodules.text import TextData

ORDER = 5


class Baseline(NamedTuple):
    """A naive guess, and what it reaches in the metric of its task."""

    name: str
    value: float


def load_data(config: Path) -> SequenceData:
    """The data of a config, set up."""
    given = yaml.safe_load(config.read_text())["data"]
    data = getattr(datamodules, given["class_path"])(**given["init_args"])
    data.prepare_data()
    data.setup()
    return data


def majority(train: list[str], count: int) -> list[str]:
    """The commonest answer, as often as asked."""
    return [Counter(train).most_common(1)[0][0]] * count


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


def ngram_bits(train: list[str], test: list[str], symbols: int, order: int = ORDER) -> float:
    """Bits per character of an n-gram model, each text read from its beginning.

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
    """How many guesses are right."""
    return sum(guess == answer for guess, answer in zip(guesses, answers, strict=True)) / len(answers)


def baseline(data: SequenceData) -> Baseline:
    """The naive guess for some data, scored on its last part."""
    part = data.last_part()
    if isinstance(data, TextData):
        texts = {name: [data.vocab.decode(piece.tolist()) for piece in pieces] for name, pieces in data.cut().items()}
        return Baseline(f"character {ORDER}-gram", ngram_bits(texts["train"], texts[part], len(data.vocab)))
    if isinstance(data, WordCompletion):
        train = data.split_words["train"]
        words = data.split_words.get(part, train)
        return Baseline("prefix table", share(backoff(train, words), [word[-1] for word in words]))
    if isinstance(data, TimeSeries):
        found = {name: errors["mae"] for name, errors in data.baselines(part).items()}
        best = min(found, key=lambda name: found[name])
        others = [f"{name} {value:.4f}" for name, value in found.items() if name != best]
        return Baseline(", ".join([*others, best]), found[best])
    if isinstance(data, NumericSequences):
        batch = data.parts[part].rows
        return Baseline("last value", float((batch.inputs[:, -1] - batch.targets).abs().mean()))
    field = "target" if isinstance(data, ToySeq2Seq) else "targets"
    train, answers = ([str(row.tolist()) for row in getattr(data.parts[name].rows, field)] for name in ("train", part))
    return Baseline("majority", share(majority(train, len(answers)), answers))


def main() -> None:
    """Prints a line for each config."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", type=Path, nargs="+")
    for config in parser.parse_args().configs:
        data = load_data(config)
        found = baseline(data)
        size = len(data.parts[data.last_part()])
        print(
            f"{config.stem:<20} {found.name:<18} {found.value:.4f}  on {size} examples of the {data.last_part()} part"
        )


if __name__ == "__main__":
    main()
