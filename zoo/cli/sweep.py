"""The command sweep: searches options of fit, with one run for each trial."""

import argparse
import errno
import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from zoo.checks import nearest
from zoo.cli import space as spaces
from zoo.cli.arguments import ALLOW_IMPORT, Command, Parser
from zoo.cli.configs import find_config
from zoo.cli.errors import RunError, UsageError
from zoo.cli.space import OF_THE_SWEEP, Range
from zoo.runs import records, sweeps
from zoo.runs.files import write_whole
from zoo.runs.history import CONFIG_FILE
from zoo.runs.sweeps import JOURNAL, SWEEP_FILE, Sweep
from zoo.runs.trials import GO

TRIALS = 20
MAX_EPOCHS = 100  # of a run whose config does not say it
EPILOG = """\
All other options are those of fit, and hold for each trial: see python -m zoo fit --help.

a space is a YAML file, with options of fit:
  model.hidden_size: {low: 16, high: 128, step: 16}
  model.lr: {low: 0.001, high: 0.1, log: true}
  model.cell: [rnn, gru, lstm]

examples
  python -m zoo sweep --config four_letter_words --space space.yaml --trials 12 --sweep_dir runs/words
  python -m zoo sweep --sweep_dir runs/words --resume
"""


def sweep_parser() -> Parser:
    """Returns the parser of sweep, without the options of fit."""
    options = Parser("sweep", "Search options of fit with Optuna: each trial is a run, and bad ones are stopped early.")
    options.formatter_class = argparse.RawDescriptionHelpFormatter
    options.epilog = EPILOG
    options.add_argument(
        *("-c", "--config"),
        action="append",
        default=[],
        metavar="CONFIG",
        help="a YAML file, or the name of a config in the package; can be repeated",
    )
    options.add_argument("--space", metavar="SPACE", help="a YAML file: what to search, and in which ranges")
    options.add_argument("--trials", type=int, metavar="N", help=f"the number of trials ({TRIALS})")
    options.add_argument("--sweep_dir", metavar="DIR", help="the folder of the sweep (runs/<config>/sweep-<date-time>)")
    options.add_argument(
        "--resume", action="store_true", help="resume the sweep in --sweep_dir, or help another process with it"
    )
    options.add_argument("--no_prune", action="store_true", help="let bad trials train to their end, too")
    return options


def run(command: Command) -> int:
    """Runs sweep; returns the exit code."""
    given, rest = sweep_parser().parse_some(command.argv)
    if given.trials is not None and given.trials < 1:
        raise UsageError(f"--trials: got {given.trials}, expected at least 1")
    try:
        from zoo.cli import sweep_results
        from zoo.cli.sweep_study import open_study
        from zoo.cli.sweep_worker import Worker
    except ModuleNotFoundError as error:
        raise UsageError(f"sweep: it needs {error.name}; pip install 'rnn-zoo[sweep]'") from error
    sweep = _find(given, rest, command)
    again = f"python -m zoo sweep --sweep_dir {shlex.quote(str(sweep.folder))} --resume"
    again += "".join(f" {ALLOW_IMPORT} {package}" for package in command.packages)
    try:
        with sweeps.locked(sweep.folder):
            study = open_study(sweep, _epochs(sweep))
        worker = Worker(sweep, study, command.packages)
        code = worker.run()
        if worker.signals:
            print(f"\nthe sweep was stopped; resume with\n{again}", file=sys.stderr)
            return code
        with sweeps.locked(sweep.folder):
            sweep_results.finish(sweep, study)
        return code
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RunError(f"no space left on the disk of {sweep.folder}; free some, and resume with\n{again}") from error


def _epochs(sweep: Sweep) -> int:
    epochs = records.read_config(sweep.base).get("trainer.max_epochs")
    return epochs if isinstance(epochs, int) and epochs > 0 else MAX_EPOCHS


# -- a new sweep, or an old one


def _find(given: argparse.Namespace, rest: list[str], command: Command) -> Sweep:
    """Returns the sweep of a command. A new one is checked first, and then written into its folder.

    Raises:
        UsageError: If the command does not name a sweep, if something in it is wrong, or if the folder is taken.
    """
    folder = Path(given.sweep_dir) if given.sweep_dir is not None else None
    if given.resume and folder is None:
        raise UsageError("--resume: which sweep? Give its folder with --sweep_dir")
    new = [word for config in given.config for word in ("--config", config)] + rest
    exists = folder is not None and (folder / SWEEP_FILE).exists()
    if exists and not given.resume:
        raise UsageError(f"--sweep_dir: {folder} already holds a sweep; give another folder, or --resume to resume it")
    if not exists and not (new and given.space):
        lacking = "there is no sweep in " + str(folder) + "; to start one, give" if given.resume else "expected"
        raise UsageError(f"sweep: {lacking} --config CONFIG and --space SPACE")
    space = spaces.read(given.space) if given.space is not None else None
    base = _check_options(new, space, given, command) if new else None
    if folder is not None and exists:
        return _join(folder, base, space, given)
    assert space is not None
    assert base is not None
    name = Path(find_config(given.config[-1])).stem if given.config else str(records.parse_config(base)["model"])
    folder = folder or Path("runs") / name / f"sweep-{datetime.now().astimezone():%Y-%m-%d_%H-%M-%S}"
    return _start(folder, name, new, base, space, given, command)


def _join(folder: Path, base: str | None, space: dict[str, Range] | None, given: argparse.Namespace) -> Sweep:
    """Returns the sweep in a folder. The command must agree with it; only the number of trials may change."""
    try:
        sweep = Sweep.read(folder)
    except ValueError as error:
        raise UsageError(f"--sweep_dir: {error}") from error
    if space is not None and spaces.as_content(space) != dict(sweep.space):
        raise UsageError(f"--space: {given.space} differs from the space of the sweep in {folder}; leave it out")
    if base is not None and base != sweep.base.read_text(encoding="utf-8"):
        old, new = records.read_config(sweep.base), records.parse_config(base)
        changed = [key for key in (*old, *new) if old.get(key) != new.get(key)]
        raise UsageError(
            f"--resume: the sweep in {folder} has another {', '.join(dict.fromkeys(changed))}; "
            "leave out --config and the options of fit to resume it, or give another --sweep_dir"
        )
    if given.trials is not None and given.trials != sweep.trials:
        sweep = sweep.of(given.trials)
        with sweeps.locked(folder):
            write_whole(folder / SWEEP_FILE, sweep.content)
    return sweep


def _start(
    folder: Path,
    name: str,
    new: list[str],
    base: str,
    space: dict[str, Range],
    given: argparse.Namespace,
    command: Command,
) -> Sweep:
    """Writes a new sweep into its folder, once a short run has shown that its config works."""
    _check_folder(folder)
    print("checking the config with a batch of training and validation", flush=True)
    seed = records.parse_config(base).get(records.SEED)
    sweep = Sweep(
        folder=folder,
        config=name,
        trials=given.trials or TRIALS,
        prune=not given.no_prune,
        seed=seed if type(seed) is int else 0,
        monitor=_try(new, command.packages),
        space=spaces.as_content(space),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--sweep_dir: {folder}: {error.strerror}") from error
    with sweeps.locked(folder):
        if (folder / SWEEP_FILE).exists():  # another process was faster
            if not given.resume:
                raise UsageError(f"--sweep_dir: {folder} already holds a sweep; give --resume to help with it")
            joined = True
        else:
            sweep.base.parent.mkdir(exist_ok=True)
            write_whole(sweep.base, base)
            write_whole(folder / SWEEP_FILE, sweep.content)
            joined = False
    return _join(folder, base, space, given) if joined else sweep


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--sweep_dir: {folder} is a file, expected a new or existing folder")
    if (folder / CONFIG_FILE).exists():
        raise UsageError(f"--sweep_dir: {folder} holds a run, expected a new folder")
    if (folder / JOURNAL).exists():
        raise UsageError(f"--sweep_dir: {folder / JOURNAL} is the storage of another sweep; give another folder")


# -- the checks before anything is written


def _check_options(new: list[str], space: dict[str, Range] | None, given: argparse.Namespace, command: Command) -> str:
    """Checks the options of fit, and the values of a space as such options. Returns the complete config."""
    names = [word.partition("=")[0].removeprefix("--") for word in new if word.startswith("--")]
    for name in names:
        if name in OF_THE_SWEEP and name != "config":
            raise UsageError(f"sweep: --{name} is not for sweeps, because each trial has a run folder of its own")
        if space and name in space:
            raise UsageError(f"sweep: --{name} is also in the space; leave out one of them")
        if hint := nearest(name, ("space", "trials", "sweep_dir", "no_prune")) if "." not in name else "":
            raise UsageError(f"sweep: unknown argument '--{name}'{hint}")
    from zoo.cli.train import parse

    base = parse(Command("fit", new, command.packages))
    if space is None:
        return base
    known = records.parse_config(base)
    for name in space:
        ends = [key for key in known if key.rpartition(".")[2] == name]
        if name not in known and ends:
            raise UsageError(f"--space: {given.space}: unknown option {name!r}; did you mean {' or '.join(ends[:3])}?")
    for values in _corners(space):
        try:
            parse(Command("fit", [*new, *spaces.words(values)], command.packages))
        except UsageError as error:
            where = f"{', '.join(given.config)}: "
            raise UsageError(f"--space: {given.space}: {str(error).removeprefix(where)}") from error
    return base


def _corners(space: dict[str, Range]) -> list[dict[str, Any]]:
    """Returns values of all options, so that each choice and each end of a range is in some of them."""
    most = max(len(values.ends) for values in space.values())
    return [{name: values.ends[n % len(values.ends)] for name, values in space.items()} for n in range(most)]


def _try(new: list[str], packages: Sequence[str]) -> tuple[str, str]:
    """Runs a batch of training and validation, and returns the metric that selects the best checkpoint.

    Raises:
        UsageError: If the run fails. The message is its own.
    """
    from zoo.cli.sweep_worker import start

    command = [sys.executable, "-m", "zoo", "fit", *new, "--trainer.fast_dev_run=true"]
    command += [word for one in packages for word in (ALLOW_IMPORT, one)]
    ours, theirs = socket.socketpair()
    with ours:
        child = start(command, theirs, subprocess.PIPE)
        theirs.close()
        ours.sendall(f"{GO}\n".encode())  # the answer to the report of its only epoch
        output, _ = child.communicate()
        messages = [json.loads(line) for line in ours.makefile() if line.strip()]
    found = next((message["monitor"] for message in messages if "monitor" in message), None)
    if child.returncode or found is None:
        lines = output.decode(errors="replace").splitlines()
        errors = [line.partition("zoo: error: ")[2] for line in lines if line.startswith("zoo: error: ")]
        raise UsageError(f"sweep: a run with this config fails: {(errors or lines or [os.strerror(errno.EIO)])[-1]}")
    return str(found[0]), str(found[1])
