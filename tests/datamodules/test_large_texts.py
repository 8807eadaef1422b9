"""Texts of any size: which files are read and how, and that mapped texts are the same as those in memory."""

import errno
import gzip
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import zstandard

import zoo
from datamodules import TextFile, TextString
from datamodules.loader import Order
from datamodules.texts import cache, text
from datamodules.texts.files import Source
from zoo import CharLM
from zoo.batch import IGNORE

WHOLE: dict[str, Any] = {"val_fraction": 0.0, "test_fraction": 0.0}
LINES = "".join(f"Line {number}: caf\u00e9, \u201cwords\u201d (and more)!\n" for number in range(200))


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Every text is large; gives the folder of encoded texts."""
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(text, "MOST_UNCACHED", 0)
    monkeypatch.setattr(text, "MOST_IN_MEMORY", 0)
    return tmp_path / "cache" / "texts"


@pytest.fixture
def books(tmp_path: Path) -> Path:
    folder = tmp_path / "books"
    (folder / "more").mkdir(parents=True)
    (folder / "a.txt").write_text(LINES)
    (folder / "more" / "b.txt.gz").write_bytes(gzip.compress(LINES.upper().encode()))
    (folder / "c.txt.zst").write_bytes(zstandard.compress(LINES.lower().encode()))
    (folder / "picture.png").write_bytes(b"\xff\xd8")
    return folder


def batches(data: TextFile) -> list[torch.Tensor]:
    data.setup()
    loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    return [tensor for loader in loaders for batch in loader for tensor in batch if tensor is not None]


@pytest.mark.parametrize("mode", ["windows", "stream"])
@pytest.mark.parametrize("symbols", ["characters", "bytes", "words", "bpe"])
def test_a_mapped_text_gives_the_same_batches(
    symbols: str, mode: str, books: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "symbols": symbols,
        "mode": mode,
        "seq_len": 7,
        "batch_size": 4,
        "val_fraction": 0.2,
        "test_fraction": 0.2,
    }
    first = TextFile(str(books), **options)
    mapped = batches(first)
    assert len([*large.glob("*/meta.json")]) == 1
    assert not [*large.glob("*.part")]
    monkeypatch.setattr(Source, "read", None)  # the second start reads no text
    second = TextFile(str(books), **options)
    assert all(map(torch.equal, batches(second), mapped))
    assert (second.sources, second.spec) == (first.sources, first.spec)
    monkeypatch.undo()
    in_memory = TextFile(str(books), **options)
    assert all(map(torch.equal, batches(in_memory), mapped))
    assert len(mapped) > 10


def test_a_file_that_changed_is_encoded_again(books: Path, large: Path) -> None:
    TextFile(str(books), seq_len=5).setup()
    (books / "a.txt").write_text(LINES + "once more \u00e6\n")
    data = TextFile(str(books), seq_len=5)
    data.setup()
    assert "\u00e6" in data.vocab
    assert data.notes == [f"{books}/a.txt has changed: encoding the texts again"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_folder_that_is_full_or_read_only_stays_as_it_was(
    number: int, books: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cache.TextCache, "write", fails)
    with pytest.raises(OSError, match=f"{os.strerror(number).lower()}; set ZOO_DATA_DIR to a folder with space"):
        TextFile(str(books), seq_len=5).setup()
    assert not [path for path in large.iterdir() if path.suffix != ".lock"]


def test_a_cache_that_cannot_be_made_is_named(
    books: Path, large: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(OSError, match="not a directory; set ZOO_DATA_DIR to a folder"):
        TextFile(str(books), seq_len=5).setup()


def test_what_a_killed_process_left_is_replaced(books: Path, large: Path) -> None:
    TextFile(str(books), seq_len=5).setup()
    (entry,) = large.glob("*/")
    shutil.move(entry, entry.with_suffix(".part"))
    (entry.with_suffix(".part") / "meta.json").unlink()
    TextFile(str(books), seq_len=5).setup()
    assert [path.name for path in large.glob("*/")] == [entry.name]


def test_files_folders_patterns_and_packed_files_are_documents(books: Path) -> None:
    data = TextFile([str(books / "*.txt"), str(books)], seq_len=5, **WHOLE)
    data.setup()
    names = [str(books / name) for name in ("a.txt", "c.txt.zst", "more/b.txt.gz")]
    assert list(data.sources) == names
    assert data.read(names[2]) == LINES.upper()
    assert list(TextFile(str(books), exclude=["more/*", "c*", "*/more/*"]).documents()) == names[:1]


@pytest.mark.parametrize(
    ("paths", "options", "message"),
    [
        ("empty", {}, "empty: the folder has no text files, expected names that end in .txt"),
        ("*.text", {}, "no file matches this pattern"),
        ("none.txt", {}, "none.txt: file not found"),
        ("a.csv", {}, "a.csv: got a table, expected a text; LabelledSequences, TextPairs and TimeSeries take tables"),
        ("a.txt", {"exclude": "a*"}, "exclude: a\\* leaves no file of 1"),
        ("a.txt", {"encoding": "utf-9"}, "encoding: got 'utf-9', expected one that Python knows"),
        ("a.txt", {"on_error": "ignore"}, "on_error: got 'ignore', expected one of stop, skip, replace"),
        ("broken.txt.gz", {}, "broken.txt.gz: can't be decompressed"),
        ("cut.txt.zst", {}, "cut.txt.zst: can't be decompressed"),
        ("latin.txt", {}, "latin.txt: not UTF-8 at byte 3; save it as UTF-8, or set encoding, or on_error"),
        ("a.txt", {"symbols": "letters"}, "symbols: got 'letters', expected one of characters, bytes, words, bpe"),
        ("a.txt", {"symbols": "bytes", "min_count": 2}, "min_count: got 2, with bytes as symbols"),
        ("a.txt", {"vocab_size": 300}, "vocab_size: got 300, but only a new bpe tokenizer"),
        ("a.txt", {"symbols": "bpe", "tokenizer": "a.txt"}, "a.txt: tokenizer: expected a tokenizer.json"),
    ],
)
def test_bad_files_are_named(
    paths: str, options: dict, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("a.txt").write_text(LINES)
    Path("a.csv").write_text("a,b")
    Path("latin.txt").write_bytes(b"caf\xe9 au lait")
    Path("broken.txt.gz").write_bytes(b"not gzip at all")
    Path("cut.txt.zst").write_bytes(zstandard.compress(LINES.encode())[:-20])
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        TextFile(paths, seq_len=5, **options).setup()


def test_other_encodings_are_read_skipped_or_replaced(tmp_path: Path) -> None:
    latin, good = tmp_path / "latin.txt", tmp_path / "good.txt"
    latin.write_bytes(b"caf\xe9 au lait, please")
    good.write_text("tea with milk, please")
    data = TextFile(str(latin), encoding="latin-1", seq_len=5, **WHOLE)
    data.setup()
    assert data.read(str(latin)).startswith("caf\u00e9")
    data = TextFile([str(latin), str(good)], on_error="skip", seq_len=5, **WHOLE)
    data.setup()
    assert data.notes == [f"{latin}: not UTF-8 at byte 3 (left out)"]
    assert list(data.sources) == [str(good)]
    with pytest.raises(ValueError, match="no file can be read: .*latin.txt: not UTF-8 at byte 3"):
        TextFile(str(latin), on_error="skip", seq_len=5).setup()
    data = TextFile(str(latin), on_error="replace", seq_len=5, **WHOLE)
    data.setup()
    assert data.read(str(latin)).startswith("caf\ufffd au")


def test_the_digest_is_of_the_whole_file_also_with_an_end_marker(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("once upon a time. END " + "x" * 10**7)
    data = TextFile(str(tmp_path / "a.txt"), end_marker="END", seq_len=5, **WHOLE)
    data.setup()
    assert data.sources == {f"{tmp_path}/a.txt": hashlib.sha256((tmp_path / "a.txt").read_bytes()).hexdigest()}


@pytest.mark.parametrize("symbols", ["characters", "bytes", "words", "bpe"])
def test_symbols_make_the_same_text_again_and_bits_per_character_count_its_characters(symbols: str) -> None:
    data = TextString(LINES, symbols=symbols, mode="stream", seq_len=9, batch_size=1, **WHOLE)
    data.setup()
    ids = [i for batch in data.train_dataloader() for i in batch.targets.flatten().tolist() if i != IGNORE]
    task = CharLM(hidden_size=2)
    task.bind(data.spec, "data")
    task.configure_model()
    first = next(iter(data.train_dataloader())).inputs[0, 0].item()
    assert task.model.vocab.decode([first, *ids]) == LINES
    for batch in data.train_dataloader():
        task.score(batch, "val")
    counted = task.metric("val", "bpc").count.item()
    assert counted == len(LINES) - len(task.model.vocab.decode([first]))


def test_a_trained_tokenizer_comes_back_with_the_checkpoint(zoo_command: Callable, tmp_path: Path) -> None:
    Path("a.txt").write_text(LINES)
    options = ["--data.symbols", "bpe", "--data.vocab_size", "300", "--data.seq_len", "9"]
    model = ["--model", "CharLM", "--model.hidden_size", "8", "--trainer.max_epochs", "1", "--run_dir", "run"]
    result = zoo_command("fit", "--data", "TextFile", "--data.paths", "a.txt", *options, *model)
    assert result.code == 0, result.err
    assert "bpc" in result.out
    for command in (["generate", "run", "--length", "20"], ["export", "run", "-o", "bundle"], ["generate", "bundle"]):
        result = zoo_command(*command)
        assert result.code == 0, result.err
    other = zoo_command("test", "--ckpt_path", "run", "--data.test_fraction", "1")
    assert other.code == 0, other.err
    data = TextFile("a.txt", symbols="bpe", vocab_size=280)
    data.setup()
    Path("other.json").write_text(data.spec["tokenizer"])
    Path("own.json").write_text(zoo.load("bundle").config.tokenizer)
    other = ["test", "--ckpt_path", "run", "--data.test_fraction", "1", "--data.vocab_size", "null", "--data.tokenizer"]
    assert "error: tokenizer: other.json is not the one of the model; leave it" in zoo_command(*other, "other.json").err
    assert zoo_command(*other, "own.json").code == 0


def test_the_order_of_many_examples_is_a_permutation() -> None:
    order = Order(2**20 + 5, [3, 1])
    drawn = torch.cat([order[0:1000], order[1000 : 2**20 + 5]])
    assert drawn.sort().values.equal(torch.arange(2**20 + 5))
    assert not drawn.equal(Order(2**20 + 5, [3, 2])[0 : 2**20 + 5])
    assert order[500:600].equal(drawn[500:600])
