"""The options of the commands as plain rows: from `help.json` without torch, or from the parsers and classes."""

import argparse
import inspect
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

FILE = Path(__file__).with_name("help.json")
REQUIRED = "required"
MAX_TYPE = 60  # characters


class Topic(NamedTuple):
    """A command, a group of options, or a class of a group."""

    name: str
    group: str = ""  # of a class: the option that takes it, such as model or trainer.logger
    about: str = ""  # one line
    takes: str = ""  # the names of a class's arguments, where their rows are not in the file


class Row(NamedTuple):
    """An option or a positional argument."""

    of: str  # the name of its topic
    name: str  # with its dashes, if it has any
    type: str = ""  # empty for a flag
    default: str = ""
    choices: Sequence[str] = ()
    help: str = ""


class Pages(NamedTuple):
    """All that `help.json` holds."""

    versions: dict[str, str]  # of the libraries whose options are in the rows
    topics: list[Topic]
    rows: list[Row]

    def of(self, *names: str) -> list[Row]:
        """Returns the rows of some topics."""
        return [row for row in self.rows if row.of in names]

    def classes(self, group: str) -> list[Topic]:
        """Returns the classes that an option takes, for example those of `model`."""
        return [topic for topic in self.topics if topic.group == group]


def read() -> Pages:
    """Returns the pages of the package."""
    data = json.loads(FILE.read_text(encoding="utf-8"))
    return Pages(data["versions"], [Topic(**one) for one in data["topics"]], [Row(**one) for one in data["rows"]])


def text_of(pages: Pages) -> str:
    """Returns the pages as JSON with one entry a line. Empty values are left out."""

    def lines(entries: Iterable[Any]) -> str:
        return ",\n".join(json.dumps({key: value for key, value in one._asdict().items() if value}) for one in entries)

    return (
        f'{{"versions": {json.dumps(pages.versions)},\n'
        f'"topics": [\n{lines(pages.topics)}\n],\n"rows": [\n{lines(pages.rows)}\n]}}\n'
    )


def add_rows(parser: Any, rows: Iterable[Row]) -> None:
    """Adds rows to an argparse parser or group, for a page or for completion."""
    for row in rows:
        help_text = row.help.replace("%", "%%") or None
        if row.default:
            default = row.default if row.default == REQUIRED else f"default: {row.default.replace('%', '%%')}"
            help_text = f"{help_text or ''} ({default})".lstrip()
        if not row.type and row.name.startswith("-"):
            parser.add_argument(row.name, action="store_true", help=help_text)
        else:
            parser.add_argument(row.name, metavar=row.type or row.name, help=help_text)


# -- rows of parsers and classes


def rows_of_parser(of: str, parser: argparse.ArgumentParser, whole: bool = True) -> list[Row]:
    """Returns the rows of a parser.

    Args:
        of: The name of the topic.
        parser: A parser of argparse or jsonargparse.
        whole: Whether to keep the whole help texts, or their first sentences.
    """
    rows = []
    for action in parser._actions:
        name = next((name for name in action.option_strings if name.startswith("--")), action.dest)
        loads = type(action).__name__ in ("_ActionConfigLoad", "_ActionHelpClassPath", "_HelpAction")  # of libraries
        if loads or name == "--help" or action.help == argparse.SUPPRESS:
            continue
        rows.append(_row(of, name, action, whole))
    return rows


def rows_of_class(cls: type, group: str, whole: bool = True) -> list[Row]:
    """Returns the arguments of a class as rows, such as `--model.hidden_size`."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    parser.add_class_arguments(cls, group, fail_untyped=False, skip=_given_by_lightning(cls, group))
    return rows_of_parser(cls.__name__, parser, whole)


def about_class(cls: type) -> str:
    """Returns the first sentence of a class's docstring."""
    text = cls.__doc__ or inspect.getdoc(vars(cls).get("__init__", cls)) or ""
    return plain(re.sub(r"`+([^`<]+) <[^>]*>`_+", r"\1", text.strip().split("\n\n")[0]), whole=False).rstrip(".")


def _given_by_lightning(cls: type, group: str) -> set[str | int]:
    first = {"optimizer": "params", "lr_scheduler": "optimizer"}.get(group)
    return {first} if first in inspect.signature(cls).parameters else set()  # type: ignore[arg-type]


def _row(of: str, name: str, action: argparse.Action, whole: bool) -> Row:
    hint = getattr(action, "_typehint", None) or action.type
    choices = [str(choice) for choice in action.choices or ()] or _choices(hint)
    kind = "|".join(choices) if choices and not _others(hint) else _type(hint)
    if action.nargs == 0:
        kind, default = "", ""
    else:
        kind = (kind or str(action.metavar or "TEXT")) if name.startswith("-") else ""
        default = REQUIRED if action.required and name.startswith("-") else _default(action.default)
    if hint is None and action.metavar and not choices:
        kind = str(action.metavar)
    if name.endswith(".cell"):
        from zoo.nn import CELLS

        kind, choices = "NAME|dict", list(CELLS)
    kind = "VALUE" if len(kind) > MAX_TYPE else "" if "print_config" in name else kind
    return Row(of, name, kind, default, choices, plain(action.help or "", whole))


def _type(hint: Any) -> str:
    """Returns the name of a type in the words of a config."""
    if hint in (None, NoneType):
        return "null" if hint else ""
    if get_origin(hint) is Literal:
        return "|".join(map(str, get_args(hint)))
    if get_origin(hint) in (Union, UnionType):
        return "|".join(dict.fromkeys(_type(one) for one in get_args(hint)))
    if get_args(hint):
        return f"{_type(get_origin(hint))}[{','.join(_type(one) for one in get_args(hint))}]"
    return getattr(hint, "__name__", str(hint))


def _choices(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return [str(value) for value in get_args(hint)]
    if hint is bool:
        return ["true", "false"]
    if get_origin(hint) in (Union, UnionType):
        return list(dict.fromkeys(choice for one in get_args(hint) for choice in _choices(one)))
    return []


def _others(hint: Any) -> bool:
    """Whether a type takes values that are no choices."""
    if get_origin(hint) in (Union, UnionType):
        return any(_others(one) for one in get_args(hint))
    return hint is not None and hint is not bool and get_origin(hint) is not Literal


def _default(value: Any) -> str:
    if value in (argparse.SUPPRESS, [], "") or repr(value).startswith("<"):
        return ""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def plain(text: str, whole: bool) -> str:
    """Returns a help text on one line, without the marks of reStructuredText."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?([^`]+)`", r"\1", " ".join(text.split())).replace("``", "")
    if whole:
        return text.replace("%(default)s", "").replace("%%", "%")
    first = re.split(r"(?<=[.?])\s+(?=[A-Z:\[`.])|\s+(?:Default|\(default):", text)[0]
    return re.sub(r" ?\(default:? [^)]*\)", "", first.split(" .. ")[0]).strip()
