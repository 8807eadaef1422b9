"""The base class of all tasks: facts from the data, losses over ranks, metrics, optimizer, figures."""

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
from zoo.tasks.history import History
from zoo.tasks.metrics import Mean, leave_inference_mode
from zoo.vocab import describe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Stage = Literal["train", "val", "test"]
"""A part of a run, as in the names of metrics."""
STAGES: tuple[Stage, ...] = ("train", "val", "test")
ADAM_EPSILON = 1e-8


class Loss(NamedTuple):
    """The sum of a loss over real items, and the number of items; both scalars."""

    total: Tensor
    items: Tensor


class Task(L.LightningModule, ABC):
    """Trains a model: loss, metrics, optimizer and pictures around `task.model`.

    A subclass is final. It sets `model_class` and `batch_type`, and defines `score`; the rest has
    defaults. Its constructor takes flat plain values: the fields of the model's config, and the
    arguments of training. It calls `super().__init__(lr)`, which saves all of them as `hparams`.
    Arguments that depend on the data (`facts`) can be None. They are then taken from
    `trainer.datamodule.spec` in `setup`, and saved in `hparams` and in every checkpoint. So a
    checkpoint is enough to use the model.

    Missing or wrong attributes raise an error when the class is defined, or before the run starts.

    Args:
        lr: Learning rate of the default optimizer, Adam.

    Raises:
        ValueError: If lr is not above 0.
    """

    model_class: ClassVar[type[Model]]
    batch_type: ClassVar[type]  # the type of the batches, see `zoo.batch`
    facts: ClassVar[tuple[str, ...]] = ()  # constructor arguments that can come from a datamodule's spec
    requires: ClassVar[tuple[tuple[str, ...], ...]]  # groups, one fact of each is needed; default: the config's
    keeps: ClassVar[tuple[str, ...]] = ()  # facts of the model that stay the same when other data is used
    monitor: ClassVar[tuple[str, Literal["min", "max"]]] = ("val/loss", "min")  # the metric that selects the best
    shown: ClassVar[tuple[str, ...]] = ()  # metrics on the progress bar, in addition to the loss
    item: ClassVar[str] = "examples"  # what `num_items` counts
    figure_name: ClassVar[str] = "figure"
    remembers: ClassVar[tuple[str, ...]] = ()  # attributes to save and restore when a run is resumed

    model: Any  # of model_class
    metrics: nn.ModuleDict  # of each stage

    def __repr__(self) -> str:
        """The arguments that are not the default, and the model. The modules are in `model.network`."""
        defaults = {name: entry.default for name, entry in inspect.signature(type(self)).parameters.items()}
        given = {name: value for name, value in self.hparams.items() if name in defaults and value is not None}
        shown = {name: value for name, value in given.items() if value != defaults[name]}
        options = [f"{key}=<{len(v)}>" if isinstance(v, list) else f"{key}={brief(v)}" for key, v in shown.items()]
        built = "model" in self._modules
        return f"{type(self).__name__}({', '.join(options)})\n  " + (repr(self.model) if built else "no model yet")

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
        self.save_hyperparameters()  # includes the arguments of the subclass's constructor
        self.hparams["lr"] = lr
        # Called with this task after its model is built and before the optimizer is, to load other weights.
        self.prepare: Callable[[Any], object] | None = None
        self._bound_to: object = None
        self._accumulated: tuple[Tensor, Tensor] | None = None
        # The epoch metrics of the last training: `stage/metric` -> points (epoch, value), for `zoo.plots.curves`.
        self.history: dict[str, list[tuple[float, float]]] = {}

    @classmethod
    def from_model(cls, model: Model, **training: Any) -> Self:
        """Returns a task that continues to train a model, for example one from `zoo.load`.

        `Task.from_model` finds the task by the model's class. `Seq2Seq.from_model` takes only a `Seq2SeqModel`.

        Args:
            model: The model. It is trained in place.
            **training: Arguments of the constructor that are not in the model's config, for example `lr`.

        Raises:
            ValueError: If the model belongs to another task, or if an argument would change the model.
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
        """Returns the stage's metrics by name, without the loss. Names that begin with `_` are not logged."""
        return {}

    @staticmethod
    def num_items(batch: Any) -> int:
        """Returns the number of items of a batch, from its shapes. By default, the number of rows."""
        return len(batch[0])

    def figure(self) -> "Figure | None":
        """Draws results of the last epoch. Returns None if there is no picture."""
        return None

    def figures(self) -> dict[str, Callable[[], "Figure | None"]]:
        """The names of a run's pictures, and what draws them. By default, that of `figure`."""
        return {self.figure_name: self.figure}

    # -- facts

    @property
    def known_facts(self) -> dict[str, Any]:
        """The facts that this task knows, for example those of a loaded model. Data is encoded with them."""
        known = {fact: value for fact in self.facts if (value := _as_list(self.hparams.get(fact))) is not None}
        check_plain(known, f"{type(self).__name__}: hparams")
        return known

    def bind(self, spec: Mapping[str, Any], source: str) -> None:
        """Sets the facts that are still None from a datamodule's spec.

        Args:
            spec: The datamodule's facts, plain values. Facts that the task does not know are ignored.
            source: The datamodule's name, for messages.

        Raises:
            ValueError: If a fact differs between task and data, if neither knows a needed fact, or if a
                fact is not a plain value.
            TypeError: If the spec is not a mapping.
        """
        name = type(self).__name__
        if not isinstance(spec, Mapping):
            raise TypeError(f"{source}: spec: got {brief(spec)}, expected a mapping; is it a property?")
        offers = {fact: _as_list(spec[fact]) for fact in self.facts if fact in spec}
        check_plain(offers, f"{source}: spec")
        for fact in self.facts:
            known, offered = _as_list(self.hparams.setdefault(fact, None)), offers.get(fact)
            if known is None and "model" not in self._modules:  # an existing model has None on purpose
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

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the data and what prepares a run: a copy, for example that of averaged weights, needs neither."""
        return {**super().__getstate__(), "prepare": None, "_bound_to": None}

    def setup(self, stage: str) -> None:
        """Takes unknown facts from the trainer's datamodule, if there is one."""
        self._bind_data()

    def _bind_data(self) -> None:
        datamodule = getattr(self._trainer, "datamodule", None)
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
        """Builds the model and the metrics, unless they exist."""
        if "model" not in self._modules:
            self._bind_data()  # callbacks that average weights build the model before `setup`
            self._check_facts("the dataloaders")
            self.hparams.update({name: _as_list(value) for name, value in self.hparams.items()})
            contract.check_saved(self)
            names = self.model_class.config_class.names()
            given = ((name, value) for name, value in self.hparams.items() if name in names)
            values = {name: value for name, value in given if value is not None or name not in self.facts}
            before = torch.get_default_dtype()
            torch.set_default_dtype(torch.float32)  # initial weights are float32 for every precision of the trainer
            try:
                self.model = self.model_class(self.model_class.config_class.from_dict(values))
            finally:
                torch.set_default_dtype(before)
            built = self.model.config.as_dict()
            self.hparams.update({fact: built[fact] for fact in self.facts})
        if "metrics" in self._modules:
            leave_inference_mode(self.metrics)
            return
        metrics: dict[str, dict[str, Metric]] = {stage: self.build_metrics(stage) for stage in STAGES}
        contract.check_metrics(self, metrics)
        self.metrics = nn.ModuleDict(
            {f"{stage}_metrics": nn.ModuleDict({"loss": Mean(), **metrics[stage]}) for stage in STAGES}
        )
        if self.prepare is not None:
            self.prepare(self)

    def adopt(self, model: Model) -> None:
        """Uses a model with its weights instead of a new one. `configure_model` then builds the metrics.

        Raises:
            ValueError: If the model belongs to another task, or differs from this task's arguments.
        """
        self._agree_with(_config_of(type(self), model), "the model")
        self.model = model
        self._modules.pop("metrics", None)

    def _agree_with(self, config: Mapping[str, Any], source: str) -> None:
        """Copies a model's config. Raises ValueError if an argument of this task differs from it."""
        for key, value in config.items():
            mine = self.hparams.get(key)
            free = key in self.keeps or key in self.model_class.config_class.tunable
            if mine is not None and mine != value and not free:
                raise ValueError(f"{key}: {source} has {_brief(value)}, and the task has {_brief(mine)}")
            if mine is None or key in self.keeps:
                self.hparams[key] = value

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the model's registry name to the checkpoint, so that `zoo.load` can read it."""
        checkpoint["model_name"] = self.model.model_name

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises ValueError if a checkpoint is of another model or vocabulary. The message says what differs."""
        checkpoints.check(checkpoint, "the checkpoint")  # Lightning finds some by itself, for example after a requeue
        name, given = checkpoint.get("model_name"), checkpoint.get(self.CHECKPOINT_HYPER_PARAMS_KEY, {})
        if not str(name).startswith(f"{self.model_class.task_name}_"):
            raise ValueError(f"the checkpoint: expected a {self.model_class.task_name} model, got a {name}")
        names = self.model_class.config_class.names()
        self._agree_with({key: value for key, value in given.items() if key in names}, "the checkpoint")
        if "current_model_state" in checkpoint and self._trainer is not None and not self._trainer.training:
            # A callback that averages weights would load those of the training, and not their average.
            checkpoint["current_model_state"] = checkpoint["state_dict"]

    # -- steps

    def forward(self, *tensors: Any) -> Any:
        """Runs the model, see its `forward`."""
        return self.model(*tensors)

    def configure_callbacks(self) -> list[L.Callback]:
        """Returns the callback that writes `history`, unless the trainer has it."""
        known = getattr(self.trainer, "callbacks", ())
        return [] if any(isinstance(callback, History) for callback in known) else [History()]

    def on_fit_start(self) -> None:
        """Sets training mode, also for loaded models. Removes the model's card, which no longer applies."""
        self.train()
        self.model.about = {}

    def metric(self, stage: Stage, name: str) -> Any:
        """Returns a metric of a stage."""
        return self.metrics[f"{stage}_metrics"][name]  # type: ignore[index]

    def higher_is_better(self, name: str) -> bool:
        """Returns whether higher values of a metric are better. Its name is as in the logs: `val/accuracy`."""
        stage, _, metric = name.partition("/")
        metrics = self.metrics[f"{stage}_metrics"]
        return metric in metrics and bool(metrics[metric].higher_is_better)  # type: ignore[operator, index]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Returns the mean loss over the real items of all ranks."""
        loss = self._shared_step(batch, "train")
        mean = loss.total / loss.items.clamp(min=1)
        self.log("train/loss_step", mean.detach(), prog_bar=True, batch_size=1)
        ranks, accumulates = self.trainer.world_size, self.trainer.accumulate_grad_batches > 1
        if ranks == 1 and not accumulates:
            return mean
        # DDP averages gradients over ranks, but ranks can have different numbers of real items.
        items = loss.items if ranks == 1 else self.trainer.strategy.reduce(loss.items.float(), reduce_op="sum")
        items = items.clamp(min=1)
        if accumulates:  # divided by the first batch's items for now, see on_before_optimizer_step
            first, seen = self._accumulated or (items, torch.zeros_like(items))
            self._accumulated = first, seen + items
            items = first
        return loss.total * ranks / items

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Scales accumulated gradients to those of the mean over all items, for any sizes of the batches."""
        if self._accumulated is None:
            return
        first, seen = self._accumulated
        self._accumulated = None
        # Lightning has divided by the number of batches. The factor is 1 if all have the same number of items.
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
        """Returns a row of plain values for each example of a batch, see the model's `answer`."""
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
        """Returns Adam with `lr`. The command line's `optimizer` and `lr_scheduler` replace it."""
        weights = list(self.parameters())
        # In float16, Adam's usual epsilon is 0, and a gradient of 0 would give NaN.
        epsilon = max([ADAM_EPSILON, *(torch.finfo(weight.dtype).smallest_normal for weight in weights)])
        return torch.optim.Adam(weights, lr=self.hparams["lr"], eps=epsilon)


def _config_of(task: type[Task], model: Model) -> dict[str, Any]:
    """Returns a model's config as plain values. Raises ValueError if the task does not train this model."""
    if not isinstance(model, task.model_class):
        raise ValueError(f"{task.__name__}: expected a {task.model_class.__name__}, got a {type(model).__name__}")
    return model.config.as_dict()


def is_sampling_epoch(epoch: int) -> bool:
    """Returns whether to keep samples after an epoch, counted from 1: in epochs 1, 2, 4, 8, ..."""
    return epoch & (epoch - 1) == 0


def _as_list(value: Any) -> Any:
    """Returns a sequence as a list, as in JSON and checkpoints. Returns other values unchanged."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _brief(value: Any) -> str:
    return describe(value) if isinstance(value, list) else brief(value)
