"""The best checkpoint of a run."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.model_helpers import is_overridden

from zoo.files.run import BEST

PREVIOUS = "best-previous.ckpt"


class BestCheckpoint(ModelCheckpoint):
    """Keeps `checkpoints/best.ckpt`: by the task's metric, or by the training loss if there is no validation.

    Lightning tells callbacks apart by class and settings. So this is a subclass, and users can add
    their own ModelCheckpoint.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(
            dirpath=folder / "checkpoints",
            filename="best",
            monitor="train/loss",
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )

    def setup(self, trainer: L.Trainer, pl_module: Any, stage: str) -> None:
        """Chooses the metric, once the data is loaded."""
        if stage == "fit" and validates(trainer):
            self.monitor, self.mode = pl_module.monitor
            self.kth_value = torch.tensor(math.inf if self.mode == "min" else -math.inf)
        super().setup(trainer, pl_module, stage)

    def put_aside(self) -> None:
        """Keeps the best checkpoint also as `PREVIOUS`, before that of an interrupted run may replace it."""
        folder = Path(str(self.dirpath))
        if (folder / BEST).exists():
            shutil.copy2(folder / BEST, folder / PREVIOUS)

    def put_back(self) -> None:
        """Undoes `put_aside`, so that a resumed run ends like one that was not interrupted."""
        folder = Path(str(self.dirpath))
        if (folder / PREVIOUS).exists():
            os.replace(folder / PREVIOUS, folder / BEST)


def validates(trainer: L.Trainer) -> bool:
    """Returns whether a run validates: its data has a validation part, and its options use it."""
    return has_part(trainer.datamodule, "val") and trainer.limit_val_batches != 0  # type: ignore[attr-defined]


def has_part(datamodule: Any, part: str) -> bool:
    """Returns whether data has a part: `train`, `val`, `test` or `predict`."""
    parts = getattr(datamodule, "parts", None)
    return part in parts if parts is not None else is_overridden(f"{part}_dataloader", datamodule)
