"""The training that the tests of this folder stop, restart and compare."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from harness import different
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


def differences(one: Path, other: Path) -> list[str]:
    """What two run folders differ in: their metrics, and the weights, optimizers and schedules, to the bit."""
    files = [run / name for run in (one, other) for name in ("metrics.csv", "checkpoints/last.ckpt")]
    if absent := [str(file) for file in files if not file.is_file()]:
        return [f"missing: {', '.join(absent)}"]
    found = [] if (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text() else ["metrics.csv"]
    last, other_last = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (one, other))
    for name in ("epoch", "global_step", "state_dict", "optimizer_states", "lr_schedulers"):
        found += different(last[name], other_last[name], name)
    return found
