"""Lightning's finders: what they find takes effect, stays, and leaves nothing else behind."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch.tuner import Tuner

import harness
from zoo.cli import finders

SMALL = ["--trainer.max_epochs", "2", "--trainer.enable_model_summary", "false"]
LR = ["--trainer.callbacks+", "LearningRateFinder"]
SIZE = ["--trainer.callbacks+", "BatchSizeFinder"]
CONFIGS = ["toy_en_ko", "four_letter_words", "three_steps", "apple_rnn"]


def of_run(run: str) -> tuple[dict, dict]:
    """A run's config and its last checkpoint."""
    config = yaml.safe_load((Path(run) / "config.yaml").read_text())
    return config, torch.load(f"{run}/checkpoints/last.ckpt", weights_only=True)


@pytest.mark.parametrize("config", [CONFIGS[0], *(pytest.param(name, marks=pytest.mark.slow) for name in CONFIGS[1:])])
def test_a_found_learning_rate_is_that_of_the_run(zoo_command: Callable, config: str) -> None:
    result = zoo_command("fit", "--config", config, *SMALL, *LR, "--run_dir", "a")
    assert result.code == 0, result.err
    assert "Finding" not in result.err
    saved, checkpoint = of_run("a")
    rate = saved["model"]["init_args"]["lr"]
    assert f"-> {rate:g} (LearningRateFinder)" in result.out
    assert checkpoint["optimizer_states"][0]["param_groups"][0]["lr"] == checkpoint["hyper_parameters"]["lr"] == rate
    assert Path("a/lr_finder.png").exists()
    assert not list(Path().rglob(".lr_find*"))
    assert zoo_command("fit", "--config", "a/config.yaml", "--run_dir", "b").code == 0
    assert harness.different(harness.state_of(Path("a")), harness.state_of(Path("b"))) == []


def test_the_finders_serve_a_named_optimizer_and_a_schedule(zoo_command: Callable) -> None:
    named = ["--model.lr", "0.001", "--optimizer", "SGD", "--optimizer.lr", "0.1"]
    cycle = ["--lr_scheduler", "OneCycleLR", "--lr_scheduler.max_lr", "0.5"]
    assert zoo_command("fit", "--config", "toy_en_ko", *SMALL, *named, *cycle, *LR, "--run_dir", "a").code == 0
    config, _ = of_run("a")
    assert config["optimizer"]["init_args"]["lr"] == config["lr_scheduler"]["init_args"]["max_lr"] not in (0.1, 0.5)


@pytest.mark.slow
def test_a_found_batch_size_is_that_of_the_run(zoo_command: Callable) -> None:
    result = zoo_command(
        "fit", "--config", "four_letter_words", *SMALL, *SIZE, "--data.batch_size", "2", "--run_dir", "a"
    )
    assert result.code == 0, result.err
    config, checkpoint = of_run("a")
    assert f"batch size: 2 -> {config['data']['init_args']['batch_size']} (BatchSizeFinder, all examples)" in result.out
    assert checkpoint["global_step"] == 2  # one batch an epoch
    assert not list(Path().rglob(".scale_batch_size*"))


@pytest.mark.slow
def test_a_resumed_run_does_not_search_again(zoo_command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["fit", "--config", "toy_en_ko", *LR, *SIZE, "--run_dir", "a", "--trainer.max_epochs"]
    assert zoo_command(*command, "2").code == 0
    before, _ = of_run("a")
    monkeypatch.setattr(finders, "_searching", None)
    for extra in ([*command, "3"], ["fit", "--run_dir", "a", "--trainer.max_epochs", "4"]):
        result = zoo_command(*extra, "--resume", "--override")
        assert result.code == 0, result.err
    assert of_run("a")[0]["model"] == before["model"]
    assert of_run("a")[0]["data"] == before["data"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_search_that_is_interrupted_leaves_nothing(
    zoo_command: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, code: int
) -> None:
    find = Tuner.lr_find

    def interrupt(*args: object, **options: object) -> None:
        find(*args, **options)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(Tuner, "lr_find", interrupt)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert zoo_command("fit", "--config", "toy_en_ko", *LR, "--run_dir", "a").code == code
    assert list(tmp_path.iterdir()) == []


def test_a_stream_refuses_another_batch_size(zoo_command: Callable) -> None:
    stream = ["--data.mode", "stream", "--run_dir", "a"]
    result = zoo_command("fit", "--config", "apple_rnn", *SIZE, *stream)
    assert result.code == 2
    assert "in a stream, batch_size is the number of lanes" in result.err
    assert zoo_command("fit", "--config", "apple_rnn", *SMALL, *LR, *stream).code == 0


def test_a_search_comes_after_the_checks_and_repeats_no_line(
    zoo_command: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert zoo_command("fit", "--config", "toy_en_ko", *SMALL, "--run_dir", "from").code == 0
    start = ["--init_from", "from/checkpoints/last.ckpt", "--freeze", "*encoder*"]
    result = zoo_command("fit", "--config", "toy_en_ko", *SMALL, *LR, *start, "--run_dir", "a")
    assert result.code == 0, result.err
    assert result.out.count("freeze:") == result.out.count("init_from ") == 1
    monkeypatch.setattr(finders, "_searching", None)
    result = zoo_command("fit", "--config", "toy_en_ko", *SMALL, *LR, "--optimizer", "SGD", "--run_dir", "b")
    assert (result.code, "lr: got 0.01 together with an optimizer" in result.err) == (2, True)
    assert not Path("b").exists()
