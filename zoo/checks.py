"""Checks of arguments, and the words of their errors."""

import difflib
import math
import reprlib
from collections.abc import Iterable
from typing import Any

_short = reprlib.Repr()
_short.maxlevel, _short.maxstring, _short.maxother, _short.maxlong = 2, 60, 60, 60


def brief(value: Any) -> str:
    """A value in a few characters, for messages. Deeply nested or endless values are cut."""
    return _short.repr(value)


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or an empty string if no known name is similar."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), by_lower, 1, 0.6)
    return f"; did you mean {by_lower[found[0]]}?" if found else ""


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Raises ValueError if a value is not among the choices, listing them."""
    if value not in (choices := tuple(choices)):
        raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(choices)}")


def check_flags(**flags: bool) -> None:
    """Raises ValueError if a value is not true or false, naming it: `"false"` would count as true."""
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise ValueError(f"{name}: got {flag!r}, expected true or false")


def check_sizes(**sizes: int) -> None:
    """Raises ValueError if a size is below 1, naming it."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}: got {size}, expected at least 1")


def check_positive(**values: float) -> None:
    """Raises ValueError if a number is not above 0, naming it."""
    for name, value in values.items():
        if not 0.0 < value < math.inf:
            raise ValueError(f"{name}: got {value}, expected above 0")


def check_ratios(**ratios: float) -> None:
    """Raises ValueError if a number is outside [0, 1], naming it."""
    for name, ratio in ratios.items():
        if not 0.0 <= ratio <= 1.0:
            raise ValueError(f"{name}: got {ratio}, expected a ratio in [0, 1]")


def check_dropout(**probabilities: float) -> None:
    """Raises ValueError if a dropout is not a probability in [0, 1), naming it."""
    for name, dropout in probabilities.items():
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"{name}: got {dropout}, expected a probability in [0, 1)")
