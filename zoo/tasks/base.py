"""What all tasks share: facts from the data, losses over ranks, metrics, optimizer, figures."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import lightning as L
import torch
from huggingface_hub import PyTorchModelHubMixin
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import Metric

from zoo import bundle, checkpoints
from zoo.tasks.metrics import Mean
from zoo.vocab import describe

Stage = Literal["train", "val", "test"]
STAGES: tuple[Stage, ...] = ("train", "val", "test")


class Loss(NamedTuple):
    """A loss summed over real items, and how many there were; both scalars."""

    total: Tensor
    items: Tensor


class Task(
    L.LightningModule,
    PyTorchModelHubMixin,
    ABC,
    library_name="rnn-zoo",
    tags=["recurrent-neural-network"],
):
    """A network, its loss and its metrics.

    `from_pretrained`, `save_pretrained` and `push_to_hub` are Hugging Face's own, on bundles (see
    `zoo.bundle`); `zoo.load` finds the class by itself.

    A subclass is final. Its constructor takes flat plain values, hands `lr` to this one, and calls
    `save_hyperparameters`. What the data knows better (`facts`) may be None there: it comes from
    `trainer.datamodule.spec` in `setup`, and from then on stands in `hparams` and in every
    checkpoint. So a checkpoint alone decodes.

    Args:
        lr: Learning rate of the default optimizer, Adam.

    Raises:
        ValueError: If lr is not above 0.
    """

    model_prefix: ClassVar[str]  # of its registry names: `char_lm` of `char_lm_lstm`
    facts: ClassVar[tuple[str, ...]]  # constructor arguments that a datamodule's spec may fill
    requires: ClassVar[tuple[tuple[str, ...], ...]]  # of each group, one must be known
    keeps: ClassVar[tuple[str, ...]] = ()  # facts that stay as they were learned, whatever other data offers
    monitor: ClassVar[tuple[str, Literal["min", "max"]]]  # the metric that picks the best checkpoint
    shown: ClassVar[tuple[str, ...]]  # metrics on the progress bar, beside the loss
    item: ClassVar[str]  # what `num_items` counts
    figure_name: ClassVar[str]
    remembers: ClassVar[tuple[str, ...]] = ()  # attributes that a run which goes on must have back

    network: nn.Module
    about: dict[str, Any]  # plain values for the card of a saved bundle, see `zoo.bundle.card`

    def __init__(self, lr: float) -> None:
        super().__init__()
        self.about = {}
        if not lr > 0:
            raise ValueError(f"lr: got {lr}, expected above 0")

    # -- what a subclass defines

    @abstractmethod
    def build_network(self) -> nn.Module:
        """Builds the network; all facts are known."""

    @abstractmethod
    def score(self, batch: Any, stage: Stage) -> Loss:
        """Runs the network on a batch, updates the stage's metrics, and returns the loss."""

    def build_metrics(self, stage: Stage) -> dict[str, Metric]:
        """The stage's metrics beside the loss, by name."""
        return {}

    @staticmethod
    @abstractmethod
    def num_items(batch: Any) -> int:
        """Items in a batch, from its shapes."""

    @abstractmethod
    def predict_step(self, batch: Any, batch_idx: int) -> list[dict[str, Any]]:
        """Plain values for each row of a batch: its input, the prediction, and the truth if known."""

    @abstractmethod
    def infer(self, values: Any) -> list[dict[str, Any]]:
        """What the model makes of plain Python values: a row for each, as of `predict_step`.

        Args:
            values: What the class's `takes` says: one, or a list of them.

        Raises:
            ValueError: If a value is not of that kind, saying what is wrong with it.
        """

    @property
    @abstractmethod
    def takes(self) -> str:
        """What `infer` takes, in words."""

    @abstractmethod
    def parse(self, word: str) -> Any:
        """The value that a word of a command line stands for; raises ValueError if for none."""

    @abstractmethod
    def figure(self) -> Figure | None:
        """A picture of what the model has learned, from the last epoch; None before there is one."""

    # -- facts

    def bind(self, spec: Mapping[str, Any], source: str) -> None:
        """Takes the facts that are still None from a datamodule's spec.

        Args:
            spec: The datamodule's facts, plain values.
            source: Its name, for messages.

        Raises:
            ValueError: If both sides know a fact and they differ, if a needed one is unknown to
                both, or if the data offers one that this task has no use for.
        """
        name = type(self).__name__
        for fact, offered in spec.items():
            if fact not in self.facts:
                raise ValueError(
                    f"{name} does not fit {source}: the data offers {', '.join(spec)}, "
                    f"and {name} takes {', '.join(self.facts)}"
                )
            known = self.hparams[fact]
            if known is None:
                self.hparams[fact] = offered
            elif known != offered and fact not in self.keeps:
                raise ValueError(f"{fact}: {name} has {_brief(known)}, and {source} has {_brief(offered)}")
        self._check_facts(source)

    def _check_facts(self, source: str) -> None:
        for group in self.requires:
            if all(self.hparams[fact] is None for fact in group):
                wanted = " or ".join(group)
                raise ValueError(
                    f"{type(self).__name__} does not fit {source}: it needs {wanted}, which {source} does not offer; "
                    f"choose data that does, or pass {wanted}"
                )

    def setup(self, stage: str) -> None:
        """Asks the trainer's datamodule, where there is one, for what is unknown."""
        datamodule = getattr(self.trainer, "datamodule", None)
        if datamodule is not None and hasattr(datamodule, "spec"):
            self.bind(datamodule.spec, type(datamodule).__name__)

    def configure_model(self) -> None:
        """Builds the network and the metrics, once."""
        if "network" in self._modules:
            return
        self._check_facts("plain dataloaders")
        self.network = self.build_network()
        self.metrics = nn.ModuleDict(
            {f"{stage}_metrics": nn.ModuleDict({"loss": Mean(), **self.build_metrics(stage)}) for stage in STAGES}
        )

    @property
    def model_name(self) -> str:
        """Its name in the registry, as `char_lm_lstm`."""
        return f"{self.model_prefix}_{self.hparams['cell']}"

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Writes the registry name into the checkpoint, which then loads alone."""
        checkpoint["model_name"] = self.model_name

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses a checkpoint of another model or another alphabet, naming what differs."""
        checkpoints.check(checkpoint, "the checkpoint")  # Lightning finds some by itself, as after a requeue
        hyperparameters = checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {})
        if foreign := hyperparameters.keys() - self.hparams.keys():
            name = type(self).__name__
            raise ValueError(
                f"the checkpoint is of another task than {name}, which has no {', '.join(sorted(foreign))}"
            )
        for key, saved in hyperparameters.items():
            if key in self.keeps:
                self.hparams[key] = saved
            mine = self.hparams.get(key)
            shapes_model = key in self.facts or key in self.network_arguments()
            if shapes_model and mine != saved:
                raise ValueError(f"{key}: the checkpoint has {_brief(saved)}, and the model has {_brief(mine)}")

    @staticmethod
    def network_arguments() -> tuple[str, ...]:
        """Constructor arguments that shape the network: a checkpoint must agree on them."""
        return ("cell", "hidden_size", "num_layers", "embedding_dim", "bidirectional", "pooling", "reverse_source")

    def symbol_axes(self) -> dict[str, tuple[int, str]]:
        """Of the network's tensors that have a row for each symbol or class: the axis, and the fact that lists them."""
        return {}

    # -- bundles

    @classmethod
    def from_bundle(cls, folder: Path, config: bundle.Config, **arguments: Any) -> Self:
        """The model of a bundle, in evaluation mode.

        Args:
            folder: The bundle.
            config: What `zoo.bundle.read_config` gave of it.
            **arguments: In place of those that the bundle has.

        Raises:
            ValueError: If the bundle is damaged or of another task, or if its weights don't fit
                its config.
        """
        weights = bundle.read_weights(folder, config)
        task = cls.from_parts(config["name"], config["arguments"] | arguments, weights, str(folder))
        task.about = config["about"]
        return task

    @classmethod
    def from_parts(cls, name: str, arguments: Mapping[str, Any], weights: Mapping[str, Tensor], source: str) -> Self:
        """The model of a registry name, constructor arguments and the network's weights, in evaluation mode.

        Raises:
            ValueError: If they don't fit each other; `source` is named in the message.
        """
        if not name.startswith(f"{cls.model_prefix}_"):
            raise ValueError(f"{source}: this is a {name}, and no {cls.__name__}")
        # Each layer has tensors of its own; a million layers would take long to build, even without memory.
        if not isinstance(layers := arguments.get("num_layers", 1), int) or layers > len(weights):
            raise ValueError(f"{source}: its weights don't fit its arguments: num_layers is {layers}")
        with torch.random.fork_rng(devices=[]):
            for device in ("meta", "cpu"):  # nothing is allocated before all shapes are known to agree
                with torch.device(device):
                    try:
                        checkpoints.check_kinds(cls, arguments)
                        task = cls(**arguments)
                        task.configure_model()
                    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
                        raise ValueError(f"{source}: its arguments make no {name}: {error}") from error
                _check_shapes(task.network.state_dict(), weights, source)
        if task.model_name != name:
            raise ValueError(f"{source}: its name is {name}, and its cell {task.hparams['cell']}")
        task.network.load_state_dict(dict(weights))
        return task.eval()

    def _save_pretrained(self, save_directory: Path) -> None:
        bundle.write(save_directory, self.model_name, self.hparams, self.network.state_dict(), self.about)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> Self:
        names = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        download = {name: options.pop(name) for name in names}
        folder = Path(model_id) if Path(model_id).is_dir() else bundle.download(model_id, **download)
        return cls.from_bundle(folder, bundle.read_config(folder), **options)

    # -- use

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode; what was before comes back afterwards."""
        if "network" not in self._modules:
            raise ValueError(f"this {self.model_name} has no network yet: train it, or give it {self.requires[0][0]}")
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training

    # -- steps

    def on_fit_start(self) -> None:
        """Training mode, also of a model that was loaded; what its card said is true no longer."""
        self.train()
        self.about = {}

    def metric(self, stage: Stage, name: str) -> Any:
        """One of a stage's metrics."""
        return self.metrics[f"{stage}_metrics"][name]  # type: ignore[index]

    def higher_is_better(self, name: str) -> bool:
        """Whether more is better of a metric, named as in the logs: `val/accuracy`."""
        stage, _, metric = name.partition("/")
        metrics = self.metrics[f"{stage}_metrics"]
        return metric in metrics and bool(metrics[metric].higher_is_better)  # type: ignore[operator, index]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The mean loss over the real items of all ranks."""
        loss = self._shared_step(batch, "train")
        mean = loss.total / loss.items.clamp(min=1)
        self.log("train/loss_step", mean.detach(), prog_bar=True, batch_size=1)
        if self.trainer.world_size == 1:
            return mean
        # DDP averages gradients over ranks; ranks may hold different numbers of real items.
        everywhere = self.trainer.strategy.reduce(loss.items.float(), reduce_op="sum")
        return loss.total * self.trainer.world_size / everywhere

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Updates the validation metrics."""
        self._shared_step(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Updates the test metrics."""
        self._shared_step(batch, "test")

    def _shared_step(self, batch: Any, stage: Stage) -> Loss:
        loss = self.score(batch, stage)
        self.metric(stage, "loss").update(loss.total.detach(), loss.items)
        for name, metric in self.metrics[f"{stage}_metrics"].items():  # type: ignore[operator, union-attr]
            if not name.startswith("_"):
                shown = name in self.shown
                self.log(f"{stage}/{name}", metric, on_step=False, on_epoch=True, prog_bar=shown, batch_size=1)
        return loss

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam with `lr`; the command line's `optimizer` and `lr_scheduler` replace it."""
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])

    def recurrent_arguments(self) -> dict[str, Any]:
        """The hyperparameters that every network takes."""
        names = ("hidden_size", "num_layers", "cell", "dropout", "head_dropout", "init")
        return {name: self.hparams[name] for name in names}


def is_sampling_epoch(epoch: int) -> bool:
    """Whether to keep samples after an epoch, counted from 1: 1, 2, 4, 8, ..."""
    return epoch & (epoch - 1) == 0


def _check_shapes(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], source: str) -> None:
    for name in sorted(expected.keys() | found.keys()):
        shapes = [tuple(side[name].shape) if name in side else None for side in (expected, found)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{source}: its weights don't fit its arguments: {name} is {shapes[1]}, expected {shapes[0]}"
            )


def _brief(value: Any) -> str:
    return describe(value) if isinstance(value, list) else repr(value)
