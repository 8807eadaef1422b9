"""What a task remembers of its training: the metrics of each epoch."""

import math
from typing import Any

import lightning as L

from zoo.series import STAGES


class History(L.Callback):
    """Writes a task's `history`. Each task adds this callback to its trainer.

    The metrics are read once for each epoch and validation, so no step waits for the device.
    A training that starts at step 0 begins a new history. A test adds its results.
    """

    def on_fit_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Begins a new history, unless the training continues."""
        if trainer.global_step == 0:
            pl_module.history = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Adds the metrics of a validation within the training. Within an epoch, its epoch is a fraction."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            batches = trainer.num_training_batches
            done = (trainer.fit_loop.batch_idx + 1) / batches if 0 < batches < math.inf else 1.0
            self._add(trainer, pl_module, "val", trainer.current_epoch + done)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Adds the training metrics of an epoch."""
        self._add(trainer, pl_module, "train", trainer.current_epoch + 1)

    def on_test_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Adds the results of a test, at the last epoch."""
        self._add(trainer, pl_module, "test", trainer.current_epoch)

    @staticmethod
    def _add(trainer: L.Trainer, task: Any, stage: str, epoch: float) -> None:
        assert stage in STAGES
        for name, value in trainer.callback_metrics.items():
            if name.startswith(f"{stage}/") and not name.endswith("_step"):
                task.history.setdefault(name, []).append((float(epoch), float(value)))
