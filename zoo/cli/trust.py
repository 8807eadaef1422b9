"""Limits for configs: which classes they may name, and how large and deep they may be.

The command line imports and builds the classes that a config names. So a config may only name
classes of a few packages, and of those that the user allows with `--allow_import`. jsonargparse
checks this twice: the import path before the import, and then the place where the class or function
is defined. So `zoo.cli.os.system` is checked as `os.system`.
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

FOLDERS = ("default_root_dir", "dirpath", "save_dir", "run_dir")  # Lightning would also open these as remote addresses
CLASS_LISTS = ("callbacks", "logger", "plugins")
PLAIN_KINDS = (list, tuple, dict, Literal, Union, UnionType)
MAX_SEED = 2**32 - 1  # the largest seed of NumPy
MAX_CLASSES = 100  # in one of these lists
MAX_ITEMS = 2_000  # of any list; fewer if the items are large

allowed: list[str] = []  # the packages of --allow_import


# -- what may be named


def enforce(packages: list[str]) -> None:
    """Sets the packages that configs may name from now on.

    Args:
        packages: The packages or modules of `--allow_import`. Everything below them is allowed, too.

    Raises:
        UsageError: If jsonargparse refuses a package.
    """
    set_parsing_settings(
        import_path_denylist=["*", *allowed],
        import_path_allowlist=[*TRUSTED, *(f"lightning.{name}" for name in lightning.__all__ if name[0] != "_")],
        config_read_mode_fsspec_enabled=False,  # LightningCLI turns it on, and configs could be read from any address
        validate_subclass_spec_in_any=True,  # a class_path is checked everywhere,
        instantiate_subclass_spec_in_any=False,  # but built only where a class is expected
    )
    allowed[:] = [package for package in packages if not _is_below(package, TRUSTED)]
    try:
        set_parsing_settings(import_path_allowlist=allowed)
    except ValueError as error:
        raise UsageError(f"{ALLOW_IMPORT}: {error}") from error
    internals.read_configs_with(ConfigLoader, _read_text)


def _is_below(path: str, packages: Iterable[str]) -> bool:
    """Returns whether an import path is one of these packages or modules, or below one."""
    return any(path == package or path.startswith(f"{package}.") for package in packages)


def check_options(options: Namespace) -> None:
    """Checks what parsing can't check: for example that classes are classes, and that folders are local.

    Args:
        options: A command's parsed options, before any class is built. Sets `weights_only` in them.

    Raises:
        UsageError: If an option names a function outside the packages of `--allow_import`, if a
            folder is an address, if a value is null where null is not allowed, if the seed is out of
            range, or if `weights_only` is false.
    """
    if options.get("weights_only") is False:
        raise UsageError("weights_only: got false, but checkpoints are only read with weights_only; leave it out")
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
    """Refuses functions: jsonargparse accepts a function that returns the class, so `zoo.load` would be a model."""
    trusted = isinstance(found, type) and _is_below(found.__module__, (*TRUSTED, *allowed))
    if not trusted and not _is_below(path, allowed):
        raise ValueError(
            f"{key}: {path} is not a class of {', '.join(TRUSTED)}; "
            f"to allow your own package, or another one that you trust, add {ALLOW_IMPORT} PACKAGE"
        )


def _check_nulls(cls: Any, arguments: Any, key: str) -> None:
    """Refuses null for arguments that do not allow it: jsonargparse treats null as a missing value."""
    for name, value in vars(arguments).items() if isinstance(arguments, Namespace) and isinstance(cls, type) else ():
        if value is None and (kind := _kind(cls, name)) is not None and NoneType not in get_args(kind):
            raise ValueError(f"{key}.{name}: got null, expected {getattr(kind, '__name__', kind)}")


def _kind(cls: type, name: str) -> Any:
    """Returns the type of a constructor's argument. None if it is not a plain type, or if the default is None."""
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
    """Returns the object at an import path, in modules that were imported already. None if not found."""
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
    """Turns unexpected errors of the parser into errors of the config."""
    try:
        yield
    except (ArgumentError, UsageError):
        raise
    except Exception as error:  # jsonargparse raises many kinds of errors for malformed configs
        raise ArgumentError(None, f"this config can't be read: {type(error).__name__}: {error}") from error


# -- size limits


class ConfigLoader(internals.yaml_loader()):  # type: ignore[misc]
    """jsonargparse's YAML loader, for texts that passed `check_yaml`."""

    def __init__(self, text: str) -> None:
        check_yaml(text)
        super().__init__(text)

    def get_single_data(self) -> Any:
        """Returns the content of the text."""
        data = super().get_single_data()
        _check_lists("a list", data)
        return data


def _check_lists(name: Any, data: Any) -> int:
    """Returns the number of values. Refuses long lists: jsonargparse copies the whole list for each item."""
    if not isinstance(data, list | dict):
        return 1
    items = data.items() if isinstance(data, dict) else ((name, value) for value in data)
    size = sum(_check_lists(key, value) for key, value in items)
    limit = MAX_CLASSES if name in CLASS_LISTS else isqrt(MAX_ITEMS**2 * len(data) // (size or 1))
    if isinstance(data, list) and len(data) > limit:
        raise yaml.YAMLError(f"{brief(name)}: got {len(data)} items, expected at most {limit}")
    return size + 1


def _read_text(path: Any) -> str:
    """Returns the text of a config that another config names. Reads only slightly more than the maximum size."""
    with path.open() as file:
        return str(file.read(MAX_CONFIG_BYTES + 1))
