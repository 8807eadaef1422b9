"""The command line: LightningCLI with run folders, checks before the first write, and short errors."""

import csv
import inspect
import logging
import math
import re
import sys
import traceback
import warnings
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from jsonargparse import ArgumentError, Namespace
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import Checkpoint, LearningRateMonitor, ModelSummary
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.model_helpers import is_overridden

import datamodules
from zoo import checkpoints, messages, trust
from zoo.arguments import CONFIG_OPTIONS, arrange, values_of
from zoo.messages import UsageError
from zoo.pretrained import load, read_checkpoint
from zoo.runs.continuation import Continuation
from zoo.runs.files import WholeCheckpointIO
from zoo.runs.folder import MetricsLogger, ProgressBar, RunFolder
from zoo.runs.history import CONFIG_FILE, is_running, job_of
from zoo.runs.processes import end_with_parent, is_main_process, job, machine, requeue, say, slurm_job, started_again
from zoo.runs.resume import CheckpointPolicy, RunState
from zoo.runs.stopping import EXIT_CODES, DivergedError, Signals, Stopped
from zoo.tasks import TASKS, Task
from zoo.transfer import freeze, initialize_from

DATAMODULES = tuple(getattr(datamodules, name) for name in datamodules.__all__)  # makes short names resolve
CLASS_NAMES = [
    *datamodules.__all__,
    *(task.__name__ for task in TASKS),
    *lightning_callbacks.__all__,
    *torch.optim.__all__,
    *torch.optim.lr_scheduler.__all__,
]
STEPWISE = (torch.optim.lr_scheduler.OneCycleLR, torch.optim.lr_scheduler.CyclicLR)
QUIET = (  # true, but of no use to whoever runs a command
    "LightningCLI's args parameter",
    ".*configure_optimizers. will be overridden",
    "The number of training batches",
    "Checkpoint directory .* exists and is not empty",
    "The `compute` method of metric",
    "Total length of `list` across ranks is zero",  # no validation part
    "Precision bf16-mixed is not supported by the model summary",
    "The `srun` command is available",
    "Be aware that when using `ckpt_path`, callbacks used",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",
)


class ZooCLI(LightningCLI):
    """LightningCLI for tasks and datamodules of this project's kind."""

    run: RunFolder | None = None
    run_dir: Path  # of fit
    going_on: Continuation | None = None
    checkpoint: dict[str, Any] = {}  # that was named, or found
    weights: dict[str, torch.Tensor] | None = None  # of a model that is no checkpoint file

    def __init__(self, signals: Signals, **options: Any) -> None:
        self.signals = signals
        super().__init__(**options)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds what LightningCLI doesn't have."""
        parser.add_argument("--run_dir", type=str | None, default=None, help="The run's folder, for fit.")
        parser.add_argument("--resume", action="store_true", help="Go on from the folder's last whole checkpoint.")
        parser.add_argument("--override", action="store_true", help="Go on with settings that the run didn't have.")
        parser.add_class_arguments(CheckpointPolicy, "checkpoint")
        parser.add_argument(
            "--init_from",
            type=str | dict[str, str] | None,
            default=None,
            help="Begin with the weights of a model; or, for parts of a Seq2Seq, {encoder: ..., decoder: ...}.",
        )
        parser.add_argument(
            "--freeze",
            type=str | list[str] | None,
            default=None,
            help="Pattern, or list of patterns, of weights that are not trained, as recurrent.*",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses, and keeps the checkpoint path to itself: LightningCLI would let it override the config."""
        with trust.parsing():
            super().parse_arguments(parser, args)
        self.options: Namespace = self.config[self.config["subcommand"]]
        trust.check_options(self.options)
        self.ckpt_path = self.options.pop("ckpt_path", None)

    def before_instantiate_classes(self) -> None:
        """Puts the checkpoint path back."""
        self.options["ckpt_path"] = self.ckpt_path

    def instantiate_classes(self) -> None:
        """Builds everything, and checks that it fits together, before anything is written."""
        try:
            self._check_paths()
            self.config_init = self.parser.instantiate(self.config)
            self.datamodule = self._get(self.config_init, "data")
            self.model = self._get(self.config_init, "model")
            self._check_data_and_model()
            self._add_configure_optimizers_method_to_model(self.subcommand)
            self.trainer = self.instantiate_trainer()
            if self.going_on is not None:
                self.going_on.check_surroundings(self.trainer.world_size, getattr(self.datamodule, "sources", {}))
        except (ValueError, TypeError, FileNotFoundError, MisconfigurationException) as error:
            raise UsageError(str(error)) from error

    def _check_paths(self) -> None:
        if self.subcommand == "fit":
            self._check_run_dir()
        elif self.ckpt_path is None:
            raise ValueError(f"--ckpt_path: got none, and {self.subcommand} needs a checkpoint")
        elif Path(self.ckpt_path).is_file():
            self.checkpoint = read_checkpoint(self.ckpt_path)
            self.options["ckpt_path"] = str(Path(self.ckpt_path).resolve())  # nothing else can be meant by it
        else:  # any other source of `zoo.load`
            task = load(self.ckpt_path)
            self.checkpoint = {"hyper_parameters": dict(task.hparams)}
            self.weights = task.network.state_dict()
            self.options["ckpt_path"] = None

    def _check_run_dir(self) -> None:
        if self.ckpt_path is not None:
            raise ValueError(
                "--ckpt_path: fit takes --resume to go on with a run, or --init_from for a model's weights"
            )
        self.run_dir = Path(self.options["run_dir"] or self._default_run_dir())
        if self.run_dir.exists() and not self.run_dir.is_dir():
            raise ValueError(f"--run_dir: {self.run_dir} is a file, expected a folder, or none yet")
        begun = (self.run_dir / CONFIG_FILE).exists()
        if begun and is_main_process() and is_running(self.run_dir):
            raise ValueError(f"--run_dir: another process is training in {self.run_dir}; wait for it, or stop it")
        again = begun and started_again() and job_of(self.run_dir) == job()
        if not is_main_process():  # that one decides, and ends them all if it refuses; torchrun counts for each host
            again = begun
        if self.options["resume"] and self.options["run_dir"] is None:
            raise ValueError("--resume: which run? Give its folder with --run_dir")
        if self.options["resume"] or again:
            self._go_on()
        elif begun:
            raise ValueError(
                f"--run_dir: {self.run_dir} already holds a run; give another folder, or --resume to go on with it"
            )

    def _go_on(self) -> None:
        self.going_on = Continuation.find(self.run_dir)
        if self.going_on is None:
            say(f"{self.run_dir} has no checkpoint yet: beginning at the start")
            return
        self.checkpoint = self.going_on.checkpoint
        self.options["ckpt_path"], self.options["weights_only"] = str(self.going_on.path.resolve()), True
        if self.options["init_from"] is None:  # its weights are in the checkpoint
            self.options["init_from"] = self.going_on.config.get("init_from")
        self.going_on.compare(yaml.safe_load(self._dump()), self.options["override"])

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

    def _check_data_and_model(self) -> None:
        self.datamodule.prepare_data()
        self.datamodule.setup(self.subcommand)
        if hasattr(self.datamodule, "spec"):
            self.model.bind(self.datamodule.spec, type(self.datamodule).__name__)
        if self.ckpt_path is not None:
            checkpoints.check_fits(self.model, self.checkpoint, self.ckpt_path)
        self.model.configure_model()
        default = inspect.signature(type(self.model)).parameters["lr"].default
        if self._get(self.config_init, "optimizer") and self.model.hparams["lr"] != default:
            raise ValueError(f"lr: got {self.model.hparams['lr']} beside an optimizer; give it as --optimizer.lr")
        if self.checkpoint:
            self.model.on_load_checkpoint(self.checkpoint)
        if self.weights is not None:
            self.model.network.load_state_dict(self.weights)
        if self.subcommand == "fit":
            self._prepare_weights()
        if self.subcommand == "test" and not self._has("test"):
            raise ValueError(f"{type(self.datamodule).__name__}: this data has no test part; use validate")
        if self.subcommand == "predict":
            self.datamodule.predict_dataloader()  # reads the inputs

    def _prepare_weights(self) -> None:
        """Takes weights from elsewhere, and freezes some, as the options say."""
        sources = None if self.going_on else self.options["init_from"]
        for part, source in (sources if isinstance(sources, dict) else {None: sources} if sources else {}).items():
            report = initialize_from(self.model, source, part)
            say(f"{part}: {report}" if part else report)
        patterns = self.options["freeze"]
        if patterns:
            patterns = [patterns] if isinstance(patterns, str) else patterns
            frozen, trained = freeze(self.model, patterns)
            say(f"freeze: {frozen:,} parameters stay as they are, {trained:,} are trained")

    def _has(self, part: str) -> bool:
        parts = getattr(self.datamodule, "parts", None)
        return part in parts if parts is not None else is_overridden(f"{part}_dataloader", self.datamodule)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """A trainer that keeps a run folder in fit, and writes nothing elsewhere."""
        config = self._get(self.config_init, "trainer")
        callbacks = config["callbacks"] or []
        callbacks = list(callbacks) if isinstance(callbacks, list) else [callbacks]
        bar = config["enable_progress_bar"]
        if bar is None:
            bar = sys.stdout.isatty()  # where the bar goes, and what predict prints
        if bar:
            callbacks.append(ProgressBar())
        if config["enable_model_summary"] is not False and self.subcommand == "fit":
            callbacks.append(ModelSummary(max_depth=2))
        kwargs |= {"callbacks": callbacks, "enable_progress_bar": bool(bar)}
        if self.subcommand != "fit" or config["fast_dev_run"]:
            callbacks[:] = [c for c in callbacks if not isinstance(c, Checkpoint | LearningRateMonitor)]
            return super().instantiate_trainer(**kwargs, logger=False, enable_checkpointing=False)
        io = WholeCheckpointIO()
        metrics = MetricsLogger(self.run_dir, self.going_on.rows if self.going_on else 0)
        self.run = RunFolder(self.run_dir, self._dump(), self.config_file, self.options["seed_everything"], metrics)
        callbacks.append(self.run)
        if config["enable_checkpointing"] is not False:
            validates = self._has("val") and config["limit_val_batches"] != 0
            callbacks.append(self.run.best_checkpoint(*(self.model.monitor if validates else ("train/loss", "min"))))
            policy = CheckpointPolicy(**vars(self.options["checkpoint"]))
            facts = {"data": getattr(self.datamodule, "sources", {}), **machine()}
            override = self.going_on.override if self.going_on else None
            callbacks.insert(0, RunState(self.run_dir / "checkpoints", policy, self.signals, io, facts, override))
        loggers = config["logger"]
        if loggers in (None, True):
            purge: dict[str, Any] = {"purge_step": self.going_on.logged_steps} if self.going_on else {}
            loggers = [TensorBoardLogger(self.run_dir, name="", version="", **purge)]
        loggers = [metrics, *(loggers if isinstance(loggers, list) else [loggers] if loggers else [])]
        plugins = config["plugins"] or []
        kwargs["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), io]
        trainer = super().instantiate_trainer(**kwargs, logger=loggers, default_root_dir=self.run_dir)
        # Lightning's own handlers talk to the other ranks in the middle of a step, and requeue by rules of their own.
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
        return trainer

    def _dump(self) -> str:
        config = self.options.clone()
        for name in ("config", "run_dir", "resume", "override", "ckpt_path", "weights_only"):
            config.pop(name, None)
        return str(self._parser(self.subcommand).dump(config, skip_unset=False, skip_validation=True))

    @staticmethod
    def configure_optimizers(lightning_module: L.LightningModule, optimizer: Any, lr_scheduler: Any = None) -> Any:
        """LightningCLI's, but that schedules which count steps are stepped at each step."""
        if isinstance(lr_scheduler, STEPWISE):
            return [optimizer], [{"scheduler": lr_scheduler, "interval": "step"}]
        return LightningCLI.configure_optimizers(lightning_module, optimizer, lr_scheduler)

    # -- the four commands

    def after_fit(self) -> None:
        """Tests the best checkpoint once, and closes the run."""
        if self.run is None:
            return
        best = self.run.best.best_model_path if self.run.best else ""
        if self._has("test") and best:
            self.trainer.test(self.model, datamodule=self.datamodule, ckpt_path=best, verbose=False, weights_only=True)
        elif self._has("test") and self.trainer.is_global_zero:
            print("no checkpoint was kept as the best one, so there was no test")
        if (summary := self.run.finish(self.trainer, self.model, "finished")) is not None:
            print_summary(summary, self.run_dir)

    def predict(self, model: Task, **kwargs: Any) -> None:
        """Prints the predictions as CSV."""
        batches: list[Any] = self.trainer.predict(model, **{**kwargs, "return_predictions": True}) or []
        if self.trainer.world_size > 1:
            batches = gather(batches, self.trainer.world_size)
        rows = [row for batch in batches for row in batch]
        if rows and self.trainer.is_global_zero:
            writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def gather(batches: list[list[Any]], world_size: int) -> list[list[Any]]:
    """All ranks' rows in the order of the data: each rank had every n-th row of a batch."""
    ranks: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(ranks, batches)
    together = zip_longest(*ranks, fillvalue=[])
    return [[row for rows in zip_longest(*shares) for row in rows if row is not None] for shares in together]


def print_summary(summary: dict[str, Any], folder: Path) -> None:
    """Says in a few lines what a run reached and where it lies."""
    speed = f", {summary['items_per_s']:,.0f} {summary['item']}/s" if summary["items_per_s"] else ""
    print(f"\n{summary['epochs']} epochs, {summary['steps']} steps in {summary['wall_s']:.0f} s{speed}")
    print(f"  {summary['params']:,} parameters")
    for name, values in summary["metrics"].items():
        last, best = (math.nan if value is None else value for value in (values["last"], values["best"]))
        print(f"  {name:<22} {last:.4f}   best {best:.4f}")
    names = ("curves.png", "summary.json", "checkpoints/best.ckpt")
    print(f"run folder: {folder}   ({', '.join(name for name in names if (folder / name).exists())})")


def quieten() -> None:
    """Turns off what would hide the run's own lines."""
    for message in QUIET:
        warnings.filterwarnings("ignore", message)
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)


def main(argv: list[str]) -> int:
    """Runs fit, validate, test or predict; returns the exit code."""
    debug = "--debug" in argv
    argv = [arg for arg in argv if arg != "--debug"]
    quieten()
    end_with_parent()
    with Signals() as signals:
        try:
            ZooCLI(
                signals,
                model_class=Task,
                datamodule_class=L.LightningDataModule,
                args=arrange(trust.enforce(argv)),
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=None,
                load_from_checkpoint_support=False,
                seed_everything_default=0,
                parser_kwargs={"exit_on_error": False},
            )
            return 0
        except Stopped as stopped:
            return stop(stopped)
        except BrokenPipeError:  # whoever read has seen enough
            raise
        except SystemExit as end:  # --help
            return int(end.code or 0)
        except Exception as error:
            if debug:
                traceback.print_exc()
            print(messages.shorten(text_of(error, argv)), file=sys.stderr)
            return 2 if isinstance(error, UsageError | ArgumentError) else 1


def text_of(error: Exception, argv: list[str]) -> str:
    """An error as a user reads it."""
    if isinstance(error, ArgumentError):
        return messages.explain(str(error), values_of(argv, *CONFIG_OPTIONS), CLASS_NAMES)
    if re.search(r"\bgloo\b|NCCL", str(error)):
        return "another process of this run has ended, or can't be reached; what it said stands above"
    if isinstance(error, UsageError | OSError | DivergedError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def stop(stopped: Stopped) -> int:
    """Puts a SLURM job back into the queue; returns the exit code."""
    if not is_main_process() and job() is None:
        return 0  # of a process that another one launched, and looks after
    if not stopped.told:
        say(str(stopped), sys.stderr)
    code = EXIT_CODES.get(stopped.signal, 0)
    if code == 0 and is_main_process() and (problem := requeue(slurm_job() or "")):
        print(f"zoo: error: the job was not requeued: {problem}", file=sys.stderr)
        return 1
    return code
