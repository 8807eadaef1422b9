"""What the tests on clusters share."""

from pathlib import Path

import pytest

from cluster.training import torchrun


def run(folder: Path, processes: int) -> Path:
    process = torchrun(folder, processes=processes)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return folder / "run"


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two processes on this machine that nothing stopped."""
    return run(tmp_path_factory.mktemp("reference"), 2)


@pytest.fixture(scope="session")
def reference_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of one process."""
    return run(tmp_path_factory.mktemp("reference"), 1)
