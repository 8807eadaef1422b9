"""Resuming a run: the checkpoint to resume from, and the settings that may change."""

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, Self

import lightning as L
import yaml

from zoo.files import checkpoint
from zoo.files.run import check_sums, newest_first
from zoo.runs.processes import machine, say
from zoo.runs.resume import RESUME
from zoo.runs.schedules import LENGTHS, Schedule, stretch

Changes = dict[str, tuple[Any, Any]]  # dotted key -> (value in the run, value in the command)
FREE = (  # settings that do not change the results
    *("checkpoint.", "trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.default_root_dir"),
    *("trainer.logger", "trainer.profiler"),
)
SHOWN = 8  # lines of a message


class Continuation:
    """The checkpoint that a run is resumed from.

    Args:
        path: Its path.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.checkpoint = path, checkpoint.read(path)
        check_sums(path)
        if RESUME not in self.checkpoint:
            raise ValueError(
                f"can't resume from {path}: it is not a run's last checkpoint; begin a new run with --init_from {path}"
            )
        try:
            self.config: dict[str, Any] = yaml.safe_load(self.checkpoint["config"])
            self.rows = int(self.checkpoint["run"]["rows"])  # of metrics.csv, when the checkpoint was saved
            self.logged_steps = int(self.checkpoint[RESUME]["batches_that_stepped"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is not the checkpoint of a run: {error} is missing or wrong") from error
        self.override: Override | None = None  # the changes of --override, to apply to the loaded state

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """Returns the newest undamaged checkpoint of a run. None if it has no checkpoint yet.

        Raises:
            ValueError: If there are checkpoints, but all are damaged.
        """
        problems = []
        for path in newest_first(folder / "checkpoints"):
            try:
                return cls(path)
            except ValueError as error:
                problems.append(str(error))
                say(f"warning: {error}; trying the previous checkpoint", sys.stderr)
        if problems:
            raise ValueError(f"--resume: can't resume from any checkpoint of {folder}: {problems[0]}")
        return None

    def compare(
        self, config: dict[str, Any], shaping: Collection[str], defaults: dict[str, Any], override: bool
    ) -> None:
        """Raises ValueError if a setting changed that can't change in a run, or only with --override.

        Args:
            config: The command's config.
            shaping: The task's arguments that determine the model's shape.
            defaults: Dotted keys with their defaults, for what an older version did not have when the run began.
            override: Whether the command has --override.
        """
        before, now = flat(self.config), flat(config)
        before |= {key: value for key, value in defaults.items() if key in now and key not in before}
        fixed, others = differences(before, now, shaping)
        if fixed:
            raise ValueError("\n".join([*described(fixed), "--resume: these can't change in a run; begin a new one"]))
        if others and not override:
            hint = "--resume: to resume with the command's settings, add --override"
            raise ValueError("\n".join([*described(others), hint]))
        for line in described(others):
            say(f"--override: {line}")
        self.override = Override(others) if override else None
        say(f"resuming from {self.path}, step {self.checkpoint['global_step']:,}")

    def check_surroundings(self, world_size: int, data: dict[str, str]) -> None:
        """Raises ValueError if the data or the number of processes changed. Warns if versions changed."""
        state = self.checkpoint[RESUME]
        facts = {**state["facts"], "processes": state["world_size"]}
        before = facts.pop("data")
        if changed := sorted(name for name in before.keys() | data.keys() if before.get(name) != data.get(name)):
            raise ValueError(f"--resume: the data changed since the run began: {', '.join(changed)}")
        now = {**machine(), "processes": world_size}
        if facts["processes"] != world_size and self.override is None:
            raise ValueError(
                f"--resume: the run has {facts['processes']} processes, and the command {world_size}; "
                "start the same number, or add --override to resume without the guarantee of the same results"
            )
        if other := [f"{name}: {facts.get(name)} -> {now[name]}" for name in now if facts.get(name) != now[name]]:
            say(f"warning: the last bits of the numbers may differ: {', '.join(other)}", sys.stderr)

    def check_schedule(self, schedule: Schedule, stretched: bool) -> None:
        """Raises ValueError if the run's schedule ends before the run. With `stretched`, it will be stretched."""
        schedule.check_resumed(self.checkpoint["lr_schedulers"], self.checkpoint["global_step"], stretched)
        if self.override is not None:
            self.override.schedule, self.override.stretched = schedule, stretched


class Override:
    """Settings that a command changes in a resumed run. Loading the checkpoint alone would undo the changes.

    Args:
        changes: From `differences`.
    """

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.schedule: Schedule | None = None  # the schedule of the command
        self.stretched = False  # whether it replaces the loaded one

    def apply(self, trainer: L.Trainer) -> None:
        """Sets them in the optimizer and the schedules. Call it after these were loaded."""
        now = {
            key.rpartition(".")[2]: value for key, (_, value) in self.changes.items() if self._is_of(key, "optimizer")
        }
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group.update({key: value for key, value in now.items() if key in group})
                group.update({"initial_lr": now["lr"]} if "lr" in now and "initial_lr" in group else {})
        for config in trainer.lr_scheduler_configs:
            scheduler = config.scheduler
            if "lr" in now and hasattr(scheduler, "base_lrs"):
                scheduler.base_lrs = [now["lr"]] * len(scheduler.base_lrs)
            for key, (_, value) in self.changes.items():
                name = key.rpartition(".")[2]
                if self._is_of(key, "lr_scheduler") and hasattr(scheduler, name):
                    setattr(scheduler, name, value)
            if self.schedule is not None and (self.stretched or self._changes_length()):
                stretch(scheduler, self.schedule.build)

    def _changes_length(self) -> bool:
        return any(f"lr_scheduler.init_args.{name}" in self.changes for name in set(LENGTHS.values()))

    @staticmethod
    def _is_of(key: str, group: str) -> bool:
        return key.startswith(f"{group}.") or (group == "optimizer" and key == "model.init_args.lr")


def differences(run: dict[str, Any], command: dict[str, Any], shaping: Collection[str]) -> tuple[Changes, Changes]:
    """Returns the settings that a command changes in the run that it resumes.

    Args:
        run: The run's config, as dotted keys.
        command: The command's config, as dotted keys.
        shaping: The task's arguments that determine the model's shape.

    Returns:
        First the changes to the model or the data, then the other changes that may affect the
        results: key -> (before, now).
    """
    changed = {key: (run.get(key), command.get(key)) for key in sorted(run.keys() | command.keys())}
    changed = {key: (a, b) for key, (a, b) in changed.items() if a != b and not key.startswith(FREE)}
    fixed = {key: pair for key, pair in changed.items() if _is_fixed(key, shaping)}
    return fixed, {key: pair for key, pair in changed.items() if key not in fixed}


def _is_fixed(key: str, shaping: Collection[str]) -> bool:
    if key.startswith("model.init_args."):
        return key.split(".")[2] in shaping
    return key.startswith(("data.", "model.", "init_from", "freeze"))


def described(changes: Changes) -> list[str]:
    """Returns differences as lines of a message."""
    lines = [f"{key}: the run has {before!r}, and the command {now!r}" for key, (before, now) in changes.items()]
    return lines if len(lines) <= SHOWN else [*lines[: SHOWN - 1], f"and {len(lines) - SHOWN + 1} more"]


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns a nested config as dotted keys."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
