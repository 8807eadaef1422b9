"""What all tests share: no network, one thread, and the command line in this process."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lightning as L
import pytest
import torch
from matplotlib.figure import Figure

from datamodules.sources.cache import cache_dir
from zoo.__main__ import main

# The models are small, and there is a worker for each core.
torch.set_num_threads(1)
if not torch.cuda.is_available():
    # The first backward pass decides whether autograd gets threads, with which a process can't fork trainings. After an
    # export by torch.export it would, although there is no device for them.
    torch.ones(1, requires_grad=True).backward()
os.environ["OMP_NUM_THREADS"] = "1"  # of processes that tests start


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests are offline: a connection to anything but this machine fails as if there were no network."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX and isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1"):
            raise OSError("no network in tests")
        connect(self, address)  # type: ignore[arg-type]

    def no_lookup(host: object, *args: object, **kwargs: object) -> list:
        if host in ("127.0.0.1", "::1", "localhost", None):
            return lookup(host, *args, **kwargs)
        raise socket.gaierror("no network in tests")

    lookup = socket.getaddrinfo
    monkeypatch.setattr(socket.socket, "connect", local_only)
    monkeypatch.setattr(socket, "getaddrinfo", no_lookup)


@pytest.fixture(autouse=True)
def clean_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's seed doesn't leak into the next test."""
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)


@pytest.fixture(autouse=True)
def no_drawing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are made and stay blank: drawing would take half of the time of each run. `draws` marks the others."""
    if request.node.get_closest_marker("draws") is None:
        monkeypatch.setattr(Figure, "draw", lambda *_: None)


@pytest.fixture
def zoo_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Result]:
    """Runs `python -m zoo ...` in this process, in an empty folder."""
    monkeypatch.setenv("ZOO_DATA_DIR", str(cache_dir().resolve()))
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> Result:
        argv = [str(arg) for arg in args]
        monkeypatch.setattr("sys.argv", ["zoo", *argv])
        capsys.readouterr()
        code = main(argv)
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., L.Trainer]:
    """A quiet trainer that writes nothing but what it is told to."""

    def make(**options: object) -> L.Trainer:
        quiet = {
            "accelerator": "cpu",
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "log_every_n_steps": 1,
            "default_root_dir": tmp_path,
        }
        return L.Trainer(**{**quiet, **options})  # type: ignore[arg-type]

    return make
