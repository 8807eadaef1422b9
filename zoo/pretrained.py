"""The registry of models, and where their weights come from.

Names are `<task>_<cell>`, as `char_lm_lstm`, for a model to be trained, and `<task>_<cell>.<data>`,
as `char_lm_lstm.alice`, for one with weights.
"""

import json
import re
import shutil
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar, cast

from zoo import bundle
from zoo.checkpoints import read as read_checkpoint
from zoo.limits import check_local
from zoo.messages import arguments_of, nearest
from zoo.nn import CELLS
from zoo.tasks import TASKS, Task

Factory = Callable[..., Task]
F = TypeVar("F", bound=Factory)
MODELS: dict[str, Factory] = {}
TASK_OF: dict[str, type[Task]] = {}  # of the models that are a task with a cell, and so stand in bundles


# -- the registry


def register_model(model: F) -> F:
    """Makes a model known by its name; a decorator.

    Args:
        model: A function that takes a task's arguments by keyword and returns the task: its name is
            the model's. Or a subclass of `Task`: its names are `<model_prefix>_<cell>`, one for
            each cell.

    Raises:
        ValueError: If there is a model of this name.

    Example:
        >>> @register_model
        ... def char_lm_tiny(**arguments):
        ...     return create("char_lm_gru", **{"hidden_size": 16, **arguments})
        >>> create("char_lm_tiny", vocab=["a", "b"]).hparams["hidden_size"]
        16
    """
    if isinstance(model, type) and issubclass(model, Task):
        for cell in CELLS:
            _register(f"{model.model_prefix}_{cell}", _with_cell(model, cell))
            TASK_OF[f"{model.model_prefix}_{cell}"] = model
    else:
        _register(model.__name__, cast(Factory, model))
    return model


def _register(name: str, factory: Factory) -> None:
    if name in MODELS:
        raise ValueError(f"register_model: there is a model {name!r} already")
    MODELS[name] = factory


def _with_cell(task: type[Task], cell: str) -> Factory:
    def build(**arguments: Any) -> Task:
        known = arguments_of(f"{task.__module__}.{task.__qualname__}")
        for name in arguments.keys() - set(known):
            hint = nearest(name, known) or "."
            raise ValueError(f"{task.__name__} has no argument {name!r}{hint} It takes {', '.join(known)}")
        if arguments.get("cell", cell) != cell:
            raise ValueError(f"cell: got {arguments['cell']!r}, but {task.model_prefix}_{cell} has {cell!r}")
        return task(**{"cell": cell, **arguments})

    return build


for _task in TASKS:
    register_model(_task)


def list_models(pattern: str = "*", pretrained: bool = False) -> list[str]:
    """The names of models, in alphabetical order.

    Args:
        pattern: As of file names: `char_lm*`.
        pretrained: Those that come with weights, for `load`; else those to be trained, for `create`.

    Example:
        >>> list_models("regressor*")
        ['regressor_gru', 'regressor_lstm', 'regressor_rnn', 'regressor_rnn_relu']
    """
    names = bundle.shipped() if pretrained else MODELS
    return sorted(name for name in names if fnmatchcase(name, pattern))


def create(name: str, **arguments: Any) -> Task:
    """A model to be trained.

    Args:
        name: Its name, as `char_lm_lstm`.
        **arguments: Of its task. What is left out of vocabulary, classes or scale, it asks its data.

    Returns:
        The task. Its network is there if all facts are given; else it is built when training starts.

    Raises:
        ValueError: If the name or an argument is unknown, with the nearest one.
    """
    if name not in MODELS:
        hint = "; it has weights, for load." if name in bundle.shipped() else nearest(name, MODELS) or "."
        raise ValueError(f"unknown model {name!r}{hint} There are {', '.join(MODELS)}")
    task = MODELS[name](**arguments)
    if all(any(task.hparams[fact] is not None for fact in group) for group in task.requires):
        task.configure_model()
    return task


# -- loading


def load(source: str | Path, revision: str | None = None) -> Task:
    """A model with its weights, in evaluation mode.

    Args:
        source: One of `list_models(pretrained=True)`, which needs no network; a bundle's folder; a
            run's folder, of which it takes the best checkpoint; a Lightning checkpoint of a task;
            or a repository of the Hugging Face Hub, `user/name` (with `HF_HUB_OFFLINE`, from its
            cache).
        revision: Of the Hub's repository: a branch, a tag or a commit.

    Returns:
        The task: `generate`, `classify`, `complete`, `translate` and `predict_values` take plain values.

    Raises:
        ValueError: If the source is unknown, with the nearest name, or damaged, or if it holds
            anything but plain values and weights.
        OSError: If the Hub can't be reached.

    Example:
        >>> import zoo
        >>> zoo.load("regressor_lstm.three_steps").takes
        'sequences of 3 steps'
    """
    name = str(source)
    if name in bundle.shipped():
        return _load_bundle(bundle.find_shipped(name))
    check_local(name)
    path = _best_of(Path(source).expanduser())
    if path.is_dir() and name:
        return _load_bundle(path)
    if path.is_file():
        return load_checkpoint(path)
    if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) and path.suffix != ".ckpt":
        return _load_bundle(bundle.download(name, revision=revision))
    if "/" in name or path.suffix == ".ckpt":
        raise ValueError(f"{name}: there is no such file")
    if name in MODELS:
        known = list_models(f"{name}.*", pretrained=True)
        hint = f"; with weights there are {', '.join(known)}" if known else ""
        raise ValueError(f"{name}: this model has no weights{hint}")
    return _load_bundle(bundle.find_shipped(name))


def _best_of(path: Path) -> Path:
    """The best checkpoint where a path is a run's folder; else the path itself."""
    best = path / "checkpoints" / "best.ckpt"
    return best if best.is_file() else path


def load_checkpoint(path: str | Path) -> Task:
    """The model of a Lightning checkpoint, in evaluation mode.

    Raises:
        ValueError: If it is missing or damaged, if it holds anything but plain values and tensors,
            or if it is of no known model.
    """
    checkpoint = read_checkpoint(path)
    name = checkpoint.get("model_name")
    if not isinstance(name, str):
        raise ValueError(f"{path}: it names no model; was it written by a task of zoo?")
    tensors = {
        key.removeprefix("network."): t for key, t in checkpoint["state_dict"].items() if key.startswith("network.")
    }
    return _task_of(name, str(path)).from_parts(name, checkpoint.get("hyper_parameters", {}), tensors, str(path))


def _load_bundle(folder: Path) -> Task:
    config = bundle.read_config(folder)
    return _task_of(config["name"], str(folder)).from_bundle(folder, config)


def _task_of(name: str, source: str) -> type[Task]:
    if name not in TASK_OF:
        raise ValueError(f"{source}: it is a {name!r}, which is no known model{nearest(name, TASK_OF)}")
    return TASK_OF[name]


# -- saving


def export(source: str | Path, folder: Path, half: bool = False) -> bundle.Config:
    """Turns any source of `load` into a bundle. One that is a bundle already is copied.

    What the run folder around a checkpoint knows (data, config, metrics) goes into the card.

    Args:
        source: See `load`.
        folder: Where to.
        half: Whether to store the weights in half precision.

    Returns:
        The bundle's config.

    Raises:
        ValueError: See `load`.
    """
    task = load(source)
    given = bundle.SHIPPED / source if str(source) in bundle.shipped() else _best_of(Path(source).expanduser())
    if (given / bundle.CONFIG).is_file() and not half:
        folder.mkdir(parents=True, exist_ok=True)
        for file in bundle.FILES:
            shutil.copy(given / file, folder / file)
        return bundle.read_config(folder)
    if given.is_file():
        task.about = _about_run(given.resolve(), task.monitor[0])
    weights = {name: w.half() if half else w for name, w in task.network.state_dict().items()}
    if half:
        task.about.pop("metrics", None)  # they are of the weights before
    bundle.write(folder, task.model_name, task.hparams, weights, task.about)
    return bundle.read_config(folder)


def _about_run(checkpoint: Path, monitor: str) -> dict[str, Any]:
    """What a run's folder tells of a checkpoint, for the card; nothing if it is not in one."""
    try:
        summary = json.loads((checkpoint.parent.parent / "summary.json").read_text(encoding="utf-8"))
        known = {name: value["best"] for name, value in summary["metrics"].items() if value["best"] is not None}
        data = summary["data"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    tested = {name: value for name, value in known.items() if name.startswith("test/")}
    metrics = tested or {name: value for name, value in known.items() if name == monitor}
    if checkpoint.name != "best.ckpt":
        metrics = {}
    about = {"data": data, "metrics": {name: round(value, 4) for name, value in metrics.items()}}
    config = read_checkpoint(checkpoint).get("config")
    return {**about, "config_yaml": config} if isinstance(config, str) else about
