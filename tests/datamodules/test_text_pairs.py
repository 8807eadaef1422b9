"""Pairs of texts from tables and files of lines."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from datamodules import TextPairs
from support import refused
from zoo.batch import IGNORE
from zoo.vocab import END, PAD, START, UNK

NUMBERS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf"}
ANIMALS = {"cats": "Katzen", "dogs": "Hunde", "birds": "Vögel"}
PAIRS = [(f"{a} {b}.", f"{NUMBERS[a]} {ANIMALS[b]}.") for a in NUMBERS for b in ANIMALS]
WHOLE = {"val_fraction": 0.0, "test_fraction": 0.0}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, pairs: list[tuple[str, str]]) -> str:
    """Writes a table in the format of its suffix."""
    if name.endswith("jsonl"):
        text = "".join(json.dumps({"en": a, "de": b}) + "\n" for a, b in pairs)
    else:
        separator = "\t" if name.endswith("tsv") else ","
        text = "".join(f'"{a}"{separator}"{b}"\n' for a, b in [("en", "de"), *pairs])
    Path(name).write_text(text, encoding="utf-8")
    return name


def lines(pairs: list[tuple[str, str]], name: str) -> list[str]:
    """Writes two files of lines."""
    for side, suffix in enumerate(("en", "de")):
        Path(f"{name}.{suffix}").write_text("".join(pair[side] + "\n" for pair in pairs), encoding="utf-8")
    return [f"{name}.en", f"{name}.de"]


def ready(**options: Any) -> TextPairs:
    data = TextPairs(**options)
    data.setup()
    return data


def texts(data: TextPairs, part: Any = "train") -> list[tuple[str, str]]:
    """The pairs of a part, decoded."""
    rows: Any = data.parts[part]
    pairs = [(rows.sources[number], rows.targets[number]) for number in range(len(rows))]
    return [(data.source_vocab.decode(a), data.target_vocab.decode(b[1:])) for a, b in pairs]


@pytest.mark.parametrize("symbols", ["characters", "bytes", "words", "bpe"])
@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.jsonl"])
def test_pairs_are_read_and_split_into_symbols_without_loss(symbols: Any, name: str) -> None:
    pairs = [*PAIRS, ("a\u2028b, \x85 c", "two\nlines")]
    assert (
        texts(ready(path=write(name, pairs), symbols=symbols, vocab_size=300 if symbols == "bpe" else None, **WHOLE))
        == pairs
    )


def test_lines_of_two_files_are_the_pairs_of_a_table() -> None:
    source, target = lines(PAIRS, "a")
    assert texts(ready(source_path=source, target_path=target, **WHOLE)) == PAIRS
    parts = ready(train=[source, target], test=write("t.csv", PAIRS[:2]))
    assert (texts(parts), texts(parts, "test")) == (PAIRS, PAIRS[:2])
    assert parts.notes == ["2 of 2 pairs of the test part are in the training part, too"]
    assert list(parts.sources) == ["a.en", "a.de", "t.csv"]


def test_pairs_with_the_same_source_are_in_one_part() -> None:
    pairs = [(f"source {number % 40}", f"target {number % 60}") for number in range(240)]
    data = ready(path=write("p.csv", pairs), val_fraction=0.25, test_fraction=0.25)
    found = {part: {source for source, _ in texts(data, part)} for part in data.parts}
    assert {part: len(sources) for part, sources in found.items()} == {"train": 20, "val": 10, "test": 10}
    assert len(set.union(*found.values())) == 40
    assert sum(map(len, data.parts.values())) == 240
    assert texts(ready(path="p.csv", val_fraction=0.25, test_fraction=0.25), "val") == texts(data, "val")


def test_a_batch_is_padded_and_marked_after_the_end() -> None:
    data = ready(path=write("p.csv", [("ab", "c"), ("a", "cd")]), batch_size=2, **WHOLE)
    assert (list(data.source_vocab), list(data.target_vocab)) == ([PAD, "a", "b"], [PAD, START, END, "c", "d"])
    batch = data.parts["train"].take(torch.tensor([0, 1, -1]))
    assert batch.source.tolist()[:2] == [[1, 2], [1, 0]]
    assert batch.source_lengths.tolist()[:2] == [2, 1]
    assert batch.target.tolist() == [[1, 3, 2, IGNORE], [1, 3, 4, 2], [IGNORE] * 4]
    assert data.lengths("train").tolist() == [5, 5]


def test_what_is_left_out_is_counted_and_said() -> None:
    pairs = [*PAIRS, ("", "leer"), ("empty", " "), ("one two three four five cats", "lang")]
    data = ready(path=write("p.csv", pairs), symbols="words", max_length=4, **WHOLE)
    assert texts(data) == PAIRS
    assert data.notes == [
        "2 of 18 pairs of the train part have an empty side",
        "1 of 16 pairs of the train part are left out: a side has more than 4 symbols (max_length)",
    ]


def test_a_shared_vocabulary_has_the_symbols_of_both_sides() -> None:
    data = ready(path=write("p.csv", PAIRS), symbols="words", shared=True, **WHOLE)
    assert data.source_vocab == data.target_vocab
    assert list(data.source_vocab)[:4] == [PAD, START, END, UNK]
    assert {"cats", "Katzen"} <= set(data.source_vocab)


def test_the_sides_may_have_different_symbols() -> None:
    data = ready(path=write("p.csv", PAIRS), source_symbols="words", target_symbols="bpe", vocab_size=300, **WHOLE)
    assert (data.spec["source_symbols"], data.spec["target_symbols"]) == ("words", "bpe")
    assert data.spec["source_tokenizer"] is None
    assert "Ġ" in json.loads(data.spec["target_tokenizer"])["model"]["vocab"]


def test_the_baseline_is_the_most_frequent_target() -> None:
    train, test = [("a", "x"), ("b", "x"), ("c", "y")], [("d", "x"), ("e", "y"), ("f", "y"), ("g", "y")]
    data = ready(train=write("a.csv", train), test=write("b.csv", test))
    assert data.baselines("test") == {"majority": {"exact_match": 0.25}}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "column": ({"path": "p.csv", "source": "enn"}, "p.csv: column 'enn' not found; did you mean 'en'? It has en, de"),
    "twice": ({"path": "p.csv", "source": "en", "target": "en"}, "source, target: got 'en' for both"),
    "lines": ({"source_path": "a.en", "target_path": "short"}, "a.en has 15 lines, and short has 2; expected equal"),
    "empty": ({"path": "empty.csv"}, "empty.csv: the file is empty"),
    "empty lines": ({"source_path": "a.en", "target_path": "empty.csv"}, "empty.csv: the file is empty"),
    "cells": ({"path": "cells.csv"}, "cells.csv: row 2: got 1 cells, expected 2: a, b"),
    "three": ({"path": "three.csv"}, "three.csv: got the columns a, b, c; expected two, or set source and target"),
    "one side": ({"source_path": "a.en"}, "source_path, target_path: got one of them, expected both"),
    "none": ({}, "got no files, expected one of: path;"),
    "both": ({"path": "p.csv", "train": "p.csv"}, "got several origins of the pairs"),
    "too long": ({"path": "p.csv", "max_length": 1}, "no pair of the train part is short enough (max_length)"),
    "shared": ({"path": "p.csv", "shared": True, "source_symbols": "words"}, "shared: sources are words and targets"),
    "count": ({"path": "p.csv", "symbols": "bytes", "min_count": 2}, "min_count: got 2, with bytes as symbols"),
    "size": ({"path": "p.csv", "symbols": "words", "vocab_size": 300}, "only a new bpe tokenizer has a size"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_error_says_what_is_wrong(name: str) -> None:
    write("p.csv", PAIRS)
    lines(PAIRS, "a")
    for file, text in {
        "short": "x\ny\n",
        "empty.csv": "",
        "cells.csv": "a,b\nx,y\nx\n",
        "three.csv": "a,b,c\n1,2,3\n",
    }.items():
        Path(file).write_text(text)
    options, message = BAD[name]
    with pytest.raises(ValueError, match="^[^\n]{1,200}$") as error:
        ready(**{**WHOLE, **options})
    assert message in str(error.value)


@pytest.mark.slow
def test_a_model_of_words_is_trained_and_reads_a_sentence_with_an_unknown_word(zoo_command: Callable) -> None:
    write("p.csv", PAIRS)
    options = ["--data", "TextPairs", "--data.path", "p.csv", "--data.symbols", "words", "--data.val_fraction", "0"]
    options += ["--data.test_fraction", "0", "--model", "Seq2Seq", "--model.hidden_size", "32", "--model.lr", "0.02"]
    options += ["--trainer.max_epochs", "40", "--trainer.accelerator", "cpu", "--run_dir", "run"]
    assert zoo_command("fit", *options).code == 0
    assert zoo_command("infer", "run", "two cats.").out == "two cats. -> zwei Katzen.\n"
    answer = json.loads(zoo_command("infer", "run", "two cows.", "--json").out.splitlines()[0])
    model = zoo.load("run")
    assert model.infer("two cows.")[0]["input"] == "two <unk>."
    assert UNK not in str(answer["prediction"])
    assert model.translate(["five dogs."]) == ["fünf Hunde."]
    assert model.search("five dogs.", beam=2)[0][0].text == "fünf Hunde."
    other = ["--ckpt_path", "run", "--data.path", write("q.csv", [("two cows.", "zwei Kühe."), PAIRS[0]])]
    tested = zoo_command("test", *other, "--data.test_fraction", "1")
    assert tested.code == 0
    assert re.search(r"test/exact_match\W+0\.5\d*\W", tested.out)


def test_the_command_line_refuses_a_wrong_column_before_it_writes(zoo_command: Callable) -> None:
    write("p.csv", PAIRS)
    result = zoo_command(
        "fit", "--model", "Seq2Seq", "--data", "TextPairs", "--data.path", "p.csv", "--data.target", "d"
    )
    refused(result, "p.csv: column 'd' not found")
    assert [path.name for path in Path().iterdir()] == ["p.csv"]
