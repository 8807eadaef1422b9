"""Working on a sweep: one trial after the other, each a run in a process of its own.

A process of its own costs the start of Python, some seconds a trial. In return, a trial that is killed, for example
because it runs out of memory, takes nothing with it, and leaves no memory, random state or signal handler to the next.
"""

import errno
import json
import math
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, NamedTuple

from optuna.study import Study
from optuna.trial import Trial, TrialState

from zoo.cli import space as spaces
from zoo.cli.arguments import ALLOW_IMPORT
from zoo.cli.errors import RunError
from zoo.cli.marks import number_text, option_text
from zoo.cli.sweep_study import ask, report, take_up
from zoo.runs import sweeps
from zoo.runs.comparing import short_keys
from zoo.runs.history import CONFIG_FILE, SUMMARY_FILE, read_note
from zoo.runs.processes import requeue, slurm_job
from zoo.runs.stopping import EXIT_CODES
from zoo.runs.sweeps import Sweep
from zoo.runs.trials import GO, PRUNE, SOCKET, STOP

OUTPUT = "output.txt"  # what a trial's run prints
WHY = "why"  # the attribute of a failed trial with the reason
TURN_S = 0.5
NOTICE_S = 1.0  # time for a run to get a signal that was sent to all processes, before the sweep passes it on
SMALL_DISK = 2**20  # bytes; with less, the disk counts as full


class Taken(NamedTuple):
    """A trial that this process works on."""

    trial: Trial
    lock: IO[bytes]
    known: int  # the last epoch that was reported before, or -1


class Worker:
    """One process of a sweep.

    Args:
        sweep: The sweep.
        study: Its storage.
        packages: The packages of `--allow_import`.
    """

    def __init__(self, sweep: Sweep, study: Study, packages: Sequence[str]) -> None:
        self.sweep, self.study, self.packages = sweep, study, packages
        self.space = spaces.ranges(dict(sweep.space), str(sweep.folder / sweeps.SWEEP_FILE))
        self.short = short_keys(self.space)
        self.signals: list[int] = []  # that this process received

    def run(self) -> int:
        """Works until there is no trial left, or until a signal; returns the exit code."""
        with self._handling_signals():
            while not self.signals and (taken := self._take()) is not None:
                with taken.lock:
                    self._train(taken)
        return self._code()

    # -- signals

    @contextmanager
    def _handling_signals(self) -> Iterator[None]:
        def handle(number: int, frame: FrameType | None) -> None:
            self.signals.append(number)

        handled = [*EXIT_CODES, *([signal.SIGUSR1] if slurm_job() is not None else [])]
        before = {number: signal.signal(number, handle) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _code(self) -> int:
        """Returns the exit code. After SIGUSR1, first puts the SLURM job back into the queue."""
        if not self.signals:
            return 0
        if (code := EXIT_CODES.get(self.signals[0])) is not None:
            return code
        if os.environ.get("SLURM_PROCID", "0") == "0" and (problem := requeue(slurm_job() or "")):
            raise RunError(f"the job was not requeued: {problem}")
        return 0

    # -- which trial

    def _take(self) -> Taken | None:
        """Takes a trial whose process has ended, or else a new one. Returns None if there is none."""
        while not self.signals:
            with sweeps.locked(self.sweep.folder):
                trials = self.study.get_trials(deepcopy=False)
                running = [trial for trial in trials if trial.state == TrialState.RUNNING]
                for left in running:
                    if (taken := self._take_up(left.number)) is not None:
                        return taken
                ending = any(sweeps.is_left(self.sweep.run_of(trial.number)) for trial in running)
                if not ending and len(trials) >= self.sweep.trials:
                    return None
                if not ending:
                    trial = ask(self.study, self.sweep, self.space)
                    lock = sweeps.take(self.sweep.run_of(trial.number))
                    assert lock is not None, "another process has a trial that did not exist"
                    return Taken(trial, lock, -1)
            time.sleep(TURN_S)
        return None

    def _take_up(self, number: int) -> Taken | None:
        """Takes a trial that was running. Returns None if another process works on it, or has just finished it."""
        lock = sweeps.take(self.sweep.run_of(number))
        if lock is None:
            return None
        left = self.study.get_trials(deepcopy=False)[number]
        if left.state != TrialState.RUNNING:
            lock.close()
            return None
        print(f"trial {number}: taken up again", flush=True)
        known = max(left.intermediate_values, default=-1)
        return Taken(take_up(self.study, self.sweep, self.space, left), lock, known)

    # -- its run

    def _train(self, taken: Taken) -> None:
        trial, run = taken.trial, self.sweep.run_of(taken.trial.number)
        values = ", ".join(f"{self.short[name]} {option_text(value)}" for name, value in trial.params.items())
        print(f"trial {trial.number}: {values}", flush=True)
        known = read_note(run / SUMMARY_FILE).get("status") == "pruned"  # and the sweep was killed before it noted this
        code, pruned = (0, True) if known else self._run(taken, run)
        summary = read_note(run / SUMMARY_FILE)
        status = summary.get("status")
        reached = (summary.get("metrics") or {}).get(self.sweep.monitor[0], {}).get("best")
        if code == 0 and status == "finished" and reached is not None:
            self.study.tell(trial, reached)
        elif code == 0 and status == "pruned" and pruned:
            self.study.tell(trial, state=TrialState.PRUNED)
        elif self.signals:
            return
        else:
            status, why = "failed", _reason(run, code, summary)
            if _disk_is_full(self.sweep.folder, why):
                raise OSError(errno.ENOSPC, why)
            trial.set_user_attr(WHY, why)
            self.study.tell(trial, state=TrialState.FAIL)
            print(f"  {status}: {why}", flush=True)
            return
        value = f"{self.sweep.monitor[0]} {number_text(reached)}" if reached is not None else ""
        print(f"  {status}, {value}, {summary.get('epochs')} epochs, {summary.get('wall_s', 0):.0f} s", flush=True)

    def _run(self, taken: Taken, run: Path) -> tuple[int, bool]:
        """Runs a trial. Returns the exit code of its run, and whether the pruner stopped it."""
        command = [sys.executable, "-m", "zoo", "fit", "--config", str(self.sweep.base)]
        command += [*spaces.words(taken.trial.params), "--run_dir", str(run)]
        command += ["--resume"] if (run / CONFIG_FILE).exists() else []
        command += [word for package in self.packages for word in (ALLOW_IMPORT, package)]
        ours, theirs = socket.socketpair()
        with ours, (run / OUTPUT).open("ab") as output:
            child = start(command, theirs, output, taken.lock)
            theirs.close()
            pruned = self._serve(child, ours, taken)
            return child.wait(), pruned

    def _serve(self, child: subprocess.Popen[bytes], ours: socket.socket, taken: Taken) -> bool:
        """Answers the reports of a run, and passes signals on, until it ends. Returns whether it was to be pruned."""
        pruned, passed, since, rest = False, 0, 0.0, b""
        while True:
            if self.signals and not passed:
                since = since or time.monotonic()
                if time.monotonic() > since + NOTICE_S:
                    passed = 1
                    _send(ours, STOP)
            elif passed and len(self.signals) > passed:  # a second signal stops the run immediately
                passed = len(self.signals)
                child.terminate()
            if not select.select([ours], [], [], TURN_S)[0]:
                if child.poll() is not None:
                    return pruned
                continue
            try:
                received = ours.recv(4096)
            except ConnectionError:
                received = b""
            if not received:  # the run has ended, or is about to
                child.wait()
                return pruned
            *lines, rest = (rest + received).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "epoch" in message:
                    pruned = self._report(taken, message["epoch"], message["value"])
                    _send(ours, PRUNE if pruned else GO)

    def _report(self, taken: Taken, epoch: int, value: float) -> bool:
        """Reports a metric, unless it is not finite: then the run itself ends soon. Returns whether to prune it."""
        return math.isfinite(value) and report(taken.trial, epoch, value, taken.known)


def start(
    command: list[str], theirs: socket.socket, output: IO[bytes] | int, lock: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Starts a run as a plain local process: SLURM's variables are hidden from it, and the sweep handles its signals.

    Args:
        command: The command.
        theirs: The run's end of the socket.
        output: Where the run prints.
        lock: A file that it inherits.
    """
    hidden = ("SLURM", "PL_GLOBAL_SEED", SOCKET)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environment[SOCKET] = str(theirs.fileno())
    files = [theirs.fileno(), *([lock.fileno()] if lock else [])]
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])  # the run inherits this: SLURM sends it to all processes
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, pass_fds=files
        )
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])


def _send(ours: socket.socket, word: str) -> None:
    with suppress(OSError):  # the run has ended
        ours.sendall(word.encode() + b"\n")


def _reason(run: Path, code: int, summary: Mapping[str, Any]) -> str:
    """Returns why a run failed, in a line."""
    if code < 0:
        hint = "; perhaps it ran out of memory" if code == -signal.SIGKILL else ""
        return f"killed by {signal.Signals(-code).name}{hint}"
    try:
        lines = (run / OUTPUT).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    errors = [line.partition("zoo: error: ")[2] for line in lines if line.startswith("zoo: error: ")]
    if errors:
        return errors[-1]
    return "it reached no value" if code == 0 else f"exit code {code}, status {summary.get('status', 'unknown')}"


def _disk_is_full(folder: Path, why: str) -> bool:
    return "no space left" in why.lower() or shutil.disk_usage(folder).free < SMALL_DISK
