"""Two processes under torchrun or under Lightning's own launcher: one dies, or fails."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.training import CONFIG, FAILS, OPTIONS, differences, environment, torchrun
from cluster.trouble import MESSAGE
from harness import children_of
from support import needs_alice

pytestmark = [needs_alice, pytest.mark.xdist_group("cluster"), pytest.mark.slow]


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What a process says up to a text."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"it never said {text!r}\n{said}")


def test_a_killed_worker_is_replaced_and_the_run_ends_as_if_never_stopped(reference: Path, tmp_path: Path) -> None:
    process = torchrun(tmp_path, RESTARTS="2")
    said = read_until(process, "epoch 2/8")
    os.kill(children_of(process.pid)[-1], signal.SIGKILL)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said + rest
    assert "exitcode: -9" in rest or "SIGKILL" in rest, said + rest
    assert not differences(tmp_path / "run", reference), said + rest


LAUNCHERS = ["torchrun", "lightning"]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_failure_on_one_rank_ends_all_with_its_message(launcher: str, tmp_path: Path) -> None:
    if launcher == "torchrun":
        process = torchrun(tmp_path, *FAILS, RESTARTS="0")
    else:
        two = ("--trainer.devices", "2", "--trainer.strategy", "ddp", "--run_dir", "run")
        process = subprocess.Popen(
            [sys.executable, "-m", "zoo", "fit", "--config", CONFIG, *OPTIONS, *two, *FAILS],
            cwd=tmp_path,
            env=environment(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    said = read_until(process, "epoch 1/8")
    began = time.monotonic()
    rest, _ = process.communicate(timeout=90)
    assert time.monotonic() - began <= 60
    assert process.returncode == 1, said + rest
    assert MESSAGE in rest, said + rest
