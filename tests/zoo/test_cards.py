"""The cards of one's own models: what they know of the run, and what they keep to themselves."""

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import zoo
from harness import fit, fork, kill_at, wait
from support import tiny
from zoo.files import bundle
from zoo.files.card import card as card_of
from zoo.hub import export
from zoo.hub.training import about_training

TEXT = "the queen of hearts, she made some tarts, all on a summer day; " * 6


@pytest.fixture
def trained(zoo_command: Callable, tmp_path: Path) -> Callable:
    """A run with a data file of an absolute path, in the folder `run`; gives the command line."""
    (tmp_path / "secret folder").mkdir()
    (tmp_path / "secret folder" / "my text.txt").write_text(TEXT)
    options = ["--data.seq_len", 6, "--data.val_fraction", 0.2, "--data.test_fraction", 0.1, "--model.hidden_size", 4]
    options += ["--optimizer", "AdamW", "--optimizer.lr", 0.01, "--lr_scheduler", "CosineAnnealingLR"]
    options += ["--lr_scheduler.T_max", 4, "--trainer.max_epochs", 3, "--seed_everything", 7]
    file = tmp_path / "secret folder" / "my text.txt"
    done = zoo_command(
        "fit", "--run_dir", "run", "--model=CharLM", "--data=TextFile", f"--data.paths=['{file}']", *options
    )
    assert done.code == 0, done.err
    return zoo_command


def test_a_card_says_how_its_model_was_trained_and_names_no_folder(trained: Callable, tmp_path: Path) -> None:
    assert trained("export", "run", "-o", "mine").code == 0
    card, config = (Path("mine", name).read_text() for name in ("README.md", "config.json"))
    summary = json.loads(Path("run/summary.json").read_text())
    about = json.loads(config)["about"]
    for metric in ("val/loss", "val/bpc", "test/loss", "test/bpc"):
        assert about["metrics"][metric] == pytest.approx(summary["metrics"][metric]["best"], abs=1e-4)
    assert "| optimizer | AdamW, lr 0.01, betas [0.9, 0.999], eps 1e-08, weight_decay 0.01" in card
    assert "| learning-rate schedule | CosineAnnealingLR, T_max 4" in card
    assert "| seed | 7 |" in card
    assert "| trained for | 3 epochs, " in card
    assert f"| trained on | {summary['hardware']} |" in card
    assert f"torch {summary['versions']['torch']}" in card
    assert "my text.txt" in card
    for text in (card, config):
        assert str(tmp_path) not in text
        assert "secret folder" not in text
        assert str(Path.home()) not in text
    assert zoo.load("mine").generate("the", 3, seed=0) == zoo.load("run").generate("the", 3, seed=0)


def test_the_last_checkpoint_has_its_own_validation_and_no_test_of_another(trained: Callable) -> None:
    path = Path("run/checkpoints/last.ckpt")
    lines = [line.split(",") for line in Path("run/metrics.csv").read_text().splitlines()]
    column = lines[0].index("val/loss")
    # As if the first epoch had been the best one.
    first = next(line for line in lines[1:] if line[column])
    first[column] = "0.001"
    Path("run/metrics.csv").write_text("\n".join(",".join(line) for line in lines) + "\n")
    assert trained("export", path, "-o", "last").code == 0
    metrics = json.loads(Path("last/config.json").read_text())["about"]["metrics"]
    last = [line[column] for line in lines[1:] if line[column]][-1]
    assert metrics["val/loss"] == pytest.approx(float(last), abs=1e-4)
    assert not any(name.startswith("test/") for name in metrics)


def test_a_run_that_was_stopped_has_a_card_too(trained: Callable) -> None:
    summary = json.loads(Path("run/summary.json").read_text())
    Path("run/summary.json").write_text(json.dumps({**summary, "status": "interrupted"}))
    assert trained("export", "run", "-o", "stopped").code == 0
    assert "the run is not finished: interrupted" in Path("stopped/README.md").read_text()
    Path("run/summary.json").unlink()  # as after a kill
    assert trained("export", "run/checkpoints/last.ckpt", "-o", "killed").code == 0
    card = Path("killed/README.md").read_text()
    assert "| data | my text.txt, SHA-256" in card
    assert "these weights reach | val/accuracy" in card
    assert "| trained on | " in card


def test_a_run_that_was_stopped_in_its_first_epoch_has_the_metrics_of_its_last_validation(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = [
        "--data.seq_len",
        "6",
        "--data.batch_size",
        "4",
        "--data.val_fraction",
        "0.2",
        "--model.hidden_size",
        "4",
    ]
    case = ["--model", "CharLM", "--data", "TextString", "--data.text", TEXT, *options]
    assert wait(fork(fit(case, run), kill_at(2, signal.SIGINT))) == 130
    card = card_of(export(run, tmp_path / "mine"))
    row = [row for row in csv.DictReader((run / "metrics.csv").read_text().splitlines()) if row["val/loss"]][-1]
    assert row["step"] == "2"
    assert f"val/loss {round(float(row['val/loss']), 4)}" in card
    assert "| trained for | 3 steps, within epoch 1; the run is not finished: interrupted |" in card


def test_a_bar_in_a_name_does_not_end_its_cell(tmp_path: Path) -> None:
    model = tiny()
    about = {"data": {"a|b.txt": "0" * 64}, "hardware": "one\nCPU"}
    bundle.write(tmp_path, model.model_name, model.config.as_dict(), model.network.state_dict(), about)
    card = card_of(bundle.read_config(tmp_path))
    assert r"| data | a\|b.txt, SHA-256" in card
    assert "| trained on | one CPU |" in card


def test_a_checkpoint_of_a_plain_trainer_gives_what_it_knows() -> None:
    found = {"epoch": 2, "global_step": 9, "hyper_parameters": {"lr": 0.1, "hidden_size": 3}, "optimizer_states": []}
    about = about_training(Path("nowhere/a/b.ckpt"), found, {"hidden_size": 3})
    assert about == {"data": {}, "metrics": {}, "trained_for": "2 epochs, 9 steps"}
