"""The files of a run folder, read without torch, and whether a process is training the run."""

import csv
import io
import json
import os
import socket
import time
from pathlib import Path
from typing import IO, Any

RUNNING_FILE = "running.json"  # exists while a run is training, and after it was killed
SUMMARY_FILE = "summary.json"
CONFIG_FILE = "config.yaml"
LOOK_S = 1.0  # longer than a process takes to check whether a run is locked


def read_note(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file. Empty if the file does not exist or is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a run's `metrics.csv`. Empty if the file does not exist."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# -- which process is training a run


def take_lock(path: Path, note: dict[str, Any]) -> io.TextIOWrapper:
    """Locks `running.json` while this process is training the run, and writes its process id into it.

    Args:
        path: The file.
        note: Further plain values to write.

    Raises:
        ValueError: If another process is training the run.
    """
    file = path.open("a+", encoding="utf-8")
    deadline = time.monotonic() + LOOK_S
    while not try_lock(file):
        if time.monotonic() < deadline:  # another process may be in `is_running`
            time.sleep(LOOK_S / 20)
            continue
        file.close()
        raise ValueError(f"--run_dir: another process is training in {path.parent}: {path.read_text().strip()}")
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), **note}) + "\n")
    file.flush()
    return file


def is_running(folder: Path) -> bool:
    """Returns whether a process is training a run."""
    try:
        with (folder / RUNNING_FILE).open("r+") as file:
            return not try_lock(file, shared=True)
    except OSError:
        return False


def job_of(folder: Path) -> str | None:
    """Returns the job (see `zoo.runs.processes.job`) that last trained a run, if any."""
    for name in (RUNNING_FILE, SUMMARY_FILE):
        if "job" in (note := read_note(folder / name)):
            return note["job"]  # type: ignore[no-any-return]
    return None


def try_lock(file: IO[Any], shared: bool = False) -> bool:
    """Tries to lock a file, and returns whether it succeeded. Several processes can hold a shared lock."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
