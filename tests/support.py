"""What tests import: where things lie, and when to skip."""

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
