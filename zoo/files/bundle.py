"""Bundles: models as folders that load without pickle, and the ones in the package.

A bundle holds `config.json` (what the model is), `model.safetensors` (its weights) and `README.md`
(its card). Only reading and writing weights imports torch.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zoo
from zoo.checks import brief, nearest
from zoo.files.card import card
from zoo.files.limits import check_size

if TYPE_CHECKING:
    from torch import Tensor

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
FILES = (WEIGHTS, CONFIG, CARD)
FORMAT_VERSION = 2
RUN_BY = {"onnx": "zoo.runtime.load", "torch": "torch.export.load"}  # formats of `zoo.graphs`, which are no bundles
OF_TRAINING = ("lr", "teacher_forcing", "teacher_forcing_schedule", "teacher_forcing_end", "teacher_forcing_epochs")
MAX_CONFIG_BYTES = 2**22  # a vocabulary may be long
MAX_WEIGHTS_BYTES = 2**36
MAX_INTEGER = 2**63
SHIPPED = Path(zoo.__file__).parent / "hub" / "weights"
INDEX = SHIPPED / "index.json"  # name -> SHA-256 of its config.json, which holds that of its weights
Config = dict[str, Any]


# -- shipped bundles


def shipped() -> dict[str, str]:
    """Returns the names of the bundles in the package, and the SHA-256 of each one's `config.json`."""
    return dict(json.loads(INDEX.read_text())) if INDEX.exists() else {}


def find_shipped(name: str) -> Path:
    """Returns the folder of a bundle in the package, after checking its `config.json`.

    Raises:
        ValueError: If no bundle has this name (the message suggests the most similar one), or if
            its config was changed.
    """
    known = shipped()
    if name not in known:
        raise ValueError(f"unknown model {name!r}{nearest(name, known) or '.'} Known models: {', '.join(known)}")
    path = SHIPPED / name / CONFIG
    found = sha256(path.read_bytes()) if path.is_file() else "missing"
    if found != known[name]:
        raise ValueError(f"{path}: damaged file: SHA-256 is {found[:12]}..., expected {known[name][:12]}...")
    return SHIPPED / name


# -- reading


def download(repository: str, **options: Any) -> Path:
    """Downloads a bundle from the Hugging Face Hub, and returns its folder in the Hub's cache.

    Args:
        repository: Its name, `user/name`.
        **options: Options of `huggingface_hub.snapshot_download`, for example `revision`.

    Raises:
        ValueError: If this is not a valid repository name.
        OSError: If the download fails.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(repository, allow_patterns=list(FILES), **options))
    except HFValidationError as error:
        raise ValueError(f"{repository}: {error}") from error
    except OSError as error:  # the Hub's own errors are a kind of OSError
        reason = str(error).strip().splitlines()[0]
        raise OSError(
            f"{repository}: file not found, and the download from the Hugging Face Hub failed: {reason}"
        ) from error


def read_config(folder: Path) -> Config:
    """Reads and checks a bundle's `config.json`.

    Returns:
        Its keys: `format_version`; `name`, in the registry; `arguments`, the fields of the model's config
        record, plain values; `sha256`, of the weights; `parameters`, how many there are; `about`, plain
        values for the card.

    Raises:
        ValueError: If it is missing, damaged, of a newer format, or holds anything but plain values.
    """
    path = folder / CONFIG
    try:
        check_size(path, MAX_CONFIG_BYTES, "a config")
        config = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise ValueError(f"{folder}: not a bundle: {CONFIG} not found") from None
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: can't be read as JSON: {error}") from error
    if not isinstance(config, dict) or type(config.get("format_version")) is not int:
        raise ValueError(f"{path}: not the config of a bundle: it has no format_version")
    runner = RUN_BY.get(str(config.get("format")))
    if runner is not None:
        raise ValueError(f"{folder}: exported graphs, and no bundle; {runner} runs them")
    if config["format_version"] > FORMAT_VERSION:
        raise ValueError(
            f"{path}: format_version is {config['format_version']}, but zoo {zoo.__version__} reads only versions "
            f"up to {FORMAT_VERSION}; install a newer zoo"
        )
    kinds = {"name": str, "arguments": dict, "sha256": str, "parameters": int, "dtype": str, "about": dict}
    _check_kinds(config, kinds, str(path))
    about = config["about"]
    _check_kinds(about, {key: dict if key in ("metrics", "data") else str for key in about}, f"{path}: about")
    check_plain(config["arguments"], str(path))
    if config["format_version"] == 1:  # it also held the arguments of training
        for name in OF_TRAINING:
            config["arguments"].pop(name, None)
        config["format_version"] = FORMAT_VERSION
    return config


def read_weights(folder: Path, config: Config) -> "dict[str, Tensor]":
    """Reads a bundle's tensors, after checking their SHA-256.

    Raises:
        ValueError: If they are missing, damaged, or do not belong to this config.
    """
    import safetensors.torch
    from safetensors import SafetensorError

    path = folder / WEIGHTS
    try:
        check_size(path, MAX_WEIGHTS_BYTES, "weights")
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: can't be read: {error.strerror}") from error
    if (found := sha256(data)) != config["sha256"]:
        raise ValueError(f"{path}: damaged file: SHA-256 is {found[:12]}..., expected {config['sha256'][:12]}...")
    try:
        return safetensors.torch.load(data)
    except SafetensorError as error:
        raise ValueError(f"{path}: can't be read as safetensors: {error}") from error


def check_plain(arguments: Mapping[str, Any], where: str) -> None:
    """Raises ValueError unless all values are plain.

    They are numbers, strings, booleans, None, lists of strings or of numbers; and for `cell`, a dict of these.

    Config records and the constructors of tasks take no other values. So no value can name code to import.
    """
    for name, value in arguments.items():
        if not isinstance(name, str) or not re.fullmatch(r"[a-z]\w*", name):
            raise ValueError(f"{where}: {brief(name)} is not a valid argument name")
        plain = value is None or type(value) in (str, int, float, bool)
        if type(value) is int and abs(value) >= MAX_INTEGER:
            raise ValueError(f"{where}: {name}: got a number of {value.bit_length()} bits, expected at most 63")
        if not plain and not _is_plain_list(value) and not (name == "cell" and _is_plain_dict(value)):
            raise ValueError(f"{where}: {name}: got {brief(value)}, expected a plain value")


def _is_plain_list(value: Any) -> bool:
    kinds = {type(item) for item in value} if type(value) is list else {None}
    return kinds <= {str} or kinds <= {int, float}


def _is_plain_dict(value: Any) -> bool:
    if type(value) is not dict:
        return False
    return all(type(key) is str and type(item) in (str, int, float, bool) for key, item in value.items())


def _check_kinds(values: Config, kinds: Mapping[str, type], where: str) -> None:
    for key, kind in kinds.items():
        if not isinstance(values.get(key), kind):
            raise ValueError(f"{where}: {key}: got {brief(values.get(key))}, expected {kind.__name__}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


# -- writing


def write(
    folder: Path, name: str, arguments: Mapping[str, Any], tensors: "Mapping[str, Tensor]", about: Config
) -> None:
    """Writes a bundle. All files are written to a temporary folder first, and then moved.

    Args:
        folder: The folder to write. Files of an existing bundle are replaced.
        name: The model's name in the registry.
        arguments: The fields of its config record, plain values.
        tensors: Its weights, by their names.
        about: Plain values for the card, see `zoo.files.card`.
    """
    import safetensors.torch

    check_plain(arguments, name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        weights = {key: tensor.detach().cpu().clone().contiguous() for key, tensor in tensors.items()}  # tied ones, too
        data = safetensors.torch.save(weights)
        (temporary / WEIGHTS).write_bytes(data)
        config = {
            "format_version": FORMAT_VERSION,
            "name": name,
            "arguments": dict(arguments),
            "parameters": sum(tensor.numel() for tensor in weights.values()),
            "dtype": "/".join(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in weights.values()})),
            "sha256": sha256(data),
            "about": about,
        }
        for file, text in describe(config).items():
            (temporary / file).write_text(text, encoding="utf-8")
        folder.mkdir(exist_ok=True)
        for file in FILES:
            os.replace(temporary / file, folder / file)
    finally:
        shutil.rmtree(temporary)


def describe(config: Config) -> dict[str, str]:
    """Returns the texts of a bundle's `config.json` and of its card."""
    return {CONFIG: json.dumps(config, indent=1, ensure_ascii=False, allow_nan=False) + "\n", CARD: card(config)}


def sha256(data: bytes) -> str:
    """Returns the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
