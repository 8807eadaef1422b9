"""`zoo data` shows what a config trains on, before anybody trains."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from test_configs import configs, own_data

from support import refused


@pytest.mark.parametrize("config", configs())
def test_it_shows_the_data_of_every_config(config: Path, zoo_command: Callable) -> None:
    given = own_data(config)
    result = zoo_command("data", "--config", config, *given, "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert found["parts"]["train"] > 0
    assert found["examples"]
    assert found["sources"]
    assert sorted(map(str, Path().iterdir())) == given[1:]


@pytest.mark.draws
def test_it_shows_parts_examples_counts_and_what_was_left_out(zoo_command: Callable) -> None:
    rows = [f"{name}{i},{label}" for i in range(10) for name, label in (("Kowal", "Polish"), ("Ross", "Italian"))]
    Path("names.csv").write_text("\n".join(["name,language", *rows, rows[0]]))
    options = ["--data.path", "names.csv", "--data.text", "name", "--data.label", "language"]
    result = zoo_command("data", "--data", "LabelledSequences", *options, "-o", "classes.png")
    assert result.code == 0, result.err
    assert "train           17 examples" in result.out
    assert " -> Polish" in result.out
    assert "'Italian'  train 8  val 1  test 1" in result.out
    assert "1 of 21 texts are duplicates" in result.out
    assert Path("classes.png").stat().st_size > 5000


@pytest.mark.draws
def test_it_shows_the_range_of_numbers(zoo_command: Callable) -> None:
    result = zoo_command("data", "--config", "co2", "-o", "co2.png")
    assert result.code == 0, result.err
    (line,) = (line for line in result.out.splitlines() if line.split()[:2] == ["co2", "train"])
    assert line.split()[2::2] == ["min", "mean", "max", "std"]
    assert 310 < float(line.split()[3]) < float(line.split()[5]) < float(line.split()[7]) < 380
    assert Path("co2.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "toy_en_k"], "there is no packaged config of this name; did you mean toy_en_ko?"),
        ([], "give a config with --config, or a class with --data"),
        (
            ["--config", "toy_en_ko", "--model", "CharLM"],
            "data: unknown argument '--model'",
        ),
        (["--config", "toy_en_ko", "--data.tsk", "reverse"], "did you mean task?"),
        (["--config", "toy_en_ko", "-o", "a.txt"], "expected a name that ends in .png, .pdf or .svg"),
    ],
)
def test_wrong_commands_are_named(words: list[str], message: str, zoo_command: Callable) -> None:
    refused(zoo_command("data", *words), message)
