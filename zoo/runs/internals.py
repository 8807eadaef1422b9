"""Every private name of Lightning and jsonargparse that this project uses, with the reason.

Tested with Lightning 2.6 and jsonargparse 4.53. `pyproject.toml` excludes later minor versions of
both. Each function says what to do if a name is removed.
"""

import subprocess
from typing import Any

import lightning as L
import torch
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher
from lightning.pytorch.utilities.seed import isolate_rng

# -- Lightning: the position of a run. Its loops save only a part of their position within an epoch.


def batches_that_stepped(trainer: L.Trainer) -> int:
    """Returns the step that loggers write. It counts batches of all epochs; `global_step` counts optimizer steps.

    If it is removed: find what `trainer.fit_loop.epoch_loop` passes to `logger.log_metrics` as `step`.
    """
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def set_batches_that_stepped(trainer: L.Trainer, count: int) -> None:
    """Sets the step that loggers write."""
    trainer.fit_loop.epoch_loop._batches_that_stepped = count


def forget_restart(trainer: L.Trainer) -> None:
    """Makes the loops treat a restored epoch like any other. Otherwise schedulers would not step at its end.

    If it is removed: check that a run resumed within an epoch steps an epoch-wise scheduler (tests/zoo/test_resume.py).
    """
    trainer.fit_loop._restarting = False


def leave_finished_epoch(trainer: L.Trainer) -> None:
    """Makes a run that was restored at the end of an epoch begin the next one.

    With `max_steps`, Lightning would look for more batches of the finished epoch, and close one that has none. If a
    name is removed: check that a run of whole epochs, ended by `max_steps`, goes on (tests/zoo/test_resume.py).
    """
    loop = trainer.fit_loop.epoch_loop
    if loop.batch_progress.current.completed >= trainer.num_training_batches:
        trainer.fit_loop._restarting = loop._restarting = loop.val_loop._restarting = False


def count_steps(trainer: L.Trainer) -> int | float:
    """Returns the optimizer steps of a whole run, before it starts. Afterwards, it is as if nothing had happened.

    Lightning builds the training loader to count them, and gives the position of a checkpoint only to a
    loader that it builds later. So a resumed run would begin its epoch again. Without the names: count
    `trainer.datamodule.train_dataloader()`, for all processes.
    """
    with isolate_rng():
        steps = trainer.estimated_stepping_batches
    trainer.fit_loop._combined_loader = trainer.fit_loop._data_fetcher = None
    return steps


# -- Lightning: a validation between two steps, of a run that a signal stops


def validate(trainer: L.Trainer) -> None:
    """Runs a validation now, as Lightning does after a step. Training can't continue after it.

    If it is removed: see what `on_advance_end` of `trainer.fit_loop.epoch_loop` does.
    """
    stepped = batches_that_stepped(trainer)
    set_batches_that_stepped(trainer, max(0, stepped - 1))  # the last step's number, as in other validations
    trainer.validating = True  # type: ignore[misc]
    trainer.fit_loop.epoch_loop.val_loop.run()
    trainer.training = True
    set_batches_that_stepped(trainer, stepped)


# -- Lightning: processes and signals


def ignore_signals(trainer: L.Trainer) -> None:
    """Disables Lightning's signal handlers.

    They communicate with the other ranks in the middle of a step, and requeue by their own rules.
    Ours are in `zoo.runs.stopping`. If it is removed: look for an option or a plugin of the trainer.
    """
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]


def take_children(trainer: L.Trainer) -> list[subprocess.Popen[bytes]]:
    """Returns the processes that this one launched, and removes them from Lightning's launcher.

    Otherwise Lightning kills this process when one of them ends. If it is removed: `psutil` also
    lists a process's children.
    """
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, _SubprocessScriptLauncher):
        return []
    children = list(launcher.procs)
    launcher.procs.clear()
    return children


# -- LightningCLI


def instantiate(cli: LightningCLI) -> None:
    """Builds a command's classes as LightningCLI does, with two differences.

    Lightning 2.6 calls `parser.instantiate_classes`, which is deprecated and warns. It also builds
    the optimizer immediately, before there are weights (see `build_optimizer`). If these names are
    removed: look at `LightningCLI.instantiate_classes`, and keep the two differences.
    """
    cli.config_init = cli.parser.instantiate(cli.config)
    cli.datamodule = cli._get(cli.config_init, "data")
    cli.model = cli._get(cli.config_init, "model")
    cli.trainer = cli.instantiate_trainer()


def build_for_search(cli: Any, trainer: L.Trainer) -> None:
    """Builds the model and data of a search before a run. Its optimizer is the run's, without a schedule."""
    config = cli.config.clone()
    config[cli.subcommand]["lr_scheduler"] = config[cli.subcommand]["trainer"]["callbacks"] = None
    config[cli.subcommand]["trainer"]["logger"] = None
    cli.config_init = cli.parser.instantiate(config)
    cli.datamodule, cli.model, cli.trainer = (
        cli._get(cli.config_init, "data"),
        cli._get(cli.config_init, "model"),
        trainer,
    )
    cli.model.prepare = cli._prepare_weights


def build_optimizer(cli: LightningCLI) -> None:
    """Builds the optimizer and schedule for the model's weights, if the command names them."""
    cli._add_configure_optimizers_method_to_model(cli.subcommand)


def correct_types() -> None:
    """Corrects two signatures that the command line is built from.

    `Optional[Union[int, float]]` can turn into `Optional[Union[float, int]]`, because `typing`
    caches equal types, and then 1 becomes 1.0, which means all batches. `int | float | None` is not
    cached. `T_max` gets a default, because it is filled in (see `zoo.runs.schedules`). If one of
    them is removed: check `--trainer.limit_val_batches 1` and a CosineAnnealingLR without T_max.
    """
    hints = L.Trainer.__init__.__annotations__
    for part in ("train", "val", "test", "predict"):
        hints[f"limit_{part}_batches"] = int | float | None
    hints["overfit_batches"] = int | float
    cosine: Any = torch.optim.lr_scheduler.CosineAnnealingLR.__init__
    if len(cosine.__defaults__) == 2:  # eta_min and last_epoch
        cosine.__defaults__ = (None, *cosine.__defaults__)


def subcommand_parser(cli: LightningCLI, subcommand: str) -> LightningArgumentParser:
    """Returns the parser of a subcommand, which can dump its options.

    If it is removed: dump the whole config, and take a part.
    """
    return cli._subcommand_parsers[subcommand]


# -- jsonargparse


def yaml_loader() -> Any:
    """Returns jsonargparse's YAML loader for configs. If it is removed: subclass `yaml.SafeLoader`."""
    from jsonargparse import _loaders_dumpers

    return _loaders_dumpers.get_yaml_default_loader()


def read_configs_with(loader: Any, read_text: Any) -> None:
    """Sets the loader for configs, and the function that reads files that a config names.

    Both refuse texts that are too large. If it is removed: `jsonargparse.set_loader` is public, but
    registers the loader under a new name, which must be set on every parser.
    """
    from jsonargparse import _loaders_dumpers, _paths

    _loaders_dumpers.yaml_default_loader = loader
    _paths.Path.read_text = read_text  # type: ignore[method-assign]
