"""The folder of a run: its config, metrics, checkpoints, pictures and summary."""

import json
import logging
import math
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger

import zoo
from zoo import series
from zoo.runs.best import BestCheckpoint
from zoo.runs.files import clear_temporaries, write_whole
from zoo.runs.hardware import hardware
from zoo.runs.history import RUNNING_FILE, SUMMARY_FILE, read_rows, take_lock
from zoo.runs.metrics import MetricsLogger
from zoo.runs.processes import job
from zoo.runs.stopping import DivergedError, Pruned, Stopped
from zoo.series import METRICS_FILE
from zoo.tasks import Task

log = logging.getLogger(__name__)


class RunFolder(L.Callback):
    """Keeps a run folder up to date.

    Args:
        path: The folder. It is created when training starts.
        config: The complete config, as YAML.
        config_name: The name of the config file, for the summary.
        seed: The run's seed.
        metrics: The logger of the run's metrics.
        best: The callback that keeps the best checkpoint; None if checkpoints are off.
        tensorboard: Options of a TensorBoard logger; None for no such logger.
    """

    def __init__(
        self,
        path: Path,
        config: str,
        config_name: str | None,
        seed: Any,
        metrics: MetricsLogger,
        best: BestCheckpoint | None,
        tensorboard: dict[str, Any] | None,
    ) -> None:
        self.path, self.config, self.config_name, self.seed = path, config, config_name, seed
        self.metrics = metrics
        self.began = time.monotonic()
        self.items = 0
        self.train_seconds = 0.0
        self._mark = 0.0
        self.best, self.tensorboard = best, tensorboard
        self._lock: Any = None

    # -- while it runs

    @property
    def monitor(self) -> list[str]:
        """The metric that selects the best checkpoint, and `min` or `max`."""
        return [] if self.best is None else [str(self.best.monitor), self.best.mode]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Creates the folder and writes the config. Before this, all checks have passed and no file was written."""
        if trainer.is_global_zero:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(
                self.path / RUNNING_FILE, {"job": job(), "monitor": self.monitor, "config": self.config_name}
            )
            clear_temporaries(self.path)
            if self.best is not None:
                self.best.put_back()
            write_whole(self.path / "config.yaml", self.config)
            (self.path / SUMMARY_FILE).unlink(missing_ok=True)  # of the previous session
            self.metrics.begin()
        if self.tensorboard is not None:  # not earlier: in Lightning, loggers create their files before the checks
            trainer.loggers = [*trainer.loggers, TensorBoardLogger(self.path, name="", version="", **self.tensorboard)]

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Adds the config and the counters to the checkpoint. So it can be tested without any other file."""
        self.metrics.sync()
        running = time.monotonic() - self._mark if self._mark else 0.0
        checkpoint["config"] = self.config
        checkpoint["run"] = {
            "folder": str(self.path.resolve()),
            "rows": self.metrics.rows,
            "items": self.items,
            "train_seconds": self.train_seconds + running,
            "wall_seconds": time.monotonic() - self.began,
        }

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restores the counters."""
        counted = checkpoint["run"]
        relocate(checkpoint.get("callbacks", {}), counted["folder"], str(self.path.resolve()))
        if trainer.state.fn == "fit":
            self.items, self.train_seconds = counted["items"], counted["train_seconds"]
            self.began -= counted["wall_seconds"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the clock."""
        self._mark = time.monotonic()

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
        """Stops the clock, and prints the epoch's metrics. In long runs, prints only about 20 epochs."""
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
        """Writes the summary of a run that stopped early."""
        if self._lock is None:
            return
        try:
            self.finish(trainer, pl_module, status_of(exception))
        except OSError as error:  # for example a full disk, which may be the reason for the stop
            log.warning("the run's summary could not be written: %s", error)

    # -- at the end

    def finish(self, trainer: L.Trainer, task: Task, status: str) -> dict[str, Any] | None:
        """Writes the pictures and the summary. Returns the summary on rank 0, None on other ranks."""
        if not trainer.is_global_zero:
            return None
        for logger in trainer.loggers:
            logger.save()
        rows = read_rows(self.path / METRICS_FILE)
        history = series.of_rows(rows)
        summary = self._summary(trainer, task, status, history)
        if status == "finished":
            summary["baselines"] = baselines_of(trainer.datamodule)  # type: ignore[attr-defined]
        text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
        write_whole(self.path / SUMMARY_FILE, text + "\n")
        if history:
            from zoo import plots

            self._draw(trainer, "curves", lambda: plots.curves(history))
        for name, make in task.figures().items():
            self._draw(trainer, name, make)
        for logger in trainer.loggers:
            logger.finalize(status)
        (self.path / RUNNING_FILE).unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        return summary

    def _draw(self, trainer: L.Trainer, name: str, make: Callable[[], Any]) -> None:
        """Saves a figure. If this fails, only logs a warning: the run is over, and everything else was written."""
        try:
            if (figure := make()) is not None:
                self._save_figure(trainer, name, figure)
        except Exception as error:
            log.warning("the picture %s.png could not be drawn: %s: %s", name, type(error).__name__, error)

    def _save_figure(self, trainer: L.Trainer, name: str, figure: Any) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        figure.set_dpi(120)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # once for the file and TensorBoard, because drawing is slow
        pixels = np.array(canvas.buffer_rgba())[:, :, :3]  # (H, W, 3), bytes
        Image.fromarray(pixels).save(self.path / f"{name}.png")
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image(name, pixels, trainer.global_step, dataformats="HWC")

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
            "higher_is_better": [name for name in history if task.higher_is_better(name)],
            "wall_s": round(time.monotonic() - self.began, 2),
            "items_per_s": round(self.items / self.train_seconds, 1) if self.train_seconds else None,
            "item": task.item,
            "peak_rss_mb": round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1),
            "params": sum(p.numel() for p in task.parameters()),
            "job": job(),
            "monitor": self.monitor,
            "data": getattr(trainer.datamodule, "sources", {}),  # type: ignore[attr-defined]
            "hardware": hardware(trainer),
            "versions": {
                "python": platform.python_version(),
                "zoo": zoo.__version__,
                **{name: version(name) for name in ("torch", "lightning", "torchmetrics", "numpy")},
            },
        }


def status_of(exception: BaseException) -> str:
    """Returns the status of a run that an exception ended."""
    kinds: dict[str, Any] = {
        "interrupted": Stopped | KeyboardInterrupt | SystemExit,
        "pruned": Pruned,
        "diverged": DivergedError,
    }
    return next((status for status, kind in kinds.items() if isinstance(exception, kind)), "failed")


def baselines_of(datamodule: Any) -> dict[str, dict[str, float | None]]:
    """Returns what simple methods reach on the part of the data that a run is judged on: name -> metric -> value."""
    if not hasattr(datamodule, "baselines"):
        return {}
    try:
        part = datamodule.last_part()
        found = datamodule.baselines(part)
    except Exception as error:  # the run is over, and everything else is there
        log.warning("there are no baselines: %s: %s", type(error).__name__, error)
        return {}
    return {
        name: {f"{part}/{metric}": plain(value) for metric, value in values.items()} for name, values in found.items()
    }


def relocate(callbacks: dict[str, Any], before: str, now: str) -> None:
    """Updates the paths in the states of callbacks, after a run's folder was moved."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {moved(key): moved(item) for key, item in value.items()}
        return now + value[len(before) :] if isinstance(value, str) and value.startswith(before) else value

    for name, state in callbacks.items():
        callbacks[name] = moved(state)


def best(higher_is_better: bool, values: Iterable[float]) -> float:
    """Returns the highest or lowest of a metric's values, ignoring NaN."""
    known = [value for value in values if not math.isnan(value)] or [math.nan]
    return max(known) if higher_is_better else min(known)


def plain(number: float) -> float | None:
    """Returns a number for JSON: None for NaN and infinities."""
    return number if math.isfinite(number) else None
