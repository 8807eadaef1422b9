"""The README's commands and Python run as they stand there; long trainings are cut short."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support import ROOT, needs_alice, needs_mnist, run_zoo

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if kind == "console" for line in block.splitlines() if line]
SHORT = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.limit_val_batches", "2"]


def run_in(folder: Path, commands: list[str]) -> None:
    (folder / "configs").symlink_to(ROOT / "configs")
    for command in commands:
        argv = shlex.split(command)[3:]
        long = "mnist" in command or "alice" in command
        done = run_zoo(*argv, *(SHORT if long and argv[0] == "fit" else []))
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def zoo_commands(*words: str) -> list[str]:
    found = [line for line in COMMANDS if line.startswith("python -m zoo") and any(word in line for word in words)]
    assert found
    return found


def test_its_toy_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path, zoo_commands("--help", "toy"))
    assert (tmp_path / "runs" / "toy" / "summary.json").exists()


@needs_mnist
def test_its_mnist_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path, zoo_commands("mnist"))


@needs_alice
def test_its_alice_command_runs_on_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path, zoo_commands("alice"))


def test_no_command_is_left_out() -> None:
    ours = zoo_commands("--help", "toy", "mnist", "alice")
    assert {line.split("#")[0].strip() for line in COMMANDS if line not in ours} == {"make run", "make test"}


def test_its_python_runs(tmp_path: Path) -> None:
    (code,) = (block for kind, block in BLOCKS if kind == "python")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "사랑" in done.stdout
