"""Every config runs, in full and in half precision, and says at its head what it reaches."""

import csv
import itertools
import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from support import CONFIGS, ON_TWO, TWO_PROCESSES, needs_alice, needs_grimm, needs_mnist, run_zoo

NEEDS = {
    "MNISTRows": [needs_mnist],
    "[11]": [needs_alice],
    "[11027]": [needs_grimm],
    "[11, 11027]": [needs_alice, needs_grimm],
}
LARGE = ("g2p_en", "punctuation", "reverse", "addition", "addition_attention")  # their data alone takes seconds to read
WORDS = list(itertools.product(("red", "green", "grey"), ("cat", "dog", "bird"), ("sing", "sleep", "run")))
SHORT = [
    *("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "3", "--trainer.limit_val_batches", "2"),
    *("--trainer.limit_test_batches", "2", "--trainer.accelerator", "cpu", "--run_dir", "run"),
]


def configs(fast: tuple[str, ...] | None = None) -> list:
    """The configs, with the data that they need; all but some are slow."""
    found = []
    for path in sorted(CONFIGS.glob("*.yaml")):
        text = path.read_text()
        marks = [mark for key, needed in NEEDS.items() if key in text for mark in needed]
        slow = path.stem in LARGE if fast is None else path.stem not in fast
        marks += [pytest.mark.slow] if slow else []
        found.append(pytest.param(path, id=path.stem, marks=marks))
    return found


def own_data(config: Path) -> list[str]:
    """Options for a config whose data is the user's: a table of sentence pairs in this folder."""
    if config.stem != "pairs_best":
        return []
    rows = [f"the {color} {name} {verb}s,{color}es {name}chen {verb}t\n" for color, name, verb in WORDS]
    Path("pairs.csv").write_text("".join(["source,target\n", *rows]))
    return ["--data.path", "pairs.csv"]


every_config = pytest.mark.parametrize("config", configs())


def metrics(folder: str) -> dict[tuple[str, str], float]:
    """Every metric of a run, by its name and step; not the loss of each step, which each rank has its own."""
    rows = csv.DictReader((Path(folder) / "metrics.csv").read_text().splitlines())
    cells = (((name, row["step"]), value) for row in rows for name, value in row.items())
    return {key: float(value) for key, value in cells if "/" in key[0] and "_step" not in key[0] and value}


@every_config
def test_it_runs_in_half_precision(config: Path, zoo_command: Callable) -> None:
    small = ["--data.batch_size", "4", "--trainer.limit_train_batches", "2"]  # a core has no fast bfloat16
    command = ["fit", "--config", config, *own_data(config), *SHORT, *small]
    result = zoo_command(*command, "--trainer.precision", "bf16-mixed")
    assert result.code == 0, result.err
    assert all(map(math.isfinite, metrics("run").values()))


REACHES = [
    ("apple_rnn", "train/loss", lambda loss: loss <= 0.01, ("[apple]", lambda text: text == "pple!")),
    ("four_letter_words", "val/accuracy", lambda accuracy: accuracy == 1.0, ("[wor]", lambda text: text == "d")),
    ("toy_en_ko", "val/exact_match", lambda match: match == 1.0, ("[kiss]", lambda text: text == "키스")),
    (
        *("three_steps", "val/mae", lambda error: error <= 0.1),
        ("[[25, 35, 45]]", lambda value: abs(float(value) - 55) <= 0.5),
    ),
    pytest.param(
        *("mnist_rnn", "test/accuracy", lambda accuracy: accuracy >= 0.972, None),
        marks=[pytest.mark.slow, needs_mnist],
    ),
]


@pytest.mark.parametrize(("config", "metric", "holds", "example"), REACHES)
def test_it_reaches_what_it_says_and_predicts_what_it_learned(
    config: str, metric: str, holds: Callable, example: tuple[str, Callable] | None, zoo_command: Callable
) -> None:
    result = zoo_command("fit", "--config", CONFIGS / f"{config}.yaml", "--run_dir", "run")
    assert result.code == 0, result.err
    value = json.loads(Path("run/summary.json").read_text())["metrics"][metric]["last"]
    assert holds(value), f"{metric} {value}"
    if example is not None:
        inputs, right = example
        predicted = zoo_command("predict", "--ckpt_path", "run/checkpoints/best.ckpt", "--data.predict_inputs", inputs)
        (row,) = csv.DictReader(predicted.out.splitlines())
        assert right(row["prediction"]), row


@pytest.mark.parametrize("config", configs(fast=ON_TWO))
def test_two_processes_give_the_same_numbers(config: Path, zoo_command: Callable) -> None:
    no_dropout = ["--model.dropout", "0", "--model.head_dropout", "0", "--model.weight_drop", "0"]
    no_dropout += ["--model.variational_dropout", "0"]
    average = ["--trainer.callbacks", "EMAWeightAveraging"] if config.stem == "toy_en_ko" else []
    command = ["fit", "--config", config, *own_data(config), *SHORT, *no_dropout, *average, "--trainer.max_epochs", "2"]
    assert zoo_command(*command).code == 0
    two = run_zoo(*command, "--run_dir", "two", *TWO_PROCESSES.split())
    assert two.returncode == 0, two.stderr
    one_process, two_processes = metrics("run"), metrics("two")
    assert one_process.keys() == two_processes.keys()
    for key, value in one_process.items():
        assert two_processes[key] == pytest.approx(value, abs=1e-5, rel=1e-5), key


@every_config
def test_its_head_says_what_it_reaches(config: Path) -> None:
    head = " ".join(line[2:] for line in config.read_text().splitlines() if line.startswith("# "))
    assert f"python -m zoo fit --config configs/{config.name}" in head
    for what in (r"2 cores", r"\d+ (s|min)", r"(train|val|test)/\w+ [\d.]+", r"\d{4}-\d{2}-\d{2}"):
        assert re.search(what, head), f"{config.name} does not say {what}"


def test_every_config_starts_from_the_same_seed() -> None:
    assert all(yaml.safe_load(config.read_text())["seed_everything"] == 1 for config in CONFIGS.glob("*.yaml"))
