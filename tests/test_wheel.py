"""The wheel carries code, configs, facts and weights, and works in an empty folder with no network."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from support import CONFIGS, ROOT
from zoo.files import bundle

setuptools_is_old = int(version("setuptools").split(".")[0]) < 77
pytestmark = pytest.mark.skipif(setuptools_is_old, reason="needs setuptools 77 to build the wheel")
MAX_BYTES = 25e6


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("zoo", "datamodules", "configs", "pyproject.toml", "README.md", "LICENSE"):
        (folder / name).symlink_to(ROOT / name)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('dist'))"
    done = subprocess.run([sys.executable, "-c", build], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "dist" / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs commands with the wheel's content in front of everything else, in an empty folder."""
    site, empty = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("empty")
    zipfile.ZipFile(wheel).extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site), "ZOO_DATA_DIR": str(empty / "none"), "OMP_NUM_THREADS": "1"}

    def run(*args: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", f"import zoo; assert zoo.__file__.startswith({str(site)!r})"]
        assert subprocess.run(command, env=environment, cwd=empty, check=False).returncode == 0
        command = [sys.executable, "-m", "zoo", *args]
        return subprocess.run(
            command, env=environment, cwd=empty, input=text, capture_output=True, text=True, check=False
        )

    return run


def test_it_carries_what_it_needs_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"zoo/configs/{path.name}" for path in CONFIGS.glob("*.yaml")} <= names
    files = (bundle.CONFIG, bundle.WEIGHTS, bundle.CARD)
    assert {f"zoo/weights/{name}/{file}" for name in bundle.shipped() for file in files} <= names
    others = {name for name in names if not name.endswith(".py") and not name.split("/")[0].endswith(".dist-info")}
    folders = ("zoo/configs/", "zoo/weights/", "datamodules/facts/")
    assert all(name.startswith(folders) for name in others)
    assert wheel.stat().st_size < MAX_BYTES


def test_it_works_alone(installed: Callable) -> None:
    assert len(installed("list").stdout.splitlines()) == len(bundle.shipped())
    assert installed("infer", "seq2seq_rnn.toy_en_ko", "word").stdout == "word -> 단어\n"
    lines = installed("infer", "seq2seq_rnn.toy_en_ko", "-", "--json", text="love\nkiss\n").stdout.splitlines()
    assert [json.loads(line)["prediction"] for line in lines] == ["사랑", "키스"]
    fit = installed("fit", "--config", "toy_en_ko", "--run_dir", "run", "--trainer.max_epochs", "2")
    assert fit.returncode == 0, fit.stderr
