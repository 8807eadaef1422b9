"""Learning-rate schedules that find the number of steps of a run, and that can be stretched when it is resumed."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR, LambdaLR, LRScheduler, OneCycleLR

from zoo.checks import check_ratios
from zoo.runs import internals
from zoo.runs.processes import say

STRETCH = "--stretch_schedule"


class WarmupCosine(LambdaLR):
    """A linear warm-up to the optimizer's learning rate, then half a cosine down. It is stepped after each step.

    Args:
        optimizer: The optimizer.
        warmup: A number below 1 is a share of all steps; an integer from 1 is a number of steps.
        final_ratio: The last learning rate, as a ratio of the optimizer's.
        total_steps: Optimizer steps, including the warm-up. Default, on the command line: those of the run.

    Raises:
        ValueError: If an argument is out of range, or if the warm-up is longer than the schedule.

    Example:
        >>> adam = torch.optim.Adam([torch.zeros(1)], lr=1.0)
        >>> [WarmupCosine(adam, warmup=2, total_steps=6).lr_lambdas[0](step) for step in (0, 1, 4, 6)]
        [0.5, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        warmup: int | float = 0.05,
        final_ratio: float = 0.0,
        total_steps: int | None = None,
    ) -> None:
        if total_steps is None or total_steps < 1:
            raise ValueError(f"total_steps: got {total_steps}, expected at least 1")
        if warmup < 0 or (isinstance(warmup, float) and warmup >= 1):
            raise ValueError(f"warmup: got {warmup}, expected a share in [0, 1), or an integer number of steps")
        check_ratios(final_ratio=final_ratio)
        steps = round(warmup * total_steps) if isinstance(warmup, float) else warmup
        if steps >= total_steps:
            raise ValueError(f"warmup: got {steps} steps, expected fewer than the {total_steps} of the schedule")
        self.total_steps = total_steps
        super().__init__(optimizer, _Shape(total_steps, steps, final_ratio))


class _Shape:
    """The factor of the learning rate at a step. LambdaLR saves the attributes of objects, but not functions."""

    def __init__(self, total: int, warmup: int, final: float) -> None:
        self.total, self.warmup, self.final = total, warmup, final

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = min(1.0, (step - self.warmup) / (self.total - self.warmup))
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * progress))


LENGTHS: dict[type[LRScheduler], str] = {  # the argument with the number of steps
    OneCycleLR: "total_steps",
    CosineAnnealingLR: "T_max",
    WarmupCosine: "total_steps",
}
ALWAYS_STEPWISE = (OneCycleLR, CyclicLR, WarmupCosine)


class Schedule:
    """The schedule of a command, before its optimizer exists.

    Args:
        cls: Its class.
        arguments: Its arguments. The number of steps is filled in, if it is missing.
        trainer: The run's trainer, with its data.

    Raises:
        ValueError: If the number of steps is missing and unknown, or if the run is longer than a given one allows.
    """

    def __init__(self, cls: type[LRScheduler], arguments: dict[str, Any], trainer: L.Trainer) -> None:
        self.cls, self.arguments = cls, arguments
        self.key = LENGTHS.get(cls)
        counted = arguments.get("epochs") is not None or arguments.get("steps_per_epoch") is not None
        self.filled = self.key is not None and arguments.get(self.key) is None and not counted
        self.steps = run_steps(trainer) if self.key is not None else None
        if self.filled:
            self._fill()
        elif cls is OneCycleLR:
            self._check_given()

    @property
    def interval(self) -> str:
        """`step` or `epoch`: when the schedule is stepped."""
        return "step" if self.filled or issubclass(self.cls, ALWAYS_STEPWISE) else "epoch"

    def build(self, optimizer: torch.optim.Optimizer) -> LRScheduler:
        """Returns the schedule of an optimizer."""
        return self.cls(optimizer, **self.arguments)

    def _fill(self) -> None:
        name = self.cls.__name__
        if self.steps is None:
            raise ValueError(
                f"lr_scheduler: {name} needs the number of steps, which this run does not have; "
                f"give --trainer.max_epochs or --trainer.max_steps, or --lr_scheduler.{self.key}"
            )
        self.arguments[str(self.key)] = self.steps

    def _check_given(self) -> None:
        given = self.arguments.get("total_steps")
        if given is None and None not in (self.arguments.get("epochs"), self.arguments.get("steps_per_epoch")):
            given = self.arguments["epochs"] * self.arguments["steps_per_epoch"]
        if given is not None and self.steps is not None and given < self.steps:
            raise ValueError(
                f"lr_scheduler: OneCycleLR ends at step {given:,}, and the run would go on to step {self.steps:,}; "
                f"leave out its number of steps, or give --trainer.max_steps {given}"
            )

    def check_resumed(self, states: list[dict[str, Any]], step: int, stretch: bool) -> None:
        """Raises ValueError if the schedule of a checkpoint ends before the run, unless it is to be stretched.

        Args:
            states: The schedules of the checkpoint.
            step: Its step.
            stretch: Whether the command asks to stretch the schedule.
        """
        before = states[0].get(self.key) if states and self.key and self.interval == "step" else None
        if stretch and before is None:
            raise ValueError(f"{STRETCH}: the run has no schedule with a number of steps")
        if before is None or self.steps is None or before == self.steps:
            return
        if stretch:
            say(f"{STRETCH}: {self.cls.__name__} over {before:,} -> {self.steps:,} steps, from step {step:,} on")
        elif before < self.steps:
            raise ValueError(
                f"--resume: {self.cls.__name__} ends at step {before:,}, and the run would go on to step "
                f"{self.steps:,}; add {STRETCH} to stretch it, or give --trainer.max_steps {before}"
            )


def run_steps(trainer: L.Trainer) -> int | None:
    """Returns the optimizer steps of a whole run. None if only a time, or nothing, ends it."""
    if trainer.max_epochs in (None, -1):
        return trainer.max_steps if trainer.max_steps > 0 else None
    steps = internals.count_steps(trainer)
    return int(steps) if 0 < steps < math.inf else None


def stretch(scheduler: LRScheduler, build: Callable[[torch.optim.Optimizer], LRScheduler]) -> None:
    """Makes a schedule what it would be now, had it been built differently from the start.

    Args:
        scheduler: The schedule, with the state of a checkpoint. Also updates its optimizer.
        build: Returns the new schedule of an optimizer.
    """
    optimizer: Any = scheduler.optimizer
    groups = [{k: v for k, v in group.items() if k not in ("params", "initial_lr")} for group in optimizer.param_groups]
    rates = [group.get("initial_lr", group["lr"]) for group in optimizer.param_groups]
    stand_in = type(optimizer)(
        [{**group, "lr": lr, "params": [torch.zeros(1)]} for group, lr in zip(groups, rates, strict=True)]
    )
    new = build(stand_in)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the stand-in takes no steps
        for _ in range(scheduler.last_epoch):
            new.step()
    scheduler.load_state_dict(new.state_dict())
    for group, changed in zip(optimizer.param_groups, stand_in.param_groups, strict=True):
        group.update({key: value for key, value in changed.items() if key != "params"})
