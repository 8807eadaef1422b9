"""The storage of a sweep: Optuna's journal, a file that several processes append to.

A kernel lock (flock) guards it, which ends with its process. So a kill never leaves the file locked. A line that a
kill or a full disk has cut is removed before the next one is written.
"""

import os
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import optuna
from optuna.importance import FanovaImportanceEvaluator
from optuna.pruners import MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, create_trial

from zoo.cli.errors import UsageError
from zoo.cli.space import Range
from zoo.runs.history import try_lock
from zoo.runs.sweeps import JOURNAL, WAIT_S, Sweep

FIRST_TRIALS = 5  # are not pruned: there is little to compare them with
FIRST_EPOCHS = 0.2  # of a trial, as a share: it is not pruned in them


class JournalLock:
    """The lock of a journal, in place of one of Optuna.

    Args:
        journal: The journal.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Waits for the lock, and removes an incomplete last line."""
        self._file = Path(f"{self.journal}.lock").open("ab")  # noqa: SIM115
        while not try_lock(self._file):
            time.sleep(WAIT_S / 5)
        with self.journal.open("rb+") as file:
            file.truncate(_whole_lines(file))
        return True

    def release(self) -> None:
        """Gives the lock back."""
        assert self._file is not None
        self._file.close()


def _whole_lines(file: IO[bytes]) -> int:
    """Returns the size of a file without an incomplete last line."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - 4096)
        file.seek(start)
        if (found := file.read(end - start).rfind(b"\n")) >= 0:
            return start + found + 1
        end = start
    return 0


def open_study(sweep: Sweep, epochs: int) -> Study:
    """Opens the storage of a sweep. Creates it, if this is the first process.

    Args:
        sweep: The sweep.
        epochs: The epochs of a trial, for the pruner.

    Raises:
        UsageError: If the storage is damaged, or that of another sweep.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = sweep.folder / JOURNAL
    pruner = MedianPruner(FIRST_TRIALS, n_warmup_steps=int(FIRST_EPOCHS * epochs)) if sweep.prune else NopPruner()
    try:
        lock: Any = JournalLock(path)  # Optuna's base class of locks is private
        storage = JournalStorage(JournalFileBackend(str(path), lock))
        names = [study.study_name for study in storage.get_all_studies()]
        if names and sweep.identity not in names:
            raise UsageError(f"--sweep_dir: {path} is the storage of another sweep; give another folder")
        direction = StudyDirection.MAXIMIZE if sweep.rises else StudyDirection.MINIMIZE
        return optuna.create_study(
            storage=storage, pruner=pruner, study_name=sweep.identity, direction=direction, load_if_exists=True
        )
    except (ValueError, KeyError, AssertionError) as error:
        raise UsageError(f"--sweep_dir: {path} is damaged: {type(error).__name__}: {error}") from error


def ask(study: Study, sweep: Sweep, space: Mapping[str, Range]) -> Trial:
    """Draws the options of the next trial. The draws depend on the trials so far, the seed and the number only.

    So a sweep that was stopped and resumed has the trials of one that was not.
    """
    return _with_values(study.ask(), sweep, space)


def take_up(study: Study, sweep: Sweep, space: Mapping[str, Range], left: FrozenTrial) -> Trial:
    """Returns a trial whose process has ended before it did."""
    return _with_values(Trial(study, left._trial_id), sweep, space)


def _with_values(trial: Trial, sweep: Sweep, space: Mapping[str, Range]) -> Trial:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a range that is no multiple of its step: Optuna lowers its end
        for place, (name, values) in enumerate(space.items()):  # a kill may have left some of them without a value
            seed = np.random.SeedSequence([sweep.seed, trial.number, place]).generate_state(1)
            trial.study.sampler = TPESampler(seed=int(seed[0]))
            values.suggest(name, trial)
    return trial


def report(trial: Trial, epoch: int, value: float, known: int) -> bool:
    """Reports a metric, and returns whether the trial is to be pruned.

    Args:
        trial: The trial.
        epoch: The epoch, counted from 0.
        value: The metric.
        known: The last epoch that was reported before the run was resumed, or -1. A resumed run repeats epochs.
    """
    if epoch > known:
        trial.report(value, epoch)
    return epoch >= known and trial.should_prune()


def importances(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Returns how much each option decides about the rank of a trial: option -> importance, with a sum of 1.

    The source is the functional ANOVA of Hutter et al., 2014. Ranks, since a few bad values would hide all others.

    Args:
        trials: The trials, the best one first. Empty if fewer than two have a value.
    """
    reached = [trial for trial in trials if trial.value is not None]
    if len(reached) < 2:
        return {}
    ranks = optuna.create_study()
    for rank, trial in enumerate(reached):
        ranks.add_trial(create_trial(value=rank, params=trial.params, distributions=trial.distributions))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return optuna.importance.get_param_importances(ranks, evaluator=FanovaImportanceEvaluator(seed=0))
        except (RuntimeError, ValueError):
            return {}
