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
import json, sys
from datamodules import LabelledSequences
for options in json.loads(sys.argv[1]):
    data = LabelledSequences(dataset="me/names", text="name", label="language", **options)
    try:
        data.prepare_data()
        data.setup()
        print(json.dumps([{part: len(rows) for part, rows in data.parts.items()}, data.notes, sorted(data.sources)]))
    except (OSError, ValueError) as error:
        print(json.dumps(str(error)))
"""


def test_a_dataset_of_the_hub_is_read_with_and_without_a_network(tmp_path: Path) -> None:
    """In fresh processes: the Hub's client reads its settings when it is imported."""
    hub = Hub()
    commit = hub.commit("me/names", {"train.csv": TRAIN.encode(), "README.md": b"# Names\n"})
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "PYTHONPATH": str(ROOT)}

    def read(home: str, *options: dict[str, Any], offline: bool = False) -> list[Any]:
        """What the data says with each of some options, in one process."""
        more = {"HF_HOME": str(tmp_path / home), "HF_HUB_OFFLINE": str(int(offline))}
        command = [sys.executable, "-c", CODE, json.dumps(options)]
        done = subprocess.run(command, env={**environment, **more}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()[-len(options) :]]

    (empty,) = read("empty", {}, offline=True)
    assert "me/names is not in the cache, and the Hugging Face Hub can't be reached" in empty
    (first,) = read("home", {})
    parts, notes, sources = first
    assert (parts, notes) == ({"train": 12, "val": 2, "test": 2}, [f"me/names: commit {commit}"])
    assert sources == ["me/names/train"]
    newer = {"test.csv": b"name,language\nNA,ini\n007,ski\n"}  # texts, not a missing value and a number
    assert commit != hub.commit("me/names", newer)
    asked = len(hub.requests)
    again, pinned, nowhere = read("home", {}, {"revision": commit}, {"revision": "nowhere"}, offline=True)
    assert again == pinned == first
    assert "at revision nowhere is not in the cache" in nowhere
    assert len(hub.requests) == asked
    found, old, nothing, gone = read("home", {}, {"revision": commit}, {"subset": "nothing"}, {"revision": "gone"})
    assert found[0] == {"train": 14, "val": 2, "test": 2}
    assert old == first
    assert "me/names can't be read" in nothing
    assert "me/names has no revision 'gone'" in gone
