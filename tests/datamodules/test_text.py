from pathlib import Path

import pytest
import torch

from datamodules import Gutenberg, TextFile, TextString
from support import needs_alice, needs_grimm
from zoo.batch import IGNORE

CLEAN = {"strip_lines": True, "lowercase": True, "ascii_only": True, "join_lines": True}
WHOLE = {"val_fraction": 0.0, "test_fraction": 0.0}


@needs_alice
def test_alice_with_the_notebooks_cleaning() -> None:
    data = Gutenberg([11], seq_len=60, **CLEAN, **WHOLE)
    data.setup()
    assert len(data.read("book 11")) == 158_783
    assert len(data.vocab) == 55
    assert data.parts["train"].take(torch.arange(2_646)).inputs.shape == (2_646, 60)
    assert set(data.parts) == {"train"}


@needs_alice
def test_without_licence_a_book_begins_with_itself() -> None:
    data = Gutenberg([11], strip_license=True)
    data.setup()
    text = data.read("book 11")
    assert text.startswith("ALICE’S ADVENTURES IN WONDERLAND")
    assert "Project Gutenberg" not in text
    assert text.rstrip().endswith("THE END")


@needs_grimm
def test_grimm_between_two_markers() -> None:
    marks = {"start_marker": "THE GOOSE-GIRL", "end_marker": "END OF THE PROJECT GUTENBERG"}
    data = Gutenberg([11027], **marks, **WHOLE)
    data.setup()
    assert len(data.read("book 11027")) == 266_073
    assert len(data.vocab) == 70


def test_a_window_and_its_target_are_shifted_by_one() -> None:
    data = TextString("abcdefgh", seq_len=3, batch_size=2, **WHOLE)
    data.setup()
    decoded = {
        (data.vocab.decode(i.tolist()), data.vocab.decode(t.tolist()))
        for batch in data.train_dataloader()
        for i, t in zip(batch.inputs, batch.targets, strict=True)
    }
    assert decoded == {("abc", "bcd"), ("def", "efg")}


def test_parts_are_contiguous_and_do_not_overlap() -> None:
    text = "".join(chr(ord("A") + i) for i in range(40))
    data = TextString(text, seq_len=3, val_fraction=0.25, test_fraction=0.25, mode="stream", batch_size=1)
    data.setup()

    def read(part: str) -> str:
        return data.vocab.decode(
            i
            for i in data.parts[part].take(torch.arange(len(data.parts[part]))).targets.flatten().tolist()
            if i != IGNORE
        )

    assert (read("train"), read("val"), read("test")) == (text[1:20], text[21:30], text[31:])


def test_a_stream_goes_on_in_its_row_and_uses_every_character(tmp_path: Path) -> None:
    texts = ["abcdefghijk", "LMNOPQ"]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.txt").write_text(text)
    paths = [str(tmp_path / f"{number}.txt") for number in range(2)]
    data = TextFile(paths, mode="stream", seq_len=3, batch_size=2, **WHOLE)
    data.setup()
    batches = list(data.train_dataloader())
    assert batches[0].resets.tolist() == [True, True]
    lanes = ["", ""]
    for batch in batches:
        for row in range(2):
            starts = bool(batch.resets[row])
            symbols = batch.targets[row][batch.targets[row] != IGNORE]
            first = [int(batch.inputs[row, 0])] if starts and len(symbols) else []
            lanes[row] += ("|" if starts and first else "") + data.vocab.decode(first + symbols.tolist())
    # Chunks of three, dealt out to two lanes; a reset marks the lane's start and the second text's.
    assert lanes == ["|abcdefghij", "|jk|LMNOPQ"]


def test_predict_inputs_are_read_one_by_one() -> None:
    data = TextString("apple!", seq_len=5, **WHOLE, predict_inputs=["app", "l"])
    data.setup()
    assert [data.vocab.decode(batch.inputs[0].tolist()) for batch in data.predict_dataloader()] == ["app", "l"]


def test_unicode_is_normalised_before_symbols_are_counted() -> None:
    data = TextString("e\u0301\u00e9" * 4, seq_len=2, normalization="NFC", **WHOLE)
    data.setup()
    assert list(data.vocab) == ["\u00e9"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "short", "seq_len": 60, **WHOLE}, r"text: its train part has 5 symbols, expected at least 61"),
        ({"text": "", **WHOLE}, "text: the text is empty"),
        ({"text": "abc", "start_marker": "x"}, "start_marker: 'x' not found in text"),
        ({"text": "abc", "val_fraction": 0.6, "test_fraction": 0.5}, "val_fraction, test_fraction: got 0.6 and 0.5"),
        ({"text": "abc", "seq_len": 0}, "seq_len: got 0"),
        ({"text": "abc", "batch_size": 0}, "batch_size: got 0"),
        ({"text": "abc", "mode": "lanes"}, "mode: got 'lanes'"),
    ],
)
def test_bad_input_is_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextString(**options).setup()


def test_a_file_that_is_missing_or_not_utf8_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nope.txt: file not found"):
        TextFile(["nope.txt"]).setup()
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"latin.txt: not UTF-8 at byte 3"):
        TextFile([str(tmp_path / "latin.txt")]).setup()


def test_batches_have_the_shape_that_was_asked_for() -> None:
    data = TextString("abcdefgh" * 10, seq_len=4, batch_size=4, **WHOLE)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert batch.inputs.dtype == torch.int64
    assert batch.inputs.shape == (4, 4)


@pytest.mark.parametrize(
    ("eval_lanes", "characters", "lanes"), [("auto", 7900, 1), ("auto", 8004, 2), ("auto", 200_000, 16), (1, 8004, 1)]
)
def test_long_parts_are_read_in_more_lanes(eval_lanes: int | str, characters: int, lanes: int) -> None:
    data = TextString(
        "ab" * characters, mode="stream", seq_len=60, eval_lanes=eval_lanes, val_fraction=0.5, test_fraction=0
    )
    data.setup()
    batch = next(iter(data.val_dataloader()))
    assert len(batch.inputs) == lanes
    assert int(data.parts["val"].take(torch.arange(len(data.parts["val"]))).resets.sum()) == lanes


def test_a_wrong_number_of_lanes_is_refused() -> None:
    for wrong in (0, "many", 1.5):
        with pytest.raises(ValueError, match="eval_lanes: got .*, expected auto, or at least 1"):
            TextString("ab", eval_lanes=wrong)
