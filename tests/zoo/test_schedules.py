"""Schedules that find the number of steps of a run, and what becomes of them when the run is resumed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import harness
from harness import CHAR_LM, fit, fork, kill_at, wait
from zoo.runs.schedules import WarmupCosine

APPLE = ["fit", "--config", "apple_rnn", "--trainer.enable_model_summary", "false"]
WARMUP = ["--lr_scheduler", "WarmupCosine", "--lr_scheduler.warmup", "2"]
CYCLE = ["--lr_scheduler", "OneCycleLR", "--lr_scheduler.max_lr", "0.01"]
COSINE = ["--lr_scheduler", "CosineAnnealingLR"]


def state(run: str | Path) -> dict:
    return torch.load(Path(run) / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.parametrize(("schedule", "key"), [(WARMUP, "total_steps"), (CYCLE, "total_steps"), (COSINE, "T_max")])
@pytest.mark.parametrize(
    ("end", "steps"),
    [
        (["--trainer.max_epochs", "6"], 6),
        (["--trainer.max_epochs", "100", "--trainer.max_steps", "4"], 4),
        (["--trainer.max_epochs", "null", "--trainer.max_steps", "5"], 5),
    ],
)
def test_a_schedule_ends_with_the_run(
    zoo_command: Callable, schedule: list[str], key: str, end: list[str], steps: int
) -> None:
    result = zoo_command(*APPLE, *schedule, *end, "--run_dir", "run")
    assert result.code == 0, result.err
    assert f"{schedule[1]} over {steps} steps" in result.out
    (saved,) = state("run")["lr_schedulers"]
    assert (saved[key], saved["last_epoch"]) == (steps, steps)
    assert schedule is CYCLE or saved["_last_lr"][0] < 1e-6  # a step later, OneCycleLR would rise again


def test_batches_are_counted_as_steps(zoo_command: Callable) -> None:
    data = ["--data.text", "apple!" * 20, "--data.batch_size", "4"]
    limits = ["--trainer.limit_train_batches", "6", "--trainer.accumulate_grad_batches", "4"]
    result = zoo_command(*APPLE, *COSINE, *data, *limits, "--trainer.max_epochs", "3", "--run_dir", "run")
    assert "CosineAnnealingLR over 6 steps" in result.out, result.err
    assert state("run")["lr_schedulers"][0]["last_epoch"] == 6


def test_given_numbers_are_used_as_before(zoo_command: Callable) -> None:
    data = ["--data.text", "apple!" * 20, "--data.batch_size", "4", "--trainer.limit_train_batches", "3"]
    given = ["--lr_scheduler.T_max", "7", "--trainer.max_epochs", "2"]
    assert zoo_command(*APPLE, *COSINE, *data, *given, "--run_dir", "run").code == 0
    (saved,) = state("run")["lr_schedulers"]
    assert (saved["T_max"], saved["last_epoch"]) == (7, 2)  # epochs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([*WARMUP, "--trainer.max_epochs", "-1"], "give --trainer.max_epochs or --trainer.max_steps"),
        ([*CYCLE, "--lr_scheduler.total_steps", "9"], "ends at step 9, and the run would go on to step 100"),
        ([*WARMUP, "--lr_scheduler.warmup", "1.5"], "warmup: got 1.5, expected a share in [0, 1), or an integer"),
        ([*WARMUP, "--lr_scheduler.warmup", "100"], "expected fewer than the 100 of the schedule"),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused(zoo_command: Callable, options: list[str], message: str) -> None:
    result = zoo_command(*APPLE, *options, "--run_dir", "run")
    assert result.code == 2, result
    assert message in result.err
    assert not Path("run").exists()


def test_a_longer_run_says_that_its_schedule_ends(zoo_command: Callable) -> None:
    assert zoo_command(*APPLE, *CYCLE, "--trainer.max_epochs", "4", "--run_dir", "run").code == 0
    resume = ["fit", "--run_dir", "run", "--resume", "--override", "--trainer.max_epochs", "9"]
    refused = zoo_command(*resume)
    assert refused.code == 2
    assert "OneCycleLR ends at step 4, and the run would go on to step 9; add --stretch_schedule" in refused.err
    assert zoo_command(*resume, "--stretch_schedule").code == 0
    assert (saved := state("run")["lr_schedulers"][0])["total_steps"] == saved["last_epoch"] == 9
    assert zoo_command("fit", "--run_dir", "run", "--stretch_schedule").code == 2


SLOWER = [pytest.param(schedule, marks=pytest.mark.slow) for schedule in (CYCLE, COSINE)]


@pytest.mark.parametrize("schedule", [WARMUP, *SLOWER], ids=lambda schedule: schedule[1])
def test_a_stretched_schedule_is_that_of_the_longer_run_and_survives_a_kill(
    tmp_path: Path, schedule: list[str]
) -> None:
    case = [*CHAR_LM, *schedule]
    stretch = ["--trainer.max_epochs", "6", "--resume", "--override", "--stretch_schedule"]
    runs = [tmp_path / name for name in ("straight", "killed")]
    for run in runs:
        assert wait(fork(fit(case, run))) == 0
    assert wait(fork(fit(case, runs[0], *stretch))) == 0
    assert wait(fork(fit(case, runs[1], *stretch), kill_at(29))) == -signal.SIGKILL
    assert wait(fork(["fit", "--run_dir", str(runs[1]), "--resume"])) == 0
    assert harness.different(harness.state_of(runs[0]), harness.state_of(runs[1])) == []
    fresh = tmp_path / "fresh"
    assert wait(fork(fit(case, fresh, "--trainer.max_epochs", "6"))) == 0
    assert state(runs[1])["lr_schedulers"] == state(fresh)["lr_schedulers"]


def test_a_warm_up_resumes_to_the_bit(tmp_path: Path) -> None:
    case = [*CHAR_LM, "--lr_scheduler", "WarmupCosine", "--lr_scheduler.warmup", "0.5"]
    assert wait(fork(fit(case, tmp_path / "a"))) == 0
    assert wait(fork(fit(case, tmp_path / "b"), kill_at(5, signal.SIGKILL))) == -signal.SIGKILL
    assert wait(fork(["fit", "--run_dir", os.fspath(tmp_path / "b"), "--resume"])) == 0
    assert harness.different(harness.state_of(tmp_path / "a"), harness.state_of(tmp_path / "b")) == []


def test_a_warm_up_is_linear_and_then_half_a_cosine() -> None:
    adam = torch.optim.Adam([torch.zeros(1)], lr=2.0)
    shape = WarmupCosine(adam, warmup=0.5, final_ratio=0.1, total_steps=8).lr_lambdas[0]
    assert [shape(step) for step in (0, 1, 3, 4, 6, 8, 9)] == pytest.approx([0.25, 0.5, 1.0, 1.0, 0.55, 0.1, 0.1])
