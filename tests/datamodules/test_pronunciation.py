"""Words and their pronunciations, and examples with several right targets."""

import csv
import hashlib
from pathlib import Path

import pytest
import torch

import zoo
from datamodules import Pronunciations, TextPairs
from datamodules.baselines.spelling import nearest, symbol_error_rate
from datamodules.pairs.pronunciation import find_dictionary, parse_dictionary
from zoo.batch import IGNORE

DICTIONARY = """\
;;; an old comment
cat K AE1 T
read R EH1 D # past
read(2) R IY1 D
tomato T AH0 M EY1 T OW2
tomato(2) T AH0 M AA1 T OW2
tomato(3) T AH0 M EY0 T OW0
dog's D AO1 G Z
fish F IH1 SH
bird B ER1 D
"""


@pytest.fixture
def data(tmp_path: Path) -> Pronunciations:
    path = tmp_path / "words.dict"
    path.write_text(DICTIONARY)
    found = Pronunciations(str(path), test_words=2, val_words=1, batch_size=8)
    found.setup()
    return found


def test_stress_is_left_out_and_pronunciations_are_gathered() -> None:
    words = parse_dictionary("words.dict", DICTIONARY.encode())
    assert words["tomato"] == ["T AH M EY T OW", "T AH M AA T OW"]  # the third one differed in its stress alone
    assert words["dog's"] == ["D AO G Z"]
    assert len(words) == 6


def test_held_out_words_are_those_with_the_first_digests_and_any_pronunciation_is_right(data: Pronunciations) -> None:
    words = parse_dictionary("words.dict", DICTIONARY.encode())
    order = sorted(words, key=lambda word: hashlib.sha256(word.encode()).hexdigest())
    seen = {}
    for part in ("test", "val", "train"):
        (batch,) = data.loader(part)
        rows = zip(batch.source.tolist(), batch.source_lengths.tolist(), strict=True)
        seen[part] = [data.source_vocab.decode(row[:length]) for row, length in rows]
        if part == "train":
            assert batch.references is None
            assert len(batch.source) == sum(len(words[word]) for word in order[3:])
        else:
            for word, several in zip(seen[part], batch.references.tolist(), strict=True):
                texts = [data.target_vocab.decode(i for i in ids[1:] if i != IGNORE) for ids in several if ids[0] >= 0]
                vocab = data.target_vocab  # it has the phonemes of the training words alone
                assert texts == [vocab.decode(vocab.encode(spoken)) for spoken in words[word]]
    assert (sorted(seen["test"]), seen["val"]) == (sorted(order[:2]), order[2:3])
    assert set(seen["train"]) == set(order[3:])


def test_the_baseline_is_the_word_spelled_most_alike(tmp_path: Path) -> None:
    words = [f"{a}{b}ing {a.upper()} {b.upper()} IH NG" for a in "bdfgkl" for b in "aeiou"]
    path = tmp_path / "words.dict"
    path.write_text("\n".join(words))
    data = Pronunciations(str(path), test_words=5, val_words=5)
    data.setup()
    (known, spoken), (asked, right) = data._spoken("train"), data._spoken("test")
    guesses = [spoken[place][0] for place in nearest(known, asked)]
    expected = sum(guess in several for guess, several in zip(guesses, right, strict=True)) / 5
    errors = symbol_error_rate(guesses, right)
    assert data.baselines("test") == {"nearest spelling": {"exact_match": expected, "symbol_error_rate": errors}}
    assert nearest(["baking", "raking", "bake"], ["baker", "shaking"]) == [2, 0]


def test_a_prediction_is_right_if_it_is_one_of_the_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pairs.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("source", "target"), ("a", "x y"), ("b", "x y"), ("b", "z z z"), ("c", "z")])
    data = TextPairs(
        train=str(path), val=str(path), source_symbols="characters", target_symbols="words", any_target=True
    )
    data.setup()
    task = zoo.Seq2Seq(hidden_size=4, sentences=False)
    task.bind(data.spec, "data")
    task.configure_model()
    assert data.longest_target == 4
    guesses = {"a": "z z z", "b": "z z z", "c": "z"}
    name = task.model.source_vocab.symbols
    monkeypatch.setattr(task.model, "_decode", lambda b, *_: [Row(task, guesses[name[i]]) for i in b.source[:, 0]])
    (batch,) = data.loader("val")
    assert batch.references.shape[:2] == (3, 2)
    task.score(batch, "val")
    assert task.metric("val", "exact_match").compute() == pytest.approx(2 / 3)
    assert task.metric("val", "symbol_error_rate").compute() == pytest.approx(3 / (2 + 3 + 1))
    assert ["x y", "z z z"] in [row["references"] for row in task.model.answer(batch)]
    voided = batch.void(torch.tensor([True, True, True]))
    assert (voided.references == IGNORE).all()


def test_sources_that_only_look_the_same_to_the_model_are_several_examples(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("source,target\n" + "see cat,m\nsee dog,m\n")
    test.write_text("source,target\nsee Ann,m\nsee Bob,o\nsee cat,o\nsee cat,m\n")  # Ann and Bob are <unk>
    data = TextPairs(train=str(train), test=str(test), symbols="words", any_target=True, min_count=1)
    data.setup()
    assert [len(several) for several in data.parts["test"].references] == [1, 1, 2]
    assert data.baselines("test") == {"majority": {"exact_match": pytest.approx(2 / 3)}}


class Row:
    """A decoded row, as `Decoded`."""

    def __init__(self, task: zoo.Seq2Seq, text: str) -> None:
        self.ids = [*task.model.target_vocab.encode(text), task.model.target_vocab.id("<end>")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat K AE T\ndog\n", "line 2: 'dog' has no phonemes"),
        ("# nothing\n", "got no words"),
        ("(2) A\n", r"line 1: '\(2\)' has no word"),
        ("caf\xe9 K", "not UTF-8"),
        (DICTIONARY, "got 6 words, expected more than the 14,000"),
    ],
)
def test_bad_dictionaries_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "words.dict"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=message):
        Pronunciations(str(path)).setup()


@pytest.mark.slow
def test_the_package_has_a_dictionary() -> None:
    data = Pronunciations()
    data.setup()
    sizes = {part: len(examples) for part, examples in data.parts.items()}
    assert (sizes["val"], sizes["test"]) == (2_000, 12_000)
    assert find_dictionary().endswith("cmudict.dict")
