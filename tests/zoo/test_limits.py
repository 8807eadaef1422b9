"""Guards around the trainer's options."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

SMALL = ["fit", "--config", "apple_rnn", "--trainer.enable_model_summary", "false", "--trainer.max_epochs", "1"]
TEXT = ["--data.text", "apple!" * 20, "--data.batch_size", "4"]


def trainer_of(run: str) -> dict:
    return yaml.safe_load((Path(run) / "config.yaml").read_text())["trainer"]


@pytest.mark.parametrize("value", ["1", "1.0"])
def test_an_integer_1_is_one_batch_and_1_0_is_all(zoo_command: Callable, value: str) -> None:
    parts = [f"limit_{part}_batches" for part in ("train", "val", "test", "predict")]
    Path("limits.yaml").write_text("trainer:\n" + "".join(f"  {part}: {value}\n" for part in parts))
    command = [part for name in parts for part in (f"--trainer.{name}", value)]
    steps = []
    for run, given in (("a", command), ("b", ["--config", "limits.yaml"])):
        assert zoo_command(*SMALL, *TEXT, *given, "--run_dir", run).code == 0
        kinds = {type(trainer_of(run)[part]) for part in parts}
        assert kinds == {int if value == "1" else float}
        result = zoo_command("fit", "--run_dir", run, "--resume", "--override", "--trainer.max_epochs", "2")
        assert result.code == 0, result.err
        steps.append(result.out.partition("2 epochs, ")[2].partition(" steps")[0])
    assert steps == (["2", "2"] if value == "1" else ["12", "12"])


def test_a_run_without_an_end_gets_one_and_repeats(zoo_command: Callable) -> None:
    open_end = ["--trainer.max_epochs", "null", "--model.lr", "1e-30"]  # changes no weight, so no noise decides
    result = zoo_command(*SMALL, *open_end, "--run_dir", "a")
    assert (
        "max_epochs was not given: at most 100 epochs, and stop after 10 without a better train/loss" in result.out
    ), result.err
    trainer = trainer_of("a")
    assert trainer["max_epochs"] == 100
    assert trainer["callbacks"][0]["class_path"].endswith("NoImprovement")
    assert zoo_command("fit", "--config", "a/config.yaml", "--run_dir", "b").code == 0
    assert Path("a/metrics.csv").read_text() == Path("b/metrics.csv").read_text()
    assert zoo_command(*SMALL, *open_end, "--run_dir", "a", "--resume").code == 0


@pytest.mark.parametrize("end", [["--trainer.max_steps", "3"], ["--trainer.max_time", "00:00:00:01"]])
def test_steps_and_time_rule_where_they_are_given(zoo_command: Callable, end: list[str]) -> None:
    result = zoo_command(*SMALL, "--trainer.max_epochs", "null", *end, "--run_dir", "a")
    assert result.code == 0, result.err
    assert "was not given" not in result.out
    assert trainer_of("a")["max_epochs"] is None


def test_a_second_config_says_what_it_replaces_and_can_add(zoo_command: Callable) -> None:
    entry = "  - class_path: {}\n    init_args: {{{}}}\n"
    Path("one.yaml").write_text("trainer:\n  callbacks:\n" + entry.format("EarlyStopping", "monitor: train/loss"))
    Path("two.yaml").write_text("trainer:\n  callbacks:\n" + entry.format("LearningRateMonitor", ""))
    Path("more.yaml").write_text("trainer:\n  callbacks+:\n" + entry.format("LearningRateMonitor", ""))
    replaced = zoo_command(*SMALL, "--config", "one.yaml", "--config", "two.yaml", "--run_dir", "a")
    assert "two.yaml: trainer.callbacks replaces that of one.yaml; to add to it, write callbacks+" in replaced.out
    assert len(trainer_of("a")["callbacks"]) == 1
    added = zoo_command(*SMALL, "--config", "one.yaml", "--config", "more.yaml", "--run_dir", "b")
    assert "replaces" not in added.out
    assert len(trainer_of("b")["callbacks"]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--trainer.callbacks", "EarlyStopping", "--trainer.callbacks.monitor", "train/los"],
            "did you mean train/loss?",
        ),
        (["--trainer.callbacks", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"], "has no validation"),
        (["--trainer.callbacks", "ModelCheckpoint", "--trainer.callbacks.monitor", "val/loss"], "has no validation"),
        (["--lr_scheduler", "ReduceLROnPlateau", "--lr_scheduler.monitor", "train/lss"], "did you mean train/loss?"),
    ],
)
def test_a_metric_that_never_comes_is_refused(zoo_command: Callable, options: list[str], message: str) -> None:
    result = zoo_command(*SMALL, *options, "--run_dir", "a")
    assert result.code == 2, result
    assert message in result.err
    assert "expected one of train/loss_step, train/loss" in result.err
    assert len(result.err.splitlines()) == 1
    assert not Path("a").exists()
