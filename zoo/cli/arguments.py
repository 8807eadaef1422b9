"""Splitting the command line into a command and its arguments, and the parser of commands without training."""

import argparse
from importlib import import_module
from typing import NamedTuple, NoReturn

from zoo.checks import nearest
from zoo.cli.errors import UsageError

ALLOW_IMPORT, DEBUG = "--allow_import", "--debug"


class Command(NamedTuple):
    """A command line without its global options."""

    name: str  # empty if there is none
    argv: list[str]
    packages: list[str]  # configs may name their classes, and their models are registered

    def import_packages(self) -> None:
        """Imports the allowed packages, which register their models.

        Raises:
            UsageError: If one can't be imported.
        """
        for package in self.packages:
            try:
                import_module(package)
            except Exception as error:  # the package's code may raise any error
                raise UsageError(f"{ALLOW_IMPORT} {package}: {type(error).__name__}: {error}") from error


def split(argv: list[str]) -> Command:
    """Splits a command line. Global options can be at any position.

    Raises:
        UsageError: If `--allow_import` is not followed by the name of a package.
    """
    name = ""
    rest: list[str] = []
    packages: list[str] = []
    words = iter(argv)
    for word in words:
        option, equals, value = word.partition("=")
        if option == ALLOW_IMPORT:
            package = value if equals else next(words, "")
            if not all(part.isidentifier() for part in package.split(".")):
                raise UsageError(f"{ALLOW_IMPORT}: got {package!r}, expected a package, for example my_package")
            packages.append(package)
        elif word == DEBUG:
            continue
        elif not name and not word.startswith("-"):
            name = word
        else:
            rest.append(word)
    return Command(name, rest, packages)


class Parser(argparse.ArgumentParser):
    """argparse with short errors that suggest the most similar option."""

    def __init__(self, command: str, description: str = "", **options: object) -> None:
        super().__init__(
            prog=f"python -m zoo {command}",
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
            **options,  # type: ignore[arg-type]
        )

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(f"{self.prog.removeprefix('python -m zoo ')}: {message}")

    def parse_some(self, argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
        """Parses the arguments that it knows, and returns the others."""
        return self.parse_known_args(argv)

    def parse(self, argv: list[str]) -> argparse.Namespace:
        """Parses the arguments, and refuses unknown ones."""
        options, unknown = self.parse_known_args(argv)
        if unknown:
            known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
            option = unknown[0].split("=")[0]
            hint = nearest(option, known) or "."
            self.error(f"unknown argument {option!r}{hint} It takes {', '.join(known)}")
        return options
