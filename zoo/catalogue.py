"""The commands that look at what is there: list, show, runs. They need no torch."""

import json
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from zoo import bundle, messages
from zoo.card import card
from zoo.runs import history

USAGE = {
    "list": "usage: python -m zoo list [GLOB] [--json]\n\nThe models that come with the package, as `list 'char_lm*'`.",
    "runs": "usage: python -m zoo runs [FOLDER] [--json]\n\nThe runs in a folder and below, the latest first.",
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


def list_runs(folder: str = "runs", as_json: bool = False) -> None:
    """Lists the runs in a folder."""
    if not Path(folder).is_dir():
        raise ValueError(f"runs: there is no folder {folder}")
    found = history.runs(Path(folder))
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    if not found:
        print(f"{folder} holds no runs")
        return
    print(f"{'status':<12} {'epoch':>5}  {'best':<28} {'age':>7}  run")
    for run in found:
        best = "" if run["best"] is None else f"{run['metric']} {run['best']:.4f}"
        print(f"{run['status']:<12} {run['epoch']:>5}  {best:<28} {history.age(run['age_s']):>7}  {run['run']}")
    if any(run["status"] in ("interrupted", "killed", "failed") for run in found):
        print("\nto go on with one that stopped: python -m zoo fit --run_dir RUN --resume")


def main(argv: list[str]) -> int:
    """Runs list, show or runs; returns the exit code."""
    command, *rest = (arg for arg in argv if arg != "--debug")
    if {"-h", "--help"} & set(rest):
        print(USAGE[command])
        return 0
    options = [] if command == "show" else ["--json"]
    names = [arg for arg in rest if not arg.startswith("-")]
    try:
        for option in rest:
            if option not in names and option not in options:
                raise ValueError(f"{command}: unknown argument {option!r}{messages.nearest(option, options)}")
        if len(names) > 1 or (command == "show" and not names):
            raise ValueError(f"{command}: got {len(names)} names, expected one; a pattern stands in quotes")
        if command == "list":
            list_models(names[0] if names else "*", "--json" in rest)
        elif command == "runs":
            list_runs(names[0] if names else "runs", "--json" in rest)
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
