"""The commands fit, validate, test and predict: their errors, warnings and exit codes."""

import logging
import os
import re
import sys
import warnings
from typing import Any

import lightning as L
import torch
from jsonargparse import ArgumentError
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch import loggers as lightning_loggers
from lightning.pytorch.utilities.exceptions import MisconfigurationException

import datamodules
from zoo.cli import configs, limits, trust
from zoo.cli.arguments import Command
from zoo.cli.errors import WRONG, RunError, UsageError, explain
from zoo.cli.zoo_cli import ParsedCLI, ZooCLI
from zoo.runs import internals
from zoo.runs.processes import end_with_parent, is_main_process, job, requeue, say, slurm_job
from zoo.runs.schedules import WarmupCosine
from zoo.runs.stopping import EXIT_CODES, DivergedError, Pruned, Signals, Stopped
from zoo.tasks import TASKS, Task

DATAMODULES = tuple(getattr(datamodules, name) for name in datamodules.__all__)  # imported for short names in configs
CLASS_NAMES = [
    *datamodules.__all__,
    *(task.__name__ for task in TASKS),
    *lightning_callbacks.__all__,
    *lightning_loggers.__all__,
    *torch.optim.__all__,
    *torch.optim.lr_scheduler.__all__,
    WarmupCosine.__name__,
]
QUIET = (  # warnings that are correct, but do not help the user of a command
    "LightningCLI's args parameter",
    ".*configure_optimizers. will be overridden",
    "The number of training batches",
    "Checkpoint directory .* exists and is not empty",
    "The `compute` method of metric",
    "Total length of `list` across ranks is zero",  # no validation part
    "Precision bf16-mixed is not supported by the model summary",
    "The `srun` command is available",
    "You.re using the WeightAveraging callback with a model that overrides",
    "Be aware that when using `ckpt_path`, callbacks used",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",
)


SETTINGS: dict[str, Any] = {
    "model_class": Task,
    "datamodule_class": L.LightningDataModule,
    "subclass_mode_model": True,
    "subclass_mode_data": True,
    "save_config_callback": None,
    "load_from_checkpoint_support": False,
    "seed_everything_default": 0,
    "parser_kwargs": {"exit_on_error": False, "allow_abbrev": False},
}


def quieten() -> None:
    """Turns off warnings and messages that would hide the run's own lines."""
    for message in QUIET:
        warnings.filterwarnings("ignore", message)
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)


def run(command: Command) -> int:
    """Runs fit, validate, test or predict, and returns the exit code."""
    quieten()
    internals.correct_types()
    end_with_parent()
    with Signals() as signals:
        arranged = None
        try:
            trust.enforce(command.packages)
            command.import_packages()
            arranged = configs.arrange(command)
            limits.say_replaced(arranged.argv)
            ZooCLI(command.name, signals, arranged.checkpoint, **SETTINGS, args=arranged.argv)
            return 0
        except Stopped as stopped:
            return stop(stopped)
        except Pruned:
            return 0
        except ArgumentError as error:
            raise UsageError(explain(str(error), arranged.configs if arranged else [], CLASS_NAMES)) from error
        except UsageError:
            if os.environ.get("LOCAL_RANK", "0") == "0":
                raise
            return WRONG  # the process that launched this one prints the same error
        except DivergedError as error:
            raise RunError(str(error)) from error
        except (RuntimeError, MisconfigurationException) as error:
            if problem := limits.missing_metric(str(error)):
                raise RunError(problem) from error
            if re.search(r"\bgloo\b|NCCL", str(error)):
                raise RunError("another process of this run has ended, or can't be reached; see its output") from error
            raise


def parse(command: Command) -> str:
    """Returns the complete config of a fit command, as YAML. Builds and runs nothing.

    Raises:
        UsageError: If the command or its config is wrong.
    """
    quieten()
    internals.correct_types()
    trust.enforce(command.packages)
    command.import_packages()
    arranged = configs.arrange(command)
    try:
        return ParsedCLI(command.name, Signals(), None, **SETTINGS, args=arranged.argv).dump()
    except ArgumentError as error:
        raise UsageError(explain(str(error), arranged.configs, CLASS_NAMES)) from error


def stop(stopped: Stopped) -> int:
    """Requeues a SLURM job after SIGUSR1, and returns the exit code."""
    if not is_main_process() and job() is None:
        return 0  # another process launched this one, and waits for it
    if not stopped.told:
        say(str(stopped), sys.stderr)
    code = EXIT_CODES.get(stopped.signal, 0)
    if code == 0 and is_main_process() and (problem := requeue(slurm_job() or "")):
        print(f"zoo: error: the job was not requeued: {problem}", file=sys.stderr)
        return 1
    return code
