"""The uploads of Lightning 2.6.2 and 2.6.3 were malicious: neither is installed, and neither can slip in."""

import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from support import ROOT
from versions import malicious


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    script = ROOT / "tests" / "versions.py"
    environment = {"PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)


def test_no_malicious_version_is_installed(tmp_path: Path) -> None:
    assert not malicious(distributions())
    assert run(tmp_path).returncode == 0


@pytest.mark.parametrize("name", ["lightning", "pytorch-lightning", "Pytorch_Lightning"])
@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_a_malicious_version_would_be_found(name: str, version: str, tmp_path: Path) -> None:
    folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (tmp_path / "lightning.py").write_text("raise SystemExit('imported')\n")
    done = run(tmp_path)
    assert done.returncode == 1
    assert f"lightning {version}: this upload was malicious" in done.stderr


def test_the_check_comes_first_and_neither_version_can_be_resolved() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\ncheck:")[1].splitlines()
    assert recipe[1].strip() == "$(BIN)/python tests/versions.py"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    for text in [*project["dependencies"], *(pin for pin in pins if "lightning==" in pin)]:
        requirement = Requirement(text)
        if requirement.name in ("lightning", "pytorch-lightning"):
            assert not list(requirement.specifier.filter(["2.6.2", "2.6.3"]))
