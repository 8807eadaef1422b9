"""The command line: LightningCLI with run folders, checks before the first write, and short errors."""

import csv
import inspect
import logging
import math
import os
import platform
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
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import Checkpoint, LearningRateMonitor, ModelSummary
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.model_helpers import is_overridden

import datamodules
from zoo import messages
from zoo.arguments import CONFIG_OPTIONS, arrange, values_of
from zoo.checkpoints import WholeCheckpointIO, newest_whole
from zoo.messages import UsageError
from zoo.pretrained import load, read_checkpoint
from zoo.resume import RESUME, CheckpointPolicy, Override, RunState, differences
from zoo.runs import MetricsLogger, ProgressBar, RunFolder, is_running, job_of
from zoo.stopping import EXIT_CODES, DivergedError, Signals, Stopped, job, requeue, slurm_job, started_again
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
    "Be aware that when using `ckpt_path`, callbacks used",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",
    "The `srun` command is available",  # on a login node, and wherever SLURM's clients are installed
)


class ZooCLI(LightningCLI):
    """LightningCLI for tasks and datamodules of this project's kind."""

    run: RunFolder | None = None
    run_dir: Path  # of fit
    resumes = False
    checkpoint: dict[str, Any] = {}  # that was named, or found
    weights: dict[str, torch.Tensor] | None = None  # of a model that is no checkpoint file
    changes: dict[str, tuple[Any, Any]] | None = None  # what --override changes

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
        super().parse_arguments(parser, args)
        self.options: Namespace = self.config[self.config["subcommand"]]
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
            if self.resumes:
                self._check_same_machine()
        except (ValueError, TypeError, FileNotFoundError, MisconfigurationException) as error:
            raise UsageError(str(error)) from error

    def _check_paths(self) -> None:
        if self.subcommand == "fit":
            self._check_run_dir()
        elif self.ckpt_path is None:
            raise ValueError(f"--ckpt_path: got none, and {self.subcommand} needs a checkpoint")
        elif Path(self.ckpt_path).is_file():
            self.checkpoint = read_checkpoint(self.ckpt_path)
            self.options["weights_only"] = True
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
        begun = (self.run_dir / "config.yaml").exists()
        if begun and is_main_process() and is_running(self.run_dir):
            raise ValueError(f"--run_dir: another process is training in {self.run_dir}; wait for it, or stop it")
        again = begun and started_again() and job_of(self.run_dir) == job()
        if self.options["resume"] and self.options["run_dir"] is None:
            raise ValueError("--resume: which run? Give its folder with --run_dir")
        if self.options["resume"] or again:
            self._find_checkpoint()
        elif begun and is_main_process():
            raise ValueError(
                f"--run_dir: {self.run_dir} already holds a run; give another folder, or --resume to go on with it"
            )

    def _find_checkpoint(self) -> None:
        """Picks the newest whole checkpoint of the run; there is none where it was stopped before the first."""
        path, damaged = newest_whole(self.run_dir / "checkpoints")
        for file in damaged:
            say(f"warning: {file} is damaged; looking for the one before it", sys.stderr)
        if path is None and damaged:
            raise ValueError(f"--resume: no checkpoint in {damaged[0].parent} is whole; begin anew in another folder")
        if path is None:
            say(f"{self.run_dir} has no checkpoint yet: beginning at the start")
            return
        self.checkpoint = read_checkpoint(path)
        if RESUME not in self.checkpoint:
            raise ValueError(f"--resume: {path} is not of a run of this version of zoo; take --init_from {path}")
        self.resumes = True
        self.options["ckpt_path"], self.options["weights_only"] = str(path), True
        self._check_same_run()
        say(f"going on from {path}, step {self.checkpoint['global_step']:,}")

    def _check_same_run(self) -> None:
        """Raises ValueError if the command differs from the run in what must not, or needs --override."""
        run = yaml.safe_load(self.checkpoint["config"])
        if self.options["init_from"] is None:  # a run that goes on has its weights
            self.options["init_from"] = run.get("init_from")
        fixed, others = differences(flat(run), flat(yaml.safe_load(self._dump())))
        lines = [f"{key}: the run has {before!r}, and the command {now!r}" for key, (before, now) in fixed.items()]
        if lines:
            raise ValueError("\n".join([*lines[:8], "--resume: these can't change within a run; begin a new one"]))
        lines = [f"{key}: the run has {before!r}, and the command {now!r}" for key, (before, now) in others.items()]
        if lines and not self.options["override"]:
            raise ValueError("\n".join([*lines[:8], "--resume: to go on with the command's settings, add --override"]))
        self.changes = others if self.options["override"] else None
        for line in lines:
            say(f"--override: {line}")

    def _check_same_machine(self) -> None:
        """Raises ValueError if the run had another number of processes, or other data; notes other versions."""
        state = self.checkpoint[RESUME]
        processes, data = state["world_size"], state["facts"].pop("data")
        if processes != self.trainer.world_size and self.changes is None:
            raise ValueError(
                f"--resume: the run has {processes} processes, and the command {self.trainer.world_size}; "
                "start as many, or add --override to go on without the promise of the same numbers"
            )
        if data != (found := getattr(self.datamodule, "sources", {})):
            changed = sorted(name for name in data.keys() | found.keys() if data.get(name) != found.get(name))
            raise ValueError(f"--resume: the data changed since the run began: {', '.join(changed)}")
        before, now = state["facts"], machine()
        other = [f"{name} was {before.get(name)}, and is {now[name]}" for name in now if before.get(name) != now[name]]
        if processes != self.trainer.world_size:
            other.append(f"processes were {processes}, and are {self.trainer.world_size}")
        if other:
            say(f"warning: the numbers need not be the same to the last bit: {'; '.join(other)}", sys.stderr)

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
        sources = None if self.resumes else self.options["init_from"]
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
        counted = self.checkpoint["run"] if self.resumes else {}
        metrics = MetricsLogger(self.run_dir, counted.get("rows", 0))
        self.run = RunFolder(self.run_dir, self._dump(), self.config_file, self.options["seed_everything"], metrics)
        callbacks.append(self.run)
        if config["enable_checkpointing"] is not False:
            validates = self._has("val") and config["limit_val_batches"] != 0
            callbacks.append(self.run.best_checkpoint(*(self.model.monitor if validates else ("train/loss", "min"))))
            policy = CheckpointPolicy(**vars(self.options["checkpoint"]))
            facts = {"data": getattr(self.datamodule, "sources", {}), **machine()}
            override = None if self.changes is None else Override(self.changes)
            callbacks.insert(0, RunState(self.run_dir / "checkpoints", policy, self.signals, facts, override))
        loggers = config["logger"]
        if loggers in (None, True):
            purge = {"purge_step": self.checkpoint[RESUME]["batches_that_stepped"]} if self.resumes else {}
            loggers = [TensorBoardLogger(self.run_dir, name="", version="", **purge)]
        loggers = [metrics, *(loggers if isinstance(loggers, list) else [loggers] if loggers else [])]
        plugins = config["plugins"] or []
        kwargs["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), WholeCheckpointIO()]
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


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config as dotted keys."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def machine() -> dict[str, Any]:
    """What else the last bit of a number depends on."""
    return {"torch": str(torch.__version__), "threads": torch.get_num_threads(), "processor": platform.machine()}


def is_main_process() -> bool:
    """Whether this is the process that speaks and writes."""
    return rank_zero_only.rank == 0  # type: ignore[attr-defined, no-any-return]


def say(text: str, file: Any = None) -> None:
    """Prints a line once, whatever the number of processes."""
    if is_main_process():
        print(text, file=file, flush=True)


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
    with Signals() as signals:
        try:
            ZooCLI(
                signals,
                model_class=Task,
                datamodule_class=L.LightningDataModule,
                args=arrange(argv),
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
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        except SystemExit as end:
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
    if isinstance(error, UsageError | OSError | DivergedError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def stop(stopped: Stopped) -> int:
    """Says why the run stopped, and puts a SLURM job back into the queue; returns the exit code."""
    say(str(stopped), sys.stderr)
    code = EXIT_CODES.get(stopped.signal, 0)
    if code == 0 and is_main_process() and (problem := requeue(slurm_job() or "")):
        print(f"zoo: error: the job was not requeued: {problem}", file=sys.stderr)
        return 1
    return code
