"""Limits for configs and files from other people: their size and depth, and local paths only.

These checks run before a file is trusted. So they only count, and build nothing.
"""

import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from zoo.checks import brief

MAX_CONFIG_BYTES = 2**20
MAX_NODES = 20_000  # mappings, lists and values of a config, with aliases expanded
MAX_DEPTH = 50
MAX_DIGITS = 300  # of a number; the time that Python takes to parse it grows with the square
PLAIN_TAGS = {
    None,
    "!",
    *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map")),
}
ADDRESS = re.compile(r"[A-Za-z][\w+.-]+:|.*?::", re.DOTALL)  # also C:, a drive on Windows


def check_local(path: str | os.PathLike[str], key: str = "") -> None:
    """Raises ValueError for a path that Lightning or fsspec would take for an address.

    Example:
        >>> check_local("runs/a/checkpoints/best.ckpt")
        >>> check_local("memory://a.ckpt")
        Traceback (most recent call last):
            ...
        ValueError: memory://a.ckpt: this is an address (memory:), expected a local path; download the file and ...
    """
    text = os.fspath(path)
    if match := ADDRESS.match(text):
        where = f"{key}: {brief(text)}" if key else text
        raise ValueError(
            f"{where}: this is an address ({match[0]}), expected a local path; download the file and give its path"
            + ("" if match[0].endswith("::") else f". If this is the name of a file, give ./{text}")
        )


def check_size(path: str | os.PathLike[str], limit: int, what: str) -> None:
    """Raises ValueError if a file is larger than a limit, or is not a regular file: a pipe may be endless."""
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path}: not a regular file, expected {what}")
    if status.st_size > limit:
        raise ValueError(f"{path}: got {status.st_size} bytes, expected {what} of at most {limit} bytes")


def check_yaml(text: str) -> None:
    """Raises yaml.YAMLError if a text is too large or too deep, with aliases expanded."""
    if len(text) > MAX_CONFIG_BYTES:
        raise yaml.YAMLError(f"it has {len(text)} characters, expected at most {MAX_CONFIG_BYTES}")
    sizes: dict[str, int] = {}  # of each anchor, in nodes
    parents: list[tuple[str | None, int]] = []  # mappings and lists that are still open: anchor, and size so far
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            _check_tag(event)
            parents.append((event.anchor, 1))
            if len(parents) > MAX_DEPTH:
                raise yaml.YAMLError(f"it is nested more than {MAX_DEPTH} levels deep")
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise yaml.YAMLError(f"the alias *{event.anchor} is undefined, or refers to itself")
            anchor, size = None, sizes[event.anchor]
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = parents.pop()
        elif isinstance(event, yaml.ScalarEvent):
            _check_tag(event)
            _check_number(event)
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        if parents:
            parents[-1] = (parents[-1][0], size := parents[-1][1] + size)
        if size > MAX_NODES:
            raise yaml.YAMLError(f"it has more than {MAX_NODES} values")


def _check_tag(event: Any) -> None:
    if event.tag not in PLAIN_TAGS:
        raise yaml.YAMLError(f"got the tag {brief(event.tag)}, expected plain YAML")


def _check_number(event: Any) -> None:
    may_be_number = event.implicit[0] or event.tag is not None
    if may_be_number and len(event.value) > MAX_DIGITS and re.fullmatch(r"[-+0-9a-fA-FxXoO_.:]+", event.value):
        raise yaml.YAMLError(f"got a number of {len(event.value)} characters, expected at most {MAX_DIGITS}")
