"""The scripts behind the numbers run, on a small share of their work."""

import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cells
import cells_page
import export
import pytest

import baselines
import generation
import results
import training_loop
from datamodules.baselines.counting import ngram_bits
from support import CONFIGS, ROOT, needs_alice, needs_grimm, needs_mnist, run_zoo
from zoo.nn import CELLS


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., list[str]]:
    """Runs a script in this process, in an empty folder; gives the lines that it prints."""
    monkeypatch.chdir(tmp_path)

    def call(script: ModuleType, *args: object) -> list[str]:
        monkeypatch.setattr("sys.argv", [script.__name__, *map(str, args)])
        script.main()
        return capsys.readouterr().out.splitlines()

    return call


@needs_mnist
@pytest.mark.filterwarnings("ignore")
def test_the_training_loop_is_compared(run: Callable) -> None:
    assert run(training_loop, "--recipes", "mnist", "--repeats", "1", "--limit", "2")[-1].startswith("| mnist |")


def test_generation_is_compared(run: Callable) -> None:
    lines = run(generation, "--repeats", "1", "--cells", "gru", "--streams", "1", "--share", "0.05")
    assert lines[-1].startswith("| gru | 1 |")


@needs_alice
@needs_grimm
def test_the_baselines_are_printed(run: Callable) -> None:
    configs = [CONFIGS / f"{name}.yaml" for name in ("words_gutenberg", "toy_en_ko", "three_steps")]
    lines = [line.split() for line in run(baselines, *configs)]
    assert lines[0][:4] == ["words_gutenberg", "prefix", "table", "0.2239"]
    assert [lines[1][2], lines[2][3]] == ["0.1667", "3.0769"]


def test_an_ngram_model_is_a_distribution_and_learns() -> None:
    train = ["abracadabra abracadabra"]
    after_ab = [2 ** -(2 * ngram_bits(train, [f"ab{c}"], 6) - ngram_bits(train, ["ab"], 6)) for c in "abrcd "]
    assert sum(after_ab) == pytest.approx(1)
    assert ngram_bits(train, ["abracadabra"], 6) < 1 < ngram_bits(train, ["drdrdrdr"], 6)
    assert ngram_bits(["ab"], ["ab"], 2, order=1) == pytest.approx(-math.log2((1 + 2 * 0.5) / (2 + 2)))


@pytest.mark.slow
def test_results_are_averaged_beside_a_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        return run_zoo(*command[3:]) if command[1:3] == ["-m", "zoo"] else real(command, **options)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(results, "RUNS", tmp_path)
    row = results.measure(CONFIGS / "apple_rnn.yaml", [1, 2], keep=True)
    assert row.keys() == set(results.COLUMNS)
    assert (row["metric"], row["seeds"], row["baseline"]) == ("train/bpc", "1 2", "character 5-gram")
    assert float(row["mean"]) < 0.01
    assert float(row["lift"]) > 0.3
    before = (tmp_path / "apple_rnn" / "1" / "summary.json").stat().st_mtime_ns
    assert results.train(CONFIGS / "apple_rnn.yaml", 1, keep=True) == tmp_path / "apple_rnn" / "1"
    assert (tmp_path / "apple_rnn" / "1" / "summary.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_cells_are_trained_at_equal_size_and_once(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "TABLE", tmp_path / "cells.csv")
    monkeypatch.setitem(cells.SETTINGS["tasks"]["parity"]["config"]["trainer"], "max_steps", 2)
    command = ("--tasks", "parity", "--cells", "rnn", "mlstm", "--seeds", "1")
    assert len(run(cells, *command)) == 2
    rows = cells.read_table()
    for row in rows.values():
        assert abs(int(row["parameters"]) / cells.SETTINGS["parameters"] - 1) < cells.TOLERANCE
        assert 0.3 < float(row["value"]) < 0.7
    assert run(cells, *command) == []
    assert cells.read_table() == rows


def test_the_page_of_cells_has_each_of_them_and_a_verdict_on_its_claim() -> None:
    assert cells.SETTINGS["cells"].keys() == CELLS.keys()
    about = {"for": "x", "claim": "it is better", "task": "alice", "better_than": "lstm", "slack": 0.03}
    assert "**seen**" in cells_page.verdict("gru", about, {"alice": {"lstm": [2.0], "gru": [2.02]}})
    assert "**not seen**" in cells_page.verdict("gru", about, {"alice": {"lstm": [2.0], "gru": [2.05]}})
    about = {"for": "x", "claim": "it adds", "task": "adding", "bound": 0.02}
    assert "**seen**" in cells_page.verdict("gru", about, {"adding": {"gru": [0.001, 0.002]}})


@pytest.mark.slow
def test_exported_models_are_measured(run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TABLE", tmp_path / "export.csv")
    monkeypatch.setattr(export, "PAGE", tmp_path / "export.md")
    monkeypatch.setattr(export, "SECONDS", 0.001)
    export.PAGE.write_text(f"before\n{export.BEGIN}{export.END}after\n")
    assert run(export, "--models", "seq2seq_rnn.toy_en_ko")[0].endswith("| val/exact_match | 1.0000 | 1.0000 |")
    assert "of 1 models takes less time than in PyTorch" in export.PAGE.read_text()
    run(export, "--check")
    export.PAGE.write_text(export.PAGE.read_text().replace("val/", "test/"))
    with pytest.raises(SystemExit, match="is not what benchmarks/export.csv says"):
        run(export, "--check")


def test_make_explains_itself() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "make run" in done.stdout
    assert "make test" in done.stdout
