"""However a run ends, it leaves a model that every command takes."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import zoo
from harness import CASES, fit, fork, kill_at, wait
from support import refused
from zoo.runs.processes import LAUNCHER, end_with_parent

WITHIN_AN_EPOCH = ["--trainer.val_check_interval", "1.0", "--trainer.max_epochs", "3"]
ENDINGS = {
    "epochs": ["--trainer.max_epochs", "1"],
    "steps": [*WITHIN_AN_EPOCH, "--trainer.max_steps", "4"],
    "time": [*WITHIN_AN_EPOCH, "--trainer.max_time", "00:00:00:01", "--trainer.max_epochs", "100000"],
    "epochs, rarely validated": ["--trainer.max_epochs", "1", "--trainer.check_val_every_n_epoch", "5"],
    "early stop": ["--trainer.callbacks.patience", "0", "--optimizer.lr", "1e-9", "--lr_scheduler.T_max", "1"],
}
ENDED = ("best.ckpt", "last.ckpt")


@pytest.mark.parametrize("how", ENDINGS)
def test_a_run_that_ends_by_itself_has_a_validated_best_checkpoint(how: str, zoo_command: Callable) -> None:
    result = zoo_command(*fit(CASES["CharLM"], Path("run"), *ENDINGS[how]))
    assert result.code == 0, result.err
    assert {path.name for path in Path("run/checkpoints").iterdir()} >= set(ENDED)
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["status"] == "finished"
    assert {"val/loss", "test/loss"} <= summary["metrics"].keys()
    said = zoo_command("generate", "run", "--prompt", "the queen", "--length", "5")
    assert said.out.startswith("the queen")
    assert said.err == "using run/checkpoints/best.ckpt\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_first_epoch_leaves_a_validated_best_checkpoint(
    number: int, zoo_command: Callable, tmp_path: Path
) -> None:
    code = wait(fork(fit(CASES["CharLM"], Path("run"), *WITHIN_AN_EPOCH), kill_at(1, number), tmp_path / "log"))
    assert code == 128 + number
    assert "saved; validating once more" in (tmp_path / "log").read_text()
    assert json.loads(Path("run/summary.json").read_text())["metrics"]["val/loss"]["last"] > 0
    assert zoo_command("generate", "run", "--length", "5").err == "using run/checkpoints/best.ckpt\n"


def test_what_a_signal_validates_does_not_change_the_resumed_run(zoo_command: Callable) -> None:
    command = fit(CASES["CharLM"], Path("run"), "--trainer.val_check_interval", "1.0", "--trainer.max_epochs", "2")
    assert zoo_command(*command[:-1], "straight").code == 0
    assert wait(fork(command, kill_at(9, signal.SIGINT))) == 130
    assert Path("run/checkpoints/best-previous.ckpt").exists()  # of the first epoch; the best one is of step 10
    assert zoo_command("fit", "--run_dir", "run", "--resume").code == 0
    assert Path("run/metrics.csv").read_text() == Path("straight/metrics.csv").read_text()
    for name in ENDED:
        ours, theirs = (zoo.load(Path(run) / "checkpoints" / name).state_dict() for run in ("run", "straight"))
        assert all((ours[key] == theirs[key]).all() for key in ours)


def test_a_killed_run_is_a_model_as_soon_as_it_has_a_checkpoint(zoo_command: Callable) -> None:
    assert wait(fork(fit(CASES["CharLM"], Path("run"), *WITHIN_AN_EPOCH), kill_at(3))) == -signal.SIGKILL
    for command in (["generate", "run", "--length", "5"], ["validate", "--ckpt_path", "run"]):
        result = zoo_command(*command)
        assert (result.code, result.err) == (0, "using run/checkpoints/last.ckpt\n")
    assert zoo_command("export", "run", "-o", "bundle").code == 0
    assert zoo.load("bundle").generate(length=3)


def test_a_damaged_checkpoint_is_passed_over_and_a_run_without_one_is_no_model(zoo_command: Callable) -> None:
    assert zoo_command(*fit(CASES["CharLM"], Path("run"), "--trainer.max_epochs", "1")).code == 0
    Path("run/checkpoints/best.ckpt").write_bytes(b"half a checkpoint")
    result = zoo_command("generate", "run", "--length", "5")
    assert "best.ckpt can't be read as a checkpoint: it is damaged" in result.err
    assert result.err.endswith("using run/checkpoints/last.ckpt\n")
    shutil.rmtree("run/checkpoints")
    refused(zoo_command("generate", "run", "--length", "5"), "run: this run has no checkpoint")


def test_a_rank_ends_if_its_launcher_ended_before_it_began() -> None:
    pid = os.fork()
    if pid == 0:
        os.environ.update({"LOCAL_RANK": "1", LAUNCHER: "1"})  # this process has another parent
        end_with_parent(0.01)
        time.sleep(60)
        os._exit(0)
    assert wait(pid) == 1
