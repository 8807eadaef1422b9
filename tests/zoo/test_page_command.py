"""The command `zoo page`: what it writes, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support import PAGE_RUNTIME, TOY, needs_page_runtime
from zoo.models import CharLMConfig, CharLMModel
from zoo.page import runtime
from zoo.page.writing import write
from zoo.vocab import Vocab


@needs_page_runtime
def test_the_command_takes_names_and_exports_and_needs_a_new_folder(zoo_command: Callable) -> None:
    assert zoo_command("export", TOY, "-o", "toy", "--format", "onnx").code == 0
    done = zoo_command("page", "toy", "regressor_lstm.three_steps", "-o", "site")
    assert done.code == 0
    assert done.out.startswith("site: 2 models, ")
    rows = json.loads(Path("site/models.json").read_text())
    assert [(row["name"], row["task"]) for row in rows] == [
        ("toy", "seq2seq"),
        ("regressor_lstm.three_steps", "regressor"),
    ]
    assert 'data-engine="browser"' in Path("site/index.html").read_text()
    assert {file.name for file in Path("site/runtime").iterdir()} == {"ort.js", "ort.wasm", "LICENSE"}
    again = zoo_command("page", "toy", "-o", "site")
    assert (again.code, "site already exists" in again.err) == (2, True)
    Path("toy/step.onnx").write_bytes(b"other")
    damaged = zoo_command("page", "toy", "-o", "new")
    assert (damaged.code, "step.onnx: damaged file" in damaged.err) == (2, True)
    assert not Path("new").exists()
    assert not [path for path in Path().iterdir() if path.name.startswith(".")]


def test_without_a_network_the_command_says_what_to_put_where(
    zoo_command: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_DATA_DIR", "empty")
    done = zoo_command("page", TOY, "-o", "site")
    assert done.code in (1, 2)
    assert runtime.URL in done.err
    assert str(Path("empty") / runtime.NAME) in done.err
    assert not Path("site").exists()


def test_another_package_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.tgz"
    other.write_bytes(b"other")
    with pytest.raises(ValueError, match="its SHA-512 is e25a"):
        runtime.check(other)


def test_models_that_the_page_can_not_split_texts_for_are_refused(tmp_path: Path) -> None:
    model = CharLMModel(CharLMConfig(vocab=("a", "b"), hidden_size=4))
    vocab = model.vocab
    object.__setattr__(model.config, "symbols", "bpe")
    assert isinstance(vocab, Vocab)
    with pytest.raises(ValueError, match="mine: its symbols are bpe"):
        write({"mine": model}, tmp_path / "page", PAGE_RUNTIME)
    assert not any(tmp_path.iterdir())
