"""What the tests of hostile input share."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

EVIL = "evil_module"
NOSY = """\
import pathlib
import lightning as L
pathlib.Path("imported").touch()
class Nosy(L.Callback):
    pass
def build(*_) -> L.Callback:
    return Nosy()
"""


@pytest.fixture
def evil_module(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that could be imported, and that leaves a file behind when it is."""
    folder = tmp_path_factory.mktemp("path")
    (folder / f"{EVIL}.py").write_text(NOSY)
    monkeypatch.syspath_prepend(folder)
    yield EVIL
    sys.modules.pop(EVIL, None)


def listing() -> dict[str, tuple[int, int]]:
    """What the folder holds: of each path, the size and the time of the last change."""
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in Path().rglob("*")}


@pytest.fixture
def refused(zoo_command: Callable, evil_module: str) -> Callable[..., None]:
    """Runs a command, which must be refused in a few lines, soon, and leave no trace."""

    def run(*args: object, message: str) -> None:
        before, modules = listing(), set(sys.modules)
        began, memory = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = zoo_command(*args)
        assert result.code == 2, result
        assert message in result.err
        assert "Traceback" not in result.err
        assert 1 <= len(result.err.strip().splitlines()) <= 12
        assert listing() == before
        assert not {EVIL, "pytorch_lightning", "litdata", "antigravity"} & (set(sys.modules) - modules)
        assert time.monotonic() - began < 20
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 2**20  # KiB

    return run
