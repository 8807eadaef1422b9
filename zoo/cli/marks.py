"""Figures of runs as texts, and marks for those that can't be compared with the others."""

import math
import string
from collections.abc import Sequence

from zoo.runs import comparing
from zoo.runs.records import Run, text_of


def reasons_and_marks(
    runs: Sequence[Run], metrics: Sequence[str], all_stages: bool = False
) -> tuple[list[list[str]], list[str], list[str]]:
    """Returns why each run's figures can't be compared with most of the others, marks for this, and a legend.

    Args:
        runs: The runs.
        metrics: The metric of each run's figure. A run that has none is not marked.
        all_stages: Whether figures of all stages are compared.
    """
    figures = [number for number, run in enumerate(runs) if all_stages or run.best(metrics[number]) is not None]
    chosen, named = [runs[number] for number in figures], [metrics[number] for number in figures]
    found = comparing.incomparable(chosen, named, all_stages)
    reasons: list[list[str]] = [[] for _ in runs]
    for number, reason in zip(figures, found, strict=True):
        reasons[number] = reason
    distinct = list(dict.fromkeys("; ".join(reason) for reason in reasons if reason))
    letters = dict(zip(distinct, _letters(), strict=False))
    legend = [f"{letters[text]}: can't be compared with the others: {text}" for text in distinct]
    return reasons, [letters.get("; ".join(reason), "") for reason in reasons], legend


def _letters() -> list[str]:
    return [*string.ascii_lowercase, *(a + b for a in string.ascii_lowercase for b in string.ascii_lowercase)]


def number_text(value: float) -> str:
    """Returns a figure with four decimals, or four digits if it is small or large."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"


def option_text(value: object) -> str:
    """Returns the value of an option, with four digits if it is a float."""
    return f"{value:.4g}" if isinstance(value, float) else text_of(value)


def spread_text(values: Sequence[float], mean: float, deviation: float) -> str:
    """Returns mean, standard deviation and range, with at least two digits of the deviation.

    Example:
        >>> spread_text([0.00152, 0.00156], 0.00154, 0.000028)
        '0.001540 ± 0.000028 (0.001520 to 0.001560)'
    """
    low, high = min(values), max(values)
    small = max(abs(low), abs(high)) < 1e-3 or not math.isfinite(deviation)
    if small or max(abs(low), abs(high)) >= 1e6:
        low_text, high_text, mean_text, deviation_text = map(number_text, (low, high, mean, deviation))
    else:
        decimals = 4 if deviation == 0 else min(7, max(4, 1 - math.floor(math.log10(deviation))))
        low_text, high_text, mean_text, deviation_text = (f"{v:.{decimals}f}" for v in (low, high, mean, deviation))
    return f"{mean_text} ± {deviation_text} ({low_text} to {high_text})"


def rank(value: float | None, rises: bool) -> tuple[bool, float]:
    """Returns a key that sorts figures with the best one first, and missing ones last."""
    return (True, 0.0) if value is None else (False, -value if rises else value)
