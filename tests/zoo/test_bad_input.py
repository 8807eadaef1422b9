"""Each mistake ends in a short message that names it, with the right exit code, and leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.sources.cache import cache_dir
from support import CONFIGS, needs_mnist

TOY = (CONFIGS / "toy_en_ko.yaml").read_text()
FIT = ["fit", "--run_dir", "run", "--trainer.max_epochs", "1"]


def replaced(old: str, new: str) -> str:
    assert old in TOY
    return TOY.replace(old, new)


# what is wrong: (the config, further arguments, what the message says)
CONFIG_FAULTS: dict[str, tuple[str | None, list[str], str]] = {
    "misspelt argument": (
        replaced("hidden_size", "hiden_size"),
        [],
        "Seq2Seq has no argument 'hiden_size'; did you mean hidden_size?",
    ),
    "misspelt group": (replaced("trainer:", "trianer:"), [], "did you mean trainer?"),
    "misspelt trainer key": (replaced("max_epochs", "max_epoch"), [], "did you mean max_epochs?"),
    "misspelt option": (TOY, ["--model.hiden_size", "3"], "did you mean hidden_size?"),
    "misspelt trainer option": (TOY, ["--trainer.max_epocs", "3"], "did you mean max_epochs?"),
    "wrong type": (replaced("128", "many"), [], "hidden_size: got many, expected int"),
    "wrong choice": (TOY, ["--model.cell", "lstn"], "did you mean lstm?"),
    "unknown task": (replaced("Seq2Seq\n", "Seq2Sec\n"), [], "unknown class 'Seq2Sec'; did you mean Seq2Seq?"),
    "unknown module": (replaced("ToySeq2Seq", "zooo.Toy"), [], "data: zooo.Toy is not allowed in a config"),
    "unknown module of ours": (replaced("ToySeq2Seq", "zoo.zooo.Toy"), [], "data: there is no 'zooo' in zoo"),
    "unknown optimizer": (TOY, ["--optimizer", "Adamm"], "unknown class 'Adamm'; did you mean Adam?"),
    "missing YAML": (None, [], "c.yaml: file not found"),
    "empty YAML": ("", [], "c.yaml: a config must be a mapping"),
    "broken YAML": (TOY + "x: [", [], "c.yaml: not valid YAML"),
    "no model": ("seed_everything: 1\n", [], "a run needs a model and data"),
    "negative size": (TOY, ["--model.hidden_size", "-1"], "hidden_size: got -1, expected at least 1"),
    "negative learning rate of a task": (TOY, ["--model.lr", "-1"], "zoo: error: lr: got -1.0, expected above 0"),
    "no optimizer": (TOY, ["--optimizer.lr", "0.1"], "there is no optimizer; name one with --optimizer"),
    "negative learning rate": (
        replaced("    lr: 0.01\n", ""),
        ["--optimizer", "Adam", "--optimizer.lr", "-1"],
        "Invalid learning rate",
    ),
    "fits not": (
        "model: {class_path: CharLM}\ndata: {class_path: WordCompletion}\n",
        [],
        "CharLM does not fit WordCompletion: expected batches of type TextBatch, got ClassBatch",
    ),
    "learning rate twice": (TOY, ["--optimizer", "Adam"], "lr: got 0.01 together with an optimizer"),
    "negative seed": (TOY, ["--data.seed", "-1"], "seed: got -1, expected at least 0"),
    "a seed that is none": (TOY, ["--seed_everything", "-1"], "seed_everything: got -1, expected 0 to 4294967295"),
    "null": (replaced("batch_size: 6", "batch_size: null"), [], "data.batch_size: got null, expected int"),
    "missing argument": (TOY, ["--trainer.callbacks", "EarlyStopping"], "callbacks: EarlyStopping needs monitor"),
    "wrong argument of a schedule": (
        TOY,
        ["--lr_scheduler", "{class_path: StepLR, init_args: {step_size: a}}"],
        "step_size: got a, expected int",
    ),
    "endless decoding": (TOY, ["--model.max_length", "1000000"], "max_length: got 1000000, expected at most 10000"),
    "misspelt checkpoint option": (TOY, ["--ckpt_pth", "x"], "did you mean ckpt_path?"),
    "text too short": (
        "model: {class_path: CharLM}\ndata: {class_path: TextString, init_args: {text: hello}}\n",
        [],
        "text: its train part has 5 symbols, expected at least 61",
    ),
    "no inputs": (TOY, ["--data.predict_inputs", "[no]"], "got False, expected str; write it in quotes"),
    "no checkpoint in fit": (
        TOY,
        ["--ckpt_path", "a.ckpt"],
        "--ckpt_path: fit takes --resume to resume a run, or --init_from",
    ),
}
FILE_FAULTS = {  # (model, data, the file's content, what the message says)
    "NaN": ("Regressor", "NumericSequences", "a,b\n1,2\n3,\n", "row 2: got"),
    "missing file": ("Seq2Seq", "ToySeq2Seq", None, "data.csv: file not found"),
}


def check(result: Any, message: str, code: int = 2) -> None:
    assert result.code == code, result.err
    assert message in result.err
    assert "Traceback" not in result.err
    assert len(result.err.strip().splitlines()) <= 12
    assert not Path("run").exists()
    assert not Path("runs").exists()


@pytest.mark.parametrize("fault", CONFIG_FAULTS)
def test_a_fault_in_the_command_or_config(fault: str, zoo_command: Callable) -> None:
    config, options, message = CONFIG_FAULTS[fault]
    if config is not None:
        Path("c.yaml").write_text(config)
    check(zoo_command(*FIT, "--config", "c.yaml", *options), message)


@pytest.mark.parametrize("fault", FILE_FAULTS)
def test_a_fault_in_a_users_file(fault: str, zoo_command: Callable) -> None:
    model, data, content, message = FILE_FAULTS[fault]
    if content is not None:
        Path("data.csv").write_text(content)
    check(zoo_command(*FIT, "--model", model, "--data", data, "--data.path", "data.csv"), message)


def test_no_network_and_no_cache(zoo_command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATA_DIR", "cache")
    result = zoo_command(*FIT, "--model", "CharLM", "--data", "Gutenberg", "--data.books", "[11]")
    check(result, "11.txt: could not be fetched from https://www.gutenberg.org/ebooks/11.txt.utf-8", 1)
    assert not list(Path().iterdir())


def test_a_damaged_book(zoo_command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATA_DIR", "cache")
    Path("cache/gutenberg").mkdir(parents=True)
    Path("cache/gutenberg/11.txt").write_text("<html>")
    result = zoo_command(*FIT, "--model", "CharLM", "--data", "Gutenberg", "--data.books", "[11]")
    check(result, "the file is damaged: delete it", 1)


@needs_mnist
def test_a_damaged_idx_file(zoo_command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = Path("cache/MNIST/raw")
    raw.mkdir(parents=True)
    for file in (cache_dir() / "MNIST" / "raw").iterdir():
        (raw / file.name).symlink_to(file)
    labels = raw / "t10k-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.unlink()
    labels.write_bytes(content[:-1])
    monkeypatch.setenv("ZOO_DATA_DIR", "cache")
    result = zoo_command(*FIT, "--model", "SeqClassifier", "--data", "MNISTRows")
    check(result, "t10k-labels-idx1-ubyte: its SHA-256 is", 1)


@needs_mnist
def test_a_model_that_does_not_fit_real_data(zoo_command: Callable) -> None:
    result = zoo_command(*FIT, "--model", "CharLM", "--data", "MNISTRows")
    check(result, "CharLM does not fit MNISTRows: expected batches of type TextBatch, got ClassBatch")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of `apple!`, trained for one step."""
    folder = tmp_path_factory.mktemp("checkpoint")
    from zoo.__main__ import main

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("sys.argv", ["zoo"])
        config = str(CONFIGS / "apple_rnn.yaml")
        assert main(["fit", "--config", config, "--run_dir", "run", "--trainer.max_epochs", "1"]) == 0
    return folder / "run" / "checkpoints" / "best.ckpt"


def test_faults_of_checkpoints(zoo_command: Callable, checkpoint: Path) -> None:
    check(zoo_command("test", "--ckpt_path", "x.ckpt"), "x.ckpt: file not found")
    check(zoo_command("test"), "a run needs a model and data")
    apple = str(CONFIGS / "apple_rnn.yaml")
    check(zoo_command("validate", "--config", apple), "--ckpt_path: got none")
    whole = checkpoint.read_bytes()
    for size in (0, len(whole) // 2):
        Path("cut.ckpt").write_bytes(whole[:size])
        check(zoo_command("validate", "--ckpt_path", "cut.ckpt"), "cut.ckpt can't be read as a checkpoint")
    torch.save({"a": 1}, "other.ckpt")
    check(zoo_command("validate", "--ckpt_path", "other.ckpt"), "it has no state_dict")
    check(zoo_command("test", "--ckpt_path", checkpoint), "TextString: this data has no test part")


def test_a_checkpoint_of_another_alphabet_of_the_same_size_or_another_shape(
    zoo_command: Callable, checkpoint: Path
) -> None:
    check(
        zoo_command("predict", "--ckpt_path", checkpoint, "--data.text", "lapses"),
        "TextString: 2 of 6 symbols are unknown to the model: 's' (2); to leave them out, add --on_unknown skip",
    )
    check(
        zoo_command("predict", "--ckpt_path", checkpoint, "--model.hidden_size", "6"),
        "hidden_size: the model has 5, and the task has 6",
    )


def test_a_checkpoint_of_another_task(zoo_command: Callable, checkpoint: Path) -> None:
    toy = str(CONFIGS / "toy_en_ko.yaml")
    check(
        zoo_command("validate", "--config", toy, "--ckpt_path", checkpoint),
        "best.ckpt: expected a seq2seq model, got a char_lm_rnn",
    )


def test_a_symbol_out_of_range_is_named(zoo_command: Callable, checkpoint: Path) -> None:
    result = zoo_command("predict", "--ckpt_path", checkpoint, "--data.predict_inputs", "[apqle]")
    check(result, "the symbol 'q' at position 2 is not among the 5 symbols")


@pytest.mark.parametrize("inputs", ["[]", "['']"])
def test_missing_and_empty_inputs(zoo_command: Callable, checkpoint: Path, inputs: str) -> None:
    result = zoo_command("predict", "--ckpt_path", checkpoint, "--data.predict_inputs", inputs)
    check(result, "expected one or more texts, none of them empty")


def test_a_run_folder_that_is_a_file(zoo_command: Callable) -> None:
    Path("file").write_text("mine")
    result = zoo_command("fit", "--config", CONFIGS / "apple_rnn.yaml", "--run_dir", "file")
    check(result, "--run_dir: file is a file")
    assert Path("file").read_text() == "mine"


def test_a_folder_that_holds_a_run_is_refused(zoo_command: Callable) -> None:
    fit = ["fit", "--config", CONFIGS / "apple_rnn.yaml", "--trainer.max_epochs", "1", "--run_dir", "mine"]
    assert zoo_command(*fit).code == 0
    before = {path: path.stat().st_mtime_ns for path in Path("mine").rglob("*")}
    check(zoo_command(*fit), "mine already holds a run; give another folder, or --resume")
    assert {path: path.stat().st_mtime_ns for path in Path("mine").rglob("*")} == before


def test_an_unknown_command_is_named(zoo_command: Callable) -> None:
    from zoo.__main__ import COMMANDS

    commands = ", ".join(COMMANDS)
    check(zoo_command("fitt"), f"unknown command 'fitt', expected one of {commands}; did you mean fit?")


def test_debug_shows_the_traceback(zoo_command: Callable) -> None:
    result = zoo_command("test", "--ckpt_path", "x.ckpt", "--debug")
    assert result.code == 2
    assert "Traceback" in result.err
