"""What the tests on clusters share."""

from pathlib import Path

import pytest

from cluster.training import torchrun


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two processes on this machine that nothing stopped."""
    folder = tmp_path_factory.mktemp("reference")
    process = torchrun(folder)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return folder / "run"
