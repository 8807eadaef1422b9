"""Every private name of Lightning and jsonargparse that this project uses, with the reason.

Tried with Lightning 2.6 and jsonargparse 4.53; `pyproject.toml` caps both below the next minor
version. When a name goes, this file says what has to come in its place.
"""

import subprocess
from typing import Any

import lightning as L
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

# -- Lightning: where a run is. Its loops save positions within an epoch, but not all of them.


def batches_that_stepped(trainer: L.Trainer) -> int:
    """The step that loggers write. It counts batches of all epochs, and `global_step` counts optimizers' steps.

    If it goes: find what `trainer.fit_loop.epoch_loop` passes to `logger.log_metrics` as `step`.
    """
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def set_batches_that_stepped(trainer: L.Trainer, count: int) -> None:
    """Sets what `batches_that_stepped` gives."""
    trainer.fit_loop.epoch_loop._batches_that_stepped = count


def forget_restart(trainer: L.Trainer) -> None:
    """Has the loops take a restored epoch for a usual one: schedulers would not be stepped at the end of it.

    If it goes: check that a run resumed within an epoch steps an epoch-wise scheduler (tests/zoo/test_resume.py).
    """
    trainer.fit_loop._restarting = False


# -- Lightning: processes and signals


def ignore_signals(trainer: L.Trainer) -> None:
    """Keeps Lightning's signal handlers out.

    They talk to the other ranks in the middle of a step, and requeue by rules of their own; ours
    are in `zoo.runs.stopping`. If it goes: look for an option of the trainer, or a plugin, that does it.
    """
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]


def take_children(trainer: L.Trainer) -> list[subprocess.Popen[bytes]]:
    """The processes that this one launched. Lightning's launcher forgets them.

    Else its observer kills this process when it sees one of them end. If it goes: `psutil` knows a
    process's children, too.
    """
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, _SubprocessScriptLauncher):
        return []
    children = list(launcher.procs)
    launcher.procs.clear()
    return children


# -- LightningCLI


def instantiate(cli: LightningCLI) -> None:
    """Builds a command's classes as LightningCLI does, with jsonargparse's present method.

    Lightning 2.6 calls `parser.instantiate_classes`, which warns that it is deprecated, and builds
    the optimizer at once, when there are no weights yet (see `build_optimizer`). If these names go:
    look at `LightningCLI.instantiate_classes`, and keep these two differences.
    """
    cli.config_init = cli.parser.instantiate(cli.config)
    cli.datamodule = cli._get(cli.config_init, "data")
    cli.model = cli._get(cli.config_init, "model")
    cli.trainer = cli.instantiate_trainer()


def build_optimizer(cli: LightningCLI) -> None:
    """Builds the optimizer and schedule that the command names, if it does, for the model's weights."""
    cli._add_configure_optimizers_method_to_model(cli.subcommand)


def subcommand_parser(cli: LightningCLI, subcommand: str) -> LightningArgumentParser:
    """The parser of a subcommand, which can dump its options. If it goes: dump the whole config, and take a part."""
    return cli._subcommand_parsers[subcommand]


# -- jsonargparse


def yaml_loader() -> Any:
    """The YAML loader that jsonargparse reads configs with. If it goes: subclass `yaml.SafeLoader`."""
    from jsonargparse import _loaders_dumpers

    return _loaders_dumpers.get_yaml_default_loader()


def read_configs_with(loader: Any, read_text: Any) -> None:
    """Has jsonargparse read configs with a loader, and files that they name with a function of the path.

    Both refuse what is too large before it is built. If it goes: `jsonargparse.set_loader` is
    public, but registers a loader under another name, which every parser has to be told.
    """
    from jsonargparse import _loaders_dumpers, _paths

    _loaders_dumpers.yaml_default_loader = loader
    _paths.Path.read_text = read_text  # type: ignore[method-assign]
