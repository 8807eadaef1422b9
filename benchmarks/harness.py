"""Runs that are stopped and resumed, and the comparison with runs that were not; for `faults.py` and the tests."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from zoo.__main__ import main as run_command
from zoo.files.run import LAST
from zoo.runs.resume import RunState

ROOT = Path(__file__).parent.parent
TEXT = "the queen of hearts, she made some tarts, all on a summer day; "
EVERY_STEP = ["--checkpoint.every_n_steps", "1", "--trainer.log_every_n_steps", "1"]
CHAR_LM = [
    *("--model", "CharLM", "--model.hidden_size", "12", "--model.num_layers", "2"),
    *("--model.dropout", "0.2", "--model.head_dropout", "0.2"),
    *("--data", "TextString", "--data.text", TEXT * 5, "--data.seq_len", "6", "--data.batch_size", "6"),
    *("--data.val_fraction", "0.2", "--data.test_fraction", "0.1"),
    *("--trainer.max_epochs", "4", "--trainer.limit_train_batches", "6", "--trainer.val_check_interval", "0.5"),
    *("--trainer.callbacks", "EarlyStopping", "--trainer.callbacks.monitor", "val/loss"),
    *("--optimizer", "AdamW", "--optimizer.lr", "0.01"),
]
COSINE = ["--lr_scheduler", "CosineAnnealingLR", "--lr_scheduler.T_max", "5"]
CYCLE = ["--lr_scheduler", "OneCycleLR", "--lr_scheduler.max_lr", "0.1", "--lr_scheduler.total_steps", "24"]
PLATEAU = ["--lr_scheduler", "ReduceLROnPlateau", "--lr_scheduler.monitor", "val/loss", "--lr_scheduler.patience", "0"]
CASES = {  # of 24 steps each
    "CharLM": [*CHAR_LM, *COSINE],
    "CharLM, carried state": [*CHAR_LM, *CYCLE, "--data.mode", "stream", "--data.seq_len", "4"],
    "CharLM, bf16-mixed": [*CHAR_LM, *PLATEAU, "--trainer.precision", "bf16-mixed"],
    "Seq2Seq": [
        *("--config", str(ROOT / "configs" / "toy_en_ko.yaml"), "--model.teacher_forcing", "0.5"),
        *("--data.batch_size", "3", "--trainer.max_epochs", "12"),
    ],
    "SeqClassifier": [  # with an average of its weights
        *("--config", str(ROOT / "configs" / "four_letter_words.yaml"), "--model.dropout", "0.2"),
        *("--data.batch_size", "2", "--trainer.max_epochs", "6", "--trainer.limit_train_batches", "4"),
        *("--trainer.callbacks", "EMAWeightAveraging", "--trainer.callbacks.decay", "0.9"),
    ],
    "SeqTagger": [
        *("--model", "SeqTagger", "--model.hidden_size", "8", "--model.head_dropout", "0.2"),
        *("--data", "Punctuation", "--data.paths", str(ROOT / "LICENSE"), "--data.length", "40"),
        *("--data.batch_size", "4", "--trainer.max_epochs", "4", "--trainer.limit_train_batches", "6"),
    ],
    "Regressor": [
        *("--config", str(ROOT / "configs" / "three_steps.yaml"), "--model.head_dropout", "0.2"),
        *("--data.batch_size", "3", "--trainer.max_epochs", "8", "--trainer.limit_train_batches", "3"),
    ],
}
CPU = ["--trainer.accelerator", "cpu", "--seed_everything", "3"]
TWO = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]


# -- runs of which this process is the parent


def fork(
    argv: list[str], prepare: Callable[[], Any] = lambda: None, log: Path | None = None, errors: Path | None = None
) -> int:
    """Runs a command in a child of this process, and returns its PID; `errors` takes what is no output, else `log`."""
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    code = 1
    try:
        for number, file in ((1, log), (2, errors)):
            if number == 1 or errors is not None:
                os.dup2(os.open(file or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            else:
                os.dup2(1, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        os.environ.pop("PL_GLOBAL_SEED", None)
        prepare()
        code = run_command(argv)
        sys.stdout.flush()
    finally:
        os._exit(code)


def wait(pid: int, timeout: float = 120.0) -> int:
    """The exit code of a child; negative, and a signal's number, where one ended it."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise TimeoutError(f"process {pid} did not end in {timeout:.0f} s")


def fit(case: list[str], folder: Path, *more: str) -> list[str]:
    """The command of a run."""
    return ["fit", *case, *CPU, *EVERY_STEP, *more, "--run_dir", str(folder)]


def kill_at(step: int, number: int = signal.SIGKILL) -> Callable[[], None]:
    """Has a child receive a signal in the middle of a step, counted from 0."""

    def prepare() -> None:
        before = RunState.on_train_batch_start

        def hook(self: RunState, trainer: Any, *args: Any) -> None:
            before(self, trainer, *args)
            if trainer.global_step == step:
                os.kill(os.getpid(), number)

        RunState.on_train_batch_start = hook  # type: ignore[method-assign]

    return prepare


# -- comparing two runs


def state_of(run: Path) -> dict[str, Any]:
    """All of a run's last checkpoint but where it lies, and when it was written."""
    checkpoint: dict[str, Any] = torch.load(run / "checkpoints" / LAST, weights_only=True)
    del checkpoint["run"]
    for name, state in checkpoint["callbacks"].items():
        if "Checkpoint" in name:  # Lightning doesn't load `current_score`, and uses it for messages only
            paths = [key for key in state if "path" in key or key in ("dirpath", "best_k_models", "current_score")]
            for key in paths:
                del state[key]
    return checkpoint


def different(first: Any, second: Any, where: str = "") -> list[str]:
    """Where two states differ by a bit."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = sorted(first.keys() | second.keys(), key=str)
        return [place for key in keys for place in different(first.get(key), second.get(key), f"{where}/{key}")]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return [place for i, pair in pairs for place in different(*pair, f"{where}/{i}")]
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        same = first.shape == second.shape and torch.equal(first, second)
    else:
        same = type(first) is type(second) and first == second
    return [] if same else [where]


def unlike(first: Path, second: Path) -> list[str]:
    """Where two runs ended differently; nothing if to the last bit alike."""
    try:
        found = different(state_of(first), state_of(second))
        same = (first / "metrics.csv").read_bytes() == (second / "metrics.csv").read_bytes()
    except OSError as error:
        return [str(error)]
    return found if same else [*found, "metrics.csv"]


class Bench:
    """A folder for the runs, and the ones that were never stopped.

    Args:
        folder: Where to.
        short: Whether to take few of the many tries.
    """

    def __init__(self, folder: Path, short: bool) -> None:
        self.folder, self.short = folder, short
        self._straight: dict[str, Path] = {}
        self.seconds = 0.0

    def straight(self, name: str, *more: str) -> Path:
        """A run that is never stopped."""
        key = " ".join([name, *more])
        if key not in self._straight:
            folder = self.folder / f"straight-{len(self._straight)}"
            began = time.monotonic()
            code = wait(fork(fit(CASES[name], folder, *more), log=self.folder / "log"), 300)
            assert code == 0, (self.folder / "log").read_text()
            self.seconds = time.monotonic() - began
            self._straight[key] = folder
        return self._straight[key]

    def new(self) -> Path:
        """The folder of the next run."""
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        return self.folder / "run"

    def goes_on(self, name: str, run: Path, *more: str) -> list[str]:
        """Has a stopped run go on, and says where it ends differently from one that was never stopped."""
        straight = self.straight(name, *more)
        code = wait(fork(fit(CASES[name], run, "--resume", *more), log=self.folder / "log"), 300)
        if code:
            return [f"exit code {code}: {(self.folder / 'log').read_text()[-500:]}"]
        return unlike(straight, run)


# -- runs of several processes, which begin from nothing


def command(
    argv: list[str], program: tuple[str, ...] = ("-m", "zoo"), timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    options: dict[str, Any] = {"env": environment(), "cwd": ROOT, "capture_output": True, "text": True}
    return subprocess.run([sys.executable, *program, *argv], **options, check=False, timeout=timeout)


@contextlib.contextmanager
def start(argv: list[str], program: tuple[str, ...] = ("-m", "zoo")) -> Iterator[subprocess.Popen[str]]:
    """A command while it runs; nothing of it is left behind."""
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(
        [sys.executable, *program, *argv], env=environment(), cwd=ROOT, start_new_session=True, **options
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def environment() -> dict[str, str]:
    """One thread, and this checkout."""
    here = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": here, "MASTER_PORT": str(free_port())}


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children_of(pid: int) -> list[int]:
    """The processes that a process has launched."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted(int(child) for file in files for child in file.read_text().split())


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], timeout: float) -> bool:
    """Whether a condition came true in time."""
    deadline = time.monotonic() + timeout
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()
