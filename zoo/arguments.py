"""A command line before LightningCLI sees it: where configs come from, and in which order they stand."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import zoo
from zoo import bundle
from zoo.limits import MAX_CONFIG_BYTES
from zoo.messages import UsageError, nearest
from zoo.pretrained import read_checkpoint

CONFIG_OPTIONS = ("--config", "-c")
MAX_NAME = 256  # characters of a path, beyond which it is none


def arrange(argv: list[str]) -> list[str]:
    """Brings the config to the front of a command, so that options override it wherever they stand.

    A packaged config may be named without its path and ending. Where validate, test or predict
    names only a checkpoint or a model, the config that it was trained with is taken.

    Raises:
        UsageError: If a config is not there, or if a checkpoint can't be read, or holds no config.
    """
    command, options = argv[0], argv[1:]
    files: list[str] = []
    others: list[str] = []
    while options:
        option = options.pop(0)
        name, _, value = option.partition("=")
        if name not in CONFIG_OPTIONS:
            others.append(option)
        elif value or options:
            files += ["--config", find_config(value or options.pop(0))]
        else:
            files.append(option)
    if not files and command == "fit" and "--resume" in others and (folders := values_of(others, "--run_dir")):
        config = Path(folders[-1]) / "config.yaml"
        return [command, *(["--config", str(config)] if config.is_file() else []), *others]
    paths = values_of(others, "--ckpt_path")
    if files or not paths or command == "fit" or {"-h", "--help", "--print_config"} & set(others):
        return [command, *files, *others]
    try:
        config = config_of(paths[-1])
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not isinstance(config, str):
        raise UsageError(f"--ckpt_path: {paths[-1]} holds no config; name one with --config")
    return [command, "--config", config, *others]


def config_of(source: str) -> Any:
    """The config that a checkpoint holds, as text, or the path of the one that a shipped model was trained with."""
    if source in bundle.shipped():
        return find_config(bundle.read_config(bundle.find_shipped(source))["about"]["config"])
    if Path(source).is_dir():
        return None
    if "/" not in source and Path(source).suffix != ".ckpt" and not Path(source).exists():
        bundle.find_shipped(source)  # says which name is the nearest
    config = read_checkpoint(source).get("config")
    return None if config is None else f"# of {source!r}\n{config}"  # the line makes it text, whatever it says


def packaged_configs() -> dict[str, Path]:
    """The configs that come with the package, by their names; in a checkout they lie beside it."""
    package = Path(zoo.__file__).parent
    folder = package / "configs" if (package / "configs").is_dir() else package.parent / "configs"
    return {path.stem: path for path in folder.glob("*.yaml")}


def find_config(name: str) -> str:
    """The path of a config: of a file, or else of a packaged config of this name.

    Raises:
        UsageError: If there is neither, or if it is too large for a config.
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
    raise UsageError(f"{name}: there is no such file, and no packaged config of this name{hint}")


def values_of(argv: list[str], *names: str) -> list[str]:
    """The values that a command gives an option, as `--name value` or `--name=value`."""
    following = [value for name, value in pairwise(argv) if name in names]
    return following + [arg.split("=", 1)[1] for arg in argv if arg.startswith(tuple(f"{name}=" for name in names))]
