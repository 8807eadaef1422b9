"""The space of a sweep: which options of fit are searched, and in which ranges. It imports no torch and no Optuna."""

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from zoo.checks import brief, nearest
from zoo.cli.errors import UsageError
from zoo.files.limits import MAX_CONFIG_BYTES, check_size, check_yaml
from zoo.runs.records import text_of

KEYS = ("low", "high", "step", "log")
OF_THE_SWEEP = ("config", "run_dir", "resume", "override", "stretch_schedule", "ckpt_path", "print_config", "help")
FORM = "expected a list of choices, or {low: ..., high: ...} with step or log: true"


class Range(NamedTuple):
    """The values of one option: a range of numbers, or choices."""

    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()  # plain values; a list or a mapping is JSON

    @property
    def whole(self) -> bool:
        """Whether the numbers are integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values to check before a sweep: all choices, or the ends of the range."""
        return self.choices or (self.low, self.high)

    def suggest(self, name: str, trial: Any) -> Any:
        """Returns the value of a trial of Optuna. The value that it has, if it was drawn before."""
        if self.choices:
            return trial.suggest_categorical(name, self.choices)
        if self.whole:
            return trial.suggest_int(name, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)


def read(path: str) -> dict[str, Range]:
    """Reads a space from a YAML file: option -> range.

    Raises:
        UsageError: If the file is not found or is no YAML, or if an option can't be searched or has no values.
    """
    try:
        check_size(Path(path), MAX_CONFIG_BYTES, "a space")
        text = Path(path).read_text(encoding="utf-8")
        check_yaml(text)
        found = yaml.safe_load(text)
    except OSError as error:
        raise UsageError(f"--space: {path}: {error.strerror}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UsageError(f"--space: {path}: not valid YAML: {' '.join(str(error).split())}") from error
    return ranges(found, path)


def ranges(found: Any, path: str) -> dict[str, Range]:
    """Returns the ranges of a space's content.

    Args:
        found: The content of the file.
        path: The file, for messages.

    Raises:
        UsageError: As in `read`.
    """
    if not isinstance(found, dict) or not found:
        raise UsageError(
            f"--space: {path}: expected options of fit with their values, for example model.lr: [0.1, 0.01]"
        )
    made = {}
    for name, values in found.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name):
            raise UsageError(f"--space: {path}: got {brief(name)}, expected an option of fit without dashes")
        if name in OF_THE_SWEEP:
            raise UsageError(f"--space: {path}: {name} can't be searched, because each trial has its own")
        try:
            made[name] = _range(values)
        except ValueError as error:
            raise UsageError(f"--space: {path}: {name}: {error}") from error
    return made


def _range(values: Any) -> Range:
    if isinstance(values, list):
        choices = tuple(json.dumps(value) if isinstance(value, list | dict) else value for value in values)
        if len(choices) < 2:
            raise ValueError(f"got {brief(values)}, expected at least two choices; give a fixed value as an option")
        if twice := [value for number, value in enumerate(choices) if text_of(value) in map(text_of, choices[:number])]:
            raise ValueError(f"duplicate choice {brief(twice[0])}")
        return Range(choices=choices)
    if not isinstance(values, dict):
        raise ValueError(f"got {brief(values)}, {FORM}")
    for key in values:
        if key not in KEYS:
            raise ValueError(f"unknown key {brief(key)}, {FORM}{nearest(str(key), KEYS)}")
    low, high, step = (_number(key, values.get(key)) for key in ("low", "high", "step"))
    log = values.get("log", False)
    if low is None or high is None:
        raise ValueError(f"no {'low' if low is None else 'high'}, {FORM}")
    if not isinstance(log, bool):
        raise ValueError(f"log: got {brief(log)}, expected true or false")
    if low >= high:
        raise ValueError(f"the range from {low} to {high} is empty, expected low below high")
    if log and (low <= 0 or step is not None):
        raise ValueError(f"log: expected low above 0, and no step, got low {low} and step {step}")
    if step is not None and not 0 < step <= high - low:
        raise ValueError(f"step: got {step}, expected above 0, and at most {high - low}")
    if step is not None and isinstance(low, int) and isinstance(high, int) and not isinstance(step, int):
        raise ValueError(f"step: got {step}, expected an integer between integers; write low as {float(low)}")
    return Range(low, high, step, log)


def _number(key: str, value: Any) -> float | None:
    if isinstance(value, str):  # YAML reads 1e-4 as a text
        with suppress(ValueError):
            value = float(value)
    if value is None and key == "step":
        return None
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
    ):
        raise ValueError(f"{key}: got {brief(value)}, expected a number")
    return value


def as_content(space: Mapping[str, Range]) -> dict[str, Any]:
    """Returns the content of a file with a space, for `ranges`."""
    made: dict[str, Any] = {}
    for name, values in space.items():
        if values.choices:
            made[name] = [_plain(choice) for choice in values.choices]
        else:
            made[name] = {"low": values.low, "high": values.high}
            made[name] |= {key: value for key in ("step", "log") if (value := getattr(values, key))}
    return made


def _plain(choice: Any) -> Any:
    return json.loads(choice) if isinstance(choice, str) and choice[:1] in ("[", "{") else choice


def words(values: Mapping[str, Any]) -> list[str]:
    """Returns values as options of fit."""
    return [f"--{name}={text_of(value)}" for name, value in values.items()]
