"""The metrics of a run, in a file that a kill leaves complete."""

import csv
import io
import os
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from zoo.runs.files import naming_a_full_disk, write_whole
from zoo.runs.history import read_rows
from zoo.series import METRICS_FILE


class MetricsLogger(Logger):
    """Writes `metrics.csv` in the run folder, one row per call.

    Lightning's own logger discards the rows of a previous session. It also rewrites the file in place
    when a column is added, so rows are lost if the process is killed.

    Args:
        folder: The run folder.
        rows: How many rows to keep when a run is resumed. Later rows were logged after the checkpoint.
    """

    name, version = "", ""

    def __init__(self, folder: Path, rows: int = 0) -> None:
        super().__init__()
        self.file, self.rows = folder / METRICS_FILE, rows
        self._columns: list[str] = []

    @rank_zero_only
    def begin(self) -> None:
        """Removes the rows that were logged after the checkpoint."""
        before = read_rows(self.file)[: self.rows] if self.rows else []
        self.rows = len(before)
        if before:
            self._columns = list(before[0])
            self._write(before)
        else:
            self.file.unlink(missing_ok=True)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Adds a row."""
        row = {**metrics, "step": step}
        if added := row.keys() - set(self._columns):
            before = read_rows(self.file)
            self._columns = sorted({*self._columns, *added})
            self._write([*before, row])
        else:
            with naming_a_full_disk(self.file), self.file.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns, lineterminator="\n").writerow(row)
        self.rows += 1

    def _write(self, rows: list[dict[str, Any]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(self.file, text.getvalue())

    def log_hyperparams(self, *_: Any) -> None:
        """Does nothing: they are in `config.yaml`."""

    @rank_zero_only
    def sync(self) -> None:
        """Makes the rows survive a power failure."""
        if self.file.exists():
            with self.file.open("rb") as file:
                os.fsync(file.fileno())
