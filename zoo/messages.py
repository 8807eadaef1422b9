"""Short errors: what the libraries say at length, in a few lines that name the right name."""

import difflib
import inspect
import re
from collections.abc import Iterable, Sequence
from importlib import import_module

MAX_LINES = 12
MAX_WIDTH = 400
NOISE = re.compile(
    r"Does not validate against any of the Union subtypes|Subtypes: |Errors:$|Expected a <class 'NoneType'>"
    r"|Given value type: |Expected a path but .* either not accessible or invalid|^-?$"
)


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing if no known name is near."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), by_lower, 1, 0.6)
    return f"; did you mean {by_lower[found[0]]}?" if found else ""


def explain(text: str, files: Sequence[str], classes: Sequence[str]) -> str:
    """Makes an error of jsonargparse short.

    Args:
        text: Its message.
        files: The config files of the command, for the message.
        classes: Known class names.
    """
    where = f"{', '.join(files)}: " if files else ""
    if match := re.search(r"Problem with given class_path '([\w.]+)':\s*(?:-\s*)?Option '([\w.]+)' is not accepted", text):
        path, option = match.groups()
        known = arguments_of(path)
        return f"{where}{path.split('.')[-1]} has no argument {option!r}; it takes {', '.join(known)}" + nearest(option, known)
    if match := re.search(r"Subcommand '\w+' does not accept option '([\w.]+)'", text):
        given = match[1].split(".")
        if len(given) > 1 and given[0] == "trainer":
            known = arguments_of("lightning.pytorch.Trainer")
            return f"{where}trainer has no argument {given[1]!r}" + nearest(given[1], known)
        groups = ("model", "data", "trainer", "optimizer", "lr_scheduler", "seed_everything", "run_dir", "resume")
        key = ".".join(given)
        return f"{where}unknown key {key!r}, expected one of {', '.join(groups)}" + nearest(given[0], groups)
    if match := re.search(r'Parser key "(\w+)":.*Expected a dot import path string: (\S+)', text, re.DOTALL):
        key, given_class = match.groups()
        return f"{where}{key}: unknown class {given_class!r}" + nearest(given_class, classes)
    if match := re.search(r'Parser key "(\w+)":.*No module named [\'"]([\w.]+)[\'"]', text, re.DOTALL):
        return f"{where}{match[1]}: there is no module {match[2]!r}"
    kept = [line for line in text.splitlines() if not NOISE.search(line.strip())]
    return where + "\n".join(kept)


def shorten(text: str) -> str:
    """At most twelve lines of bearable width, the last one kept, behind `zoo: error: `."""
    lines = [line if len(line) <= MAX_WIDTH else line[: MAX_WIDTH - 4] + " ..." for line in text.strip().splitlines()]
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 2], "...", lines[-1]]
    return "zoo: error: " + "\n".join(lines)


def arguments_of(path: str) -> list[str]:
    """The constructor arguments of a class and of the parents that it hands its options to."""
    module, _, name = path.rpartition(".")
    found: dict[str, None] = {}
    for cls in getattr(import_module(module), name).__mro__:
        if "__init__" not in vars(cls):
            continue
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        found.update({p.name: None for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)})
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return list(found)
