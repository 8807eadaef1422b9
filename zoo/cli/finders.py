"""Lightning's LearningRateFinder and BatchSizeFinder.

Lightning searches within a run, and then sets a value that the optimizer or the loaders may not
read any more. Here, a search is done before the run, with a trainer, a model and data of its own.
The run then begins with the found value in its config. So it can be repeated and resumed without
searching again, and searching changes nothing else in it.
"""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from tempfile import TemporaryDirectory
from typing import Any

import lightning as L
from jsonargparse import Namespace
from lightning.pytorch.callbacks import BatchSizeFinder, LearningRateFinder
from lightning.pytorch.tuner import Tuner
from lightning.pytorch.utilities.seed import isolate_rng

from zoo import plots
from zoo.cli import trust
from zoo.runs import internals
from zoo.runs.processes import say

FINDERS = (BatchSizeFinder, LearningRateFinder)  # in this order: the learning rate depends on the batch size
TRAINER = (  # the options that a search shares with the run
    *("accelerator", "strategy", "devices", "num_nodes", "precision", "deterministic", "benchmark"),
    *("accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm", "limit_train_batches"),
)
ENDLESS = 10**6
DATA_KEY = "data.init_args.batch_size"


def search(cli: Any) -> None:
    """Searches as the finders among a command's callbacks ask, and writes the results into its options.

    Args:
        cli: The command, before its classes are built. The finders are removed from its callbacks.

    Raises:
        ValueError: If a finder does not fit the run.
    """
    cli.found = None
    found = take(cli.options)
    if cli.subcommand != "fit" or cli.continuation is not None:
        return
    for finder in found:
        name = finder["class_path"].rpartition(".")[2]
        if cli.options["trainer"]["fast_dev_run"]:
            say(f"{name}: skipped, because of fast_dev_run")
            continue
        arguments = dict((finder.get("init_args") or Namespace()).items())
        if issubclass(trust.resolve(finder["class_path"]), BatchSizeFinder):
            _search_batch_size(cli, arguments)
        else:
            _search_lr(cli, arguments)


def take(options: Namespace) -> list[Any]:
    """Removes the finders from a command's callbacks, and returns them in the order of their searches."""
    given = options["trainer"]["callbacks"] or []
    given = list(given) if isinstance(given, list) else [given]
    kinds = [(trust.resolve(callback["class_path"]), callback) for callback in given]
    found = [callback for finder in FINDERS for kind, callback in kinds if issubclass(kind, finder)]
    if found:
        options["trainer"]["callbacks"] = [callback for callback in given if callback not in found] or None
    return found


def recall(options: Namespace, config: dict[str, Any]) -> None:
    """Copies the found values from the config of the run that a command resumes. It does not search again."""
    for finder in take(options):
        is_size = issubclass(trust.resolve(finder["class_path"]), BatchSizeFinder)
        for key in [DATA_KEY] if is_size else lr_keys(options):
            value: Any = config
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value is not None:
                options[key] = value


def lr_keys(options: Namespace) -> list[str]:
    """Returns the options that hold a run's learning rate. Some schedules have a highest rate of their own."""
    scheduler = (options.get("lr_scheduler") or {}).get("init_args") or {}
    keys = ["optimizer.init_args.lr" if options.get("optimizer") else "model.init_args.lr"]
    return [*(["lr_scheduler.init_args.max_lr"] if "max_lr" in scheduler else []), *keys]


def _search_lr(cli: Any, arguments: dict[str, Any]) -> None:
    name = LearningRateFinder.__name__
    keys = lr_keys(cli.options)
    arguments["num_training"] = arguments.pop("num_training_steps", 100)
    update = arguments.pop("update_attr", True)
    arguments.pop("attr_name", None)
    with _searching(cli, name) as tuner:
        finder = tuner.lr_find(cli.model, datamodule=cli.datamodule, update_attr=False, **arguments)
        found = finder.suggestion() if finder is not None else None
    if finder is None or found is None:
        raise ValueError(f"{name}: too few points for a suggestion; give it more num_training_steps")
    found = float(f"{found:.3g}")  # a number that can be typed
    cli.found = (finder.results["lr"], finder.results["loss"], found)
    if not update:
        say(f"learning rate: {found:g} was found, and is not used: update_attr is false ({name})")
        return
    before = cli.options[keys[0]]
    for key in keys:
        cli.options[key] = found
    say(f"learning rate: {before:g} -> {found:g} ({name})")


def _search_batch_size(cli: Any, arguments: dict[str, Any]) -> None:
    name = BatchSizeFinder.__name__
    if "batch_size" not in (cli.options["data"].get("init_args") or {}):
        raise ValueError(f"{name}: {cli.options['data']['class_path']} has no argument batch_size")
    if cli.options["data"]["init_args"].get("mode") == "stream":
        raise ValueError(
            f"{name}: in a stream, batch_size is the number of lanes, and their states are carried over batches; "
            "another number is other data. Leave out the finder, or use mode windows"
        )
    arguments.pop("batch_arg_name", None)
    before = cli.options[DATA_KEY]
    with _searching(cli, name) as tuner:
        found = tuner.scale_batch_size(cli.model, datamodule=cli.datamodule, **arguments)
        parts = getattr(cli.datamodule, "parts", None)
    found, why = int(found or before), ""
    if parts and (examples := len(parts["train"])) < found:
        found, why = examples, ", all examples"
    cli.options[DATA_KEY] = found
    say(f"batch size: {before} -> {found} ({name}{why})")


@contextmanager
def _searching(cli: Any, name: str) -> Iterator[Tuner]:
    """Builds a trainer, a model and data for a search. Afterwards, random numbers are as if nothing had happened."""
    options = cli.options["trainer"]
    given = {key: options[key] for key in TRAINER if options[key] is not None}
    with isolate_rng(), _quiet(), TemporaryDirectory(prefix="zoo-search-") as folder:
        trainer = L.Trainer(
            **given,
            max_epochs=ENDLESS,
            check_val_every_n_epoch=ENDLESS,
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        if trainer.world_size > 1:
            raise ValueError(
                f"{name}: it searches on one device, got {trainer.world_size}; "
                "search with --trainer.devices 1, and give the found value to the run"
            )
        internals.ignore_signals(trainer)
        internals.build_for_search(cli, trainer)
        if cli.options["on_unknown"] is not None:
            cli.datamodule.on_unknown = cli.options["on_unknown"]
        yield Tuner(trainer)
    cli.config_init = cli.model = cli.datamodule = cli.trainer = cli.schedule = None


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides the progress bar and the messages of a search: the run repeats them. Its result is said in a line."""
    logging.disable(logging.INFO)
    try:
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


class Picture(L.Callback):
    """Draws `lr_finder.png` into the run folder."""

    def __init__(self, cli: Any) -> None:
        self.cli = cli

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draws it, once the folder exists."""
        if trainer.is_global_zero:
            plots.search(*self.cli.found).savefig(self.cli.run_dir / "lr_finder.png", dpi=120)


def pictures(cli: Any) -> list[L.Callback]:
    """Returns the callbacks that draw what was found."""
    return [Picture(cli)] if cli.found else []
