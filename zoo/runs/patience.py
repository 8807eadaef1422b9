"""Early stopping that chooses its metric by itself."""

import math
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping

from zoo.runs.best import validates


class NoImprovement(EarlyStopping):
    """Stops when the task's metric has not improved: that of the best checkpoint, see `BestCheckpoint`.

    Args:
        patience: The number of checks without a better value, usually epochs.
    """

    def __init__(self, patience: int = 10) -> None:
        super().__init__(monitor="train/loss", patience=patience)

    def setup(self, trainer: L.Trainer, pl_module: Any, stage: str) -> None:
        """Chooses the metric, once the data is loaded."""
        if stage == "fit" and validates(trainer):
            self.monitor, self.mode = pl_module.monitor
            self.best_score = torch.tensor(math.inf if self.mode == "min" else -math.inf)
        super().setup(trainer, pl_module, stage)
