"""The command data: shows what the data of a config is, before anybody trains."""

import json
import logging
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from jsonargparse import ActionConfigFile, ArgumentError
from lightning.pytorch.cli import LightningArgumentParser

from zoo.cli import configs, trust
from zoo.cli.arguments import Command, Parser
from zoo.cli.errors import UsageError, explain, first_cause
from zoo.cli.overview import Overview, overview, show, targets
from zoo.cli.results import save_figure
from zoo.cli.train import CLASS_NAMES, quieten

KEPT = ("data", "seed_everything")  # of a config


def run(command: Command) -> int:
    """Prints what the data is, and draws it if asked; returns the exit code."""
    options = Parser("data", "Show what the data of a config is: parts, symbols, lengths, classes, first examples.")
    options.add_argument("-c", "--config", action="append", default=[], help="a file, or a packaged config's name")
    options.add_argument("-o", "--output", type=Path, metavar="PICTURE", help="also draw a histogram into this file")
    options.add_argument("--json", action="store_true", help="print one JSON object")
    rest, own = split_options(command.argv)
    given = options.parse(own)
    if not given.config and not any(word.startswith("--data") for word in rest):
        raise UsageError("give a config with --config, or a class with --data")
    if given.output is not None and given.output.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise UsageError(f"--output: got {given.output}, expected a name that ends in .png, .pdf or .svg")
    quieten()
    logging.getLogger("datamodules").setLevel(logging.WARNING)  # its notes are shown with the rest
    trust.enforce(command.packages)
    command.import_packages()
    data = load(given.config, rest)
    found = overview(data)
    if given.output is not None:
        draw(data, found, given.output)
    print(json.dumps(found._asdict(), ensure_ascii=False) if given.json else show(found))
    return 0


def split_options(argv: list[str]) -> tuple[list[str], list[str]]:
    """Returns the options of the data with their values, and the other words."""
    data: list[str] = []
    others: list[str] = []
    words = iter(argv)
    for word in words:
        if word.startswith(tuple(f"--{key}" for key in KEPT)):
            data += [word] if "=" in word else [word, next(words, "")]
        else:
            others.append(word)
    return data, others


def load(names: list[str], options: list[str]) -> L.LightningDataModule:
    """Returns the data of some configs and options, set up.

    Raises:
        UsageError: If a config or option is wrong, or if the data can't be read.
    """
    parser = LightningArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--config", action=ActionConfigFile)
    parser.add_argument("--seed_everything", type=bool | int, default=0)
    parser.add_lightning_class_args(L.LightningDataModule, "data", subclass_mode=True, required=True)
    words = [word for name in names for word in ("--config", _of_data(name))]
    try:
        with trust.parsing():
            parsed = parser.parse_args([*words, *options])
        trust.check_options(parsed.clone())
        data: Any = parser.instantiate(parsed).data
        if getattr(data, "seed", 0) is None:
            data.seed = int(parsed.seed_everything)
        data.prepare_data()
        data.setup()
    except ArgumentError as error:
        raise UsageError(explain(str(error), names, CLASS_NAMES)) from error
    except (ValueError, TypeError, FileNotFoundError, ModuleNotFoundError) as error:
        raise UsageError(first_cause(str(error))) from error
    return data


def _of_data(name: str) -> str:
    """Returns the text of a config with its data alone."""
    try:
        content = configs.read_config(configs.find_config(name))
    except (yaml.YAMLError, UnicodeError) as error:
        raise UsageError(f"{name}: not a config: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or "data" not in content:
        raise UsageError(f"{name}: the config has no data")
    return f"# of {name}\n" + yaml.safe_dump({key: content[key] for key in KEPT if key in content}, allow_unicode=True)


def draw(data: Any, found: Overview, file: Path) -> None:
    """Draws a histogram of the data into a file."""
    from zoo import plots

    if not found.kind and not found.numbers:
        raise UsageError(f"--output: {found.name} has no classes, symbols, lengths or numbers to draw")
    figure = plots.counts(found.kind, found.counted) if found.kind else plots.ranges(targets(data))
    save_figure(figure, file, "--output")
