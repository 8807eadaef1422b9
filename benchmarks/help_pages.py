"""Writes `zoo/cli/help.json`, from which help pages and tab completion answer without torch.

python benchmarks/help_pages.py            bring it up to date
python benchmarks/help_pages.py --check    only say whether it is
"""

import argparse
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Any
from unittest import mock

import torch
from lightning.pytorch import callbacks, loggers

import datamodules
from zoo.__main__ import COMMANDS
from zoo.cli.arguments import Command, Parser
from zoo.cli.help_rows import FILE, Pages, Topic, about_class, read, rows_of_class, rows_of_parser, text_of
from zoo.tasks import TASKS

LIBRARIES = ("lightning", "torch")
LEFT_OUT = {
    *("Optimizer", "LRScheduler", "Logger", "Callback", "Checkpoint", "ProgressBar"),
    *("BaseFinetuning", "BasePredictionWriter"),
    "LitLogger",  # inherits from no logger that the Trainer's option takes
}
GROUPS = {
    "model": "the task, and the size and cell of its network",
    "data": "what to read, how to split it, and the batch size",
    "trainer": "epochs, devices, precision, callbacks, loggers: Lightning's Trainer",
    "optimizer": "any optimizer of torch.optim, in place of the task's Adam",
    "lr_scheduler": "a schedule of the learning rate, with an optimizer",
    "checkpoint": "when a run saves its state",
}


class BuiltError(Exception):
    """Carries a command's parser out of the command."""


def parser_of(name: str) -> Any:
    """The parser that a command builds, caught before it parses."""
    from zoo.cli.zoo_cli import ZooCLI

    def parse(self: Parser, argv: list[str]) -> None:
        raise BuiltError(self)

    def parse_arguments(self: ZooCLI, *_: object) -> None:
        raise BuiltError(self._subcommand_parsers[self.command])

    patches = {"parse": parse, "parse_some": parse}
    with mock.patch.multiple(Parser, **patches), mock.patch.object(ZooCLI, "parse_arguments", parse_arguments):
        try:
            import_module(COMMANDS[name]).run(Command(name, [], []))
        except BuiltError as built:
            return built.args[0]
    raise AssertionError(f"{name} parsed nothing")


def library_classes() -> dict[str, list[type]]:
    """Classes of Lightning and torch that options take, by group, without base classes."""
    homes = {
        "optimizer": torch.optim,
        "lr_scheduler": torch.optim.lr_scheduler,
        "trainer.callbacks": callbacks,
        "trainer.logger": loggers,
    }
    return {
        group: [getattr(home, name) for name in home.__all__ if name[0].isupper() and name not in LEFT_OUT]
        for group, home in homes.items()
    }


def pages() -> Pages:
    """What belongs in the file."""
    fit = parser_of("fit")
    topics = [Topic(name, "", about) for name, about in GROUPS.items()]
    rows = []
    for row in rows_of_parser("fit", fit):
        group = row.name.removeprefix("--").partition(".")[0]
        if "." not in row.name:
            rows.append(row)
        elif group == "checkpoint":
            rows.append(row._replace(of=group))
    rows += [row for row in rows_of_parser("trainer", fit, whole=False) if row.name.startswith("--trainer.")]
    for name in COMMANDS:
        if COMMANDS[name] != "zoo.cli.train":
            parser = parser_of(name)
            topics.append(Topic(name, "", parser.description))
            rows += rows_of_parser(name, parser)
    data = [getattr(datamodules, name) for name in datamodules.__all__ if name != "SequenceData"]
    for group, classes in {"model": TASKS, "data": data}.items():
        for cls in classes:
            topics.append(Topic(cls.__name__, group, about_class(cls)))
            rows += rows_of_class(cls, group)
    for group, classes in library_classes().items():
        for cls in classes:
            taken = [] if group.startswith("trainer") else rows_of_class(cls, group)
            names = " ".join(row.name.partition(".")[2] for row in taken)
            topics.append(Topic(cls.__name__, group, about_class(cls), names))
    return Pages({name: version(name).partition("+")[0] for name in LIBRARIES}, topics, rows)


def difference() -> list[str]:
    """Lines of the file that are out of date. Lines about libraries count only in the versions that wrote them."""
    new, old = pages(), read()
    if new.versions != old.versions:
        ours = {row.of for row in new.rows} - {"trainer", "fit"}
        names = ours | set(GROUPS)
        new, old = (
            Pages({}, [one for one in each.topics if one.name in names], [row for row in each.rows if row.of in ours])
            for each in (new, old)
        )
    before, after = text_of(old).splitlines(), text_of(new).splitlines()
    return [line for line in (*before, *after) if (line in before) != (line in after)]


def main() -> None:
    """Writes, or compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if the file is out of date")
    if not parser.parse_args().check:
        FILE.write_text(text_of(pages()), encoding="utf-8")
    elif stale := difference():
        sys.exit("\n".join([*stale, f"{FILE.name} is out of date: run python benchmarks/help_pages.py"]))


if __name__ == "__main__":
    main()
