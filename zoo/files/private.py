"""Removing the paths of a machine from what is published."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

ALONE = re.compile(r"(file://)?(~|[A-Za-z]:)?[/\\]\S[^\n]*")  # a text that is nothing but a path, with its spaces
# folders of a path within a text; a fraction, an address or `and/or` is none
WITHIN = re.compile(r"(?:file://|(?<![\w/\\.:)\]}]))(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\:,;'\"()\[\]]+[/\\])+")


def without_folders(value: Any) -> Any:
    """Returns a plain value in which absolute paths are replaced with the names of their files.

    Example:
        >>> without_folders({"paths": ["/home/me/my books/a.txt", "books/b.txt"], "text": "see /home/me/c.txt, 1/2"})
        {'paths': ['a.txt', 'books/b.txt'], 'text': 'see c.txt, 1/2'}
    """
    if isinstance(value, dict):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_folders(item) for item in value]
    if not isinstance(value, str):
        return value
    if ALONE.fullmatch(value):
        kind = PureWindowsPath if "\\" in value else PurePosixPath
        return kind(value).name or value
    if value.startswith(("../", "..\\")):
        return PurePosixPath(value.replace("\\", "/")).name
    return WITHIN.sub("", value)


def file_names(sources: Iterable[str]) -> dict[str, str]:
    """Returns the names of some sources without the folders of this machine. Two of one name are numbered."""
    made: dict[str, str] = {}
    for source in sources:
        name = plain = without_folders(source)
        number = 1
        while name in made.values():
            number += 1
            name = f"{plain} ({number})"
        made[source] = name
    return made
