"""Tagged texts: from CoNLL's files and tables, and from plain texts whose punctuation is to be restored."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import Punctuation, SequenceData, TaggedSequences
from datamodules.tags.punctuation import edits_of, pieces
from support import needs_alice
from zoo.tags import edited

CONLL = """-DOCSTART- -X- O

EU NNP B-ORG
rejects VBZ O

Peter NNP B-PER
Blackburn NNP I-PER
"""
CONLLU = """# text = It's late
1-2\tIt's\t_\t_\t_
1\tIt\tit\tPRON\tPRP
2\t's\tbe\tAUX\tVBZ
2.1\tnot\tnot\tPART\t_
3\tlate\tlate\tADJ\tJJ
"""
WORDS = [(["EU", "rejects"], ["B-ORG", "O"]), (["Peter", "Blackburn"], ["B-PER", "I-PER"])]
WHOLE: dict[str, Any] = {"val_fraction": 0, "test_fraction": 0, "min_count": 1}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], str]:
    def write(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def texts(data: SequenceData, part: str = "train") -> list[tuple[list[str], list[str]]]:
    data.setup()
    batch, spec = data.parts[part].take(torch.arange(len(data.parts[part]))), data.spec
    return [
        ([spec["vocab"][i] for i in ids[:length]], [spec["tags"][i] for i in targets[:length]])
        for ids, targets, length in zip(*(field.tolist() for field in batch[:3]), strict=True)
    ]


def test_conll_files_and_tables_give_the_same_texts(write: Callable) -> None:
    rows = [{"tokens": words, "tags": tags} for words, tags in WORDS]
    flat = [(number, *pair) for number, (words, tags) in enumerate(WORDS) for pair in zip(words, tags, strict=True)]
    files = {
        "a.conll": (CONLL, {}),
        "a.txt": ("\r\n".join(CONLL.replace(" ", "\t").splitlines()), {}),
        "a.jsonl": ("\n".join(map(json.dumps, rows)), {}),
        "a.csv": ("tokens,tags\n" + "\n".join(",".join(map(" ".join, row)) for row in WORDS), {}),
        "a.tsv": (
            "text\tword\ttag\n" + "\n".join("\t".join(map(str, row)) for row in flat),
            {"sequence": "text", "tokens": "word", "tags": "tag"},
        ),
    }
    for name, (text, options) in files.items():
        data = TaggedSequences(write(name, text), **WHOLE, **options)
        assert texts(data) == WORDS, name
        assert data.spec["tags"] == ["O", "B-ORG", "B-PER", "I-PER"]
    for two in (2, "2"):  # as on the command line
        data = TaggedSequences(write("b.conll", CONLL), tags=two, **WHOLE)
        assert texts(data)[0] == (["EU", "rejects"], ["NNP", "VBZ"])
    assert texts(TaggedSequences(write("c.conll", "10\u00a0000\u2028m N\na D\n"), **WHOLE)) == [
        (["10\u00a0000\u2028m", "a"], ["N", "D"])
    ]
    universal = texts(TaggedSequences(write("a.conllu", CONLLU), **WHOLE))
    assert universal == [(["It", "'s", "late"], ["PRON", "AUX", "ADJ"])]


def test_equal_texts_are_in_one_part(write: Callable) -> None:
    lines = "".join(f"word{number % 20} {'ab'[number % 2]}\n\n" for number in range(40))
    data = TaggedSequences(write("a.conll", lines), val_fraction=0.2, test_fraction=0.2, min_count=1)
    found = {part: texts(data, part) for part in ("train", "val", "test")}
    assert {part: len(rows) for part, rows in found.items()} == {"train": 24, "val": 8, "test": 8}
    assert data.notes[0] == "20 of 40 texts are duplicates: each is in the part of the first"
    given = TaggedSequences(train=write("b.conll", lines), test=write("c.conll", lines), val_fraction=0, min_count=1)
    assert len(texts(given, "test")) == 40
    assert "40 of 40 texts of the test part are in the training part, too" in given.notes


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("a.conll", "\nthe\n", {}, "line 2: got 1 column, expected a symbol and a tag, in the columns 1 and -1"),
        ("a.conll", "the D\ncat\n", {}, "line 2: got 1 column, and 2 in line 1; expected as many in each"),
        ("a.jsonl", '{"tokens": ["a", null], "tags": ["D", "N"]}', {}, "row 1: column 'tokens': an entry of the list"),
        ("a.conll", "a D\n", {"tokens": "word"}, "tokens: got 'word', but a.conll needs the number of a column"),
        (
            "a.conll",
            "the D\n",
            {"tags": 3},
            "line 1: got 2 columns, expected a symbol and a tag, in the columns 1 and 3",
        ),
        ("a.conll", "the\t\n", {}, "line 1: the tag is empty"),
        ("a.conll", "a D\n\nb D\n", {}, "got one tag, 'D', expected at least 2"),
        ("a.conll", "a D\n", {"tags": "upos"}, "tags: got 'upos', but a.conll needs the number of a column, from 1"),
        ("a.conll", " \n", {}, "the file is empty"),
        ("a.conll", "-DOCSTART- O\n", {}, "it has no text"),
        ("a.csv", "tokens,tags\na b,D\n", {}, "row 1: got 2 symbols and 1 tags, expected a tag for each symbol"),
        ("a.csv", "tokens,tags\na b,D N\n", {"tags": "tag"}, "column 'tag' not found; did you mean 'tags'?"),
        ("a.csv", "tokens,tags\na,D\n", {"tags": 2}, "tags: got 2, but a.csv needs the name of a column"),
        ("a.tsv", "s\ttokens\ttags\n1\ta\t\n", {"sequence": "s"}, "row 1: column 'tags': got '', expected one symbol"),
    ],
)
def test_bad_files_are_refused(write: Callable, name: str, text: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        TaggedSequences(write(name, text), **WHOLE, **options).setup()


def test_options_without_a_sense_are_refused() -> None:
    for make, message in [
        (TaggedSequences, "got no files, expected path; or train, val and test"),
        (lambda: TaggedSequences("a", train="b"), "got several origins of the texts"),
        (Punctuation, "got neither of books and paths"),
        (lambda: Punctuation([11], ["a.txt"]), "got both of books and paths"),
        (lambda: Punctuation([11], marks=",^"), "marks: got ',^'"),
        (lambda: Punctuation([11], length=0), "length: got 0"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            make()


def test_edits_restore_a_text(write: Callable) -> None:
    text = "\u201cOh dear!\u201d said Alice--it's the White-Rabbit's TEA; at 5:30 , perhaps? I don't know..."
    letters, tags = zip(*edits_of(text), strict=True)
    assert "".join(letters) == "oh dear said alice it's the white-rabbit's tea at 530 perhaps i don't know"
    assert edited(letters, tags) == "Oh dear! said Alice it's the White-Rabbit's TEA; at 5:30, perhaps? I don't know."
    odd = "\u0130stanbul \u00c9t\u00e9 \u00df"
    assert edited(*zip(*edits_of(odd), strict=True)) == odd
    assert [len(piece.symbols) for piece in pieces(edits_of("aa bb cc dd"), 4)] == [5, 5]


@needs_alice
def test_a_book_is_cut_between_words_and_its_end_is_the_test() -> None:
    data = Punctuation([11], length=100)
    parts = {part: texts(data, part) for part in ("train", "val", "test")}
    assert all(100 <= len(letters) < 130 for letters, _ in parts["train"])
    assert "".join(parts["train"][1][0] + parts["val"][0][0]).islower()
    end = edited(*parts["test"][-1])
    assert end == "THE END"
    found = data.baselines("test")["most frequent tags"]
    assert 0.9 < found["accuracy"] < 1
    assert 0.2 < found["f1"] < 0.5
