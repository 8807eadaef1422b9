from pathlib import Path

import pytest

from datamodules import WordCompletion
from support import needs_alice, needs_grimm


def test_the_ten_words_lose_their_last_letter() -> None:
    data = WordCompletion(batch_size=10)
    data.setup()
    (batch,) = data.val_dataloader()
    words = [data.vocab.decode([*i, t]) for i, t in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True)]
    assert words == "word wood deep dive cold cool load love kiss kind".split()
    assert len(data.spec["vocab"]) == len(data.spec["classes"]) == 26


@needs_alice
@needs_grimm
def test_held_out_words_of_books_are_never_trained_on() -> None:
    data = WordCompletion(books=[11, 11027], val_fraction=0.1, test_fraction=0.2)
    data.setup()
    train, val, test = (set(data.split_words[part]) for part in ("train", "val", "test"))
    assert not train & val
    assert not train & test
    assert not val & test
    assert {"hare", "king"} <= train | val | test
    assert all(len(word) == 4 and word.isascii() and word.islower() for word in train | val | test)
    assert len(train | val | test) == 673


def test_words_of_any_length_come_padded_with_their_lengths(tmp_path: Path) -> None:
    (tmp_path / "w.txt").write_text("go\nstop\n나무\n")
    data = WordCompletion(path=str(tmp_path / "w.txt"), word_length=None)
    data.setup()
    (batch,) = data.val_dataloader()
    assert batch.lengths.tolist() == [1, 3, 1]
    assert batch.inputs.shape == (3, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "the file is empty"), ("\n\n", "got no words"), ("word\nlonger\n", "'longer' has 6 letters, expected 4")],
)
def test_bad_word_lists_are_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "w.txt").write_text(content)
    with pytest.raises(ValueError, match=message):
        WordCompletion(path=str(tmp_path / "w.txt")).setup()
