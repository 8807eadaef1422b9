"""The command completion: a script with which a shell completes commands, options and values. It imports no torch."""

import argparse
from collections.abc import Iterable

import shtab

from zoo.cli import help as help_pages
from zoo.cli.arguments import ALLOW_IMPORT, DEBUG, Command, Parser
from zoo.cli.configs import packaged_configs
from zoo.cli.help_rows import Pages, Row, add_rows, read
from zoo.files import bundle

SHELLS = ("bash", "zsh")
INSTALL = """\
to install it for the command `zoo`, add one line to the shell's start-up file:
  bash, in ~/.bashrc:  eval "$(zoo completion bash)"
  zsh, in ~/.zshrc, after compinit:  eval "$(zoo completion zsh)"
"""
CLASSES = ("model", "data", "optimizer", "lr_scheduler", "trainer.callbacks", "trainer.logger")  # options with classes
MODELS = {"model", "models", "--ckpt_path", "--init_from"}
FOLDERS = {"folder", "runs", "--run_dir", "--sweep_dir", "--output", "--trainer.default_root_dir"}
FILES = {"inputs", "--space", "--data.path", "--data.paths"}
PRECISIONS = ("32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true")
VALUES = {  # of options whose types do not list them
    "--trainer.accelerator": ("auto", "cpu", "gpu", "mps"),
    "--trainer.strategy": ("auto", "ddp", "fsdp"),
    "--trainer.precision": PRECISIONS,
    "--trainer.gradient_clip_algorithm": ("norm", "value"),
}
PREAMBLE = {  # completions of names and files together
    "bash": '_zoo_{kind}_or_file() {{ compgen -W "{names}" -- "$1"; compgen -f -- "$1"; }}',
    "zsh": "_zoo_{kind}_or_file() {{ compadd -- {names}; _files }}",
}


def script(shell: str) -> str:
    """Returns the completion script of a shell."""
    names = {"config": sorted(packaged_configs()), "model": bundle.shipped()}
    preamble = "\n".join(PREAMBLE[shell].format(kind=kind, names=" ".join(known)) for kind, known in names.items())
    return str(shtab.complete(_parser(read()), shell, preamble=preamble)) + "\n"


def _parser(pages: Pages) -> argparse.ArgumentParser:
    """Returns one argparse parser with all commands and options, for shtab."""
    parser = argparse.ArgumentParser(prog="zoo", add_help=False, allow_abbrev=False)
    for option in ("--help", "--version", DEBUG):
        parser.add_argument(option, action="store_true")
    commands = parser.add_subparsers()
    about = {topic.name: topic.about for topic in pages.topics if not topic.group}
    others = [name for name in about if name not in help_pages.GROUPS]
    for name in (*help_pages.COMMANDS, *others):
        command = commands.add_parser(name, help=help_pages.about(name, pages), add_help=False, allow_abbrev=False)
        training = name in help_pages.COMMANDS
        rows = _training_rows(pages) if training or name == "sweep" else []
        own = [] if training else pages.of(name)
        taken = {row.name for row in own}
        _add(command, [*own, *(row for row in rows if row.name not in taken)])
        topics = [*help_pages.GROUPS, help_pages.ALL, *(one.name for one in pages.topics if one.group)]
        asked = {"nargs": "?", "choices": topics} if training else {"action": "store_true"}
        command.add_argument("--help", **asked)  # type: ignore[arg-type]
        command.add_argument(ALLOW_IMPORT, metavar="PACKAGE")
        command.add_argument(DEBUG, action="store_true")
    return parser


def _training_rows(pages: Pages) -> list[Row]:
    """Returns the options of a training command, with those of all classes. One that several have comes once."""
    found: dict[str, Row] = {}
    rows = pages.of("fit", "trainer", "checkpoint", *(one.name for one in pages.topics if one.group))
    rows += [Row(one.name, f"--{one.group}.{name}", "VALUE") for one in pages.topics for name in one.takes.split()]
    for row in rows:
        before = found.get(row.name, row)
        choices = list(dict.fromkeys((*before.choices, *row.choices)))
        found[row.name] = before._replace(choices=choices)
    for option in CLASSES:
        found[f"--{option}"] = found[f"--{option}"]._replace(choices=[one.name for one in pages.classes(option)])
    return list(found.values())


def _add(parser: argparse.ArgumentParser, rows: Iterable[Row]) -> None:
    """Adds options, and says with what each is completed."""
    rows = list(rows)
    add_rows(parser, rows)
    actions = {name: action for action in parser._actions for name in action.option_strings or [action.dest]}
    for row in rows:
        action = actions[row.name]
        choices = VALUES.get(row.name, row.choices)
        if choices:
            action.choices = list(choices)
        elif row.name in MODELS or row.name == "--config":
            function = f"_zoo_{'config' if row.name == '--config' else 'model'}_or_file"
            action.complete = dict.fromkeys(SHELLS, function)  # type: ignore[attr-defined]
        elif row.name in FOLDERS or row.name in FILES:
            action.complete = shtab.DIR if row.name in FOLDERS else shtab.FILE  # type: ignore[attr-defined]


def run(command: Command) -> int:
    """Prints a completion script; returns the exit code."""
    options = Parser(command.name, "Print a script that completes commands, options and values with the Tab key.")
    options.formatter_class = argparse.RawDescriptionHelpFormatter
    options.epilog = INSTALL
    options.add_argument("shell", choices=SHELLS, help="the shell")
    print(script(options.parse(command.argv).shell), end="")
    return 0
