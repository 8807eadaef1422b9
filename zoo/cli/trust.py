"""What a config is trusted with: which classes it may name, how large and deep it may be, and where it comes from.

A config names classes, and the command line imports and builds what it names. So it may name
classes of a few packages only, and whatever the user trusts beyond them with `--allow_import`. The
check is jsonargparse's own: each import path is looked up before it is imported, and what it led to
once more by where it was defined, so that `zoo.cli.os.system` is `os.system`.
"""

import functools
import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import isqrt
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import lightning
import yaml
from jsonargparse import ArgumentError, Namespace, set_parsing_settings

from zoo.checks import brief
from zoo.cli.arguments import ALLOW_IMPORT
from zoo.cli.errors import TRUSTED, UsageError
from zoo.files.limits import MAX_CONFIG_BYTES, check_local, check_yaml
from zoo.runs import internals

FOLDERS = ("default_root_dir", "dirpath", "save_dir", "run_dir")  # arguments that Lightning would open by any protocol
CLASS_LISTS = ("callbacks", "logger", "plugins")
PLAIN_KINDS = (list, tuple, dict, Literal, Union, UnionType)
MAX_SEED = 2**32 - 1  # NumPy's
MAX_CLASSES = 100  # in one of these lists
MAX_ITEMS = 2_000  # of any list; fewer if the items are large

allowed: list[str] = []  # what the user trusts, of the command that runs


# -- what may be named


def enforce(packages: list[str]) -> None:
    """Sets what configs may name from here on.

    Args:
        packages: Of the command's `--allow_import`: each is a package, or a module, with everything below it.

    Raises:
        UsageError: If jsonargparse does not take a package.
    """
    set_parsing_settings(
        import_path_denylist=["*", *allowed],
        import_path_allowlist=[*TRUSTED, *(f"lightning.{name}" for name in lightning.__all__ if name[0] != "_")],
        config_read_mode_fsspec_enabled=False,  # LightningCLI turns it on: a config would be read from any address
        validate_subclass_spec_in_any=True,  # a class_path is looked at wherever it stands,
        instantiate_subclass_spec_in_any=False,  # and built only where a class is asked for
    )
    allowed[:] = [package for package in packages if not _is_below(package, TRUSTED)]
    try:
        set_parsing_settings(import_path_allowlist=allowed)
    except ValueError as error:
        raise UsageError(f"{ALLOW_IMPORT}: {error}") from error
    internals.read_configs_with(ConfigLoader, _read_text)


def _is_below(path: str, packages: Iterable[str]) -> bool:
    """Whether an import path is one of some packages or modules, or below one."""
    return any(path == package or path.startswith(f"{package}.") for package in packages)


def check_options(options: Namespace) -> None:
    """Checks what parsing can't: that classes are classes, and folders folders of this machine.

    Args:
        options: A command's parsed options; nothing of them has been built. From here on they say
            that checkpoints are read with `weights_only`.

    Raises:
        UsageError: If they name a function, and of no package that the user trusts, if a folder is
            an address, if a value is null that can't be, if the seed is none, or if checkpoints
            were to be run.
    """
    if options.get("weights_only") is False:
        raise UsageError("weights_only: got false, but nothing in a checkpoint is run; leave it out")
    options["weights_only"] = True
    seed = options.get("seed_everything")
    if type(seed) is int and not 0 <= seed <= MAX_SEED:
        raise UsageError(f"seed_everything: got {seed}, expected 0 to {MAX_SEED}")
    try:
        _check_values(options, "")
    except ValueError as error:
        raise UsageError(str(error)) from error


def _check_values(values: Any, key: str) -> None:
    if isinstance(values, list | tuple):
        for value in values:
            _check_values(value, key)
    elif isinstance(values, Namespace | dict):
        items = vars(values) if isinstance(values, Namespace) else values
        path = items.get("class_path")
        if isinstance(path, str):
            _check_class(found := resolve(path), path, key)
            _check_nulls(found, items.get("init_args"), key)
        for name, value in items.items():
            inner = key if name == "init_args" else f"{key}.{name}".lstrip(".")
            if name in FOLDERS and isinstance(value, str | os.PathLike):
                check_local(value, inner)
            _check_values(value, inner)
    elif inspect.isroutine(values) or isinstance(values, functools.partial):
        named: Any = getattr(values, "func", values)
        _check_class(values, f"{named.__module__}.{named.__qualname__}", key)


def _check_class(found: Any, path: str, key: str) -> None:
    """Refuses what is no class: jsonargparse takes functions that return one, and `zoo.load` would be a model."""
    trusted = isinstance(found, type) and _is_below(found.__module__, (*TRUSTED, *allowed))
    if not trusted and not _is_below(path, allowed):
        raise ValueError(
            f"{key}: {path} is no class of {', '.join(TRUSTED)}; for a package of yours, or one that you trust: "
            f"{ALLOW_IMPORT} PACKAGE"
        )


def _check_nulls(cls: Any, arguments: Any, key: str) -> None:
    """Refuses null where an argument takes none: jsonargparse takes it for no value at all."""
    for name, value in vars(arguments).items() if isinstance(arguments, Namespace) and isinstance(cls, type) else ():
        if value is None and (kind := _kind(cls, name)) is not None and NoneType not in get_args(kind):
            raise ValueError(f"{key}.{name}: got null, expected {getattr(kind, '__name__', kind)}")


def _kind(cls: type, name: str) -> Any:
    """The plain type of a constructor's argument; None if it has another one, or null as its default."""
    for base in cls.__mro__:
        init = vars(base).get("__init__")
        parameter = inspect.signature(init).parameters.get(name) if inspect.isfunction(init) else None
        if parameter is not None and parameter.default is not None:
            kind = parameter.annotation
            return kind if kind in (int, float, str, bool) or get_origin(kind) in PLAIN_KINDS else None
        if parameter is not None:
            return None
    return None


def resolve(path: str) -> Any:
    """What an import path leads to, in modules that were imported already; None if nowhere."""
    parts = path.split(".")
    for number in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:number]))
        if found is not None:
            for name in parts[number:]:
                found = getattr(found, name, None)
            return found
    return None


@contextmanager
def parsing() -> Iterator[None]:
    """Makes whatever goes wrong while a config is parsed an error of the config."""
    try:
        yield
    except (ArgumentError, UsageError):
        raise
    except Exception as error:  # a strange config reaches corners of jsonargparse that know no error of their own
        raise ArgumentError(None, f"this config can't be read: {type(error).__name__}: {error}") from error


# -- how much of it is read


class ConfigLoader(internals.yaml_loader()):  # type: ignore[misc]
    """jsonargparse's YAML loader, for texts that passed `check_yaml`."""

    def __init__(self, text: str) -> None:
        check_yaml(text)
        super().__init__(text)

    def get_single_data(self) -> Any:
        """What the text says."""
        data = super().get_single_data()
        _check_lists("a list", data)
        return data


def _check_lists(name: Any, data: Any) -> int:
    """Counts values, and refuses lists that take jsonargparse minutes: it copies the whole list for each item."""
    if not isinstance(data, list | dict):
        return 1
    items = data.items() if isinstance(data, dict) else ((name, value) for value in data)
    size = sum(_check_lists(key, value) for key, value in items)
    limit = MAX_CLASSES if name in CLASS_LISTS else isqrt(MAX_ITEMS**2 * len(data) // (size or 1))
    if isinstance(data, list) and len(data) > limit:
        raise yaml.YAMLError(f"{brief(name)}: got {len(data)} items, expected at most {limit}")
    return size + 1


def _read_text(path: Any) -> str:
    """The text of a config that another one names; of a large one, no more than it takes to refuse it."""
    with path.open() as file:
        return str(file.read(MAX_CONFIG_BYTES + 1))
