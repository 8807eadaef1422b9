"""The run's side of a trial: a run that a sweep has started reports its metric, and may be stopped by the pruner.

The sweep is another process. A socket connects the two: the run sends one line of JSON after each epoch and waits
for `go` or `prune`. The sweep may send `stop` at any time. If the sweep has died, its end of the socket is closed,
and the run saves its state and ends. A resumed run begins with the reports of its earlier epochs, of which the sweep
may have missed some.
"""

import json
import os
import queue
import signal
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import lightning as L

from zoo.runs.best import validates
from zoo.runs.history import read_rows
from zoo.runs.metrics import MetricsLogger
from zoo.runs.stopping import Pruned, Signals

SOCKET = "ZOO_TRIAL"  # the variable with the number of the run's end of the socket
GO, PRUNE, STOP = "go", "prune", "stop"


def reporters(signals: Signals, environment: Mapping[str, str] = os.environ) -> list[L.Callback]:
    """Returns the callback of a run that a sweep has started. Empty for other runs.

    Args:
        signals: The process's signals.
        environment: The process's environment.
    """
    if SOCKET not in environment:
        return []
    launched = environment.get("LOCAL_RANK", "0") != "0"  # by the run's main process, which has the socket
    return [TrialReporter(None if launched else socket.socket(fileno=int(environment[SOCKET])), signals)]


class TrialReporter(L.Callback):
    """Reports the metric that selects the best checkpoint after each epoch, and ends the run if the sweep says so.

    Args:
        connection: The run's end of the socket. None on ranks other than the first.
        signals: The process's signals.
    """

    def __init__(self, connection: socket.socket | None, signals: Signals) -> None:
        self.connection, self.signals = connection, signals
        self.metric = ""
        self._answers: queue.Queue[str] = queue.Queue()
        self._pruned = False
        if connection is not None:
            threading.Thread(target=self._listen, args=[connection.makefile()], name="sweep", daemon=True).start()

    def _listen(self, lines: Any) -> None:
        """Passes the answers on. At `stop`, or if the sweep has died, has the run stop as at SIGTERM."""
        with suppress(OSError):  # the sweep died before it read a report
            for line in lines:
                if (word := line.strip()) == STOP:
                    break
                self._answers.put(word)
        self._answers.put(GO)  # a report may be waiting
        if not self.signals.received:
            os.kill(os.getpid(), signal.SIGTERM)

    def _send(self, **message: Any) -> bool:
        """Sends a message, and returns whether the sweep still listens."""
        try:
            assert self.connection is not None
            self.connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return False
        return True

    def on_fit_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Tells the sweep which metric selects the best checkpoint."""
        self.metric, mode = pl_module.monitor if validates(trainer) else ("train/loss", "min")
        if self.connection is not None:
            self._send(monitor=[self.metric, mode])

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Reports the epochs before the run was resumed."""
        rows = [
            row for logger in trainer.loggers if isinstance(logger, MetricsLogger) for row in read_rows(logger.file)
        ]
        reached = {int(row["epoch"]): float(row[self.metric]) for row in rows if row.get(self.metric)}
        self._report(trainer, reached)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Reports the metric, and learns whether the run is to end."""
        value = trainer.callback_metrics.get(self.metric)
        self._report(trainer, {} if value is None else {trainer.current_epoch: float(value)})

    def _report(self, trainer: L.Trainer, reached: Mapping[int, float]) -> None:
        """Reports the value of each epoch, until the sweep says that the run is to end."""
        pruned = self.connection is not None and any(
            self._send(epoch=epoch, value=value) and self._answers.get() == PRUNE for epoch, value in reached.items()
        )
        self._pruned = bool(trainer.strategy.broadcast(pruned))

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Ends the run. By now, the state after the last epoch is saved."""
        if self._pruned:
            raise Pruned
