"""A command that goes on with a run: from which checkpoint, and what it may change."""

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, Self

import lightning as L
import yaml

from zoo.files import checkpoint
from zoo.runs.files import check_sums, newest_first
from zoo.runs.processes import machine, say
from zoo.runs.resume import RESUME

Changes = dict[str, tuple[Any, Any]]  # dotted key -> what the run has, and what the command has
FREE = (  # settings that change nothing about the numbers
    *("checkpoint.", "trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.default_root_dir"),
    *("trainer.logger", "trainer.profiler"),
)
SHOWN = 8  # lines of a message


class Continuation:
    """The checkpoint that a run goes on from.

    Args:
        path: Where it is.
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
            self.rows = int(self.checkpoint["run"]["rows"])  # of metrics.csv, that were there by then
            self.logged_steps = int(self.checkpoint[RESUME]["batches_that_stepped"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is no checkpoint of a run: its {error} is missing or wrong") from error
        self.changes: Changes | None = None  # by --override

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """The newest whole checkpoint of a run; None where it was stopped before there was one.

        Raises:
            ValueError: If there are some, and none is whole.
        """
        problems = []
        for path in newest_first(folder / "checkpoints"):
            try:
                return cls(path)
            except ValueError as error:
                problems.append(str(error))
                say(f"warning: {error}; looking for the one before it", sys.stderr)
        if problems:
            raise ValueError(f"--resume: can't resume from any checkpoint of {folder}: {problems[0]}")
        return None

    def compare(self, config: dict[str, Any], shaping: Collection[str], override: bool) -> None:
        """Raises ValueError if a command's config differs in what must not change, or needs --override to.

        Args:
            config: The command's.
            shaping: The task's arguments that shape its model.
            override: Whether the command says so.
        """
        fixed, others = differences(flat(self.config), flat(config), shaping)
        if fixed:
            raise ValueError("\n".join([*described(fixed), "--resume: these can't change in a run; begin a new one"]))
        if others and not override:
            hint = "--resume: to resume with the command's settings, add --override"
            raise ValueError("\n".join([*described(others), hint]))
        for line in described(others):
            say(f"--override: {line}")
        self.changes = others if override else None
        say(f"resuming from {self.path}, step {self.checkpoint['global_step']:,}")

    def check_surroundings(self, world_size: int, data: dict[str, str]) -> None:
        """Raises ValueError if other data, or another number of processes, is there; warns of other versions."""
        state = self.checkpoint[RESUME]
        facts = {**state["facts"], "processes": state["world_size"]}
        before = facts.pop("data")
        if changed := sorted(name for name in before.keys() | data.keys() if before.get(name) != data.get(name)):
            raise ValueError(f"--resume: the data changed since the run began: {', '.join(changed)}")
        now = {**machine(), "processes": world_size}
        if facts["processes"] != world_size and self.changes is None:
            raise ValueError(
                f"--resume: the run has {facts['processes']} processes, and the command {world_size}; "
                "start as many, or add --override to go on without the promise of the same numbers"
            )
        if other := [f"{name}: {facts.get(name)} -> {now[name]}" for name in now if facts.get(name) != now[name]]:
            say(f"warning: the last bits of the numbers may differ: {', '.join(other)}", sys.stderr)

    @property
    def override(self) -> "Override | None":
        """What --override changes of the loaded state."""
        return None if self.changes is None else Override(self.changes)


class Override:
    """Settings of a run that goes on which the command changes, and the checkpoint would put back.

    Args:
        changes: From `differences`.
    """

    def __init__(self, changes: Changes) -> None:
        self.changes = changes

    def apply(self, trainer: L.Trainer) -> None:
        """Sets them in the optimizer and the schedules, after these were loaded."""
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

    @staticmethod
    def _is_of(key: str, group: str) -> bool:
        return key.startswith(f"{group}.") or (group == "optimizer" and key == "model.init_args.lr")


def differences(run: dict[str, Any], command: dict[str, Any], shaping: Collection[str]) -> tuple[Changes, Changes]:
    """What a command changes of the run that it goes on with.

    Args:
        run: Its config, as dotted keys.
        command: The command's.
        shaping: The task's arguments that shape its model.

    Returns:
        What shapes the model or the data, and the rest that may change the numbers: key -> (before, now).
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
    """Some differences as lines of a message."""
    lines = [f"{key}: the run has {before!r}, and the command {now!r}" for key, (before, now) in changes.items()]
    return lines if len(lines) <= SHOWN else [*lines[: SHOWN - 1], f"and {len(lines) - SHOWN + 1} more"]


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config as dotted keys."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
