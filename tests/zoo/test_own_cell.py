"""A cell of another package, from docs/cells.md, is trained, resumed and generated from by the command line."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import ROOT
from zoo.nn import CELLS
from zoo.nn.layer import cell_options

PAGE = (ROOT / "docs" / "cells.md").read_text()
(CODE,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
(COMMANDS,) = re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, zoo_command: Callable) -> Iterator[None]:
    Path("my_cells.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    yield
    CELLS.pop("leaky", None)


def test_a_cell_of_fifteen_lines_is_trained_resumed_and_used(package: None, zoo_command: Callable) -> None:
    fit, generate = (shlex.split(line)[3:] for line in COMMANDS.splitlines())
    result = zoo_command(*fit, "--trainer.max_epochs", "2")
    assert result.code == 0, result.err
    result = zoo_command(*fit, "--trainer.max_epochs", "3", "--resume", "--override")
    assert result.code == 0, result.err
    result = zoo_command(*generate)
    assert result.code == 0, result.err
    assert len(result.out.strip()) >= 1


def test_the_page_has_every_cell_with_its_options() -> None:
    own = [name for name, kind in CELLS.items() if kind.__module__.startswith("zoo.")]
    for name in own:
        (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| [`{name}`]"))
        for option in cell_options(name):
            assert f"`{option}: " in row, (name, option)
