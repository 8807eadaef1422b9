"""Writes sentence pairs of a made-up language, to try a recipe for translation where no corpus is at hand.

    python benchmarks/pairs.py pairs.csv
    python -m zoo fit --config configs/pairs_best.yaml --data.path pairs.csv

The sources are phrases of two books of Project Gutenberg. In the other language, words are spelled as CMUdict speaks
them; what ends in -ed begins with ge-, what ends in -s ends in -en; and the third word of a clause is its last one.
"""

import argparse
import csv
import re
from collections.abc import Iterator
from pathlib import Path

from datamodules import Gutenberg
from datamodules.pairs.pronunciation import find_dictionary, parse_dictionary

BOOKS = [11, 11027]
LEAST, MOST = 3, 25  # words of a phrase
ENOUGH = 8  # words after which a phrase ends at the next comma


def phrases(text: str) -> Iterator[str]:
    """Cuts a text at punctuation."""
    words: list[str] = []
    for clause in re.split(r"(?<=[.!?;,:])\s+|--", text):
        words += re.sub(r"[^a-z',.!?; -]", "", clause.lower()).split()
        if len(words) >= ENOUGH or clause.endswith((".", "!", "?")):
            if LEAST <= len(words) <= MOST:
                yield " ".join(words)
            words = []


def translate(phrase: str, spoken: dict[str, str]) -> str:
    """Says a phrase in the other language."""
    found: list[str] = []
    for part in re.split(r"([,;.!?])", phrase):
        words = [foreign(word, spoken) for word in re.findall(r"[a-z]+(?:'[a-z]+)*", part)]
        found += [*words[:2], *words[3:], words[2]] if len(words) > 3 else words or part.split()
    return " ".join(found)


def foreign(word: str, spoken: dict[str, str]) -> str:
    """Says a word in the other language."""
    found = spoken.get(word, word)
    if word.endswith("ed"):
        found = "ge" + found
    return found[:-1] + "en" if word.endswith("s") and len(word) > 3 else found


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    path = parser.parse_args().path
    dictionary = find_dictionary()
    words = parse_dictionary(dictionary, Path(dictionary).read_bytes())
    spoken = {word: several[0].replace(" ", "").lower() for word, several in words.items()}
    books = Gutenberg(BOOKS, strip_license=True, strip_lines=True, join_lines=True, val_fraction=0, test_fraction=0)
    books.prepare_data()
    sources = dict.fromkeys(phrase for name in books.documents() for phrase in phrases(books.read(name)))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "target"])
        writer.writerows((source, translate(source, spoken)) for source in sources)
    print(f"{len(sources):,} pairs in {path}")


if __name__ == "__main__":
    main()
