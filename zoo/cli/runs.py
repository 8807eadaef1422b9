"""The commands runs and compare: looking at what runs reached. They do not import torch."""

import argparse
import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from zoo.checks import nearest
from zoo.cli import trials
from zoo.cli.arguments import Command, Parser
from zoo.cli.comparison import compare, compare_parser
from zoo.cli.errors import UsageError
from zoo.cli.marks import number_text, rank, reasons_and_marks, spread_text
from zoo.runs import comparing, records, sweeps
from zoo.runs.comparing import Group
from zoo.runs.records import STATUSES, Run

FILTERS = ("status", "config", "run", "seed")  # what --filter takes besides the keys of configs
STOPPED = ("interrupted", "killed", "failed")


def runs_parser() -> Parser:
    """Returns the parser of runs."""
    options = Parser("runs", "List the runs in a folder and its subfolders, the latest first.")
    options.add_argument("folder", nargs="?", default="runs", metavar="FOLDER", help="a folder that contains runs")
    options.add_argument("--sort", metavar="METRIC", help="sort by the best value of a metric, for example val/loss")
    options.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="KEY=GLOB",
        help="only runs with this status, config (its name), run (its folder), seed or config key, for example "
        "status=finished, 'config=alice*' or model.cell=lstm; != for all others; can be repeated, all must hold",
    )
    options.add_argument(
        "--group", action="store_true", help="one row for the seeds of a config: mean, standard deviation and range"
    )
    options.add_argument("--json", action="store_true", help="print JSON")
    return options


def list_runs(given: argparse.Namespace) -> None:
    """Lists the runs in a folder and its subfolders."""
    if not Path(given.folder).is_dir():
        raise ValueError(f"runs: folder not found: {given.folder}")
    everything = records.find(Path(given.folder))
    found = everything
    for condition in given.filter:
        found = select(found, condition, everything)
    if given.sort is not None:
        check_metric(given.sort, found)
    if not found and not given.json:
        print(f"no runs in {given.folder}" + (f" match {' and '.join(given.filter)}" if everything else ""))
    elif given.group:
        _show_groups(found, given.sort, given.json)
    else:
        _show_runs(found, given.sort, given.json, Path(given.folder))


def select(runs: Sequence[Run], condition: str, known: Sequence[Run]) -> list[Run]:
    """Returns the runs that a condition selects.

    Args:
        runs: The runs to select from.
        condition: `KEY=GLOB`, or `KEY!=GLOB` for all others. The glob is compared with the whole value.
        known: All runs, for the names of their configs' keys.

    Raises:
        ValueError: If this is no condition, no config has the key, or there is no such status.
    """
    key, equals, pattern = condition.partition("=")
    if not equals or not key.rstrip("!"):
        raise ValueError(f"--filter: got {condition!r}, expected KEY=GLOB, for example status=finished")
    negated, key = key.endswith("!"), key.removesuffix("!")
    keys = {name for run in known for name in run.config}
    if known and key not in FILTERS and key not in keys:
        ends = [name for name in sorted(keys) if name.rpartition(".")[2] == key]
        hint = f"; did you mean {' or '.join(ends[:3])}?" if ends else nearest(key, (*FILTERS, *keys))
        raise ValueError(f"--filter: unknown key {key!r}, expected {', '.join(FILTERS)} or a key of a config{hint}")
    if key == "status" and not any(fnmatchcase(status, pattern) for status in STATUSES):
        raise ValueError(
            f"--filter: status {pattern!r}: expected one of {', '.join(STATUSES)}{nearest(pattern, STATUSES)}"
        )
    return [run for run in runs if _matches(run, key, pattern) != negated]


def _matches(run: Run, key: str, pattern: str) -> bool:
    found = {"status": run.status, "config": run.config_name or "", "run": str(run.folder), "seed": run.seed}
    if key not in found and key not in run.config:
        return False
    value = found[key] if key in found else run.config[key]
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(pattern) == value
        except ValueError:
            pass
    return fnmatchcase(records.text_of(value), pattern)


def check_metric(metric: str, runs: Sequence[Run]) -> None:
    """Raises ValueError if no run has a metric. The message suggests the most similar one."""
    known = sorted({name for run in runs for name in run.curves})
    if runs and metric not in known:
        hint = nearest(metric, known)
        expected = (
            "a metric of these runs" if hint else f"one of {', '.join(known)}" if known else "no metric: none yet"
        )
        raise ValueError(f"--sort: got {metric!r}, expected {expected}{hint}")


def _show_runs(runs: Sequence[Run], metric: str | None, as_json: bool, folder: Path) -> None:
    sweep = trials.sweep_in(folder)
    if sweep is not None and metric is None:
        metric = sweep.monitor[0]
    if metric is not None:
        runs = sorted(runs, key=lambda run: rank(run.best(metric), run.rises(metric)))
    if as_json:
        metrics = [metric or run.monitor for run in runs]
        reasons, _, _ = reasons_and_marks(runs, metrics)
        rows = [
            {**_row(run, name), "not_comparable": reason}
            for run, name, reason in zip(runs, metrics, reasons, strict=True)
        ]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    stopped = any(run.status in STOPPED for run in runs if sweeps.sweep_of(run.folder) is None)
    gathered = [(run, 0) for run in runs] if sweep is not None else trials.gather(runs, metric)
    runs, counts = [run for run, _ in gathered], [count for _, count in gathered]
    metrics = [metric or run.monitor for run in runs]
    _, marks, legend = reasons_and_marks(runs, metrics)
    head, searched = trials.columns(sweep, runs)
    print(f"{'status':<12} {'epoch':>5}  {'best':<30} {'age':>7}  {head}run")
    for run, name, mark, options, count in zip(runs, metrics, marks, searched, counts, strict=True):
        value = run.best(name)
        best = "" if value is None else f"{name} {number_text(value)} {mark}"
        status, epoch, shown = (
            (f"{count} trials", "", run.folder.parent) if count else (run.status, run.epoch, run.folder)
        )
        print(f"{status:<12} {epoch:>5}  {best:<30} {records.age(run.age_s):>7}  {options}{shown}")
    if legend:
        print("\n" + "\n".join(legend))
    if any(counts):
        print("\nto list the trials of a sweep: python -m zoo runs SWEEP")
    if stopped:
        print("\nto resume a run: python -m zoo fit --run_dir RUN --resume")


def _row(run: Run, metric: str) -> dict[str, Any]:
    return {
        "run": str(run.folder),
        "status": run.status,
        "epoch": run.epoch,
        "metric": metric,
        "best": run.best(metric),
        "age_s": run.age_s,
        "config": run.config_name,
        "seed": run.seed,
        "sweep": None if (sweep := sweeps.sweep_of(run.folder)) is None else str(sweep),
    }


def _show_groups(runs: Sequence[Run], metric: str | None, as_json: bool) -> None:
    found = comparing.groups(runs, metric)
    if metric is not None:
        found.sort(key=lambda group: rank(group.mean, group.runs[0].rises(metric)))
    first = [group.runs[0] for group in found]
    reasons, marks, legend = reasons_and_marks(first, [group.metric for group in found])
    names = _group_names(found)
    if as_json:
        rows = [_group_row(*row) for row in zip(found, names, reasons, strict=True)]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    figures = [f"{_figures(group)} {mark}".strip() for group, mark in zip(found, marks, strict=True)]
    states = [", ".join(f"{count} {status}" for status, count in group.statuses.items()) for group in found]
    wide, width = max(map(len, figures)), max(map(len, states))
    print(f"{'seeds':>5}  {'mean ± standard deviation (range)':<{wide}}  {'runs':<{width}}  config")
    wide = max(wide, len("mean ± standard deviation (range)"))
    for group, figure, state, name in zip(found, figures, states, names, strict=True):
        print(f"{group.seeds:>5}  {figure:<{wide}}  {state:<{width}}  {name}")
    if legend:
        print("\n" + "\n".join(legend))
    if any(len(group.statuses) > 1 and "finished" in group.statuses for group in found):
        print("\nonly finished runs are in a mean")


def _figures(group: Group) -> str:
    if group.mean is None:
        return f"{group.metric} -"
    if group.deviation is None:
        return f"{group.metric} {number_text(group.mean)}"
    return f"{group.metric} {spread_text(group.values, group.mean, group.deviation)}"


def _group_names(found: Sequence[Group]) -> list[str]:
    """Returns the names of the groups' configs, and what differs between those of one name."""
    names = [group.runs[0].config_name or str(group.runs[0].folder) for group in found]
    made = list(names)
    for name in {name for name in names if names.count(name) > 1}:
        members = [number for number, other in enumerate(names) if other == name]
        configs = [
            {key: value for key, value in found[n].runs[0].config.items() if key != records.SEED} for n in members
        ]
        folders = [str(found[n].runs[0].folder.parent) for n in members]
        for number, label in zip(members, comparing.labels(configs, folders), strict=True):
            made[number] = f"{name}: {label}"
    return made


def _group_row(group: Group, name: str, reasons: list[str]) -> dict[str, Any]:
    return {
        "config": name,
        "metric": group.metric,
        "seeds": group.seeds,
        "mean": group.mean,
        "std": group.deviation,
        "min": min(group.values, default=None),
        "max": max(group.values, default=None),
        "statuses": group.statuses,
        "runs": [str(run.folder) for run in group.runs],
        "not_comparable": reasons,
    }


def run(command: Command) -> int:
    """Runs runs or compare; returns the exit code."""
    options = runs_parser() if command.name == "runs" else compare_parser()
    given = options.parse(command.argv)
    try:
        (list_runs if command.name == "runs" else compare)(given)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return 0
