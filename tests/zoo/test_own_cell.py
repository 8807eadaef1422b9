"""A cell of another package, from docs/cells.md, is trained, resumed and generated from by the command line."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from support import ROOT
from zoo.nn import CELLS, Layer, Recurrent, State, register_cell
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


class Cell(Layer):
    """A cell that can be wrong in one way."""

    def __init__(self, input_size: int, hidden_size: int, wrong: str = "") -> None:
        super().__init__()
        self.wrong = wrong
        if wrong == "constructor":
            raise RuntimeError("boom")
        if wrong != "weights":
            self.linear = nn.Linear(input_size, hidden_size)
        if wrong != "output_size":
            self.output_size = hidden_size + (wrong == "width")
        self.state_shapes = (hidden_size,) if wrong == "state_shapes" else ((hidden_size,),)  # type: ignore[assignment]
        self.recurrent_weights = ("weight_hh",) if wrong == "recurrent_weights" else ()

    def step(self, x_t: torch.Tensor, state: State) -> Any:
        h = self.linear(x_t).tanh()
        wrongs = {"nothing": None, "state alone": (h,), "more": (h, (h, h)), "shape": (h, (h[:, :1],))}
        return wrongs.get(self.wrong, (h, (h,)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    {
        "weights": "the cell faulty: it has no weights",
        "output_size": "the cell faulty: output_size: got None, expected the number of outputs",
        "width": "the cell faulty: step: outputs: got (2, 4), expected the shape (2, 5) for 2 rows",
        "state_shapes": "the cell faulty: state_shapes: got (4,), expected the shapes of one row's state",
        "recurrent_weights": "the cell faulty: recurrent_weights: it has no parameter weight_hh",
        "nothing": "the cell faulty: step: got NoneType, expected outputs and a state",
        "state alone": "the cell faulty: step: got tuple, expected outputs and a state",
        "more": "the cell faulty: step: got a state of 2 tensors, and state_shapes has 1",
        "shape": "the cell faulty: step: a state: got (2, 1), expected the shape (2, 4) for 2 rows",
        "constructor": "boom",
    }.items(),
)
def test_a_cell_that_breaks_the_contract_is_refused_when_it_is_built(wrong: str, message: str) -> None:
    register_cell("faulty")(Cell)
    try:
        with pytest.raises((ValueError, RuntimeError), match=re.escape(message)) as error:
            Recurrent(3, 4, cell={"name": "faulty", "wrong": wrong})
        assert "not enough memory" not in str(error.value)
        before = torch.random.get_rng_state()
        torch.manual_seed(0)
        assert Recurrent(3, 4, cell="faulty")(torch.zeros(1, 2, 3))[0].shape == (1, 2, 4)
        torch.random.set_rng_state(before)
    finally:
        del CELLS["faulty"]


def test_register_cell_refuses_what_is_no_cell() -> None:
    def kind(**members: Any) -> Any:
        return type("Kind", (Cell,), members)

    class Named(Cell):
        def __init__(self, input_size: int, hidden_size: int, name: str = "x") -> None: ...

    class ByName(Cell):
        def __init__(self, *, input_size: int, hidden_size: int) -> None: ...

    class NoDefault(Cell):
        def __init__(self, input_size: int, hidden_size: int, heads: int) -> None: ...

    class Swapped(Cell):
        def __init__(self, hidden_size: int, input_size: int) -> None: ...

    for name, cls, message in [
        ("lstm", kind(), "'lstm' is taken by zoo.nn.cells.lstm.LSTM"),
        ("My", kind(), "got 'My', expected a name of small letters, digits and _"),
        (kind(), kind(), "expected a name of small letters"),
        ("own", nn.Linear, "expected a subclass of zoo.nn.Layer"),
        ("own", kind(cell_name="other"), "Kind is registered as 'other'; register a subclass"),
        ("own", kind(step=Layer.step), "Kind: it defines neither step nor advance"),
        ("own", Named, "no option can have this name"),
        ("own", ByName, "its constructor takes ['input_size', 'hidden_size'], expected input_size, hidden_size, opt"),
        ("own", Swapped, "its constructor takes ['hidden_size', 'input_size'], expected input_size, hidden_size, opt"),
        ("own", NoDefault, "heads: expected a number, text or boolean as its default"),
    ]:
        with pytest.raises((TypeError, ValueError), match=re.escape(message)):
            register_cell(name)(cls)
    assert "own" not in CELLS
