"""A run's metrics as points (epoch, value): what learning curves are drawn from."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

METRICS_FILE = "metrics.csv"
STAGES = ("train", "val", "test")
Series = dict[str, list[tuple[float, float]]]  # `stage/metric` -> (epoch, value), with epochs counted from 1


def of_rows(rows: Iterable[Mapping[str, str]]) -> Series:
    """Returns the points of each metric in the rows of a run's `metrics.csv`."""
    found: Series = {}
    for row in rows:
        for name, value in row.items():
            if value and name and name.split("/")[0] in STAGES and not name.endswith("_step"):
                found.setdefault(name, []).append((float(row.get("epoch") or 0) + 1, float(value)))
    return dict(sorted(found.items()))


def of_folder(folder: str | Path) -> Series:
    """Returns the points of each metric of a run, from its folder.

    Raises:
        ValueError: If the folder has no `metrics.csv`.
    """
    path = Path(folder) / METRICS_FILE
    if not path.is_file():
        raise ValueError(f"{folder}: expected the folder of a run, but it has no {METRICS_FILE}")
    with path.open(newline="", encoding="utf-8") as file:
        return of_rows(csv.DictReader(file))
