"""Stops runs in every way that we know of, has them go on, and counts how many end as they should.

    python benchmarks/faults.py [--short] [--only NAME ...]

A run that goes on must end like one that was never stopped, to the last bit: the same weights,
optimizer, schedules, random states and positions in the last checkpoint, and the same
`metrics.csv`. Runs of one process are forked from this one, which has loaded everything, so that a
try takes a second; a child changes what it runs (to stop at a step, say), never what it writes.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

COUNTED = ("run", "config", "hyper_parameters")  # of a checkpoint: clocks, texts


def fork(argv: list[str], prepare: Callable[[], None] = lambda: None, quiet: bool = True) -> int:
    """Runs a command in a child of this process, and returns its PID."""
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    code = 1
    try:
        if quiet:
            log = os.open(os.devnull, os.O_WRONLY) if quiet is True else quiet
            os.dup2(log, 1)
            os.dup2(log, 2)
        from zoo.__main__ import main

        prepare()
        os.environ.pop("PL_GLOBAL_SEED", None)
        sys.argv = ["zoo", *argv]
        code = main(argv)
    finally:
        os._exit(code)


def wait(pid: int, timeout: float = 120.0) -> int:
    """The exit code of a child; the negative signal where one ended it."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    raise TimeoutError(f"process {pid} did not end in {timeout:.0f} s")


def different(first: Any, second: Any, where: str = "") -> list[str]:
    """Where two checkpoints differ by a bit."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = first.keys() | second.keys()
        return [x for key in sorted(keys, key=str) for x in different(first.get(key), second.get(key), f"{where}/{key}")]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        return [x for i, pair in enumerate(zip(first, second, strict=True)) for x in different(*pair, f"{where}/{i}")]
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        same = first.shape == second.shape and torch.equal(first, second)
    else:
        same = type(first) is type(second) and first == second
    return [] if same else [where]
