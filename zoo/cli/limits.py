"""Guards around the trainer's options: when a run ends, and the metrics that its callbacks wait for."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from jsonargparse import Namespace
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from zoo.checks import nearest
from zoo.cli import trust
from zoo.runs.best import validates
from zoo.runs.patience import NoImprovement
from zoo.runs.processes import say
from zoo.tasks import TASKS
from zoo.tasks.base import STAGES

MAX_EPOCHS, PATIENCE = 100, 10  # if a command says nothing about its end


# -- when a run ends


def choose_epochs(options: Namespace, config: Path) -> bool:
    """Chooses when a run ends, if its options do not say it. Otherwise Lightning trains for 1000 epochs.

    Args:
        options: The options of fit. The choice is written into them, and so into the run's config.
        config: The config of the run, if it exists. A run that was started without a choice keeps its end.

    Returns:
        Whether it chose. See `say_end`.
    """
    trainer = options["trainer"]
    if trainer["fast_dev_run"] or not _is_open(trainer):
        return False
    if config.is_file():
        before = yaml.safe_load(config.read_text())
        if isinstance(before, dict) and _is_open({"max_steps": -1, **before.get("trainer", {})}):
            return False
    trainer["max_epochs"] = MAX_EPOCHS
    given = trainer["callbacks"] or []
    given = list(given) if isinstance(given, list) else [given]
    if not any(issubclass(trust.resolve(callback["class_path"]), EarlyStopping) for callback in given):
        path = f"{NoImprovement.__module__}.{NoImprovement.__name__}"
        trainer["callbacks"] = [*given, Namespace(class_path=path, init_args=Namespace(patience=PATIENCE))]
    return True


def say_end(trainer: L.Trainer) -> None:
    """Says the chosen end of a run. Call it once the callbacks are set up: the data decides on the metric."""
    said = f"trainer.max_epochs was not given: at most {MAX_EPOCHS} epochs"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, NoImprovement):
            said += f", and stop after {callback.patience} without a better {callback.monitor}"
    say(said)


def _is_open(trainer: Any) -> bool:
    return trainer.get("max_epochs") is None and trainer.get("max_steps") == -1 and trainer.get("max_time") is None


# -- configs after the first


def say_replaced(argv: list[str]) -> None:
    """Says it if a config replaces the callbacks or loggers of another config.

    Args:
        argv: The command, with the configs in front.
    """
    files = [value for word, value in pairwise(argv) if word == "--config"]
    for key in ("callbacks", "logger"):
        setting = [file for file in files if "\n" not in file and _has(file, key)]
        for before, after in pairwise(setting):
            say(f"{after}: trainer.{key} replaces that of {before}; to add to it, write {key}+")


def _has(file: str, key: str) -> bool:
    try:
        config = yaml.load(Path(file).read_text(), trust.ConfigLoader)
    except (yaml.YAMLError, OSError, ValueError):  # the parser says what is wrong
        return False
    trainer = config.get("trainer") if isinstance(config, dict) else None
    return isinstance(trainer, dict) and bool(trainer.get(key))


# -- metrics that callbacks wait for


def check_monitors(cli: Any) -> None:
    """Raises ValueError if a callback or a schedule waits for a metric that this run never has.

    Only tasks of this project are checked: others can log more metrics. See `missing_metric` for these.

    Args:
        cli: The command, with its model and data.
    """
    if type(cli.model) not in TASKS:
        return
    known = metrics_of(cli.model, cli.trainer)
    for callback in cli.trainer.callbacks:
        if isinstance(callback, EarlyStopping | ModelCheckpoint):
            strict = getattr(callback, "strict", True)
            _check(type(callback).__name__, callback.monitor if strict else None, known)
    schedule = cli.config_init[cli.subcommand].get("lr_scheduler")
    if schedule:
        name = schedule["class_path"].rpartition(".")[2]
        _check(name, (schedule.get("init_args") or {}).get("monitor"), known)


def _check(name: str, metric: str | None, known: list[str]) -> None:
    if metric is None or metric in known or metric in ("epoch", "step"):
        return
    why = "; this run has no validation" if metric.startswith("val/") and not any("val/" in m for m in known) else ""
    raise ValueError(
        f"{name}: monitor: this run has no metric {metric!r}{why}, expected one of {', '.join(known)}"
        + nearest(metric, known)
    )


def metrics_of(task: Any, trainer: Any) -> list[str]:
    """Returns the names of the metrics that a run of this task logs."""
    stages = [stage for stage in STAGES if stage == "train" or (stage == "val" and validates(trainer))]
    names = [f"{stage}/{name}" for stage in stages for name in task.metrics[f"{stage}_metrics"]]
    return ["train/loss_step", *(name for name in names if not name.partition("/")[2].startswith("_"))]


def missing_metric(text: str) -> str | None:
    """Returns a short message for Lightning's error of a metric that was not logged. None for other errors."""
    forms = (
        r"Early stopping conditioned on metric `(?P<name>.+?)` which is not available.*?following: (?P<known>.*)",
        r"`ModelCheckpoint\(monitor='(?P<name>.+?)'\)` could not find.*?metrics: \[(?P<known>.*?)\]",
        r"ReduceLROnPlateau conditioned on metric (?P<name>\S+) which is not available.*?are: \[(?P<known>.*?)\]",
    )
    for form in forms:
        if match := re.search(form, text, re.S):
            known = [name.strip("`' ") for name in match["known"].split(",")]
            return f"monitor: there is no metric {match['name']!r}, expected one of {', '.join(known)}" + nearest(
                match["name"], known
            )
    return None
