"""LightningCLI with run folders, and with all checks before the first write."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from jsonargparse import Namespace
from lightning.pytorch.callbacks import Checkpoint, LearningRateMonitor
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from zoo import hub
from zoo.checks import brief
from zoo.cli import finders, limits, optimizing, trust
from zoo.cli.errors import RunError, UsageError, first_cause
from zoo.cli.results import print_predictions, print_summary
from zoo.files import checkpoint as checkpoints
from zoo.hub.loading import parts_of
from zoo.models import Model
from zoo.runs import internals
from zoo.runs.best import BestCheckpoint, has_part
from zoo.runs.continuation import Continuation
from zoo.runs.display import NetworkSummary, ProgressBar
from zoo.runs.files import WholeCheckpointIO
from zoo.runs.folder import RunFolder
from zoo.runs.history import CONFIG_FILE, is_running, job_of
from zoo.runs.metrics import MetricsLogger
from zoo.runs.processes import is_main_process, job, say, slurm_job, started_again
from zoo.runs.resume import CheckpointPolicy, RunState
from zoo.runs.schedules import STRETCH, Schedule
from zoo.runs.stopping import Signals
from zoo.runs.trials import reporters
from zoo.tasks import Task
from zoo.vocab import OnUnknown


class ZooCLI(LightningCLI):
    """LightningCLI for the tasks and datamodules of this project.

    Args:
        command: fit, validate, test or predict.
        signals: The process's signals.
        checkpoint: The checkpoint that the command names, if it was read already.
        **options: Arguments of LightningCLI.
    """

    run: RunFolder | None = None
    run_dir: Path  # set by fit
    continuation: Continuation | None = None
    schedule: Schedule | None = None
    end_chosen = False  # whether the command says nothing about the end of its run

    def __init__(self, command: str, signals: Signals, checkpoint: dict[str, Any] | None, **options: Any) -> None:
        self.command, self.signals, self.checkpoint = command, signals, checkpoint
        self.argv: list[str] = options["args"]
        self.started = False  # whether all checks have passed
        super().__init__(**options)

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Returns only the given command: building the parsers of all commands is slow."""
        return {name: skipped for name, skipped in super().subcommands().items() if name == self.command}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the options that LightningCLI does not have."""
        parser.add_argument("--run_dir", type=str | None, default=None, help="The run folder, for fit.")
        parser.add_argument("--resume", action="store_true", help="Resume from the last checkpoint in the run folder.")
        parser.add_argument("--override", action="store_true", help="Resume with changed settings.")
        parser.add_argument(
            STRETCH, action="store_true", help="With --resume --override: stretch the schedule to the run's new end."
        )
        parser.add_class_arguments(CheckpointPolicy, "checkpoint")
        parser.add_argument(
            "--init_from",
            type=str | dict[str, str] | None,
            default=None,
            help="Start from the weights of a model; for parts of a Seq2Seq: {encoder: ..., decoder: ...}.",
        )
        parser.add_argument(
            "--freeze",
            type=str | list[str] | None,
            default=None,
            help="Pattern, or list of patterns, of weights to freeze, for example recurrent.*",
        )
        parser.add_argument(
            "--on_unknown",
            type=OnUnknown | None,
            default=None,
            help="What to do with symbols and classes of the data that the model does not know.",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses the options, and takes out the checkpoint path: LightningCLI would let it override the config."""
        with trust.parsing():
            super().parse_arguments(parser, args)
        self.options: Namespace = self.config[self.config["subcommand"]]
        trust.check_options(self.options)
        self.ckpt_path = self.options.pop("ckpt_path", None)

    def before_instantiate_classes(self) -> None:
        """Puts the checkpoint path back."""
        self.options["ckpt_path"] = self.ckpt_path

    def instantiate_classes(self) -> None:
        """Builds task, data and trainer. In a run, the trainer then loads the data, and the task builds the model."""
        with self.checking():
            if self.subcommand == "fit":
                self._check_run_dir()
            elif self.ckpt_path is None:
                raise ValueError(f"--ckpt_path: got none, and {self.subcommand} needs a checkpoint")
            self._check_lr()
            finders.search(self)
            internals.instantiate(self)
            if self.options["on_unknown"] is not None:
                self.datamodule.on_unknown = self.options["on_unknown"]
            self._take_weights()

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Turns errors before the first step into usage errors."""
        try:
            yield
        except (ValueError, TypeError, FileNotFoundError, ModuleNotFoundError, MisconfigurationException) as error:
            if self.started and self.subcommand != "fit" and isinstance(error, ValueError):  # a batch does not fit
                raise RunError(str(error)) from error
            if self.started:
                raise
            raise UsageError(first_cause(str(error))) from error

    def _check_lr(self) -> None:
        model = self.options["model"]
        lr = inspect.signature(trust.resolve(model["class_path"])).parameters.get("lr")
        given = (model.get("init_args") or {}).get("lr")
        if lr is not None and self.options.get("optimizer") and given not in (None, lr.default):
            raise ValueError(f"lr: got {given} together with an optimizer; use --optimizer.lr")

    def _take_weights(self) -> None:
        """Loads the weights that the command names, or checks those that the trainer will restore."""
        task: Task = self.model
        if self.subcommand != "fit":
            self.options["ckpt_path"] = self.config_init[self.subcommand]["ckpt_path"] = None
            if Path(self.ckpt_path).is_file():
                found = self.checkpoint or checkpoints.read(self.ckpt_path)
                model = task.model_class.from_parts(*parts_of(found, task.model_class, self.ckpt_path))
            else:  # any other source of `zoo.load`
                model = hub.load(self.ckpt_path)
            self._follow(model)
            task.adopt(model)
        elif self.continuation is not None:
            found = self.continuation.checkpoint
            task.on_load_checkpoint(found)
            task.model_class.check_parts(*parts_of(found, task.model_class, str(self.continuation.path)))
        if self.subcommand == "fit":
            task.prepare = self._prepare_weights

    def _follow(self, model: Model) -> None:
        """Ignores what a config file says about the model: it is that of the checkpoint. Options must agree with it."""
        task: Task = self.model
        theirs, tunable = model.config.as_dict(), type(model).config_class.tunable
        names = {word.split("=")[0].rpartition(".")[2] for word in self.argv if word.startswith("--model.")}
        ignored = [
            name
            for name, value in theirs.items()
            if task.hparams.get(name) not in (None, value) and name not in names | tunable | set(task.keeps)
        ]
        if ignored and isinstance(model, task.model_class):
            changes = (f"{name} {brief(theirs[name])}, not {brief(task.hparams[name])}" for name in ignored)
            say(f"the model is that of {self.ckpt_path}: {', '.join(changes)}", sys.stderr)
            task.hparams.update(dict.fromkeys(ignored))

    def _check_run_dir(self) -> None:
        if self.ckpt_path is not None:
            raise ValueError("--ckpt_path: fit takes --resume to resume a run, or --init_from for a model's weights")
        self.run_dir = Path(self.options["run_dir"] or self._default_run_dir())
        if self.run_dir.exists() and not self.run_dir.is_dir():
            raise ValueError(f"--run_dir: {self.run_dir} is a file, expected a new or existing folder")
        begun = (self.run_dir / CONFIG_FILE).exists()
        self.end_chosen = limits.choose_epochs(self.options, self.run_dir / CONFIG_FILE)
        if begun and is_main_process() and is_running(self.run_dir):
            raise ValueError(f"--run_dir: another process is training in {self.run_dir}; wait for it, or stop it")
        again = begun and started_again() and job_of(self.run_dir) == job()
        if not is_main_process():  # the main process decides; torchrun counts restarts on each host
            again = begun
        if self.options["resume"] and self.options["run_dir"] is None:
            raise ValueError("--resume: which run? Give its folder with --run_dir")
        if self.options["stretch_schedule"] and not (self.options["resume"] and self.options["override"]):
            raise ValueError(f"{STRETCH}: it needs --resume --override, and the new --trainer.max_epochs or max_steps")
        if self.options["resume"] or again:
            self._resume()
        elif begun:
            raise ValueError(
                f"--run_dir: {self.run_dir} already holds a run; give another folder, or --resume to resume it"
            )

    def _resume(self) -> None:
        self.continuation = Continuation.find(self.run_dir)
        if self.continuation is None:
            say(f"{self.run_dir} has no checkpoint yet: starting from the beginning")
            return
        finders.recall(self.options, self.continuation.config)
        self.options["ckpt_path"], self.options["weights_only"] = str(self.continuation.path.resolve()), True
        if self.options["init_from"] is None:  # its weights are in the checkpoint
            self.options["init_from"] = self.continuation.config.get("init_from")
        task = trust.resolve(self.options["model"]["class_path"])
        config = task.model_class.config_class
        shaping = set(config.names()) - config.tunable
        defaults = {
            f"{part}.init_args.{name}": entry.default
            for part in ("model", "data")
            for name, entry in inspect.signature(trust.resolve(self.options[part]["class_path"])).parameters.items()
            if entry.default is not entry.empty
        }
        self.continuation.compare(yaml.safe_load(self.dump()), shaping, defaults, self.options["override"])

    def _default_run_dir(self) -> Path:
        name = Path(self.config_file).stem if self.config_file else self.options["model"]["class_path"].split(".")[-1]
        if slurm := slurm_job():  # the same folder when the job is requeued
            return Path("runs") / name / f"slurm-{slurm}"
        now = datetime.now().astimezone()
        return Path("runs") / name / f"{now:%Y-%m-%d_%H-%M-%S}.{now.microsecond // 1000:03d}"

    @property
    def config_file(self) -> str | None:
        """The last config file that the command named."""
        files = [str(file) for file in self.options.get("config") or [] if file is not None]
        return files[-1] if files else None

    def _prepare_weights(self, task: Task) -> None:
        """Initializes weights from other models, freezes weights, and builds the optimizer, as set by the options."""
        self._say_unknown()
        if self.continuation is not None:  # the weights are in the checkpoint
            self.continuation.check_surroundings(self.trainer.world_size, getattr(self.datamodule, "sources", {}))
        limits.check_monitors(self)
        if self.end_chosen:
            limits.say_end(self.trainer)
        sources = None if self.continuation else self.options["init_from"]
        for part, source in (sources if isinstance(sources, dict) else {None: sources} if sources else {}).items():
            report = hub.initialize_from(task.model, source, part)
            say(f"{part}: {report}" if part else report)
        patterns = self.options["freeze"]
        if patterns:
            frozen, trained = hub.freeze(task.model, patterns)
            say(f"freeze: {frozen:,} parameters are frozen, {trained:,} are trained")
        self.schedule = optimizing.build(self)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Returns a trainer. In fit, it writes a run folder; in other commands, it writes no files."""
        config = self.config_init[self.subcommand]["trainer"]
        callbacks = config["callbacks"] or []
        callbacks = list(callbacks) if isinstance(callbacks, list) else [callbacks]
        bar = config["enable_progress_bar"]
        if bar is None:
            bar = sys.stdout.isatty()  # the bar is printed there, as are predictions
        if bar:
            callbacks.append(ProgressBar())
        if config["enable_model_summary"] is not False and self.subcommand == "fit":
            callbacks.append(NetworkSummary())
        if self.subcommand == "fit":
            callbacks += reporters(self.signals)
        kwargs |= {"callbacks": callbacks, "enable_progress_bar": bool(bar)}
        if self.subcommand != "fit" or config["fast_dev_run"]:
            callbacks[:] = [c for c in callbacks if not isinstance(c, Checkpoint | LearningRateMonitor)]
            callbacks.append(Started(self))
            return super().instantiate_trainer(**kwargs, logger=False, enable_checkpointing=False)
        io, best = WholeCheckpointIO(), None
        metrics = MetricsLogger(self.run_dir, self.continuation.rows if self.continuation else 0)
        loggers, tensorboard = config["logger"], None
        if loggers in (None, True):
            loggers, tensorboard = [], {"purge_step": self.continuation.logged_steps} if self.continuation else {}
        if config["enable_checkpointing"] is not False:
            best = BestCheckpoint(self.run_dir)
            policy = CheckpointPolicy(**vars(self.options["checkpoint"]))
            override = None
            if self.continuation is not None:
                io.read, override = self.continuation.checkpoint, self.continuation.override
            callbacks.insert(0, RunState(self.run_dir / "checkpoints", policy, self.signals, io, best, override))
        seed = self.options["seed_everything"]
        self.run = RunFolder(self.run_dir, self.dump(), self.config_file, seed, metrics, best, tensorboard)
        callbacks += [self.run, *finders.pictures(self), Started(self), *([best] if best else [])]
        loggers = [metrics, *(loggers if isinstance(loggers, list) else [loggers] if loggers else [])]
        plugins = config["plugins"] or []
        kwargs["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), io]
        trainer = super().instantiate_trainer(**kwargs, logger=loggers, default_root_dir=self.run_dir)
        internals.ignore_signals(trainer)
        return trainer

    def dump(self) -> str:
        """Returns the complete config of the command, as YAML."""
        config = self.options.clone()
        for name in ("config", "run_dir", "resume", "override", "stretch_schedule", "ckpt_path", "weights_only"):
            config.pop(name, None)
        parser = internals.subcommand_parser(self, str(self.subcommand))
        return str(parser.dump(config, skip_unset=False, skip_validation=True))

    def configure_optimizers(  # type: ignore[override]
        self, lightning_module: L.LightningModule, optimizer: Any, lr_scheduler: Any = None
    ) -> Any:
        """Does the same as LightningCLI's, but steps schedules that count steps after each step."""
        if self.schedule is not None:
            return [optimizer], [{"scheduler": lr_scheduler, "interval": self.schedule.interval}]
        return LightningCLI.configure_optimizers(lightning_module, optimizer, lr_scheduler)

    # -- the four commands

    def fit(self, model: Task, **options: Any) -> None:
        """Trains, tests the best checkpoint once if the data has a test part, and writes the summary."""
        with self.checking():
            self.trainer.fit(model, **options)
        if self.run is None:
            return
        best = self.run.best.best_model_path if self.run.best else ""
        if has_part(self.datamodule, "test") and best:
            self.trainer.test(model, datamodule=self.datamodule, ckpt_path=best, verbose=False, weights_only=True)
        elif has_part(self.datamodule, "test") and self.trainer.is_global_zero:
            print("there is no best checkpoint, so the test was skipped")
        if (summary := self.run.finish(self.trainer, model, "finished")) is not None:
            print_summary(summary, self.run_dir)

    def validate(self, model: Task, **options: Any) -> None:
        """Prints the validation metrics."""
        with self.checking():
            self.trainer.validate(model, **options)
        self._say_unknown()

    def test(self, model: Task, **options: Any) -> None:
        """Prints the test metrics."""
        with self.checking():
            self.trainer.test(model, **options)
        self._say_unknown()

    def predict(self, model: Task, **options: Any) -> None:
        """Prints the predictions as CSV."""
        with self.checking():
            batches: list[Any] = self.trainer.predict(model, **{**options, "return_predictions": True}) or []
        print_predictions(batches, self.trainer.world_size, self.trainer.is_global_zero)
        self._say_unknown()

    def _say_unknown(self) -> None:
        of = getattr(self.datamodule, "unknown_in", None)
        if text := of(self.subcommand) if of is not None else "":
            say(text, sys.stderr)


class ParsedCLI(ZooCLI):
    """Parses and checks the options of a command, and builds nothing."""

    def _set_seed(self) -> None:
        """Leaves the random numbers of this process alone."""

    def instantiate_classes(self) -> None:
        """Checks what the parser can't."""
        with self.checking():
            self._check_lr()

    def _run_subcommand(self, subcommand: str) -> None:
        """Runs nothing."""


class Started(L.Callback):
    """Tells the command that all checks have passed. In predict, each input has checks of its own."""

    def __init__(self, cli: ZooCLI) -> None:
        self.cli = cli

    def on_fit_start(self, *_: Any) -> None:
        """Training starts."""
        self.cli.started = True

    def on_validation_start(self, *_: Any) -> None:
        """Validation starts."""
        self.cli.started = True

    def on_test_start(self, *_: Any) -> None:
        """Testing starts."""
        self.cli.started = True
