"""A run is one folder: its config, metrics, checkpoints, pictures and summary."""

import csv
import json
import math
import os
import platform
import resource
import sys
import time
import warnings
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import rank_zero_experiment
from matplotlib.figure import Figure

import zoo
from zoo import plots
from zoo.tasks import Task
from zoo.tasks.base import STAGES

METRICS_FILE = "metrics.csv"


class MetricsLogger(CSVLogger):
    """`metrics.csv` in the run folder; a resumed run goes on with it, where Lightning would begin anew."""

    def __init__(self, folder: Path) -> None:
        super().__init__(save_dir=folder, name="", version="")

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer."""
        if self._experiment is None:
            file = Path(self.log_dir) / METRICS_FILE
            before = file.read_text() if file.is_file() else ""
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "Previous log files in this directory will be deleted"
                writer = super().experiment
            if before:
                file.write_text(before)
                writer.metrics_keys = before.splitlines()[0].split(",")
        return self._experiment  # type: ignore[return-value]


class ProgressBar(TQDMProgressBar):
    """Lightning's bar, with epochs counted from 1, and without a version, which a run folder doesn't have."""

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Names the epoch."""
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}")

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """The metrics beside the bar."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics


class BestCheckpoint(ModelCheckpoint):
    """A class of its own: Lightning keeps callbacks apart by class and settings, and a user may add others."""


class LastCheckpoint(ModelCheckpoint):
    """See `BestCheckpoint`."""


class RunFolder(L.Callback):
    """Keeps a run folder up to date.

    Args:
        path: The folder; it is made when training starts.
        config: The complete config, YAML.
        config_name: Where the config came from, for the summary.
        seed: The run's seed.
    """

    def __init__(self, path: Path, config: str, config_name: str | None, seed: Any) -> None:
        self.path, self.config, self.config_name, self.seed = path, config, config_name, seed
        self.began = time.monotonic()
        self.items = 0
        self.train_seconds = 0.0
        self._mark = 0.0
        self.best: ModelCheckpoint | None = None
        self._rng_state: torch.Tensor | None = None

    def checkpoints(self, monitor: str, mode: str) -> list[ModelCheckpoint]:
        """The callbacks that write `checkpoints/best.ckpt` and `checkpoints/last.ckpt`."""
        common: dict[str, Any] = {
            "dirpath": self.path / "checkpoints",
            "auto_insert_metric_name": False,
            "enable_version_counter": False,
        }
        self.best = BestCheckpoint(filename="best", monitor=monitor, mode=mode, **common)
        return [self.best, LastCheckpoint(filename="last", save_on_train_epoch_end=True, **common)]

    # -- while it runs

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Makes the folder, with the config in it."""
        if stage == "fit" and trainer.is_global_zero:
            self.path.mkdir(parents=True, exist_ok=True)
            write_whole(self.path / "config.yaml", self.config)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Puts the config into the checkpoint, which then needs no other file to be tested."""
        checkpoint["config"] = self.config
        checkpoint["torch_rng_state"] = torch.get_rng_state()

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Takes the random state out of the checkpoint of a run that goes on."""
        self._rng_state = checkpoint.get("torch_rng_state")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Puts the random state back, so that dropout goes on where it stopped."""
        if self._rng_state is not None:
            torch.set_rng_state(self._rng_state)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the clock."""
        self._mark = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Counts the items."""
        self.items += pl_module.num_items(batch) * trainer.world_size

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stops the clock."""
        self._stop_clock()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the clock again."""
        self._mark = time.monotonic() if trainer.state.fn == "fit" and not trainer.sanity_checking else 0.0

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Stops the clock, and prints the epoch's metrics; in a long run of short epochs, not all."""
        self._stop_clock()
        metrics = dict(trainer.callback_metrics)  # on all ranks: computing them may need them all
        epoch, last = trainer.current_epoch + 1, trainer.max_epochs or 0
        if trainer.is_global_zero and (epoch % max(1, last // 20) == 0 or epoch in (1, last)):
            shown = [name for name in metrics if name.split("/")[-1] in ("loss", *pl_module.shown) and "/" in name]
            values = "  ".join(f"{name} {float(metrics[name]):.4f}" for name in sorted(shown))
            total = f"/{last}" if last > 0 else ""
            (getattr(trainer.progress_bar_callback, "print", None) or print)(f"epoch {epoch}{total}  {values}")

    def _stop_clock(self) -> None:
        if self._mark:
            self.train_seconds += time.monotonic() - self._mark
            self._mark = 0.0

    def on_exception(self, trainer: L.Trainer, pl_module: Any, exception: BaseException) -> None:
        """Says in the summary how far it got."""
        if self.path.is_dir():
            stopped = isinstance(exception, KeyboardInterrupt | SystemExit)
            self.finish(trainer, pl_module, "interrupted" if stopped else "failed")

    # -- at the end

    def finish(self, trainer: L.Trainer, task: Task, status: str) -> dict[str, Any] | None:
        """Writes the pictures and the summary; returns the summary, on rank 0."""
        if not trainer.is_global_zero:
            return None
        for logger in trainer.loggers:
            logger.save()
        rows = read_rows(self.path / METRICS_FILE)
        history = series(rows)
        summary = self._summary(trainer, task, status, history)
        text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
        write_whole(self.path / "summary.json", text + "\n")
        if history:
            self._save_figure(trainer, "curves", plots.curves(history))
        if (figure := task.figure()) is not None:
            self._save_figure(trainer, task.figure_name, figure)
        for logger in trainer.loggers:
            logger.finalize(status)
        return summary

    def _save_figure(self, trainer: L.Trainer, name: str, figure: Figure) -> None:
        figure.savefig(self.path / f"{name}.png", dpi=120)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure(name, figure, trainer.global_step)

    def _summary(
        self, trainer: L.Trainer, task: Task, status: str, history: dict[str, list[tuple[float, float]]]
    ) -> dict[str, Any]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "status": status,
            "config": self.config_name,
            "seed": self.seed,
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "metrics": {
                name: {
                    "last": plain(points[-1][1]),
                    "best": plain(best(task.higher_is_better(name), (value for _, value in points))),
                }
                for name, points in history.items()
            },
            "wall_s": round(time.monotonic() - self.began, 2),
            "items_per_s": round(self.items / self.train_seconds, 1) if self.train_seconds else None,
            "item": task.item,
            "peak_rss_mb": round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1),
            "params": sum(p.numel() for p in task.parameters()),
            "data": getattr(trainer.datamodule, "sources", {}),  # type: ignore[attr-defined]
            "versions": {
                "python": platform.python_version(),
                "zoo": zoo.__version__,
                **{name: version(name) for name in ("torch", "lightning", "torchmetrics", "numpy")},
            },
        }


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a run's `metrics.csv`; none if there is no such file."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def series(rows: list[dict[str, str]]) -> dict[str, list[tuple[float, float]]]:
    """Of each metric, the points (epoch, value), epochs counted from 1."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name.split("/")[0] in STAGES and value and not name.endswith("_step"):
                found.setdefault(name, []).append((float(row.get("epoch") or 0) + 1, float(value)))
    return dict(sorted(found.items()))


def best(higher_is_better: bool, values: Iterable[float]) -> float:
    """The highest or the lowest of a metric's values, NaN left out."""
    known = [value for value in values if not math.isnan(value)] or [math.nan]
    return max(known) if higher_is_better else min(known)


def plain(number: float) -> float | None:
    """A number as JSON can hold it: None for NaN and the infinities."""
    return number if math.isfinite(number) else None


def write_whole(path: Path, text: str) -> None:
    """Writes a file, or leaves it as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
