"""What tests import: where things lie, when to skip, and what several files need."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

import harness
import zoo.__main__
from datamodules.sources.cache import cache_dir
from zoo.page import runtime

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
ALICE, TOY, WORDS = "char_lm_lstm.alice", "seq2seq_rnn.toy_en_ko", "seq_classifier_lstm.four_letter_words"
DIGITS, STEPS = "seq_classifier_lstm.mnist_rows", "regressor_lstm.three_steps"
# Configs that train on two processes, too. The others have the same tasks, data and schedules, in other sizes.
ON_TWO = ("alice_lstm_heldout", "toy_en_ko")
TWO_PROCESSES = "--trainer.devices 2 --trainer.strategy ddp"
ADDRESSES = [
    *("http://127.0.0.1:1/a.ckpt", "https://127.0.0.1:1/a.ckpt", "s3://bucket/a.ckpt", "gs://bucket/a.ckpt"),
    *("hf://user/name/a.ckpt", "file:///a.ckpt", "file:a.ckpt", "memory://a.ckpt", "simplecache::memory://a.ckpt"),
    *("data:text/plain,a", "registry:name", "registry:name:version:3", "zip://a.ckpt::memory://b.zip"),
]


def laughs(levels: int) -> str:
    """A text of a few lines, which is 9 ** levels values with its aliases written out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def needs(*names: str) -> pytest.MarkDecorator:
    """Skips where the cache lacks a file."""
    missing = [name for name in names if not (cache_dir() / name).exists()]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)} in {cache_dir()}")


needs_mnist = needs("MNIST/raw/train-images-idx3-ubyte")
needs_alice = needs("gutenberg/11.txt")
needs_grimm = needs("gutenberg/11027.txt")
PAGE_RUNTIME = cache_dir() / runtime.NAME
needs_page_runtime = pytest.mark.skipif(not PAGE_RUNTIME.is_file(), reason=f"needs {runtime.URL} as {PAGE_RUNTIME}")


def run_zoo(*args: object) -> subprocess.CompletedProcess[str]:
    """Runs `python -m zoo ...` in a child of this process, which has loaded everything, in the current folder.

    The processes that the command launches itself begin from nothing.
    """
    argv = [str(arg) for arg in args]
    with TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        code = harness.wait(harness.fork(argv, lambda: _as_program(argv), out, err), 300)
        return subprocess.CompletedProcess(argv, code, out.read_text(), err.read_text())


def _as_program(argv: list[str]) -> None:
    """What Lightning looks at to launch further processes."""
    sys.argv = ["zoo", *argv]
    sys.modules["__main__"] = zoo.__main__


def refused(result: Any, message: str) -> None:
    """Checks that a command ended with a short message, and nothing else."""
    assert (result.code, result.out) == (2, ""), result
    assert message in result.err
    assert result.err.startswith("zoo: error: ")
    assert len(result.err.splitlines()) <= 12
    assert "Traceback" not in result.err


def fit_apple(zoo_command: Callable) -> None:
    """Trains a small model in the folder `run`."""
    assert zoo_command("fit", "--config", "apple_rnn", "--run_dir", "run", "--trainer.max_epochs", "20").code == 0


def tiny(name: str = "char_lm_gru", **arguments: Any) -> zoo.Model:
    """A model that is built in no time, with the same weights each time."""
    given = {"hidden_size": 6, **({"vocab": list("abc ")} if name.startswith("char_lm") else {}), **arguments}
    torch.manual_seed(0)
    return zoo.create(name, **given)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A web server on this machine; gives its address."""
    handler.log_message = lambda *_: None  # type: ignore[method-assign]
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
