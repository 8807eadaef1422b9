"""The processes of a run: how they were started, which one prints, and how they end."""

import os
import platform
import re
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only

from zoo.runs import internals

LAUNCHER = "ZOO_LAUNCHER"  # the variable with the process id of the process that launched this rank


def machine() -> dict[str, Any]:
    """Returns the versions and settings that can change the last bits of the results."""
    return {"torch": str(torch.__version__), "threads": torch.get_num_threads(), "processor": platform.machine()}


def is_main_process() -> bool:
    """Returns whether this is the process that prints and writes files."""
    return rank_zero_only.rank == 0  # type: ignore[attr-defined, no-any-return]


def say(text: str, file: Any = None) -> None:
    """Prints a line on the main process only."""
    if is_main_process():
        print(text, file=file, flush=True)


# -- who started this process


def end_with_parent(seconds: float = 1.0) -> None:
    """Ends this process soon after its launcher ends. Otherwise it would wait half an hour for dead ranks.

    A launcher leaves its process id to the ranks, since it may end before they call this.
    """
    torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    if not torchrun and os.environ.get("LOCAL_RANK", "0") == "0":
        os.environ[LAUNCHER] = str(os.getpid())
        return
    parent = os.getppid() if torchrun else int(os.environ.get(LAUNCHER, os.getppid()))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def slurm_job(environment: Mapping[str, str] = os.environ) -> str | None:
    """Returns the id of this process's SLURM job, as scontrol expects it. None outside of a batch job."""
    if "SLURM_JOB_ID" not in environment or environment.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return None
    if "SLURM_ARRAY_JOB_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment["SLURM_JOB_ID"]


def job(environment: Mapping[str, str] = os.environ) -> str | None:
    """Returns the name of the SLURM or torchrun job that may restart this process, or None."""
    if slurm := slurm_job(environment):
        return f"slurm {slurm}"
    if run := environment.get("TORCHELASTIC_RUN_ID"):
        # torchrun's default id is none: then its process identifies the job
        return f"torchrun {run if run != 'none' else f'{platform.node()}:{os.getppid()}'}"
    return None


def started_again(environment: Mapping[str, str] = os.environ) -> bool:
    """Returns whether SLURM or torchrun has restarted this job."""
    counts = (environment.get(name, "0") for name in ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT"))
    return any(count.isdigit() and int(count) > 0 for count in counts)


def requeue(job_id: str) -> str | None:
    """Requeues a SLURM job. Returns the error message, or None."""
    if not re.fullmatch(r"\d+(_\d+)?", job_id):
        return f"{job_id!r} is not a SLURM job"
    try:
        done = subprocess.run(["scontrol", "requeue", job_id], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else None


# -- how they end


def end_children(trainer: L.Trainer, patience: float = 5.0) -> None:
    """Waits for the processes that this one launched, and kills those that do not end in time."""
    for child in internals.take_children(trainer):
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
