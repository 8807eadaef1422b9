"""Reads Lightning checkpoints as tensors and plain values, and checks them before use.

No code in a checkpoint is run, and no checkpoint decides where files are read, written or deleted.
"""

import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from zoo.checks import brief
from zoo.files.bundle import check_plain
from zoo.files.limits import check_local, check_yaml

TIED = 4  # how often stored values may be used; tied weights are stored once
PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")  # in the state of a ModelCheckpoint


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a Lightning checkpoint. `check` documents what it may hold.

    Raises:
        ValueError: If it is missing or damaged, or holds anything else.
    """
    check_local(path)
    if not Path(path).is_file():
        raise ValueError(f"{path}: file not found")
    try:
        _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that torch didn't write, which are then refused
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive makes its readers raise anything
        raise ValueError(
            f"{path} can't be read as a checkpoint: it is damaged, or holds more than tensors and plain values"
        ) from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise ValueError(f"{path} is not a Lightning checkpoint: it has no state_dict")
    check(checkpoint, str(path))
    return checkpoint


def _check_archive(path: str | os.PathLike[str]) -> None:
    """Raises ValueError if a file unpacks to more than its own size: torch does not compress checkpoints."""
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > Path(path).stat().st_size:
            raise ValueError("its parts are larger than the file")


def check(checkpoint: Mapping[str, Any], where: str) -> None:
    """Checks the contents of a checkpoint.

    Args:
        checkpoint: The dictionary from `torch.load`.
        where: Its name, for messages.

    Raises:
        ValueError: If a hyperparameter is not a plain value, a weight is not a complete tensor, the
            config can't be read, or a path would lead Lightning to another place.
    """
    arguments = checkpoint.get("hyper_parameters", {})
    if not isinstance(arguments, Mapping):
        raise ValueError(f"{where}: hyper_parameters: got {brief(arguments)}, expected a dictionary of plain values")
    check_plain(arguments, where)
    _check_tensors(checkpoint.get("state_dict", {}), where)
    _check_config(checkpoint.get("config"), where)
    _check_callbacks(checkpoint.get("callbacks"), where)
    version = checkpoint.get("pytorch-lightning_version", "0")
    if not isinstance(version, str) or not re.fullmatch(r"\d{1,9}(\.\w{1,20}){0,9}", version):
        raise ValueError(f"{where}: pytorch-lightning_version: got {brief(version)}, expected a version")


def _check_tensors(tensors: Mapping[str, Any], where: str) -> None:
    used, stored = 0, {}
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor) or tensor.layout is not torch.strided:
            raise ValueError(f"{where}: state_dict: {brief(name)}: got {type(tensor).__name__}, expected a tensor")
        storage, size = tensor.untyped_storage(), tensor.numel() * tensor.element_size()
        if tensor.device.type != "meta" and size > storage.nbytes():
            raise ValueError(f"{where}: state_dict: {brief(name)}: some of its values are missing")
        used += size
        stored[storage.data_ptr()] = storage.nbytes()
    if used > TIED * sum(stored.values()):
        raise ValueError(
            f"{where}: state_dict: its tensors use {used} bytes, but only {sum(stored.values())} are stored"
        )


def _check_config(config: Any, where: str) -> None:
    if config is None:
        return
    try:
        if not isinstance(config, str):
            raise yaml.YAMLError(f"got {type(config).__name__}, expected text")
        check_yaml(config)
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: its config can't be read: {error}") from error


def _check_callbacks(states: Any, where: str) -> None:
    """Refuses paths to other places: Lightning deletes the checkpoint that a better one replaces."""
    for callback, state in states.items() if isinstance(states, Mapping) else ():
        if not isinstance(state, Mapping):
            continue
        best = state.get("best_k_models")
        for path in (*(state.get(name) for name in PATHS), *(best if isinstance(best, Mapping) else ())):
            if path is None or (isinstance(path, str) and not path):
                continue
            key = f"{where}: callbacks: {brief(callback)}"
            if not isinstance(path, str):
                raise ValueError(f"{key}: got {brief(path)}, expected a path")
            check_local(path, key)
            if ".." in Path(path).parts or not path.endswith(".ckpt"):
                raise ValueError(f"{key}: got {brief(path)}, expected the path of a checkpoint, without ..")
