"""Callbacks that make a run fail, or slow enough to be stopped in its middle."""

import os
import time
from typing import Any

import lightning as L

MESSAGE = "the second process has had enough"


class FailsOnRank(L.Callback):
    """Raises on one rank, after some steps.

    Args:
        rank: The rank.
        step: The steps.
    """

    def __init__(self, rank: int = 1, step: int = 15) -> None:
        self.rank, self.step = rank, step

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_rank == self.rank and trainer.global_step == self.step:
            raise RuntimeError(MESSAGE)


class SlowAtFirst(L.Callback):
    """Makes each step take longer, as long as a job has not been requeued.

    Args:
        seconds: How much longer.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_train_batch_end(self, *_: Any) -> None:
        if not int(os.environ.get("SLURM_RESTART_COUNT", "0")):
            time.sleep(self.seconds)
