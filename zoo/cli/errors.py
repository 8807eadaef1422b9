"""Short error messages: long errors of the libraries in a few lines, with suggestions for misspelled names."""

import inspect
import re
import sys
import traceback
from collections.abc import Sequence

from zoo.checks import nearest

FAILED, WRONG, INTERRUPTED = 1, 2, 130  # exit codes
MAX_LINES = 12
MAX_WIDTH = 400
MAX_VALUE = 100
MAX_TEXT = 100_000  # characters of an error; the values in it can be long
TRUSTED = ("zoo", "datamodules", "lightning.pytorch", "lightning.fabric", "torch.optim", "torchmetrics")
TOP_KEYS = (
    *("model", "data", "trainer", "optimizer", "lr_scheduler", "seed_everything"),
    *("config", "ckpt_path", "run_dir", "resume", "override", "init_from", "freeze", "checkpoint"),
)
OURS = ("zoo", "datamodules")  # packages


class UsageError(Exception):
    """The command or its config is wrong, or a file that they name. Nothing was written."""


class RunError(Exception):
    """A run failed. The message is complete without the type of the error."""


def report(error: BaseException, debug: bool) -> int:
    """Prints an error on standard error, and returns the exit code.

    Args:
        error: The error that a command raised.
        debug: Whether to also print the traceback.
    """
    if isinstance(error, SystemExit):  # --help
        return int(error.code or 0)
    if isinstance(error, KeyboardInterrupt):
        print(file=sys.stderr)
        return INTERRUPTED
    if debug:
        traceback.print_exception(error)
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] not in OURS:
        error = UsageError(f"it needs {error.name}, which is not installed; pip install rnn-zoo")
    plain = isinstance(error, UsageError | RunError | OSError)
    print(shorten(str(error) if plain else f"{type(error).__name__}: {error}"), file=sys.stderr)
    return WRONG if isinstance(error, UsageError) else FAILED


def explain(text: str, files: Sequence[str], classes: Sequence[str]) -> str:
    """Returns a short message for an error of jsonargparse: one line for known kinds of errors.

    Args:
        text: The message of jsonargparse.
        files: The config files of the command, for the message.
        classes: Known class names.
    """
    where = f"{', '.join(map(_brief, files))}: " if files else ""
    text = text[:MAX_TEXT]
    kinds = (
        lambda text, _: _missing_package(text),
        _not_trusted,
        _unknown_argument,
        _missing_argument,
        _unknown_key,
        _unknown_class,
        _wrong_value,
        _wrong_config,
    )
    known = (explained for kind in kinds if (explained := kind(text, classes)))
    return where + str(next(known, text))


def first_cause(text: str) -> str:
    """Returns the error of a class's constructor, which jsonargparse puts into a list of all types that it tried."""
    if missing := _missing_package(text):
        return missing
    match = re.match(
        r"Does not validate against any of the Union subtypes.*?^Errors:\n  - (.*?)\n  - ", text, re.M | re.S
    )
    return match[1] if match else text


def _missing_package(text: str) -> str | None:
    """Explains the error of a class of Lightning that needs a package, for example a logger."""
    package = re.search(r"pip install (?:-U )?['\"]?([\w-]+)", text)
    name = re.search(r"class_path '(?:\w+\.)*(\w+)'", text) or re.search(r"`(\w+)` requires", text)
    if not package:
        return None
    who = name[1] if name else "this command"
    return f"{who} needs a package that is not installed; install it with: pip install {package[1]}"


def _not_trusted(text: str, classes: Sequence[str]) -> str | None:
    match = re.search(r"Importing '([\w.]+)' is not allowed", text)
    if not match:
        return None
    given = _given_value(text)
    direct = not re.fullmatch(r"\w+(\.\w+)+", given or "") or given == match[1]
    path = match[1] if direct else f"{given}, which is {match[1]},"
    return (
        f"{_innermost_key(text)}: {path} is not allowed in a config, expected a class of "
        f"{', '.join(TRUSTED)}; to allow your own package, or another one that you trust, add --allow_import PACKAGE"
        + nearest(match[1].rpartition(".")[2], classes)
    )


def _unknown_argument(text: str, classes: Sequence[str]) -> str | None:
    match = re.search(r"Problem with given class_path '([\w.]+)':[\s-]*Option '([\w.]+)' is not accepted", text)
    if not match:
        return None
    path, option = match.groups()
    if path == "torch.optim.Optimizer":
        return f"--optimizer.{option}: there is no optimizer; name one with --optimizer, for example --optimizer Adam"
    known = arguments_of(path)
    hint = nearest(option, known) or "."
    return f"{path.split('.')[-1]} has no argument {option!r}{hint} It takes {', '.join(known)}"


def _missing_argument(text: str, classes: Sequence[str]) -> str | None:
    match = re.search(r"Problem with given class_path '([\w.]+)':\s+the following arguments are required: (.+)", text)
    return f"{_innermost_key(text)}: {match[1].split('.')[-1]} needs {match[2]}" if match else None


def _unknown_key(text: str, classes: Sequence[str]) -> str | None:
    match = re.search(r"(?:does not accept option '|^Option '|unrecognized arguments: --)([\w.]+)", text)
    if not match:
        return None
    group, _, rest = match[1].partition(".")
    if group == "trainer" and rest:
        known = arguments_of("lightning.pytorch.Trainer")
        return f"the trainer has no argument {rest!r}" + nearest(rest, known)
    if group == "checkpoint" and rest:
        known = arguments_of("zoo.runs.resume.CheckpointPolicy")
        return f"checkpoint has no argument {rest!r}" + nearest(rest, known)
    longer = [f"; did you mean {key}?" for key in TOP_KEYS if key.startswith(group)]  # an abbreviation
    hint = nearest(group, TOP_KEYS) or next(iter(longer), "")
    return f"unknown key {match[1]!r}, expected one of {', '.join(TOP_KEYS)}{hint}"


def _unknown_class(text: str, classes: Sequence[str]) -> str | None:
    key = _innermost_key(text)
    unknown = [name for name in re.findall(r"Expected a dot import path string: (\S+)", text) if name not in classes]
    if unknown:
        return f"{key}: unknown class {unknown[0]!r}" + nearest(unknown[0], classes)
    if match := re.search(r"No module named [\'\"]([\w.]+)", text):
        return f"{key}: there is no module {match[1]!r}"
    if match := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", text):
        return f"{key}: there is no {match[2]!r} in {match[1]}" + nearest(match[2], classes)
    return None


def _wrong_value(text: str, classes: Sequence[str]) -> str | None:
    expected = re.findall(r"Expected an? (.+?)(?:\. Got value: (.*))?$", text, re.MULTILINE)
    given = next((value for _, value in expected if value), None) or _given_value(text)
    if not expected or given is None:
        return None
    given = given if len(given) <= MAX_VALUE else f"{given[:MAX_VALUE]}..."
    choices = [choice for kind, _ in expected for choice in re.findall(r"'([\w.-]+)'", kind) if "Literal" in kind]
    beside = ("path but ", "dot import path ")  # jsonargparse also accepts these as strings
    kinds = [kind for kind, _ in expected if "Literal" not in kind and "NoneType" not in kind]
    kinds = [kind for kind in kinds if not kind.startswith(beside)]
    names = [re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", kind) for kind in kinds]
    wanted = " or ".join(dict.fromkeys([*names, *([f"one of {', '.join(choices)}"] if choices else [])])) or "a class"
    hint = "; write it in quotes" if "str" in names else ""
    return f"{_innermost_key(text)}: got {given}, expected {wanted}{hint}" + nearest(given, choices)


def _wrong_config(text: str, classes: Sequence[str]) -> str | None:
    if "Unexpected config" in text:
        return f"a config must be a mapping with some of the keys {', '.join(TOP_KEYS)}; this one is empty or a list"
    if "are required" in text:
        return "a run needs a model and data: name a config with --config FILE, or give --model and --data"
    if match := re.search(r"File does not exist: '(.+)'", text):
        return f"file not found: {match[1]}"
    if "Problems parsing config" in text:
        lines = text.replace("<unicode string>", "the file").splitlines()
        return "not valid YAML: " + "; ".join(line.strip().removeprefix("Problems parsing config: ") for line in lines)
    return text.removeprefix(prefix) if text.startswith(prefix := 'Parser key "config": ') else None


def _innermost_key(text: str) -> str:
    return (re.findall(r'Parser key "([\w.]+)"', text) or ["config"])[-1]


def _brief(name: str) -> str:
    """Returns the name of a config, or `the config` if it was given as text."""
    return name if "\n" not in name else "the config"


def _given_value(text: str) -> str | None:
    match = re.search(r"Given value: (?:NestedArg\(key='\w+', val=)?(.+?)\)?$", text, re.MULTILINE)
    return match[1] if match else None


def shorten(text: str) -> str:
    """Returns a text of at most `MAX_LINES` lines, after `zoo: error: `. Long lines are cut; the last line is kept."""
    lines = [line if len(line) <= MAX_WIDTH else line[: MAX_WIDTH - 4] + " ..." for line in text.strip().splitlines()]
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 2], "...", lines[-1]]
    return "zoo: error: " + "\n".join(lines)


def arguments_of(path: str) -> list[str]:
    """Returns the constructor arguments of a class, and of its parents if it passes its options on."""
    module, _, name = path.rpartition(".")
    found: dict[str, None] = {}
    # Only looks in imported modules: the path comes from a message, and must not be imported.
    for cls in getattr(getattr(sys.modules.get(module), name, None), "__mro__", ()):
        if "__init__" not in vars(cls):
            continue
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        found.update({p.name: None for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)})
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return [name for name in found if name not in ("params", "optimizer")]
