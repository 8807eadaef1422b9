"""Reading run folders without torch: which runs exist, their progress, and whether a process is training them."""

import csv
import io
import json
import math
import os
import socket
import time
from pathlib import Path
from typing import Any

METRICS_FILE = "metrics.csv"
RUNNING_FILE = "running.json"  # exists while a run is training, and after it was killed
SUMMARY_FILE = "summary.json"
CONFIG_FILE = "config.yaml"
LOOK_S = 1.0  # longer than a process takes to check whether a run is locked
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def runs(folder: Path) -> list[dict[str, Any]]:
    """Returns the runs in a folder and its subfolders, the latest first.

    Returns:
        For each run: `run`, its folder; `status`: finished, running, interrupted, killed, failed or
        diverged; `epoch`, the last epoch with training, counted from 1; `metric`, the name of the
        metric that selects the best checkpoint, and `best`, its best value; `age_s`, seconds since
        the last write.
    """
    found = [_describe(path.parent) for path in folder.rglob(CONFIG_FILE) if (path.parent / METRICS_FILE).exists()]
    return sorted(found, key=lambda run: (run["age_s"], run["run"]))


def _describe(run: Path) -> dict[str, Any]:
    summary, note = _read(run / SUMMARY_FILE), _read(run / RUNNING_FILE)
    status = "running" if is_running(run) else summary.get("status", "killed")
    metric, mode = (note.get("monitor") or summary.get("monitor") or ("train/loss", "min"))[:2]
    rows = read_rows(run / METRICS_FILE)
    values = [float(row[metric]) for row in rows if row.get(metric)]
    known = [value for value in values if not math.isnan(value)]
    trained = (row for row in rows if any(value and name.startswith("train/") for name, value in row.items()))
    epochs = [int(row["epoch"]) for row in trained if row.get("epoch")]
    return {
        "run": str(run),
        "status": status,
        "epoch": max(epochs, default=-1) + 1,
        "metric": metric,
        "best": (max if mode == "max" else min)(known, default=None),
        "age_s": round(time.time() - max(path.stat().st_mtime for path in run.glob("*.*"))),
    }


def age(seconds: float) -> str:
    """Returns a time span in its largest unit, for example `3 h`."""
    size, unit = next((unit for unit in UNITS if seconds >= unit[0]), UNITS[-1])
    return f"{seconds // size:.0f} {unit}"


def _read(path: Path) -> dict[str, Any]:
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
    while not _lock(file):
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
            return not _lock(file, shared=True)
    except OSError:
        return False


def job_of(folder: Path) -> str | None:
    """Returns the job (see `zoo.runs.processes.job`) that last trained a run, if any."""
    for name in (RUNNING_FILE, SUMMARY_FILE):
        if "job" in (note := _read(folder / name)):
            return note["job"]  # type: ignore[no-any-return]
    return None


def _lock(file: io.TextIOWrapper, shared: bool = False) -> bool:
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
