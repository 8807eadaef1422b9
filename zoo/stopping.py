"""How a run stops before its end: at a signal, or because its loss is no longer finite."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, Self

EXIT_CODES: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Stopped(BaseException):
    """A signal stopped the run; no `Exception`, so that nobody takes it for an error and goes on."""

    def __init__(self, received: int) -> None:
        self.signal = signal.Signals(received)
        super().__init__(f"stopped by {self.signal.name}")


class DivergedError(Exception):
    """The loss, or a weight, is NaN or infinite.

    Args:
        step: The optimizer step at which it was seen.
        what: What is not finite.
    """

    def __init__(self, step: int, what: str) -> None:
        self.step, self.what = step, what
        super().__init__(f"{what} is not finite at step {step}")


class Signals:
    """Within it, SIGINT and SIGTERM stop a run; under SLURM, SIGUSR1 does, too.

    Where a run can be saved, it is told to `defer`: then the first signal waits for the end of a
    step, and a second one stops at once.
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
        """The first signal waits from now on."""
        self._deferring = True

    def stop_deferring(self) -> None:
        """Signals stop at once from now on; one that waited does."""
        self._deferring = False
        if self.received:
            raise Stopped(self.received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == getattr(signal, "SIGUSR1", None):
            return
        if self.received or not self._deferring:
            self.received = number
            raise Stopped(number)
        self.received = number
        text = f"\n{signal.Signals(number).name}: saving at the end of this step; a second one stops at once\n"
        os.write(2, text.encode())  # print is not safe in a signal handler


# -- who started this process


def slurm_job(environment: Mapping[str, str] = os.environ) -> str | None:
    """The SLURM job that this process belongs to, as scontrol names it; None outside of a batch job."""
    if "SLURM_JOB_ID" not in environment or environment.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return None
    if "SLURM_ARRAY_JOB_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment["SLURM_JOB_ID"]


def job(environment: Mapping[str, str] = os.environ) -> str | None:
    """The name of the job that may start this process again: SLURM's, or torchrun's."""
    if slurm := slurm_job(environment):
        return f"slurm {slurm}"
    if run := environment.get("TORCHELASTIC_RUN_ID"):
        # torchrun's own default is no name: then its process stands for it
        return f"torchrun {run if run != 'none' else f'{os.uname().nodename}:{os.getppid()}'}"
    return None


def started_again(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether SLURM or torchrun has started this job before."""
    counts = (environment.get(name, "0") for name in ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT"))
    return any(count.isdigit() and int(count) > 0 for count in counts)


def requeue(job_id: str) -> str | None:
    """Puts a SLURM job back into the queue; returns what went wrong, if anything."""
    if not re.fullmatch(r"\d+(_\d+)?", job_id):
        return f"{job_id!r} is no SLURM job"
    try:
        done = subprocess.run(["scontrol", "requeue", job_id], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else None
