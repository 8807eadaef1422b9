"""What tests import: where things lie, and when to skip."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from datamodules.cache import cache_dir

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"


def needs(*names: str) -> pytest.MarkDecorator:
    """Skips where the cache lacks a file."""
    missing = [name for name in names if not (cache_dir() / name).exists()]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)} in {cache_dir()}")


needs_mnist = needs("MNIST/raw/train-images-idx3-ubyte")
needs_alice = needs("gutenberg/11.txt")
needs_grimm = needs("gutenberg/11027.txt")


def run_zoo(*args: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m zoo ...` in a process of its own, in the current folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "zoo", *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
