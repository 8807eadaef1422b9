"""The SHA-256 of the data: of the bytes that were read, whatever becomes of the file."""

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules import (
    Gutenberg,
    MNISTRows,
    NumericSequences,
    SequenceData,
    TextFile,
    TextString,
    ToySeq2Seq,
    WordCompletion,
)
from datamodules.labels import mnist
from datamodules.texts import gutenberg

MARK = "OF THE PROJECT GUTENBERG EBOOK"
BOOK = f"The Project Gutenberg eBook\n*** START {MARK} ***\nOnce upon a time.\n*** END {MARK} ***\n"
WHOLE = {"val_fraction": 0.0, "test_fraction": 0.0}
# The file, its content, and the data that is read from it.
CASES: dict[str, tuple[str, str, Callable[[], SequenceData], str]] = {
    "Gutenberg": ("gutenberg/7.txt", BOOK, lambda: Gutenberg([7], seq_len=5, **WHOLE), "gutenberg/7.txt"),
    "TextFile": ("a.txt", "abcdef", lambda: TextFile(["a.txt"], seq_len=2, **WHOLE), "a.txt"),
    "words of a file": ("w.txt", "word\nwood\n", lambda: WordCompletion("w.txt"), "w.txt"),
    "words of a book": ("gutenberg/7.txt", BOOK, lambda: WordCompletion(books=[7]), "gutenberg/7.txt"),
    "pairs": ("p.csv", "en,de\ncat,Katze\n", lambda: ToySeq2Seq(path="p.csv"), "p.csv"),
    "numbers": ("n.csv", "a,b\n1,2\n3,4\n", lambda: NumericSequences(path="n.csv"), "n.csv"),
}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(gutenberg, "GUTENBERG_URL", "http://127.0.0.1:1/{book}")
    (tmp_path / "gutenberg").mkdir()
    return tmp_path


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("change", ["rewritten", "deleted"])
def test_the_digest_is_that_of_the_bytes_that_were_read(case: str, change: str, folder: Path) -> None:
    name, content, make, key = CASES[case]
    (folder / name).write_bytes(content.encode())
    data = make()
    data.setup()
    if change == "deleted":
        (folder / name).unlink()
    else:
        (folder / name).write_text("something else\n")
    assert data.sources == {key: digest(content.encode())}


def test_a_table_that_changes_while_it_is_read_is_recorded_as_it_was_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    path = folder / "p.csv"
    path.write_text("en,de\ncat,Katze\n")
    original = datasets.Dataset.from_csv

    def change_then_read(*args: object, **options: object) -> datasets.Dataset:
        path.write_text("en,de\ndog,Hund\n")
        return original(*args, **options)

    monkeypatch.setattr(datasets.Dataset, "from_csv", change_then_read)
    data = ToySeq2Seq(path="p.csv")
    data.setup()
    assert data.sources == {"p.csv": digest(b"en,de\ncat,Katze\n")}
    assert set("cat") < set(data.source_vocab)


def test_mnist_records_what_it_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = {}
    for name in mnist.FILES:
        shape = (4, 28, 28) if "images" in name else (4,)
        header = struct.pack(f">{1 + len(shape)}I", 0x800 + len(shape), *shape)
        path = folder / name
        path.write_bytes(header + bytes(4 * 28 * 28 if "images" in name else 4))
        written[f"MNIST/raw/{name}"] = digest(path.read_bytes())
    monkeypatch.setattr(mnist, "NUM_VAL", 1)
    monkeypatch.setattr(mnist, "_path", lambda name: folder / name)  # without the check of its SHA-256
    data = MNISTRows()
    data.setup()
    for name in mnist.FILES:
        (folder / name).unlink()
    assert data.sources == written
    assert data.parts["train"].rows.inputs.shape == (3, 28, 28)


def test_a_string_and_generated_pairs_have_a_digest_too() -> None:
    string = TextString("abcdef", seq_len=2, **WHOLE)
    string.setup()
    assert string.sources == {"text": digest(b"abcdef")}
    pairs = ToySeq2Seq(task="reverse", num_examples=2)
    pairs.setup()
    lines = "".join(f"{source}\t{target}\n" for source, target in pairs.pairs())
    assert pairs.sources == {"reverse": digest(lines.encode())}


def test_two_files_of_one_name_have_an_entry_each(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "text.txt").write_text(name * 9)
    data = TextFile(["a/text.txt", "b/text.txt"], seq_len=2, **WHOLE)
    data.setup()
    assert data.sources == {f"{name}/text.txt": digest(name.encode() * 9) for name in "ab"}


def test_a_class_of_another_package_may_define_its_sources_itself() -> None:
    class Mine(TextString):
        @property
        def sources(self) -> dict[str, str]:
            return {"mine": "0" * 64}

    data = Mine("abcdef", seq_len=2, **WHOLE)
    data.setup()
    assert data.sources == {"mine": "0" * 64}
