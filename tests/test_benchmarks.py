"""The scripts behind the numbers run, on a small share of their work."""

import subprocess
import sys
from pathlib import Path

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


@needs_alice
@needs_grimm
def test_the_baselines_are_printed(tmp_path: Path) -> None:
    out = run(tmp_path, "word_baselines.py", "--config", str(CONFIGS / "words_gutenberg.yaml"))
    assert "back-off prefix table  test/accuracy 0.2239  (30 of 134)" in out


def test_seeds_are_averaged(tmp_path: Path) -> None:
    out = run(tmp_path, "seeds.py", str(CONFIGS / "apple_rnn.yaml"), "--seeds", "1", "2", "--predict_inputs", "[apple]")
    assert out.count("pple!") == 2
    assert "train/accuracy         1.0000 ± 0.0000" in out


def test_make_explains_itself() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "make run" in done.stdout
    assert "make test" in done.stdout
