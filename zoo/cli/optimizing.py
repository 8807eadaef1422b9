"""Builds the optimizer and the schedule of a run, once its data and its model are there."""

from functools import partial
from typing import Any

from lightning.pytorch.cli import ReduceLROnPlateau, instantiate_class

from zoo.cli import trust
from zoo.runs import internals
from zoo.runs.processes import say
from zoo.runs.schedules import STRETCH, Schedule


def build(cli: Any) -> Schedule | None:
    """Builds the optimizer and the schedule that a command names.

    Args:
        cli: The command. Its task's `configure_optimizers` returns them.

    Returns:
        The schedule. None without one, and for ReduceLROnPlateau, which follows a metric.
    """
    options = cli.config_init[cli.subcommand]
    schedule = _schedule(cli, options.get("lr_scheduler"))
    if cli.continuation is not None and schedule is not None:
        cli.continuation.check_schedule(schedule, cli.options["stretch_schedule"])
    elif cli.options["stretch_schedule"]:
        raise ValueError(f"{STRETCH}: the run has no schedule with a number of steps")
    if options.get("lr_scheduler") and not options.get("optimizer"):  # with the task's own optimizer
        optimizer = cli.model.configure_optimizers()
        scheduler = instantiate_class(optimizer, options["lr_scheduler"])
        cli.model.configure_optimizers = partial(cli.configure_optimizers, cli.model, optimizer, scheduler)
    else:
        internals.build_optimizer(cli)
    return schedule


def _schedule(cli: Any, init: Any) -> Schedule | None:
    if not init or (cls := trust.resolve(init["class_path"])) is None or issubclass(cls, ReduceLROnPlateau):
        return None
    arguments = init.get("init_args") or {}
    schedule = Schedule(cls, dict(arguments.items()), cli.trainer)
    if schedule.filled:
        key = str(schedule.key)
        init["init_args"][key] = schedule.arguments[key]
        if cli.continuation is None:
            say(f"lr_scheduler: {cls.__name__} over {schedule.steps:,} steps")
    return schedule
