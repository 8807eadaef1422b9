"""The scripts behind the numbers run, on a small share of their work."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

import results
from baselines import ngram_bits
from support import CONFIGS, ROOT, needs_alice, needs_grimm, needs_mnist


def run(folder: Path, script: str, *args: str) -> str:
    command = [sys.executable, str(ROOT / "benchmarks" / script), *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_mnist
def test_the_training_loop_is_compared(tmp_path: Path) -> None:
    out = run(tmp_path, "training_loop.py", "--recipes", "mnist", "--repeats", "1", "--limit", "2")
    assert out.splitlines()[-1].startswith("| mnist |")


def test_generation_is_compared(tmp_path: Path) -> None:
    out = run(tmp_path, "generation.py", "--repeats", "1", "--cells", "gru", "--streams", "1", "--share", "0.1")
    assert out.splitlines()[-1].startswith("| gru | 1 |")


@needs_alice
@needs_grimm
def test_the_baselines_are_printed(tmp_path: Path) -> None:
    configs = [str(CONFIGS / f"{name}.yaml") for name in ("words_gutenberg", "toy_en_ko", "three_steps")]
    lines = [line.split() for line in run(tmp_path, "baselines.py", *configs).splitlines()]
    assert lines[0][:4] == ["words_gutenberg", "prefix", "table", "0.2239"]
    assert [lines[1][2], lines[2][3]] == ["0.1667", "3.0769"]


def test_an_ngram_model_is_a_distribution_and_learns() -> None:
    train = ["abracadabra abracadabra"]
    after_ab = [2 ** -(2 * ngram_bits(train, [f"ab{c}"], 6) - ngram_bits(train, ["ab"], 6)) for c in "abrcd "]
    assert sum(after_ab) == pytest.approx(1)
    assert ngram_bits(train, ["abracadabra"], 6) < 1 < ngram_bits(train, ["drdrdrdr"], 6)
    assert ngram_bits(["ab"], ["ab"], 2, order=1) == pytest.approx(-math.log2((1 + 2 * 0.5) / (2 + 2)))


def test_results_are_averaged_beside_a_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RUNS", tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    row = results.measure(CONFIGS / "apple_rnn.yaml", [1, 2], keep=True)
    assert row.keys() == set(results.COLUMNS)
    assert (row["metric"], row["seeds"], row["baseline"]) == ("train/bpc", "1 2", "character 5-gram")
    assert float(row["mean"]) < 0.01
    assert float(row["lift"]) > 0.3
    before = (tmp_path / "apple_rnn" / "1" / "summary.json").stat().st_mtime_ns
    assert results.train(CONFIGS / "apple_rnn.yaml", 1, keep=True) == tmp_path / "apple_rnn" / "1"
    assert (tmp_path / "apple_rnn" / "1" / "summary.json").stat().st_mtime_ns == before


def test_make_explains_itself() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "make run" in done.stdout
    assert "make test" in done.stdout
