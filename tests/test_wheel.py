"""The wheel carries code, configs, facts and weights, and works in an empty folder with no network."""

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import zoo
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


WORK_ALONE = """
import io, json, sys
import zoo
from zoo.__main__ import main

said = {"from": zoo.__file__}
for name, command in json.loads(sys.argv[1]).items():
    sys.stdout = io.StringIO()
    said[name] = [main(command), sys.stdout.getvalue()]
open("said.json", "w").write(json.dumps(said))
"""


def test_it_carries_what_it_needs_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"zoo/configs/{path.name}" for path in CONFIGS.glob("*.yaml")} <= names
    files = (bundle.CONFIG, bundle.WEIGHTS, bundle.CARD)
    assert {f"zoo/hub/weights/{name}/{file}" for name in bundle.shipped() for file in files} <= names
    others = {name for name in names if not name.endswith(".py") and not name.split("/")[0].endswith(".dist-info")}
    assert "zoo/cli/help.json" in names
    page = {file.name for file in (ROOT / "zoo" / "page").iterdir() if file.suffix in (".html", ".css", ".js", ".txt")}
    assert {f"zoo/page/{name}" for name in page} <= names
    folders = (
        "zoo/configs/",
        "zoo/hub/weights/",
        "datamodules/facts/",
        "zoo/py.typed",
        "datamodules/py.typed",
        "zoo/cli/help.json",
        "zoo/page/",
    )
    assert all(name.startswith(folders) for name in others)
    assert wheel.stat().st_size < MAX_BYTES


def test_its_version_is_that_of_the_changelog_and_of_the_citation() -> None:
    newest = re.search(r"^## (\S+) \((\S+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert newest
    assert newest.groups() == (cited["version"], str(cited["date-released"]))
    assert cited["version"] == zoo.__version__


def test_it_works_alone(wheel: Path, tmp_path: Path) -> None:
    """The wheel's content is in front of everything else, in an empty folder with no data."""
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    commands = {
        "list": ["list"],
        "infer": ["infer", "seq2seq_rnn.toy_en_ko", "word"],
        "lines": ["infer", "seq2seq_rnn.toy_en_ko", "-", "--json"],
        "fit": ["fit", "--config", "toy_en_ko", "--run_dir", "run", "--trainer.max_epochs", "2"],
    }
    done = subprocess.run(
        [sys.executable, "-c", WORK_ALONE, json.dumps(commands)],
        env={**os.environ, "PYTHONPATH": str(site), "ZOO_DATA_DIR": str(empty / "none")},
        cwd=empty,
        input="love\nkiss\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads((empty / "said.json").read_text())
    assert said.pop("from").startswith(str(site))
    assert [code for code, _ in said.values()] == [0] * 4, done.stderr
    assert len(said["list"][1].splitlines()) == len(bundle.shipped())
    assert said["infer"][1] == "word -> 단어\n"
    assert [json.loads(line)["prediction"] for line in said["lines"][1].splitlines()] == ["사랑", "키스"]
    assert (empty / "run" / "summary.json").exists()
