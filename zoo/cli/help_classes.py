"""The arguments of a class that the help's file does not have: of torch, of Lightning, or of an allowed package."""

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LRSchedulerTypeTuple
from lightning.pytorch.loggers import Logger

from zoo.cli import trust
from zoo.cli.arguments import Command
from zoo.cli.errors import TRUSTED
from zoo.cli.help_rows import Row, about_class, rows_of_class
from zoo.tasks import Task

BASES: dict[str, Any] = {
    "model": Task,
    "data": pl.LightningDataModule,
    "optimizer": torch.optim.Optimizer,
    "lr_scheduler": LRSchedulerTypeTuple,
    "trainer.callbacks": Callback,
    "trainer.logger": Logger,
}


def find(command: Command, name: str) -> tuple[str, str, list[Row]] | None:
    """Finds a class by its name or its import path.

    Args:
        command: The command; classes of the packages that it allows are found, too.
        name: The name.

    Returns:
        One line about it, the option that takes it, and its arguments. None if there is no such class.
    """
    command.import_packages()
    for group, base in BASES.items():
        for cls in _below(base):
            path = f"{cls.__module__}.{cls.__name__}"
            trusted = any(path.startswith(f"{package}.") for package in (*TRUSTED, *command.packages))
            if trusted and (name in (cls.__name__, path) or trust.resolve(name) is cls):
                rows = rows_of_class(cls, group, whole=path.startswith(("zoo.", "datamodules.")))
                return f"{cls.__name__}: {about_class(cls)}.", group, rows
    return None


def _below(base: Any) -> list[type]:
    """Returns all classes that inherit from a class, or from one of several."""
    found: dict[type, None] = {}
    waiting = list(base) if isinstance(base, tuple) else [base]
    while waiting:
        cls = waiting.pop(0)
        found[cls] = None
        waiting += cls.__subclasses__()
    return list(found)
