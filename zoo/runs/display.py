"""What a run shows while it trains: the table of parameters and the progress bar."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelSummary, TQDMProgressBar


class ProgressBar(TQDMProgressBar):
    """Lightning's progress bar, with epochs counted from 1 and without a version number.

    The command line uses it. In Python, pass it to the trainer: `L.Trainer(callbacks=[zoo.ProgressBar()])`.
    """

    def on_train_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Creates the bar, also when a run is resumed within an epoch."""
        super().on_train_start(trainer)
        if trainer.fit_loop.restarting:
            self.on_train_epoch_start(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Shows the epoch."""
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}")

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Returns the metrics to show next to the bar."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics


class NetworkSummary(ModelSummary):
    """Lightning's table of parameters, but only for the parts of the model's network."""

    def __init__(self) -> None:
        super().__init__(max_depth=3)

    @staticmethod
    def summarize(summary_data: list[tuple[str, list[str]]], *totals: Any, **options: Any) -> None:
        """Prints the table."""
        prefix = "model.network."
        names = dict(summary_data)["Name"]
        kept = [number for number, name in enumerate(names) if name.startswith(prefix)]
        rows = [(title, [column[number].removeprefix(prefix) for number in kept]) for title, column in summary_data]
        rows[0] = (rows[0][0], [str(number) for number in range(len(kept))])
        ModelSummary.summarize(rows, *totals, **options)
