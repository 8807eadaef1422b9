"""How a run stops early: by a signal, by the pruner of a sweep, or because its loss is no longer finite."""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from zoo.runs.processes import slurm_job

EXIT_CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Stopped(BaseException):
    """A signal stopped the run. It is not an `Exception`, so that no handler of errors catches it."""

    def __init__(self, received: int) -> None:
        self.signal = signal.Signals(received)
        self.told = False  # whether the user was told where it stopped, and how to resume
        super().__init__(f"stopped by {self.signal.name}")


class Pruned(BaseException):
    """The pruner of a sweep stopped the run. It is not an `Exception`, for the same reason."""

    def __init__(self) -> None:
        super().__init__("stopped by the pruner of its sweep")


class DivergedError(Exception):
    """The loss, or a weight, is NaN or infinite.

    Args:
        step: The optimizer step at which it was found.
        what: What is not finite.
    """

    def __init__(self, step: int, what: str) -> None:
        self.step, self.what = step, what
        super().__init__(f"{what} is not finite at step {step}")


class Signals:
    """A context manager in which SIGINT and SIGTERM stop a run. Under SLURM, SIGUSR1 does, too.

    After `defer`, the first signal waits for the end of the step, so that the run can be saved. A
    second signal stops the run immediately.
    """

    def __init__(self) -> None:
        self.received = 0
        self._deferring = False
        self._before: dict[int, Callable[..., Any] | int | None] = {}

    def __enter__(self) -> Self:
        handled = [signal.SIGINT, signal.SIGTERM]
        if slurm_job() is not None:
            handled.append(signal.SIGUSR1)
        self._before = {number: signal.signal(number, self._handle) for number in handled}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def defer(self) -> None:
        """From now on, the first signal waits."""
        self._deferring = True

    def stop_deferring(self) -> None:
        """From now on, the next signal stops the run immediately."""
        self._deferring = False
        self.received = 0

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == getattr(signal, "SIGUSR1", None):
            return
        if self.received or not self._deferring:
            self.received = number
            raise Stopped(number)
        self.received = number
        text = f"\n{signal.Signals(number).name}: saving at the end of this step; a second signal stops immediately\n"
        os.write(2, text.encode())  # print is not safe in a signal handler
