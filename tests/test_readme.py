"""The README's commands and Python run as they stand there; long trainings are cut short."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import ROOT, needs_alice, needs_mnist, run_zoo

README = (ROOT / "README.md").read_text()
BLOCK = r"```(\w+)\n(.*?)```"
BLOCKS = re.findall(BLOCK, README, re.DOTALL)
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
    run_in(tmp_path, zoo_commands("--help", "toy", "zoo runs"))
    assert (tmp_path / "runs" / "toy" / "summary.json").exists()


def test_its_models_can_be_used(zoo_command: Callable) -> None:
    for command in zoo_commands("zoo list", "zoo generate", "zoo infer"):
        result = zoo_command(*shlex.split(command)[3:])
        assert result.code == 0, result.err


@needs_mnist
def test_its_mnist_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path, zoo_commands("mnist"))


@needs_alice
def test_its_alice_command_runs_on_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path, zoo_commands("alice_lstm"))


def test_no_command_is_left_out() -> None:
    ours = zoo_commands("--help", "toy", "zoo runs", "zoo list", "zoo generate", "zoo infer", "mnist", "alice_lstm")
    assert {line.split("#")[0].strip() for line in COMMANDS if line not in ours} == {"make run", "make test"}


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if "```python" in page.read_text() and page.stem != "extending"],  # see test_extending.py
    ids=lambda page: page.stem,
)
def test_its_python_runs(page: Path, tmp_path: Path) -> None:
    code = "\n".join(block for kind, block in re.findall(BLOCK, page.read_text(), re.DOTALL) if kind == "python")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "사랑" in done.stdout or "단어" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target
