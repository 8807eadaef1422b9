"""The help of fit, validate, test and predict: a page for people, and one for each group of options and class."""

import shutil
import textwrap
from argparse import RawDescriptionHelpFormatter
from importlib import import_module

from zoo.checks import nearest
from zoo.cli.arguments import ALLOW_IMPORT, Command, Parser
from zoo.cli.errors import UsageError
from zoo.cli.help_rows import Pages, Row, add_rows, read

COMMANDS = ("fit", "validate", "test", "predict")
HELP = ("-h", "--help")
ALL = "all"
GROUPS = ("model", "data", "trainer", "optimizer", "lr_scheduler", "checkpoint")
EVALUATION = ("model", "data", "trainer")  # the groups that have an effect in validate, test and predict
MAX_WIDTH = 120
FIT = """\
usage: python -m zoo fit --config CONFIG [--KEY VALUE ...]
       python -m zoo fit --model TASK --data DATA [--KEY VALUE ...]
       python -m zoo fit --run_dir DIR --resume [--override --KEY VALUE ...]

Train a model. If the data has a test part, the best checkpoint is tested at the end. A run is one folder.

options
  --config CONFIG              a YAML file, or the name of a config in the package; can be repeated
  --run_dir DIR                the folder of the run; by default runs/<config>/<date-time>
  --resume                     resume the run in --run_dir
  --override                   with --resume: use changed settings
  --init_from MODEL            start from the weights of a model
  --freeze PATTERNS            weights not to train, for example 'recurrent.*'
  --seed_everything N          the seed; the same seed gives the same run
  --trainer.max_epochs N       the number of epochs
  --trainer.devices N          the number of processes or GPUs
  --trainer.precision P        for example bf16-mixed
  --print_config               print the complete config, and end
  --allow_import PACKAGE       allow configs to name classes of this package; can be repeated
"""
FIT_EXAMPLES = """\
examples
  python -m zoo fit --config toy_en_ko --run_dir runs/toy
  python -m zoo fit --config alice_lstm --model.hidden_size 512 --optimizer AdamW --optimizer.lr 0.003
  python -m zoo fit --model CharLM --data TextFile --data.paths book.txt --trainer.max_epochs 10
"""
WHAT_IT_DOES = {
    "fit": "Train a model.",
    "validate": "Print the metrics of a model on the validation part of the data.",
    "test": "Print the metrics of a model on the test part of the data.",
    "predict": "Print the predictions of a model as CSV on standard output.",
}
EVALUATE = """\
usage: python -m zoo {name} --ckpt_path MODEL [--config CONFIG] [--KEY VALUE ...]

{about}
The data is read in the model's own vocabulary, classes and scale. Without --config, the config that the
model was trained with is used.

options
  --ckpt_path MODEL                    a checkpoint, the folder of a run or bundle, or a name from `zoo list`
  --config CONFIG                      a YAML file, or the name of a config in the package; can be repeated
  --on_unknown skip|unk                leave out what the model does not know, or read it as <unk>
  --seed_everything N                  the seed
  --data.batch_size N                  the batch size
  --trainer.accelerator NAME           cpu, gpu or auto
  --trainer.devices N                  the number of processes or GPUs
  --trainer.precision P                for example bf16-mixed
  {limit:<37}use only the first N batches
  --print_config                       print the complete config, and end
  --allow_import PACKAGE               allow configs to name classes of this package; can be repeated
"""
EVALUATE_EXAMPLES = """\
examples
  python -m zoo {name} --ckpt_path runs/toy
  python -m zoo {name} --ckpt_path {model}{more}
"""
PARTS = {"validate": "val", "test": "test", "predict": "predict"}


def topic_of(command: Command) -> str | None:
    """Returns what a training command is asked to explain: empty for the command itself, None if it is not asked."""
    if command.name not in COMMANDS:
        return None
    words = [word.partition("=") for word in command.argv]
    for number, (word, equals, value) in enumerate(words):
        if word in HELP:
            following = command.argv[number + 1] if number + 1 < len(words) else ""
            return value if equals else "" if following.startswith("-") else following
    return None


def run(command: Command) -> int:
    """Prints the help that a training command is asked for; returns the exit code.

    Raises:
        UsageError: If nothing has the name that is asked for.
    """
    topic = topic_of(command) or ""
    if topic == ALL:
        return int(import_module("zoo.cli.train").run(command._replace(argv=["--help"])))
    print(page(command, topic, read()).rstrip())
    return 0


def about(name: str, pages: Pages) -> str:
    """Returns what a command does, in one line."""
    return WHAT_IT_DOES.get(name) or next(topic.about for topic in pages.topics if topic.name == name)


def page(command: Command, topic: str, pages: Pages) -> str:
    """Returns the page of a command, a group of options, a class, or an option."""
    name = topic.lstrip("-")
    groups = GROUPS if command.name == "fit" else EVALUATION
    if not name:
        return _front(command.name, pages, groups)
    if name in GROUPS and name not in groups:
        raise UsageError(f"{command.name} has no use for {name}; see python -m zoo fit --help {name}")
    if name in groups:
        return _group(command.name, name, pages)
    classes = {one.name: one for one in pages.topics if one.group}
    if name in classes and (group := classes[name].group.partition(".")[0]) not in groups:
        raise UsageError(f"{command.name} has no use for {group}; see python -m zoo fit --help {name}")
    if name in classes and (rows := pages.of(name)):
        found = classes[name]
        return _table(f"{name}: {found.about}.", f"{command.name} --{found.group} {name}", rows)
    if name in classes or ("." in name and name.split(".")[0] not in groups) or command.packages:
        return _class(command, name, pages)
    if rows := _options(name, pages):
        return _table("", f"{command.name} --KEY VALUE", rows)
    raise _unknown(command, name, [*classes, *groups, ALL, *(row.name.rpartition(".")[2] for row in pages.rows)])


def _unknown(command: Command, name: str, known: list[str]) -> UsageError:
    hint = nearest(name, [one.lstrip("-") for one in known])
    if "." in name and not hint:
        hint = f"; for a class of your own package, add {ALLOW_IMPORT} PACKAGE"
    return UsageError(f"--help: there is no class, group or option {name!r}{hint}")


def _options(name: str, pages: Pages) -> list[Row]:
    """Returns the options of a name, with or without its group; one that several classes have comes once."""
    found: dict[str, list[Row]] = {}
    for row in pages.of("fit", "trainer", "checkpoint", *(one.name for one in pages.topics if one.group)):
        if name in (row.name[2:], row.name.partition(".")[2]):
            found.setdefault(row.name, []).append(row)
    return [_together(rows) for rows in found.values()]


def _together(rows: list[Row]) -> Row:
    """Returns one row for an option of several classes, with what each class says about it."""
    words: dict[str, list[str]] = {}
    for row in rows:
        words.setdefault(f"{row.help} ({row.default})", []).append(row.of)
    if len(words) == 1:
        return rows[0]
    return rows[0]._replace(help=" ".join(f"{', '.join(of)}: {text}" for text, of in words.items()), default="")


def _class(command: Command, name: str, pages: Pages) -> str:
    """Returns the page of a class that is not in the file, from the class itself."""
    found = import_module("zoo.cli.help_classes").find(command, name)
    if found is None:
        raise _unknown(command, name, [one.name for one in pages.topics])
    about, option, rows = found
    return _table(about, f"{command.name} --{option} {name}", rows)


def _front(name: str, pages: Pages, groups: tuple[str, ...]) -> str:
    """Returns the first page of a command."""
    from zoo.cli.configs import packaged_configs  # which needs pyyaml: exports are used without it

    about = {topic.name: topic.about for topic in pages.topics}
    if name == "fit":
        top, examples = FIT, FIT_EXAMPLES
    else:
        more = " --data.predict_inputs '[word, loev]'" if name == "predict" else ""
        top = EVALUATE.format(name=name, about=WHAT_IT_DOES[name], limit=f"--trainer.limit_{PARTS[name]}_batches N")
        examples = EVALUATE_EXAMPLES.format(name=name, model="seq2seq_rnn.toy_en_ko", more=more)
    configs = textwrap.fill(", ".join(sorted(packaged_configs())), 116, initial_indent="  ", subsequent_indent="  ")
    parts = [
        top,
        _list(f"groups of options; python -m zoo {name} --help GROUP lists them", {one: about[one] for one in groups}),
    ]
    for group, title in {"model": "tasks, for --model", "data": "data, for --data"}.items():
        names = {one.name: one.about for one in pages.classes(group)}
        parts.append(_list(f"{title}; python -m zoo {name} --help {next(iter(names))} lists the arguments", names))
    parts += [f"configs of the package\n{configs}\n", examples, f"python -m zoo {name} --help all prints all options."]
    return "\n".join(parts)


def _list(title: str, items: dict[str, str]) -> str:
    width = max(map(len, items)) + 2
    return "\n".join([title, *(f"  {name:<{width}}{about}" for name, about in items.items())]) + "\n"


def _group(command: str, group: str, pages: Pages) -> str:
    """Returns the page of a group: its options, and the classes that it takes."""
    about = next(topic.about for topic in pages.topics if topic.name == group)
    classes = {option: pages.classes(option) for option in (group, f"{group}.callbacks", f"{group}.logger")}
    usage = f"{command} --{group} CLASS [--{group}.ARGUMENT VALUE ...]"
    rows = pages.of(group)
    text = _table(f"{group}: {about}.", f"{command} [--{group}.OPTION VALUE ...]" if rows else usage, rows)
    for option, topics in classes.items():
        if topics:
            title = f"--{option} takes; python -m zoo {command} --help {topics[0].name} lists the arguments"
            text += "\n" + _list(title, {topic.name: topic.about for topic in topics})
    return text


def _table(about: str, usage: str, rows: list[Row]) -> str:
    """Returns a page with one entry for each row."""
    width = min(shutil.get_terminal_size((100, 24)).columns, MAX_WIDTH)
    parser = Parser(usage.split(maxsplit=1)[0], add_help=False, usage=f"python -m zoo {usage}")
    parser.formatter_class = lambda prog: RawDescriptionHelpFormatter(prog, max_help_position=38, width=width)
    parser.description = textwrap.fill(about, width)
    add_rows(parser.add_argument_group("options"), rows)
    return parser.format_help()
