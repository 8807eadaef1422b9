"""The processes of a run: who started them, which one speaks, and that none is left behind."""

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


def machine() -> dict[str, Any]:
    """What else the last bit of a number depends on."""
    return {"torch": str(torch.__version__), "threads": torch.get_num_threads(), "processor": platform.machine()}


def is_main_process() -> bool:
    """Whether this is the process that speaks and writes."""
    return rank_zero_only.rank == 0  # type: ignore[attr-defined, no-any-return]


def say(text: str, file: Any = None) -> None:
    """Prints a line once, whatever the number of processes."""
    if is_main_process():
        print(text, file=file, flush=True)


# -- who started this process


def end_with_parent(seconds: float = 1.0) -> None:
    """Has a rank that a launcher started end soon after it: else it waits half an hour for a dead one's answer."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        os._exit(1)

    if os.environ.get("LOCAL_RANK", "0") != "0" or "TORCHELASTIC_RUN_ID" in os.environ:
        threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


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
        return f"torchrun {run if run != 'none' else f'{platform.node()}:{os.getppid()}'}"
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


# -- ends


def end_children(trainer: L.Trainer, patience: float = 5.0) -> None:
    """Ends the processes that this one launched: they have stopped by themselves, or never will."""
    for child in internals.take_children(trainer):
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
