"""The commands list and show. They do not import torch."""

import json
from fnmatch import fnmatchcase
from pathlib import Path

from zoo.checks import nearest
from zoo.cli.arguments import Command, Parser
from zoo.cli.errors import UsageError
from zoo.files import bundle
from zoo.files.card import card


def list_models(pattern: str = "*", as_json: bool = False) -> None:
    """Lists the trained models in the package."""
    known = bundle.shipped()
    names = [name for name in known if fnmatchcase(name, pattern)]
    if not names:
        raise ValueError(f"list: no model matches {pattern!r}{nearest(pattern, known)}")
    configs = {name: bundle.read_config(bundle.find_shipped(name)) for name in names}
    if as_json:
        keys = ("title", "metrics")
        rows = [
            {"name": name, "parameters": config["parameters"], **{key: config["about"][key] for key in keys}}
            for name, config in configs.items()
        ]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    width = max(map(len, names))
    for name, config in configs.items():
        metric, value = next(iter(config["about"]["metrics"].items()))
        size = f"{config['parameters']:>9,} parameters"
        print(f"{name:<{width}}  {size}  {metric:<17} {value:<8.4f} {config['about']['title']}")


def show(name: str) -> None:
    """Prints a model's card, without the metadata at the top."""
    folder = Path(name) if name not in bundle.shipped() and Path(name).is_dir() else bundle.find_shipped(name)
    print(card(bundle.read_config(folder)).split("---\n", 2)[2].strip())


def run(command: Command) -> int:
    """Runs list or show; returns the exit code."""
    descriptions = {"list": list_models, "show": show}
    options = Parser(command.name, str(descriptions[command.name].__doc__).splitlines()[0])
    if command.name == "list":
        options.add_argument(
            "pattern", nargs="?", default="*", metavar="GLOB", help="which names, for example 'char_lm*', in quotes"
        )
        options.add_argument("--json", action="store_true", help="print JSON")
    else:
        options.add_argument("model", metavar="NAME", help="a name from `zoo list`, or the folder of a bundle")
    given = options.parse(command.argv)
    try:
        if command.name == "list":
            list_models(given.pattern, given.json)
        else:
            show(given.model)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return 0
