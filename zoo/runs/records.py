"""What run folders say about their runs: config, metrics, and what became of them. Imports no torch.

A run's config is flat here, with the names of the command line's options: `trainer.max_epochs`, `model` (the
class) and `model.hidden_size`, `optimizer` and `optimizer.lr`.
"""

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from zoo import series
from zoo.files.limits import MAX_CONFIG_BYTES, check_size, check_yaml
from zoo.runs.history import (
    CONFIG_FILE,
    RUNNING_FILE,
    SUMMARY_FILE,
    is_running,
    read_note,
    read_rows,
)
from zoo.series import METRICS_FILE

STATUSES = ("finished", "running", "interrupted", "killed", "failed", "diverged", "pruned")
SEED = "seed_everything"
# Metrics whose highest value is the best, for runs without a summary. Of all others, the lowest is.
RISING = {"accuracy", "exact_match", "f1", "precision", "recall", "auroc", "bleu", "r2"}
OWN_PACKAGES = ("zoo.", "datamodules.", "torch.", "lightning.")  # their classes are known without their package
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run, as its folder describes it.

    Args:
        folder: The folder.
        status: One of `STATUSES`.
        epoch: The last epoch with training, counted from 1.
        monitor: The metric that selects the best checkpoint.
        mode: `max` if its highest value is the best, else `min`.
        config: The flat config. Empty if it can't be read.
        config_name: The name of the config's file, without its folder and suffix.
        curves: The points (epoch, value) of each metric.
        summary: The contents of `summary.json`. Empty until the run ends.
        age_s: Seconds since the last write.
    """

    folder: Path
    status: str
    epoch: int
    monitor: str
    mode: str
    config: Mapping[str, Any]
    config_name: str | None
    curves: Mapping[str, list[tuple[float, float]]]
    summary: Mapping[str, Any]
    age_s: float

    @property
    def seed(self) -> Any:
        """The run's seed."""
        return self.config.get(SEED, self.summary.get("seed"))

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each source of the data, by name. Empty if they are not known."""
        found = self.summary.get("data")
        return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}

    def rises(self, metric: str) -> bool:
        """Returns whether higher values of a metric are better."""
        if metric == self.monitor:
            return self.mode == "max"
        known = self.summary.get("higher_is_better")
        if isinstance(known, list) and metric in self.curves:
            return metric in known
        return metric.rpartition("/")[2] in RISING

    def best(self, metric: str) -> float | None:
        """Returns the best value of a metric over the epochs, or None if the run has none."""
        values = [value for _, value in self.curves.get(metric, ()) if not math.isnan(value)]
        return (max if self.rises(metric) else min)(values, default=None)


def find(folder: Path) -> list[Run]:
    """Returns the runs in a folder and its subfolders, the latest first."""
    found = [read(path.parent) for path in folder.rglob(CONFIG_FILE) if is_run(path.parent)]
    return sorted(found, key=lambda run: (run.age_s, str(run.folder)))


def is_run(folder: Path) -> bool:
    """Returns whether a folder holds a run."""
    return (folder / CONFIG_FILE).is_file() and (folder / METRICS_FILE).is_file()


def read(folder: Path) -> Run:
    """Reads a run's folder."""
    summary, note = read_note(folder / SUMMARY_FILE), read_note(folder / RUNNING_FILE)
    known = note.get("monitor") or summary.get("monitor")
    monitor, mode = map(str, known) if isinstance(known, list) and len(known) == 2 else ("train/loss", "min")
    try:
        rows = read_rows(folder / METRICS_FILE)
        curves = series.of_rows(rows)
    except ValueError:  # a damaged file must not hide the other runs
        rows, curves = [], {}
    trained = (row for row in rows if any(value and name.startswith("train/") for name, value in row.items()))
    name = note.get("config") or summary.get("config")
    return Run(
        folder=folder,
        status="running" if is_running(folder) else str(summary.get("status", "killed")),
        epoch=max((int(row["epoch"]) for row in trained if row.get("epoch")), default=-1) + 1,
        monitor=monitor,
        mode=mode,
        config=read_config(folder / CONFIG_FILE),
        config_name=Path(name).stem if isinstance(name, str) else None,
        curves=curves,
        summary=summary,
        age_s=round(time.time() - max(path.stat().st_mtime for path in folder.glob("*.*"))),
    )


def read_config(path: Path) -> dict[str, Any]:
    """Returns a run's flat config. Empty if the file can't be read."""
    try:
        check_size(path, MAX_CONFIG_BYTES, "a config")
        text = path.read_text(encoding="utf-8")
        # Seeds of one config share their text but for this line, so that it is parsed once for all of them.
        rest, seeds = re.subn(rf"(?m)^{SEED}: .*$", f"{SEED}: 0", text)
        found = dict(parse_config(rest))
        if seeds:
            found[SEED] = yaml.safe_load(re.findall(rf"(?m)^{SEED}: (.*)$", text)[-1])
        return found
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}


@lru_cache(maxsize=64)
def parse_config(text: str) -> dict[str, Any]:
    """Returns the flat config of a text."""
    if "&" in text:  # an alias may stand for many values
        check_yaml(text)
    found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return dict(_flat("", found)) if isinstance(found, dict) else {}


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yields the options of a nested config, and their values."""
    if isinstance(value, dict) and isinstance(value.get("class_path"), str):
        path = value["class_path"]
        yield key, path.rpartition(".")[2] if path.startswith(OWN_PACKAGES) else path
        for group in ("init_args", "dict_kwargs"):
            yield from _flat(key, value.get(group) or {})
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _flat(f"{key}.{name}" if key else str(name), item)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for item in value:
            named = isinstance(item, dict) and isinstance(item.get("class_path"), str)
            yield from _flat(f"{key}.{item['class_path'].rpartition('.')[2]}" if named else key, item)
    else:
        yield key, value


def text_of(value: Any) -> str:
    """Returns a config's value as it is typed on the command line."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return f"[{', '.join(map(str, value))}]"
    return json.dumps(value, ensure_ascii=False, default=str)


def age(seconds: float) -> str:
    """Returns a time span in its largest unit, for example `3 h`."""
    size, unit = next((unit for unit in UNITS if seconds >= unit[0]), UNITS[-1])
    return f"{seconds // size:.0f} {unit}"
