"""Stops runs in every way that we know of, has them go on, and counts how many end as they should.

    python benchmarks/faults.py [--short] [--only WORD ...]

A run that goes on must end like one that was never stopped, to the last bit: the same weights,
optimizer, schedules, random states and positions in the last checkpoint, and the same
`metrics.csv`. Runs of one process are forked from this one, which has loaded everything, so that a
try takes seconds; a child changes what happens to it (a kill at a step, say), never what zoo does.
"""

import argparse
import contextlib
import errno
import json
import math
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch

import zoo.cli.train
import zoo.runs.files
from harness import (
    CASES,
    TWO,
    Bench,
    alive,
    children_of,
    command,
    fit,
    fork,
    kill_at,
    start,
    state_of,
    unlike,
    wait,
    wait_for,
)
from zoo.files.run import LAST, check_sums
from zoo.runs.history import read_rows

# -- the rows: each yields, for a try, what is wrong; nothing where it ended as it should

Row = Callable[[Bench], Iterator[list[str]]]


def each_step(bench: Bench) -> Iterator[list[str]]:
    """SIGKILL at each step of 24, for every task."""
    for name, case in CASES.items():
        straight = bench.straight(name)
        steps = state_of(straight)["global_step"]
        if steps != 24:
            yield [f"{name} has {steps} steps"]
        for step in [0, 2, 5, 6, 11, 23] if bench.short else range(24):
            run = bench.new()
            code = wait(fork(fit(case, run), kill_at(step)))
            yield ([] if code == -signal.SIGKILL else [f"exit code {code}"]) + bench.goes_on(name, run)


def random_kills(bench: Bench) -> Iterator[list[str]]:
    """SIGKILL at a random time, one process."""
    draw = random.Random(1)
    bench.straight("CharLM")
    for _ in range(3 if bench.short else 20):
        run = bench.new()
        pid = fork(fit(CASES["CharLM"], run))
        time.sleep(draw.uniform(0, bench.seconds))
        os.kill(pid, signal.SIGKILL)
        wait(pid)
        yield bench.goes_on("CharLM", run)


def kills_of_two_ranks(bench: Bench) -> Iterator[list[str]]:
    """SIGKILL of one of two ranks, at a random time."""
    draw = random.Random(2)
    straight = bench.folder / "two"
    began = time.monotonic()
    assert command(fit(CASES["CharLM, carried state"], straight, *TWO)).returncode == 0
    seconds = time.monotonic() - began
    for number in range(1 if bench.short else 5):
        run = bench.new()
        with start(fit(CASES["CharLM, carried state"], run, *TWO)) as process:
            time.sleep(draw.uniform(0.4, 0.95) * seconds)
            ranks = [process.pid, *children_of(process.pid)]
            os.kill(ranks[number % len(ranks)], signal.SIGKILL)
            process.wait(60)
            left = wait_for(lambda ranks=ranks: not any(alive(pid) for pid in ranks), 60)
        result = command(fit(CASES["CharLM, carried state"], run, *TWO, "--resume"))
        wrong = [] if result.returncode == 0 else [result.stderr[-500:]]
        yield wrong + ([] if left else ["a rank lived on"]) + unlike(straight, run)


def mapped_text(bench: Bench) -> Iterator[list[str]]:
    """SIGKILL at a random time with 20 MB of mapped text: windows and lanes, one process and two."""
    draw = random.Random(3)
    text = bench.folder / "text.txt"
    text.write_text("".join(draw.choices("abcdefgh \n", k=2 * 10**7)))
    os.environ["ZOO_DATA_DIR"] = str(bench.folder / "cache")
    for mode in ("windows", "stream"):
        case = ["--data", "TextFile", "--data.paths", str(text), "--data.mode", mode, "--data.batch_size", "8"]
        case += ["--data.test_fraction", "0", "--model", "CharLM", "--model.hidden_size", "8", "--model.dropout", "0.1"]
        case += ["--trainer.max_epochs", "4", "--trainer.limit_train_batches", "60", "--trainer.limit_val_batches", "2"]
        case += ["--model.num_layers", "2", "--checkpoint.every_n_steps", "7"]
        for more in ([], TWO):
            straight = bench.folder / f"{mode}{len(more)}"
            shutil.rmtree(bench.folder / "cache", ignore_errors=True)
            began = time.monotonic()
            if (first := command(fit(case, straight, *more))).returncode:
                yield [first.stderr[-500:]]
                continue
            seconds = time.monotonic() - began
            for number in range(1 if bench.short else 5):
                run = bench.new()
                if number == 0:  # the text is encoded again, and perhaps not to its end
                    shutil.rmtree(bench.folder / "cache")
                with start(fit(case, run, *more)) as process:
                    time.sleep(draw.uniform(0.3, 0.95) * seconds)
                    for pid in [process.pid, *children_of(process.pid)]:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                    process.wait(60)
                result = command(fit(case, run, *more, "--resume"))
                yield ([] if result.returncode == 0 else [result.stderr[-500:]]) + unlike(straight, run)


def killed_writes(bench: Bench) -> Iterator[list[str]]:
    """SIGKILL while a checkpoint is written, temporary folder on another file system."""
    straight = bench.straight("CharLM")
    others = [path for path in ("/dev/shm", "/tmp") if os.path.isdir(path)]
    other = next((path for path in others if os.stat(path).st_dev != os.stat(straight).st_dev), None)
    moments = ["fsync", "replace", "replace", "sync_folder", "half"]
    for number, moment in enumerate(moments):

        def prepare(number: int = number, moment: str = moment) -> None:
            tempfile.tempdir = other
            calls = iter(range(10_000))
            of = zoo.runs.files if moment == "sync_folder" else zoo.runs.files.os
            name = "fsync" if moment == "half" else moment
            true = getattr(of, name)

            def killing(first: Any, *rest: Any) -> Any:
                regular = moment != "half" or stat.S_ISREG(os.fstat(first).st_mode)  # fsync takes folders, too
                if regular and next(calls) == 20 + number:
                    if moment == "half":
                        with contextlib.suppress(OSError):  # one that was opened to be read
                            os.ftruncate(first, 1000)
                    os.kill(os.getpid(), signal.SIGKILL)
                return true(first, *rest)

            setattr(of, name, killing)

        run = bench.new()
        code = wait(fork(fit(CASES["CharLM"], run), prepare))
        wrong = bench.goes_on("CharLM", run)
        left = list(run.rglob(f".*{zoo.runs.files.TEMPORARY}"))
        yield wrong + ([f"left {left}"] if left else []) + ([] if code == -signal.SIGKILL else [f"exit code {code}"])


def full_disk(bench: Bench) -> Iterator[list[str]]:
    """The disk is full (3 MB)."""
    disk = bench.folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        return
    try:
        wide = ["--model.hidden_size", "96"]  # a checkpoint of a megabyte, of which there are up to four
        code = wait(fork(fit(CASES["CharLM"], disk / "run", *wide), log=bench.folder / "log"))
        wrong = says_full(bench, disk / "run", code)
        subprocess.run(["mount", "-o", "remount,size=30m", disk], check=True)
        yield wrong + bench.goes_on("CharLM", disk / "run", *wide)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def says_full(bench: Bench, run: Path, code: int) -> list[str]:
    """What is wrong with a run that ended on a full disk; its last checkpoint is whole."""
    text = (bench.folder / "log").read_text()
    check_sums(run / "checkpoints" / LAST)
    said = re.search(r"error: .*no space left on the disk to write \S*checkpoints/", text)
    return [] if code == 1 and said else [f"exit code {code}: {text[-1000:]}"]


def failing_writes(bench: Bench) -> Iterator[list[str]]:
    """Writes fail halfway, as on a full disk."""
    true = os.fsync

    def prepare() -> None:
        large = iter(range(10_000))  # writes of checkpoints; once one has failed, all do
        failed = False

        def full(handle: int) -> None:
            nonlocal failed
            status = os.fstat(handle)
            failed |= status.st_size > 10_000 and next(large) == 7
            if failed and stat.S_ISREG(status.st_mode):
                with contextlib.suppress(OSError):  # one that was opened to be read
                    os.ftruncate(handle, 1000)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            true(handle)

        zoo.runs.files.os.fsync = full

    run = bench.new()
    code = wait(fork(fit(CASES["CharLM"], run), prepare, bench.folder / "log"))
    wrong = says_full(bench, run, code)
    left = list(run.rglob(f".*{zoo.runs.files.TEMPORARY}"))
    yield wrong + ([f"left {left}"] if left else []) + bench.goes_on("CharLM", run)


def truncated(bench: Bench) -> Iterator[list[str]]:
    """The newest checkpoint is truncated, at each 4 KB."""
    stopped = bench.folder / "stopped"
    wait(fork(fit(CASES["CharLM"], stopped), kill_at(14)))
    size = (stopped / "checkpoints" / LAST).stat().st_size
    for length in (0, size // 2, size - 1) if bench.short else range(0, size, 4096):
        run = bench.new()
        shutil.copytree(stopped, run)
        os.truncate(run / "checkpoints" / LAST, length)
        wrong = bench.goes_on("CharLM", run)
        told = f"{LAST} can't be read" in (bench.folder / "log").read_text()
        yield wrong + ([] if told else ["it didn't say so"])


def signals(bench: Bench) -> Iterator[list[str]]:
    """SIGINT, SIGTERM, SIGUSR1 at a step: saved there, the right exit code and status, no traceback."""
    fake = bench.folder / "bin"  # a SLURM that notes what it is asked
    fake.mkdir()
    (fake / "scontrol").write_text(f"#!/bin/sh\necho $@ >> {fake}/asked\n")
    (fake / "scontrol").chmod(0o755)

    def under_slurm() -> None:
        os.environ |= {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train", "PATH": f"{fake}:{os.environ['PATH']}"}
        os.environ |= {"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}

    for number, expected in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 0)):
        for step in (7,) if bench.short else (0, 5, 6, 22, 23):
            run = bench.new()
            slurm = number == signal.SIGUSR1

            def prepare(number: int = number, step: int = step, slurm: bool = slurm) -> None:
                if slurm:
                    under_slurm()
                kill_at(step, number)()

            code = wait(fork(fit(CASES["CharLM"], run), prepare, bench.folder / "log"))
            text = (bench.folder / "log").read_text()
            wrong = [] if code == expected and "Traceback" not in text else [f"exit code {code}: {text[-300:]}"]
            status = json.loads((run / "summary.json").read_text())["status"]
            wrong += [] if status == "interrupted" else [f"status {status}"]
            saved = torch.load(run / "checkpoints" / LAST, weights_only=True)["global_step"]
            wrong += [] if saved == step + 1 else [f"saved at step {saved}, not at {step + 1}"]
            if slurm:
                asked = (fake / "asked").read_text().splitlines()
                (fake / "asked").unlink()
                wrong += [] if asked == ["requeue 7"] else [f"asked {asked}"]
            yield wrong + bench.goes_on("CharLM", run)


def two_ranks(bench: Bench) -> Iterator[list[str]]:
    """One process against two ranks: counts and predictions equal, losses to rounding."""
    still = ["--model.dropout", "0", "--model.head_dropout", "0", "--data.batch_size", "5"]  # 3 rows here, 2 there
    still += ["--trainer.max_epochs", "2"]  # rounding grows with each step
    for name in ["Seq2Seq"] if bench.short else [name for name in CASES if "bf16" not in name]:
        argv = [*CASES[name], *still, *(["--model.teacher_forcing", "1"] if name == "Seq2Seq" else [])]
        runs = [bench.folder / f"{name}-{ranks}" for ranks in ("one", "two")]
        results = [command(fit(argv, run, *more)) for run, more in zip(runs, ([], TWO), strict=True)]
        wrong = [result.stderr[-500:] for result in results if result.returncode]
        tables = [read_rows(run / "metrics.csv") for run in runs]
        for row, (one, two) in enumerate(zip(*tables, strict=True)):
            for metric in one:  # the loss of a step is each rank's own
                if metric != "train/loss_step" and not close(metric, one[metric], two[metric]):
                    wrong.append(f"{name}: row {row}: {metric}: {one[metric]} against {two[metric]}")
        best = str(runs[0] / "checkpoints" / "best.ckpt")
        predictions = [command(["predict", "--ckpt_path", best, *still[4:6], *more]).stdout for more in ([], TWO)]
        yield wrong + ([] if predictions[0] and predictions[0] == predictions[1] else ["predictions"])


def close(metric: str, first: str, second: str) -> bool:
    """Whether two values in a `metrics.csv` are the same; of sums of floats, to rounding."""
    if first == second or any(word in metric for word in ("accuracy", "match", "error_rate")):
        return first == second
    return math.isclose(float(first), float(second), rel_tol=1e-5, abs_tol=1e-6)


# -- launchers and clusters: each test in tests/cluster is a try


def tested(file: str, words: str) -> Iterator[list[str]]:
    """Runs tests of tests/cluster by the words in their names; those that are skipped are no tries."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-n", "0", "-m", "slow or not slow", "-k", words, f"--junitxml={report}"]
        command([*options, f"tests/cluster/{file}.py"], ("-m", "pytest"), 1800)
        for case in ElementTree.parse(report).iter("testcase"):
            if case.find("skipped") is None:
                yield [str(part.get("message")) for part in case if part.tag in ("failure", "error")]


def torchrun_restarts(bench: Bench) -> Iterator[list[str]]:
    """Torchrun starts a run again whose worker was killed."""
    yield from tested("test_torchrun", "replaced")


def one_rank_fails(bench: Bench) -> Iterator[list[str]]:
    """An exception on one rank ends all of them in 60 s, under torchrun, Lightning's launcher and SLURM."""
    yield from tested("test_torchrun", "failure")
    yield from tested("test_slurm", "failure")


def slurm_requeues(bench: Bench) -> Iterator[list[str]]:
    """A real SLURM requeues a job: SIGUSR1, its time is up, preemption, a failed node, by hand."""
    yield from tested("test_slurm", "not failure")


def two_hosts(bench: Bench) -> Iterator[list[str]]:
    """Two hosts under torchrun, with a network between them."""
    yield from tested("test_two_hosts", "")


ALONE: list[Row] = [each_step, random_kills, killed_writes, failing_writes, full_disk, truncated, signals]
TOGETHER: list[Row] = [kills_of_two_ranks, two_ranks, mapped_text]
CLUSTER: list[Row] = [torchrun_restarts, one_rank_fails, slurm_requeues, two_hosts]


def main() -> int:
    """Prints the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="few of the many tries")
    parser.add_argument("--only", nargs="+", default=[""], help="rows whose function has one of these in its name")
    options = parser.parse_args()
    torch.set_num_threads(1)
    zoo.cli.train.quieten()
    lost = 0
    print("| what happens | tries | as they should | minutes |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for row in [*ALONE, *TOGETHER, *([] if options.short else CLUSTER)]:
            if not any(word in row.__name__ for word in options.only):
                continue
            began = time.monotonic()
            here = Path(folder) / row.__name__
            here.mkdir()
            tries = list(row(Bench(here, options.short)))
            good = sum(not wrong for wrong in tries)
            lost += len(tries) - good
            minutes = (time.monotonic() - began) / 60
            print(
                f"| {str(row.__doc__).rstrip('.')} | {len(tries) or 'skipped'} | {good} | {minutes:.1f} |", flush=True
            )
            for number, wrong in enumerate(tries):
                for place in wrong[:5]:
                    print(f"    try {number}: {place}", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
