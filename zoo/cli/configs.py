"""Finding a command's config: a file, a packaged config, the config of a run, or that of a checkpoint."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml

import zoo
from zoo.checks import nearest
from zoo.cli.arguments import Command, Parser
from zoo.cli.errors import UsageError
from zoo.files import bundle
from zoo.files.limits import MAX_CONFIG_BYTES, check_yaml
from zoo.runs.history import CONFIG_FILE

MAX_NAME = 256  # characters; a longer text is not a path
OF_ONE_SOURCE = ("start_marker", "end_marker")  # options of data that do not fit data of another class


class Arranged(NamedTuple):
    """A training command, prepared for LightningCLI."""

    argv: list[str]
    configs: list[str]  # as given in the command
    checkpoint: dict[str, Any] | None  # the checkpoint of the command, if it was read for its config


def arrange(command: Command) -> Arranged:
    """Moves the configs to the front of a command, so that options override them in any order.

    A packaged config can be given by its name. If validate, test or predict is called without a
    config, the config that the model was trained with is used; if its configs have no model or no
    data, that part of it.

    Raises:
        UsageError: If a config is not found, if a checkpoint can't be read, or if nothing says which data to use.
    """
    parser = Parser(command.name, add_help=False)
    parser.add_argument("-c", "--config", action="append", default=[])
    parser.add_argument("--ckpt_path")
    parser.add_argument("--run_dir")
    given, rest = parser.parse_known_args(command.argv)
    for name in ("ckpt_path", "run_dir"):
        if (value := getattr(given, name)) is not None:
            rest += [f"--{name}", value]
    files = [find_config(name) for name in given.config]
    found = None
    asks = {"-h", "--help", "--print_config"} & set(rest)
    if not files and command.name == "fit" and "--resume" in rest and given.run_dir is not None:
        path = Path(given.run_dir) / CONFIG_FILE
        files = [str(path)] if path.is_file() else []
        if not files and not asks and not any(word.startswith("--model") for word in rest):
            raise UsageError(f"--run_dir: there is no run in {given.run_dir}; to start one, give --config")
    if command.name != "fit" and given.ckpt_path is not None and not asks:
        added, found = _missing(given.ckpt_path, files, command.argv)
        files = [*added, *files]
    options = [word for file in files for word in ("--config", file)]
    return Arranged([command.name, *options, *rest], given.config, found)


def _missing(source: str, files: list[str], argv: list[str]) -> tuple[list[str], dict[str, Any] | None]:
    """Returns what the configs of a command lack, from the config of its model; and its checkpoint, if that was read.

    Raises:
        UsageError: If nothing says which data to use.
    """
    named = _keys_of(files)
    if {"model", "data"} <= named:
        return [], None
    config, found = config_of(source)
    own = read_config(config) if config is not None else {}
    classes = {key: _value_of(f"--{key}", argv) for key in ("model", "data")}
    if not files and config is not None and classes["data"] is None:
        return [config], found
    parts = {key: own[key] for key in (own if not files else ("model", "data")) if key in own and key not in named}
    if "model" not in {*parts, *named} and classes["model"] is None:
        parts["model"] = {"class_path": _task_of(source, found)}
    if "data" not in {*parts, *named} and classes["data"] is None:
        raise UsageError(f"--ckpt_path: {source} has no config; give its data with --data, or a config with data")
    if classes["data"] is not None and "data" in parts and not _same_class(classes["data"], parts["data"]):
        for name in OF_ONE_SOURCE:
            (parts["data"].get("init_args") or {}).pop(name, None)
    return ["# of the model\n" + yaml.safe_dump(parts, sort_keys=False)], found


def _same_class(name: str, section: Mapping[str, Any]) -> bool:
    return name.rpartition(".")[2] == str(section.get("class_path")).rpartition(".")[2]


def _task_of(source: str, found: Mapping[str, Any] | None) -> str:
    """Returns the import path of the task that trains a model."""
    from zoo import hub
    from zoo.tasks import Task

    name = str(found["model_name"]) if found and "model_name" in found else hub.load(source).model_name
    tasks = (task for task in Task.__subclasses__() if name.startswith(f"{task.model_class.task_name}_"))
    task = next(tasks, None)
    if task is None:
        raise UsageError(f"--ckpt_path: {source}: no task trains a {name}; give one with --model")
    return f"{task.__module__}.{task.__qualname__}"


def _value_of(option: str, argv: list[str]) -> str | None:
    """Returns the value of an option in a command. None if it is not given."""
    for word, after in zip(argv, [*argv[1:], ""], strict=True):
        if word == option or word.startswith(f"{option}="):
            return word.partition("=")[2] or after
    return None


def _keys_of(files: list[str]) -> set[str]:
    """Returns the keys at the top of some configs. Configs that can't be read have none: the parser reports them."""
    found: set[str] = set()
    for name in files:
        with suppress(OSError, UnicodeError, yaml.YAMLError):
            content = read_config(name)
            found |= content.keys() if isinstance(content, dict) else set()
    return found


def read_config(config: str) -> Any:
    """Returns the content of a config: a path, or text of several lines."""
    text = config if "\n" in config else Path(config).read_text(encoding="utf-8")
    check_yaml(text)
    return yaml.safe_load(text)


def config_of(source: str) -> tuple[str | None, dict[str, Any] | None]:
    """Returns the config that a model was trained with.

    Args:
        source: A checkpoint, the folder of a run or bundle, or the name of a trained model in the package.

    Returns:
        The config's text or path, or None if it has none; and the checkpoint if the source is one.

    Raises:
        UsageError: If the checkpoint can't be read.
    """
    from zoo.files import checkpoint  # imports torch

    try:
        if source in bundle.shipped():
            return find_config(bundle.read_config(bundle.find_shipped(source))["about"]["config"]), None
        if (Path(source) / CONFIG_FILE).is_file():
            return find_config(str(Path(source) / CONFIG_FILE)), None
        if not Path(source).is_dir():
            if "/" not in source and Path(source).suffix != ".ckpt" and not Path(source).exists():
                bundle.find_shipped(source)  # the error suggests the most similar name
            found = checkpoint.read(source)
            config = found.get("config")
            # the added line marks it as text, not a path
            return f"# of {source!r}\n{config}" if isinstance(config, str) else None, found
    except ValueError as error:
        raise UsageError(str(error)) from error
    return None, None


def packaged_configs() -> dict[str, Path]:
    """Returns the configs of the package, by name. In a checkout, they are in a folder next to it."""
    package = Path(zoo.__file__).parent
    folder = package / "configs" if (package / "configs").is_dir() else package.parent / "configs"
    return {path.stem: path for path in folder.glob("*.yaml")}


def find_config(name: str) -> str:
    """Returns the path of a config: a file, or a packaged config of this name.

    Raises:
        UsageError: If neither is found, or if the file is too large.
    """
    known = packaged_configs()
    if name in known and not Path(name).is_file():
        return str(known[name])
    if "\n" in name:
        return name
    if len(name) < MAX_NAME and Path(name).exists():
        if Path(name).stat().st_size > MAX_CONFIG_BYTES:
            raise UsageError(f"{name}: got {Path(name).stat().st_size} bytes, expected at most {MAX_CONFIG_BYTES}")
        return name
    hint = nearest(Path(name).stem, known)
    raise UsageError(f"{name}: file not found, and there is no packaged config of this name{hint}")
