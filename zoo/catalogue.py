"""The commands that look into the models that come with the package: list, show. They need no torch."""

import json
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from zoo import bundle, messages
from zoo.card import card

USAGE = {
    "list": "usage: python -m zoo list [GLOB] [--json]\n\nThe models that come with the package, as `list 'char_lm*'`.",
    "show": "usage: python -m zoo show NAME\n\nThe card of a packaged model, or of a bundle's folder.",
}


def list_models(pattern: str = "*", as_json: bool = False) -> None:
    """Lists the models whose names fit a pattern."""
    known = bundle.shipped()
    names = [name for name in known if fnmatchcase(name, pattern)]
    if not names:
        raise ValueError(f"list: no model fits {pattern!r}{messages.nearest(pattern, known)}")
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
    """Prints a model's card, without the metadata at its head."""
    folder = Path(name) if name not in bundle.shipped() and Path(name).is_dir() else bundle.find_shipped(name)
    print(card(bundle.read_config(folder)).split("---\n", 2)[2].strip())


def main(argv: list[str]) -> int:
    """Runs list or show; returns the exit code."""
    command, *rest = (arg for arg in argv if arg != "--debug")
    if {"-h", "--help"} & set(rest):
        print(USAGE[command])
        return 0
    options = ["--json"] if command == "list" else []
    names = [arg for arg in rest if not arg.startswith("-")]
    try:
        for option in rest:
            if option not in names and option not in options:
                raise ValueError(f"{command}: unknown argument {option!r}{messages.nearest(option, options)}")
        if len(names) > 1 or (command == "show" and not names):
            raise ValueError(f"{command}: got {len(names)} names, expected one; a pattern stands in quotes")
        if command == "list":
            list_models(names[0] if names else "*", "--json" in rest)
        else:
            show(names[0])
    except ValueError as error:
        print(messages.shorten(str(error)), file=sys.stderr)
        return 2
    except BrokenPipeError:  # it is no fault, see `zoo.__main__`
        raise
    except OSError as error:
        print(messages.shorten(str(error)), file=sys.stderr)
        return 1
    return 0
