"""The training that the tests of this folder stop, restart and compare."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from support import CONFIGS, ROOT

CONFIG = CONFIGS / "alice_lstm.yaml"
TEMPLATES = CONFIGS / "cluster"
# State carried over, dropout, and two processes: all that a run that goes on must find again. 80 steps.
OPTIONS = (
    *("--data.mode", "stream", "--data.seq_len", "20", "--model.hidden_size", "128", "--model.dropout", "0.2"),
    *("--trainer.limit_train_batches", "10", "--trainer.max_epochs", "8", "--trainer.accelerator", "cpu"),
)
ALLOWED = ("--allow_import", "cluster")
SLOWLY = (*ALLOWED, "--trainer.callbacks+=cluster.trouble.SlowAtFirst", "--trainer.callbacks.seconds=1")
FAILS = (*ALLOWED, "--trainer.callbacks+=cluster.trouble.FailsOnRank", "--trainer.callbacks.rank=1")


def environment(**more: str) -> dict[str, str]:
    """What a user's shell would have: this project's Python first, one thread, and no cluster."""
    hidden = ("SLURM", "SBATCH", "TORCHELASTIC", "PL_GLOBAL_SEED")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin", "/sbin"))
    return {**clean, "PATH": path, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1", **more}


def torchrun(folder: Path, *options: str, processes: int = 2, **variables: str) -> subprocess.Popen[str]:
    """Starts the template of torchrun, in this folder, with some processes on this machine."""
    return subprocess.Popen(
        [TEMPLATES / "torchrun.sh", CONFIG, *OPTIONS, "--run_dir", "run", *options],
        cwd=folder,
        env=environment(NPROC=str(processes), **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted(int(child) for file in files for child in file.read_text().split())


def differences(one: Path, other: Path) -> list[str]:
    """What two run folders differ in: their metrics, and their last checkpoints to the bit."""
    files = [run / name for run in (one, other) for name in ("metrics.csv", "checkpoints/last.ckpt")]
    if absent := [str(file) for file in files if not file.is_file()]:
        return [f"missing: {', '.join(absent)}"]
    found = [] if (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text() else ["metrics.csv"]
    last, other_last = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (one, other))
    for name in ("epoch", "global_step", "state_dict", "optimizer_states", "lr_schedulers"):
        found += _differences(name, last[name], other_last[name])
    return found


def _differences(name: str, one: Any, other: Any) -> list[str]:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if torch.equal(one, other) else [name]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return [d for i, (a, b) in enumerate(zip(one, other, strict=True)) for d in _differences(f"{name}[{i}]", a, b)]
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [d for key in one for d in _differences(f"{name}.{key}", one[key], other[key])]
    return [] if one == other else [f"{name}: {one!r}, {other!r}"]
