"""Loading models: by name, from bundles, runs and checkpoints, and from the Hugging Face Hub."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from zoo.files import bundle, checkpoint, run
from zoo.files.limits import check_local
from zoo.hub.registry import find_class, list_models, names
from zoo.models import Model

log = logging.getLogger(__name__)

IN_TASK = "model.network."  # the prefix of a tensor's name in a task's checkpoint


def load(source: str | Path, revision: str | None = None) -> Model:
    """Loads a model with its weights, in evaluation mode.

    Args:
        source: A name from `list_models(pretrained=True)`, which needs no network; the folder of a
            bundle; the folder of a run (its best checkpoint, else its last one; the choice is logged); a Lightning
            checkpoint of a task; or a repository on the Hugging Face Hub, `user/name` (with
            `HF_HUB_OFFLINE`, from its cache).
        revision: A branch, tag or commit of the repository on the Hub.

    Returns:
        The model, a `torch.nn.Module`. Its `generate`, `classify`, `complete`, `translate` and
        `predict_values` take plain values.

    Raises:
        ValueError: If the source is unknown (the message suggests the most similar name) or damaged,
            or if it holds anything but plain values and weights.
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
    path = Path(source).expanduser()
    if path.is_dir() and name:
        return _load_run(path) if run.is_run(path) else _load_bundle(path)
    if path.is_file():
        return load_checkpoint(path)
    if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) and path.suffix != ".ckpt":
        return _load_bundle(bundle.download(name, revision=revision))
    if "/" in name or path.suffix == ".ckpt":
        raise ValueError(f"{name}: file not found")
    if name in names():
        known = list_models(f"{name}.*", pretrained=True)
        hint = f"; trained models: {', '.join(known)}" if known else ""
        raise ValueError(f"{name}: this model has no weights{hint}")
    return _load_bundle(bundle.find_shipped(name))


def load_checkpoint(path: str | Path) -> Model:
    """Loads the model of a Lightning checkpoint, in evaluation mode.

    Raises:
        ValueError: If it is missing or damaged, holds anything but plain values and tensors, or its
            model is unknown.
    """
    found = checkpoint.read(path)
    if not isinstance(name := found.get("model_name"), str):
        raise ValueError(f"{path}: expected the checkpoint of a zoo task, but it has no model_name")
    model, _ = find_class(name, str(path))
    return model.from_parts(*parts_of(found, model, str(path)))


def parts_of(found: Mapping[str, Any], model: type[Model], source: str) -> tuple[str, Any, dict[str, Tensor], str]:
    """Returns the arguments of `Model.from_parts`: name, config values, weights, and source.

    Args:
        found: A checkpoint from `zoo.files.checkpoint.read`.
        model: The class of the model.
        source: Its path, for messages.
    """
    known = model.config_class.names()
    arguments = {name: value for name, value in found.get("hyper_parameters", {}).items() if name in known}
    tensors = found["state_dict"].items()
    weights = {name.removeprefix(IN_TASK): tensor for name, tensor in tensors if name.startswith(IN_TASK)}
    return str(found.get("model_name")), arguments, weights, source


def _load_run(folder: Path) -> Model:
    path = run.find_checkpoint(folder)
    model = load_checkpoint(path)
    log.info("using %s", path)
    return model


def _load_bundle(folder: Path) -> Model:
    config = bundle.read_config(folder)
    model, _ = find_class(config["name"], str(folder))
    return model.from_bundle(folder, config)
