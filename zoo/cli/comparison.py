"""The command compare: what differs between runs, what they reached, and their learning curves in one picture."""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo.checks import nearest
from zoo.cli.arguments import Parser
from zoo.cli.marks import number_text, rank, reasons_and_marks
from zoo.runs import comparing, records
from zoo.runs.records import Run

PICTURES = (".png", ".pdf", ".svg")
CREATOR = "zoo compare"  # in the pictures' metadata
NAMED_RUNS = 10  # in the picture's legend
MAX_CELL = 24


def compare_parser() -> Parser:
    """Returns the parser of compare."""
    options = Parser("compare", "Compare runs: their configs, their metrics, and their learning curves in one picture.")
    options.add_argument(
        "runs", nargs="+", metavar="RUN", help="the folder of a run, or a folder of runs, which means all in it"
    )
    options.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("compare.png"),
        metavar="PICTURE",
        help=f"the picture to write ({', '.join(PICTURES)}); replaces an earlier picture of this command, and no "
        "other file",
    )
    return options


def compare(given: argparse.Namespace) -> None:
    """Prints what differs between runs and what they reached, and draws their learning curves."""
    runs = list(dict.fromkeys(folder for path in given.runs for folder in _folders(path)))
    if len(runs) < 2:
        raise ValueError(f"compare: got one run, {runs[0]}, expected at least two")
    _check_output(given.output)
    found = [records.read(folder) for folder in runs]
    names = comparing.short_names(found)
    reasons, marks, legend = reasons_and_marks(found, [found[0].monitor] * len(found), all_stages=True)
    width = max(60, shutil.get_terminal_size((120, 40)).columns)
    differing = comparing.differences([run.config for run in found])
    print("what differs" if differing else "the configs are the same")
    if differing:
        _print_table(names, {key: list(values) for key, values in differing.items()}, width)
    print("\nmetrics: the best value over the epochs; * marks the best of the runs that can be compared")
    headed = [f"{name} {mark}".strip() for name, mark in zip(names, marks, strict=True)]
    _print_table(headed, _facts(found, reasons), width)
    if legend:
        print("\n" + "\n".join(legend))
    _draw(given.output, found, names)


def _folders(path: str) -> list[Path]:
    folder = Path(path)
    if records.is_run(folder):
        return [folder]
    found = sorted(run.folder for run in records.find(folder)) if folder.is_dir() else []
    if not found:
        problem = "there is no run in this folder" if folder.is_dir() else "folder not found"
        beside = [file.name for file in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise ValueError(f"compare: {path}: {problem}{nearest(folder.name, beside)}")
    return found


def _check_output(path: Path) -> None:
    if path.suffix.lower() not in PICTURES:
        raise ValueError(f"--output: got {path}, expected a name that ends with {', '.join(PICTURES)}")
    if not path.parent.is_dir():
        raise ValueError(f"--output: folder not found: {path.parent}")
    if path.exists() and not (path.is_file() and CREATOR.encode() in path.read_bytes()):
        raise ValueError(f"--output: {path} already exists, and is no picture of `{CREATOR}`; give another name")


def _facts(runs: Sequence[Run], reasons: Sequence[list[str]]) -> dict[str, list[str]]:
    """Returns the rows of the table of metrics."""
    rows = {"status": [run.status for run in runs], "epochs": [str(run.epoch) for run in runs]}
    for name in sorted({name for run in runs for name in run.curves}):
        values = [run.best(name) for run in runs]
        fair = [value for value, reason in zip(values, reasons, strict=True) if value is not None and not reason]
        rises = next(run for run in runs if name in run.curves).rises(name)
        top = (max if rises else min)(fair) if len(set(fair)) > 1 else None
        rows[name] = [
            comparing.ABSENT if value is None else number_text(value) + " *" * (value == top and not reason)
            for value, reason in zip(values, reasons, strict=True)
        ]
    summaries: dict[str, list[Any]] = {
        key: [run.summary.get(key) for run in runs] for key in ("params", "wall_s", "items_per_s")
    }
    labels = {"params": "parameters", "wall_s": "seconds", "items_per_s": "items per second"}
    for key, values in summaries.items():
        if any(isinstance(value, int | float) for value in values):
            rows[labels[key]] = [
                f"{value:,.0f}" if isinstance(value, int | float) else comparing.ABSENT for value in values
            ]
    return rows


def _print_table(names: Sequence[str], rows: dict[str, list[str]], width: int) -> None:
    """Prints a table with a column for each run. If it is too wide, prints several, one below the other."""
    first = max(map(len, rows))
    for number, block in enumerate(_blocks(names, rows, width - first)):
        if number:
            print()
        widths = {
            column: max(len(_cut(text)) for text in (names[column], *(r[column] for r in rows.values())))
            for column in block
        }
        head = "  ".join(f"{_cut(names[column]):<{widths[column]}}" for column in block)
        print(f"{'':<{first}}  {head}".rstrip())
        for key, values in rows.items():
            cells = "  ".join(f"{_cut(values[column]):<{widths[column]}}" for column in block)
            print(f"{key:<{first}}  {cells}".rstrip())


def _blocks(names: Sequence[str], rows: dict[str, list[str]], width: int) -> Iterator[list[int]]:
    """Yields the columns of each table."""
    block: list[int] = []
    used = 0
    for column, name in enumerate(names):
        size = 2 + max(len(_cut(text)) for text in (name, *(values[column] for values in rows.values())))
        if block and used + size > width:
            yield block
            block, used = [], 0
        block.append(column)
        used += size
    yield block


def _cut(text: str) -> str:
    """Cuts a cell in its middle: what differs is often at the end."""
    half = MAX_CELL // 2
    return text if len(text) <= MAX_CELL else f"{text[: half - 2]}...{text[-half + 1 :]}"


def _draw(path: Path, runs: Sequence[Run], names: Sequence[str]) -> None:
    """Draws the learning curves, and says where."""
    from zoo import plots

    if not any(run.curves for run in runs):
        print("\nno picture: these runs have no metrics yet")
        return
    labels = comparing.labels([run.config for run in runs], names)
    if long := [label for label in labels if len(label) > 2 * MAX_CELL]:
        labels = [name if label in long else label for label, name in zip(labels, names, strict=True)]
    metric = runs[0].monitor
    ranked = sorted(range(len(runs)), key=lambda n: rank(runs[n].best(metric), runs[n].rises(metric)))
    shown = sorted(ranked[:NAMED_RUNS])
    figure = plots.compared_curves(
        {labels[n]: runs[n].curves for n in shown},
        others=[runs[n].curves for n in range(len(runs)) if n not in shown],
    )
    key = "Software" if path.suffix.lower() == ".png" else "Creator"
    figure.savefig(path, dpi=120, metadata={key: CREATOR})
    print(f"\nlearning curves: {path}")
    if len(runs) > NAMED_RUNS:
        print(
            f"  its legend names the {NAMED_RUNS} runs with the best {metric}; the other {len(runs) - NAMED_RUNS} "
            "are grey"
        )
