"""The commands of the README and of the command line's page, and the Python of all pages, run as they stand there.

Trainings are cut short.
"""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from support import ON_TWO, ROOT, TWO_PROCESSES, needs_grimm, needs_mnist

BLOCK = r"```(\w+)\n(.*?)```"
HOME, REFERENCE = ROOT / "README.md", ROOT / "docs" / "command_line.md"
SHORT = [f"--trainer.limit_{part}_batches=2" for part in ("train", "val", "test")]


def commands(page: Path) -> list[str]:
    blocks = re.findall(BLOCK, page.read_text(), re.DOTALL)
    return [line for kind, block in blocks if kind == "console" for line in block.splitlines() if line]


def zoo_commands(page: Path, *words: str) -> list[str]:
    ours = [line for line in commands(page) if line.startswith("python -m zoo")]
    found = [line for line in ours if any(word in line for word in words)]
    assert found
    return found


def check(zoo_command: Callable, lines: list[str]) -> None:
    """Runs commands in one folder; a fit takes an epoch, and one that goes on another one."""
    (Path("configs")).symlink_to(ROOT / "configs")
    for line in lines:
        argv = shlex.split(line, comments=True)[3:]
        if argv[0] == "fit":
            argv += [*SHORT, "--trainer.max_epochs", "2" if "--resume" in argv else "1"]
        elif argv[0] == "test":
            argv += SHORT
        result = zoo_command(*argv)
        assert result.code == 0, f"{line}\n{result.err}"


@pytest.mark.parametrize("page", [HOME, REFERENCE], ids=lambda page: page.stem)
def test_its_toy_commands_run(page: Path, zoo_command: Callable) -> None:
    check(zoo_command, zoo_commands(page, "--help", "runs/toy", "zoo runs"))
    assert Path("runs/toy/summary.json").exists()


def test_its_models_can_be_used(zoo_command: Callable) -> None:
    lines = zoo_commands(HOME, "zoo list", "zoo show", "zoo generate", "zoo infer", "zoo export")
    check(zoo_command, [line for line in lines if "runs/" not in line])


@needs_grimm
def test_its_model_is_scored_on_another_book(zoo_command: Callable) -> None:
    check(zoo_command, zoo_commands(REFERENCE, "11027"))


@needs_mnist
def test_its_mnist_commands_run(zoo_command: Callable) -> None:
    check(zoo_command, zoo_commands(REFERENCE, "mnist"))


def test_its_command_for_two_processes_is_one_that_the_configs_are_tested_with() -> None:
    (command,) = zoo_commands(REFERENCE, "alice_lstm")
    assert command in [f"python -m zoo fit --config configs/{name}.yaml {TWO_PROCESSES}" for name in ON_TWO]


def test_no_command_is_left_out() -> None:
    tried = ("--help", "toy", "zoo runs", "zoo list", "zoo show", "zoo generate", "zoo infer", "zoo export")
    elsewhere = ("zoo serve", "zoo page")  # in tests/zoo
    ours = {*zoo_commands(HOME, *tried, *elsewhere), *zoo_commands(REFERENCE, *tried, "mnist", "alice_lstm", "11027")}
    others = {line.split("#")[0].strip() for page in (HOME, REFERENCE) for line in commands(page) if line not in ours}
    assert others == {"make run", "make test"}


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TESTED = ("cells", "extending", "your-data")  # elsewhere


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if "```python" in page.read_text() and page.stem not in TESTED],
    ids=lambda page: page.stem,
)
@pytest.mark.filterwarnings("ignore")  # Lightning's, about loaders without workers
def test_its_python_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(block for kind, block in re.findall(BLOCK, page.read_text(), re.DOTALL) if kind == "python")
    exec(code, {"__name__": "page"})
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target
