"""Every example of docs/your-data.md runs as it is printed, on the files that the page makes."""

import re
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from support import ROOT

PAGE = (ROOT / "docs" / "your-data.md").read_text()
FILES = dict(re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
BEGINNINGS = re.findall(r"^`([\w.]+)` begins with:\n\n```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = {
    block.split("--config ")[1].split()[0]: block.splitlines()
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
}
PRINTED = {
    "text.yaml": "the cat",
    "names.yaml": "Torini -> Italian",
    "signals.yaml": "signals.csv: rises-0 -> rises",
    "pairs.yaml": "my hare likes the moon. -> mein Hase mag den Mond.",
    "load.yaml": "2024-02-29 05:00",
}


@pytest.fixture
def files(zoo_command: Callable) -> None:
    for name, text in FILES.items():
        Path(name).write_text(text)
    runpy.run_path("make_files.py")


@pytest.mark.parametrize("config", COMMANDS)
def test_the_commands_run(config: str, files: None, zoo_command: Callable) -> None:
    for line in COMMANDS[config]:
        result = zoo_command(*shlex.split(line)[3:])
        assert result.code == 0, f"{line}\n{result.err}"
    assert PRINTED[config] in result.out


def test_the_files_begin_as_the_page_says(files: None) -> None:
    assert [name for name, _ in BEGINNINGS] == ["names.csv", "signals.csv", "pairs.csv", "load.csv"]
    for name, text in BEGINNINGS:
        assert Path(name).read_text().startswith(text.rstrip("\n")), name


@pytest.mark.filterwarnings("ignore:The '\\\\w+' does not have many workers", "ignore:The number of training batches")
def test_the_same_works_from_python(files: None, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path("from_python.py")
    assert "TextPairs(path='pairs.csv'" in capsys.readouterr().out
