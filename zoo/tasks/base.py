"""What all tasks share: facts from the data, losses over ranks, metrics, optimizer, figures."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import Metric

from zoo.checks import brief, check_positive
from zoo.files import checkpoint as checkpoints
from zoo.files.bundle import check_plain
from zoo.models import Model
from zoo.tasks import contract
from zoo.tasks.metrics import Mean
from zoo.vocab import describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Stage = Literal["train", "val", "test"]
STAGES: tuple[Stage, ...] = ("train", "val", "test")
ADAM_EPSILON = 1e-8


class Loss(NamedTuple):
    """A loss summed over real items, and how many there were; both scalars."""

    total: Tensor
    items: Tensor


class Task(L.LightningModule, ABC):
    """Trains a model: loss, metrics, optimizer and pictures around `task.model`.

    A subclass is final. It sets `model_class` and `batch_type`, and defines `score`; the rest has
    defaults. Its constructor takes flat plain values: the fields of the model's config, and what
    only training needs. It calls `super().__init__(lr)`, which saves all of them as `hparams`. What
    the data knows better (`facts`) may be None there: it comes from `trainer.datamodule.spec` in
    `setup`, and from then on is in `hparams` and in every checkpoint. So a checkpoint alone decodes.

    What is missing or of another form is an error when the class is made, or before the run begins.

    Args:
        lr: Learning rate of the default optimizer, Adam.

    Raises:
        ValueError: If lr is not above 0.
    """

    model_class: ClassVar[type[Model]]
    batch_type: ClassVar[type]  # what the data gives, see `zoo.batch`
    facts: ClassVar[tuple[str, ...]] = ()  # constructor arguments that a datamodule's spec may fill
    requires: ClassVar[tuple[tuple[str, ...], ...]]  # of each group, one must be known; by default each needed fact
    keeps: ClassVar[tuple[str, ...]] = ()  # facts that stay as they were learned, whatever other data offers
    monitor: ClassVar[tuple[str, Literal["min", "max"]]] = ("val/loss", "min")  # the metric that picks the best
    shown: ClassVar[tuple[str, ...]] = ()  # metrics on the progress bar, beside the loss
    item: ClassVar[str] = "examples"  # what `num_items` counts
    figure_name: ClassVar[str] = "figure"
    remembers: ClassVar[tuple[str, ...]] = ()  # attributes that a resumed run must have back

    model: Any  # of model_class

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        contract.check_class(cls)
        config = cls.model_class.config_class
        if "requires" not in vars(cls) and not hasattr(cls, "requires"):
            needed = (field.name for field in fields(config) if field.default is MISSING)
            cls.requires = tuple((name,) for name in needed if name in cls.facts)

    def __init__(self, lr: float = 1e-3) -> None:
        super().__init__()
        check_positive(lr=lr)
        self.save_hyperparameters()  # Lightning finds those of the subclass's constructor, too
        self.hparams["lr"] = lr
        # Called with this task once its model is there, before the optimizer is: for weights from elsewhere.
        self.prepare: Callable[[Any], object] | None = None
        self._bound_to: object = None
        self._accumulated: tuple[Tensor, Tensor] | None = None

    @classmethod
    def from_model(cls, model: Model, **training: Any) -> Self:
        """Gives the task that trains a model further, for example one from `zoo.load`.

        `Task.from_model` finds the task by the model's class, and `Seq2Seq.from_model` takes a `Seq2SeqModel` only.

        Args:
            model: It is trained in place.
            **training: Arguments of the constructor that only training needs, for example `lr`.

        Raises:
            ValueError: If the model is of another task, or an argument would change the model.
        """
        if cls is Task:
            fitting = (task for task in cls.__subclasses__() if isinstance(model, task.model_class))
            if (found := next(fitting, None)) is None:
                raise ValueError(f"no task trains a {type(model).__name__}")
            return found.from_model(model, **training)
        config = _config_of(cls, model)
        if fixed := config.keys() & training.keys():
            raise ValueError(f"{', '.join(sorted(fixed))}: the model has a value for this; leave it out")
        taken = inspect.signature(cls).parameters
        task = cls(**{name: value for name, value in config.items() if name in taken}, **training)
        task.adopt(model)
        task.configure_model()
        return task

    # -- what a subclass defines

    @abstractmethod
    def score(self, batch: Any, stage: Stage) -> Loss:
        """Runs the model on a batch, updates the stage's metrics, and returns the loss."""

    def build_metrics(self, stage: Stage) -> dict[str, Metric]:
        """Gives the stage's metrics beside the loss, by name. A name that begins with `_` is not logged."""
        return {}

    @staticmethod
    def num_items(batch: Any) -> int:
        """Counts the items of a batch, from its shapes. By default, its rows."""
        return len(batch[0])

    def figure(self) -> "Figure | None":
        """Draws what the model has learned, from the last epoch. None if there is no picture."""
        return None

    # -- facts

    def bind(self, spec: Mapping[str, Any], source: str) -> None:
        """Takes the facts that are still None from a datamodule's spec.

        Args:
            spec: The datamodule's facts, plain values. Facts that the task does not know are ignored.
            source: Its name, for messages.

        Raises:
            ValueError: If both sides know a fact and they differ, if a needed one is unknown to both, or
                if one is no plain value.
            TypeError: If the spec is no mapping.
        """
        name = type(self).__name__
        if not isinstance(spec, Mapping):
            raise TypeError(f"{source}: spec: got {brief(spec)}, expected a mapping; is it a property?")
        offers = {fact: _as_list(spec[fact]) for fact in self.facts if fact in spec}
        check_plain(offers, f"{source}: spec")
        for fact in self.facts:
            known, offered = _as_list(self.hparams.setdefault(fact, None)), offers.get(fact)
            if known is None and "model" not in self._modules:  # a model that is there has none for a reason
                self.hparams[fact] = offered
            elif None not in (known, offered) and known != offered and fact not in self.keeps:
                raise ValueError(f"{fact}: {name} has {_brief(known)}, and {source} has {_brief(offered)}")
        self._check_facts(source, spec)

    def _check_facts(self, source: str, spec: Iterable[str] = ()) -> None:
        name = type(self).__name__
        for group in self.requires:
            if all(self.hparams.get(fact) is None for fact in group):
                wanted = " or ".join(group)
                offers = f"offers {', '.join(spec)}" if spec else "offers no facts"
                raise ValueError(
                    f"{name} does not fit {source}: it needs {wanted}, and {source} {offers}; "
                    f"choose data that offers it, or pass {wanted}"
                )

    def setup(self, stage: str) -> None:
        """Asks the trainer's datamodule, if there is one, for what is unknown."""
        datamodule = getattr(self.trainer, "datamodule", None)
        if datamodule is None or datamodule is self._bound_to:
            return
        name, found = type(datamodule).__name__, getattr(datamodule, "batch_type", None)
        if found is not None and not issubclass(found, self.batch_type):
            raise ValueError(f"{type(self).__name__} does not fit {name}: {self._wrong_batch(found)}")
        self.bind(getattr(datamodule, "spec", {}), name)
        self._bound_to = datamodule

    def _wrong_batch(self, found: type) -> str:
        return f"expected batches of type {self.batch_type.__name__}, got {found.__name__}"

    def configure_model(self) -> None:
        """Builds the model and the metrics, unless they are there."""
        if "model" not in self._modules:
            self._check_facts("the dataloaders")
            self.hparams.update({name: _as_list(value) for name, value in self.hparams.items()})
            contract.check_saved(self)
            names = self.model_class.config_class.names()
            values = {name: value for name, value in self.hparams.items() if name in names}
            before = torch.get_default_dtype()
            torch.set_default_dtype(torch.float32)  # weights are drawn in float32, whatever the trainer's precision
            try:
                self.model = self.model_class(self.model_class.config_class.from_dict(values))
            finally:
                torch.set_default_dtype(before)
        if "metrics" in self._modules:
            return
        metrics: dict[str, dict[str, Metric]] = {stage: self.build_metrics(stage) for stage in STAGES}
        contract.check_metrics(self, metrics)
        self.metrics = nn.ModuleDict(
            {f"{stage}_metrics": nn.ModuleDict({"loss": Mean(), **metrics[stage]}) for stage in STAGES}
        )
        if self.prepare is not None:
            self.prepare(self)

    def adopt(self, model: Model) -> None:
        """Takes a model with its weights, in place of a fresh one. `configure_model` builds the metrics around it.

        Raises:
            ValueError: If the model is of another task, or differs from this task's arguments.
        """
        self._agree_with(_config_of(type(self), model), "the model")
        self.model = model
        self._modules.pop("metrics", None)

    def _agree_with(self, config: Mapping[str, Any], source: str) -> None:
        """Takes over a model's config, and raises ValueError if one of this task's own arguments differs from it."""
        for key, value in config.items():
            mine = self.hparams.get(key)
            free = key in self.keeps or key in self.model_class.config_class.tunable
            if mine is not None and mine != value and not free:
                raise ValueError(f"{key}: {source} has {_brief(value)}, and the task has {_brief(mine)}")
            if mine is None or key in self.keeps:
                self.hparams[key] = value

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Writes the model's registry name into the checkpoint, so that the model can be loaded from it alone."""
        checkpoint["model_name"] = self.model.model_name

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses a checkpoint of another model or another vocabulary, naming what differs."""
        checkpoints.check(checkpoint, "the checkpoint")  # Lightning finds some by itself, as after a requeue
        name, given = checkpoint.get("model_name"), checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {})
        if not str(name).startswith(f"{self.model_class.task_name}_"):
            raise ValueError(f"the checkpoint: expected a {self.model_class.task_name} model, got a {name}")
        names = self.model_class.config_class.names()
        self._agree_with({key: value for key, value in given.items() if key in names}, "the checkpoint")

    # -- steps

    def forward(self, *tensors: Any) -> Any:
        """Runs the model, see its `forward`."""
        return self.model(*tensors)

    def on_fit_start(self) -> None:
        """Training mode, also for a model that was loaded. What its card said is no longer true."""
        self.train()
        self.model.about = {}

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
        ranks, accumulates = self.trainer.world_size, self.trainer.accumulate_grad_batches > 1
        if ranks == 1 and not accumulates:
            return mean
        # DDP averages gradients over ranks; ranks may hold different numbers of real items.
        items = loss.items if ranks == 1 else self.trainer.strategy.reduce(loss.items.float(), reduce_op="sum")
        items = items.clamp(min=1)
        if accumulates:  # batches count by their items, too: all are divided by the first one's, see below
            first, seen = self._accumulated or (items, torch.zeros_like(items))
            self._accumulated = first, seen + items
            items = first
        return loss.total * ranks / items

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Makes accumulated gradients those of the mean over all items, however they lie in batches."""
        if self._accumulated is None:
            return
        first, seen = self._accumulated
        self._accumulated = None
        # Lightning has divided by the number of batches; 1 where all have as many items.
        factor = first * self.trainer.accumulate_grad_batches / seen
        for group in optimizer.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.grad.mul_(factor)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Updates the validation metrics."""
        self._shared_step(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Updates the test metrics."""
        self._shared_step(batch, "test")

    def predict_step(self, batch: Any, batch_idx: int) -> list[dict[str, Any]]:
        """A row of plain values for each example of a batch: see the model's `answer`."""
        return self.model.answer(batch)

    def _shared_step(self, batch: Any, stage: Stage) -> Loss:
        if not isinstance(batch, self.batch_type):
            raise TypeError(f"{type(self).__name__}: {self._wrong_batch(type(batch))}")
        loss = self.score(batch, stage)
        if not isinstance(loss, Loss):
            raise TypeError(f"{type(self).__name__}: score: got {type(loss).__name__}, expected Loss(total, items)")
        self.metric(stage, "loss").update(loss.total.detach(), loss.items)
        for name, metric in self.metrics[f"{stage}_metrics"].items():  # type: ignore[operator, union-attr]
            if not name.startswith("_"):
                shown = name in self.shown
                self.log(f"{stage}/{name}", metric, on_step=False, on_epoch=True, prog_bar=shown, batch_size=1)
        return loss

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam with `lr`. The command line's `optimizer` and `lr_scheduler` replace it."""
        weights = list(self.parameters())
        # In float16, Adam's usual epsilon is 0, and a gradient of 0 would give NaN.
        epsilon = max([ADAM_EPSILON, *(torch.finfo(weight.dtype).smallest_normal for weight in weights)])
        return torch.optim.Adam(weights, lr=self.hparams["lr"], eps=epsilon)


def _config_of(task: type[Task], model: Model) -> dict[str, Any]:
    """A model's config as plain values. Raises ValueError if the model is not one that the task trains."""
    if not isinstance(model, task.model_class):
        raise ValueError(f"{task.__name__}: expected a {task.model_class.__name__}, got a {type(model).__name__}")
    return model.config.as_dict()


def is_sampling_epoch(epoch: int) -> bool:
    """Whether to keep samples after an epoch, counted from 1: 1, 2, 4, 8, ..."""
    return epoch & (epoch - 1) == 0


def _as_list(value: Any) -> Any:
    """A sequence as a list, as JSON and checkpoints hold it. Any other value as it is."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _brief(value: Any) -> str:
    return describe(value) if isinstance(value, list) else repr(value)
