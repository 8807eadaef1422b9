"""`LabelledSequences` of the Hugging Face Hub: downloaded once, at a revision, and read without a network."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hub import Hub
from support import ROOT

TRAIN = "name,language\n" + "".join(f"{stem}{end},{end}\n" for stem in "abcdefgh" for end in ("ini", "ski"))
CODE = """
import json, os, sys
from datamodules import LabelledSequences

for line in sys.stdin:
    settings, options = json.loads(line)
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    os.environ.update(settings)
    data = LabelledSequences(dataset="me/names", text="name", label="language", **options)
    try:
        data.prepare_data()
        data.setup()
        found = [{part: len(rows) for part, rows in data.parts.items()}, data.notes, sorted(data.sources)]
    except (OSError, ValueError) as error:
        found = str(error)
    print("found", json.dumps(found), flush=True)
    os._exit(0)
"""


def test_a_dataset_of_the_hub_is_read_with_and_without_a_network(tmp_path: Path) -> None:
    """Each time in a new process: the Hub's client reads its settings when it is imported."""
    hub = Hub()
    commit = hub.commit("me/names", {"train.csv": TRAIN.encode(), "README.md": b"# Names\n"})
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def read(home: str, offline: bool = False, **options: Any) -> Any:
        """What the data says with some options."""
        settings = {"HF_HOME": str(tmp_path / home), "HF_HUB_OFFLINE": str(int(offline))}
        print(json.dumps([settings, options]), file=process.stdin, flush=True)
        answer = next(line for line in process.stdout if line.startswith("found "))
        return json.loads(answer.removeprefix("found "))

    empty = read("empty", offline=True)
    assert "me/names is not in the cache, and the Hugging Face Hub can't be reached" in empty
    first = read("home")
    parts, notes, sources = first
    assert (parts, notes) == ({"train": 12, "val": 2, "test": 2}, [f"me/names: commit {commit}"])
    assert sources == ["me/names/train"]
    newer = {"test.csv": b"name,language\nNA,ini\n007,ski\n"}  # texts, not a missing value and a number
    assert commit != hub.commit("me/names", newer)
    asked = len(hub.requests)
    assert read("home", offline=True) == first
    assert read("home", offline=True, revision=commit) == first
    assert "at revision nowhere is not in the cache" in read("home", offline=True, revision="nowhere")
    assert len(hub.requests) == asked
    assert read("home")[0] == {"train": 14, "val": 2, "test": 2}
    assert read("home", revision=commit) == first
    assert "me/names can't be read" in read("home", subset="nothing")
    assert "me/names has no revision 'gone'" in read("home", revision="gone")
    process.communicate()
    assert process.returncode == 0
