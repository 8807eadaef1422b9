"""The trials of sweeps in a list of runs: one row for a sweep, or what each trial of a sweep has searched."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from zoo.cli.marks import option_text, rank
from zoo.runs import comparing, sweeps
from zoo.runs.records import Run
from zoo.runs.sweeps import Sweep


def sweep_in(folder: Path) -> Sweep | None:
    """Returns the sweep of a folder, or None."""
    with suppress(ValueError, OSError):
        return Sweep.read(folder)
    return None


def gather(runs: Sequence[Run], metric: str | None) -> list[tuple[Run, int]]:
    """Gathers the trials of each sweep.

    Args:
        runs: The runs.
        metric: The metric to compare trials by. None takes that of the sweep.

    Returns:
        The runs, each with 0. In place of the trials of a sweep: the best one, with their number.
    """
    found: list[tuple[Run, int]] = []
    known: dict[Path, int] = {}  # sweep -> place in the list
    for run in runs:
        sweep = sweeps.sweep_of(run.folder)
        if sweep is None:
            found.append((run, 0))
        elif sweep not in known:
            known[sweep] = len(found)
            found.append((run, 1))
        else:
            before, count = found[known[sweep]]
            name = metric or run.monitor
            best = min((before, run), key=lambda one: rank(one.best(name), one.rises(name)))
            found[known[sweep]] = (replace(best, age_s=min(before.age_s, run.age_s)), count + 1)
    return found


def columns(sweep: Sweep | None, runs: Sequence[Run]) -> tuple[str, list[str]]:
    """Returns the columns with what the trials of a sweep have searched: the head, and a text for each run."""
    names = comparing.short_keys(sweep.space) if sweep is not None else {}
    rows = [list(names.values())]
    rows += [[option_text(run.config.get(key, comparing.ABSENT)) for key in names] for run in runs]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *texts = ("".join(f"{cell:<{width}}  " for cell, width in zip(row, widths, strict=True)) for row in rows)
    return head, texts
